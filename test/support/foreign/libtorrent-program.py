"""One libtorrent session with one torrent, driven by a job (JSON, last argument); see scripted-client.ts for what it says.

With "http" it also serves the torrent's first file with single ranges: a request puts a deadline on the pieces it needs, in order, as libtorrent's
documentation of streaming advises. There is one player: a new request takes the deadlines of the one before off, which then ends.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import libtorrent as lt

POLICIES = {"plain": 2, "allowed": 1, "encrypted": 0}
READ_AHEAD_PIECES = 8
FIRST_DEADLINE_MS = 0
DEADLINE_STEP_MS = 500
POLL_S = 0.002


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def settings_of(job):
    encrypted = job.get("encryption") == "encrypted"
    policy = POLICIES[job.get("encryption", "plain")]
    host = job.get("host", "127.0.0.1")
    settings = {
        "listen_interfaces": f"{host}:{job.get('port', 0)}",
        "outgoing_interfaces": host,
        "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.storage_notification | lt.alert.category_t.error_notification,
        "enable_dht": "dht" in job,
        "dht_bootstrap_nodes": job.get("dht", ""),
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        "dht_ignore_dark_internet": False,
        "dht_announce_interval": 5,
        # As often as the tracker of a test says: who comes second may be one that dials nobody.
        "min_announce_interval": 1,
        "min_reconnect_time": 1,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "enable_outgoing_tcp": job.get("dials", True),
        "allow_multiple_connections_per_ip": True,
        "ssrf_mitigation": False,
        "in_enc_policy": policy,
        "out_enc_policy": policy,
        "allowed_enc_level": 2 if encrypted else 3,
        "prefer_rc4": encrypted,
        "upload_rate_limit": job.get("uploadBytesPerSecond", 0),
        "download_rate_limit": job.get("downloadBytesPerSecond", 0),
        "ignore_limits_on_local_network": False,
    }
    known = lt.default_settings()
    return {key: value for key, value in settings.items() if key in known}


def parameters_of(job):
    source = job["source"]
    if source.startswith("magnet:"):
        parameters = lt.parse_magnet_uri(source)
    else:
        parameters = lt.add_torrent_params()
        parameters.ti = lt.torrent_info(source)
    parameters.save_path = job["folder"]
    flags = parameters.flags & ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
    if job["role"] == "seed":
        flags |= lt.torrent_flags.seed_mode
    if not job.get("pex", False):
        flags |= lt.torrent_flags.disable_pex
    if "http" in job and job["role"] == "download":
        flags |= lt.torrent_flags.sequential_download
    parameters.flags = flags
    return parameters


def serve(handle, job):
    server = ThreadingHTTPServer((job.get("host", "127.0.0.1"), 0), handler_of(handle, job["folder"]))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address


def handler_of(handle, folder):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        newest = None

        def log_message(self, *_):
            pass

        def do_GET(self):
            Handler.newest = self
            handle.clear_piece_deadlines()
            while handle.torrent_file() is None:
                time.sleep(POLL_S)
            files = handle.torrent_file().files()
            size = files.file_size(0)
            first, last = range_of(self.headers.get("Range"), size)
            self.send_response(206)
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.end_headers()
            try:
                self.send(files, first, last)
            except OSError:
                self.close_connection = True

        def send(self, files, first, last):
            path = os.path.join(folder, files.file_path(0))
            length = files.piece_length()
            piece = first // length
            final = last // length
            asked = piece
            while piece <= final:
                while Handler.newest is self and asked <= min(final, piece + READ_AHEAD_PIECES):
                    if not handle.have_piece(asked):
                        handle.set_piece_deadline(asked, FIRST_DEADLINE_MS + (asked - piece) * DEADLINE_STEP_MS)
                    asked += 1
                while not handle.have_piece(piece):
                    if Handler.newest is not self:
                        raise ConnectionAbortedError
                    time.sleep(POLL_S)
                start = max(first, piece * length)
                end = min(last + 1, (piece + 1) * length)
                with open(path, "rb") as file:
                    file.seek(start)
                    self.wfile.write(file.read(end - start))
                piece += 1

    return Handler


def range_of(header, size):
    if not header or not header.startswith("bytes="):
        return 0, size - 1
    first, _, last = header[len("bytes=") :].partition("-")
    return int(first), min(int(last) if last else size - 1, size - 1)


def main():
    job = json.loads(sys.argv[-1])
    session = lt.session(settings_of(job))
    handle = session.add_torrent(parameters_of(job))
    while session.listen_port() == 0:
        time.sleep(POLL_S)
    for peer in job.get("peers", []):
        host, _, port = peer.rpartition(":")
        handle.connect_peer((host, int(port)))
    fields = {"port": session.listen_port(), "dhtPort": session.listen_port() if "dht" in job else 0}
    if job.get("http"):
        host, port = serve(handle, job)
        fields["httpUrl"] = f"http://{host}:{port}/first"
    if job["role"] == "seed":
        while not handle.status().is_seeding:
            time.sleep(POLL_S)
    say("ready", **fields)
    flushing = False
    while True:
        session.wait_for_alert(500)
        for alert in session.pop_alerts():
            if isinstance(alert, lt.torrent_error_alert):
                print(alert.message(), file=sys.stderr, flush=True)
            # Finished means that all pieces are checked, while the last ones may still wait to be written: whoever stops us then would lose them.
            if isinstance(alert, lt.torrent_finished_alert) and not flushing:
                flushing = True
                handle.flush_cache()
            if isinstance(alert, lt.cache_flushed_alert) and handle.status().is_seeding:
                say("complete")
        if not flushing and handle.status().is_seeding:
            flushing = True
            handle.flush_cache()


main()

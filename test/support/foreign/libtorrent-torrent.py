"""Makes a torrent as libtorrent does it. Arguments: file or folder, where to write the torrent, "hybrid", "v1" or "v2", and trackers. Prints the v1 info hash."""

import os
import sys

import libtorrent as lt

PIECE_LENGTH_BYTES = 65_536
FLAGS = {"hybrid": 0, "v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only}

source, target, version, *trackers = sys.argv[1:]
files = lt.file_storage()
lt.add_files(files, source)
draft = lt.create_torrent(files, PIECE_LENGTH_BYTES, FLAGS[version])
lt.set_piece_hashes(draft, os.path.dirname(source))
for tracker in trackers:
    draft.add_tracker(tracker)
with open(target, "wb") as file:
    file.write(lt.bencode(draft.generate()))
print(lt.torrent_info(target).info_hashes().v1)

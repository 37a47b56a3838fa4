/** libtorrent (what qBittorrent, Deluge and Tribler are made of), through Debian's python3-libtorrent and `libtorrent-program.py`. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ForeignClient } from './foreign-client.js';
import { startScripted } from './scripted-client.js';

const SCRIPT = scriptPath('libtorrent-program.py');
const MAKER = scriptPath('libtorrent-torrent.py');
/** Debian's own interpreter has the module; one that comes first in PATH may not. */
const INTERPRETERS = ['/usr/bin/python3', 'python3'];

let found: string | undefined;

export const libtorrent: ForeignClient = {
  name: 'libtorrent',
  canDial: true,
  canEncrypt: true,
  canServe: true,
  tellsPex: true,
  makesEmptyFiles: true,
  escapesPaths: true,
  canDialLoopback: true,
  seed: (torrentPath, dataFolder, options = {}) => start({ ...options, role: 'seed', source: torrentPath, folder: dataFolder }),
  download: (source, folder, options = {}) => start({ ...options, role: 'download', source, folder }),
};

/** Writes a torrent of `source` as libtorrent makes it, with padding files where version 2 is in; gives its info hash (version 1). */
export function makeLibtorrentTorrent(
  source: string,
  target: string,
  version: 'hybrid' | 'v1' | 'v2',
  trackers: readonly string[] = [],
): string {
  return execFileSync(interpreter(), [MAKER, source, target, version, ...trackers], { encoding: 'utf8' }).trim();
}

function start(job: Parameters<typeof startScripted>[2]): ReturnType<typeof startScripted> {
  return startScripted(interpreter(), [SCRIPT], job);
}

function interpreter(): string {
  found ??= INTERPRETERS.find(hasModule);
  if (found === undefined) throw new Error('libtorrent needs a python3 with its module: install python3-libtorrent');
  return found;
}

function scriptPath(name: string): string {
  return fileURLToPath(new URL(`../../../../test/support/foreign/${name}`, import.meta.url));
}

function hasModule(interpreter: string): boolean {
  try {
    execFileSync(interpreter, ['-c', 'import libtorrent'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

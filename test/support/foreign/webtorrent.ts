/**
 * WebTorrent 2.8.5, installed into a folder of its own by `scripts/webtorrent.mjs`, behind `webtorrent-program.ts`.
 *
 * Its encryption does not work: its own two ends never finish the handshake, and libtorrent answers "sync hash not found". So it is plain only.
 * It asks a web seed for `a#b` as `a`, since it does not escape names.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ForeignClient } from './foreign-client.js';
import { type Job, startScripted } from './scripted-client.js';

const INSTALLER = fileURLToPath(new URL('../../../../scripts/webtorrent.mjs', import.meta.url));
const PROGRAM = fileURLToPath(new URL('./webtorrent-program.js', import.meta.url));
const INSTALL_MS = 180_000;

let folder: string | undefined;

export const webtorrent: ForeignClient = {
  name: 'webtorrent',
  canDial: true,
  canEncrypt: false,
  canServe: true,
  tellsPex: false,
  makesEmptyFiles: true,
  escapesPaths: false,
  canDialLoopback: true,
  seed: (torrentPath, dataFolder, options = {}) => start({ ...options, role: 'seed', source: torrentPath, folder: dataFolder }),
  download: (source, target, options = {}) => start({ ...options, role: 'download', source, folder: target }),
};

function start(job: Job): ReturnType<typeof startScripted> {
  folder ??= execFileSync(process.execPath, [INSTALLER], {
    encoding: 'utf8',
    timeout: INSTALL_MS,
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
  return startScripted(process.execPath, [PROGRAM, folder], job);
}

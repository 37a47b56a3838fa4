/**
 * Installs WebTorrent, which Shoal is measured against and tested with, into a folder of its own, and prints that folder.
 *
 * It is no dependency of Shoal. 2.8.5 is the newest that Node 20 runs; two of its packages do not install as they are named (ip-set 3 asks for another package
 * manager, node-datachannel 0.32 for a download at build time), and with uint8-util 2.3 it throws, so an earlier one is chosen.
 * Idempotent; needs the npm registry once.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const VERSION = '2.8.5';
const CACHE = join(dirname(dirname(fileURLToPath(import.meta.url))), '.cache');
const FOLDER = join(CACHE, `webtorrent-${VERSION}`);
const MANIFEST = {
  name: 'shoal-webtorrent',
  private: true,
  dependencies: { webtorrent: VERSION },
  overrides: { 'ip-set': '2.2.0', 'node-datachannel': '^0.33.4', 'uint8-util': '2.2.5' },
};
const INSTALL_TIMEOUT_MS = 170_000;

if (!existsSync(FOLDER)) install();
process.stdout.write(`${FOLDER}\n`);

/** Beside its place and then moved, so that an install that was interrupted, or a second one at the same time, leaves nothing half. */
function install() {
  const draft = join(CACHE, `webtorrent-draft-${process.pid}`);
  mkdirSync(draft, { recursive: true });
  try {
    writeFileSync(join(draft, 'package.json'), `${JSON.stringify(MANIFEST, null, 2)}\n`);
    process.stderr.write(`set-up: installing webtorrent ${VERSION} for tests and measurements; this happens once\n`);
    const words = ['install', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'];
    const { status } = spawnSync('npm', words, { cwd: draft, stdio: ['ignore', 2, 2], timeout: INSTALL_TIMEOUT_MS });
    if (status !== 0) throw new Error(`"npm install" of webtorrent ${VERSION} failed (exit code ${status}). Its messages stand above.`);
    if (!existsSync(FOLDER)) renameSync(draft, FOLDER);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

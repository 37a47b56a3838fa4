/**
 * Runs a bundle once, and keeps what V8 has compiled by then beside it (`bin/bundle.mjs`): the program from its start until a player has a byte of a title.
 *
 * `node scripts/warm-up.mjs BUNDLE`, by the bundler. In folders of its own, on this machine alone. A bundle that does not get so far in time is kept with less; that
 * costs a start some milliseconds.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Bundle, codePath } from '../bin/bundle.mjs';

const PATIENCE_MS = 5_000;
const NAME = 'warm-up.bin';
const CONTENT = Buffer.alloc(16_384);
const QUIET = ['tracker.enabled', 'titles.dht', 'titles.localDiscovery'].map((option) => `${option}=false`);
const FREE_PORTS = ['relay.http.port', 'swarm.port'].map((option) => `${option}=0`);

const path = process.argv[2];
const folder = mkdtempSync(join(tmpdir(), 'shoal-warm-up-'));
const file = (name, content) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

const bundle = new Bundle(path);
let isLoaded = false;
process.on('exit', () => {
  writeFileSync(codePath(path), bundle.code());
  rmSync(folder, { recursive: true, force: true });
  // How the program ends is its own affair; a bundle that cannot even be loaded is not to be kept.
  process.exitCode = isLoaded ? 0 : 1;
});
setTimeout(() => process.exit(), PATIENCE_MS).unref();
process.stdout.write = (chunk) => {
  for (const line of String(chunk).split('\n')) if (line.startsWith('{"event":"ready"')) void readFrom(JSON.parse(line));
  return true;
};
mkdirSync(join(folder, 'in'));
writeFileSync(join(folder, 'in', NAME), CONTENT);
const options = [...QUIET, ...FREE_PORTS].flatMap((setting) => ['--set', setting]);
const folders = ['--folder', join(folder, 'in'), '--data', join(folder, 'data'), '--config', file('config.json5', '{}')];
process.argv = [process.execPath, 'shoal', 'play', file('title.torrent', torrent()), '--json', ...folders, ...options];
bundle.run();
isLoaded = true;

/** Bencoded by hand: nothing of the program is compiled apart from its bundle. */
function torrent() {
  const hash = createHash('sha1').update(CONTENT).digest();
  const info = `d6:lengthi${CONTENT.length}e4:name${NAME.length}:${NAME}12:piece lengthi${CONTENT.length}e6:pieces20:`;
  return Buffer.concat([Buffer.from(`d4:info${info}`), hash, Buffer.from('ee')]);
}

async function readFrom({ page, titles: [title] }) {
  const answer = await fetch(new URL(title.files[0].play, page), { headers: { range: 'bytes=0-0' } });
  await answer.arrayBuffer();
  process.exit();
}

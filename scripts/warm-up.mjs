/**
 * Runs a bundle once, and keeps what V8 has compiled by then beside it (`bin/bundle.mjs`): the program from its start until a player has a byte of a title.
 *
 * `node scripts/warm-up.mjs BUNDLE`, by the bundler. In folders of its own, on this machine alone. Of a bundle that does not get so far the code is kept all the
 * same, and a line says so.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Bundle, codePath } from '../bin/bundle.mjs';

const PATIENCE_MS = 20_000;
const NAME = 'warm-up.bin';
const CONTENT = Buffer.alloc(16_384);
/** Nobody is spoken to, and nobody from elsewhere can come. */
const SETTINGS = [
  ...['tracker.enabled', 'titles.dht', 'titles.localDiscovery'].map((option) => `${option}=false`),
  ...['relay.http.host', 'swarm.host'].map((option) => `${option}=127.0.0.1`),
  ...['relay.http.port', 'swarm.port'].map((option) => `${option}=0`),
];

const path = resolve(process.argv[2]);
const bundle = new Bundle(path);
const folder = mkdtempSync(join(tmpdir(), 'shoal-warm-up-'));
const file = (name, content) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
let isLoaded = false;
let isWarm = false;

process.on('exit', () => {
  // How the program ends is its own affair. A bundle that cannot even be loaded is not to be kept.
  process.exitCode = isLoaded && keepCode() ? 0 : 1;
  if (isLoaded && !isWarm) say('the program gave no byte of a title: its code is kept as far as it came, and starts take longer');
  removeFolder();
});
setTimeout(() => process.exit(), PATIENCE_MS).unref();
// What it logs is of no interest here, and what it prints is read.
process.stdout.write = (chunk) => {
  for (const line of String(chunk).split('\n')) if (line.startsWith('{"event":"ready"')) void readFrom(JSON.parse(line));
  return true;
};
mkdirSync(join(folder, 'in'));
writeFileSync(join(folder, 'in', NAME), CONTENT);
const options = [...SETTINGS, 'log.level=silent'].flatMap((setting) => ['--set', setting]);
const folders = ['--folder', join(folder, 'in'), '--data', join(folder, 'data'), '--config', file('config.json5', '{}')];
process.argv = [process.execPath, 'shoal', 'play', file('title.torrent', torrent()), '--json', ...folders, ...options];
bundle.run();
isLoaded = true;

function keepCode() {
  try {
    writeFileSync(codePath(path), bundle.code());
    return true;
  } catch (error) {
    say(error.message);
    return false;
  }
}

function removeFolder() {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    say(error.message);
  }
}

function say(text) {
  writeSync(2, `warm-up: ${text}\n`);
}

/** Bencoded by hand: nothing of the program is compiled apart from its bundle. */
function torrent() {
  const hash = createHash('sha1').update(CONTENT).digest();
  const info = `d6:lengthi${CONTENT.length}e4:name${NAME.length}:${NAME}12:piece lengthi${CONTENT.length}e6:pieces20:`;
  return Buffer.concat([Buffer.from(`d4:info${info}`), hash, Buffer.from('ee')]);
}

async function readFrom({ page, titles: [title] }) {
  const answer = await fetch(new URL(title.files[0].play, page), { headers: { range: 'bytes=0-0' } });
  isWarm = answer.status === 206 && (await answer.arrayBuffer()).byteLength === 1;
  process.exit();
}

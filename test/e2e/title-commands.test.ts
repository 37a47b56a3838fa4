/** `shoal publish`, `get` and `play` as a person runs them: real processes that find each other in every way there is. */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../src/io/crypto.js';
import { Malformed } from '../../src/kernel/errors.js';
import type { TitleDetail, TitleView } from '../../src/plugins/titles/title-view.js';
import { parseMagnet } from '../../src/vod/magnet-link.js';
import { type Metainfo, parseTorrent } from '../../src/vod/metainfo.js';
import { temporaryFolder } from '../support/program.js';
import { runShoal, ShoalProcess, type ShoalProcessOptions, startStation } from '../support/shoal-process.js';
import { writeFolderTitle, writeRandomFile } from '../support/title-fixture.js';
import { until } from '../support/until.js';

const READY_MS = 15_000;
const processes: ShoalProcess[] = [];

test.after.each(async () => {
  await Promise.all(processes.splice(0).map((shoal) => shoal.stop()));
});

type Published = TitleView & { readonly event: 'published'; readonly torrent: string };

function begin(words: readonly string[], options: ShoalProcessOptions = {}): ShoalProcess {
  const shoal = new ShoalProcess(words, options);
  processes.push(shoal);
  return shoal;
}

/** Lines of one kind that it has said so far. */
function said<Line>(shoal: ShoalProcess, event: string): Line[] {
  return shoal.lines.filter((line) => line.startsWith(`{"event":"${event}"`)).map((line) => JSON.parse(line) as Line);
}

/** Publishes, and tells what is given. */
async function publish(words: readonly string[], count = 1, options: ShoalProcessOptions = {}) {
  const shoal = begin(['publish', ...words, '--json'], options);
  await until('it is published', () => said(shoal, 'published').length >= count || shoal.program.exit !== undefined, READY_MS);
  const published = said<Published>(shoal, 'published');
  if (published.length < count) throw new Error(shoal.program.errors);
  return { shoal, published, first: published[0] as Published };
}

async function fetchInto(sources: readonly string[], options: ShoalProcessOptions = {}): Promise<string> {
  const folder = temporaryFolder('got');
  const shoal = await runShoal(['get', ...sources, '--folder', folder], options);
  assert.is(shoal.program.exit?.code, 0, shoal.program.errors + shoal.program.output);
  return folder;
}

function torrentAt(path: string): Metainfo {
  const metainfo = parseTorrent(new Uint8Array(readFileSync(path)), nodeHasher);
  if (metainfo instanceof Malformed) throw new Error(metainfo.reason);
  return metainfo;
}

function digest(path: string): string {
  return createHash('sha1').update(readFileSync(path)).digest('hex');
}

function base32(hex: string): string {
  const bits = [...hex].map((digit) => Number.parseInt(digit, 16).toString(2).padStart(4, '0')).join('');
  return bits.replace(/.{5}/g, (five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five, 2)] ?? '');
}

function randomFile(name = 'film.bin', lengthBytes = 700_000): string {
  const path = join(temporaryFolder('own'), name);
  writeRandomFile(path, lengthBytes, 1);
  return path;
}

test('a published file is had by its link, by its hash in hex or base32 with one tracker or one address, by its torrent, and by the torrent on the web', async () => {
  const path = randomFile();
  const { shoal, first } = await publish([path]);
  const { id, link, torrent } = first;
  const parsed = parseMagnet(link);
  if (parsed instanceof Malformed) throw new Error(parsed.reason);
  const [tracker = ''] = parsed.trackers;
  const udp = parsed.trackers.find((url) => url.startsWith('udp:')) ?? '';
  const [peer] = parsed.peers;
  const sources = [
    link,
    `magnet:?xt=urn:btih:${id.toUpperCase()}&tr=${encodeURIComponent(tracker)}`,
    `magnet:?xt=urn:btih:${base32(id)}&tr=${encodeURIComponent(udp)}`,
    `magnet:?xt=urn:btih:${base32(id).toLowerCase()}&x.pe=${peer?.host}:${peer?.port}`,
    torrent,
    new URL(`/api/titles/${id}/title.torrent`, shoal.ready.page).href,
  ];
  const folders = await Promise.all(sources.map((source) => fetchInto([source])));
  for (const folder of folders) assert.is(digest(join(folder, 'film.bin')), digest(path));
});

test('a folder comes whole, or the part of it that the link wants', async () => {
  const folder = writeFolderTitle(temporaryFolder('own'), 400_000);
  const { first } = await publish([folder]);
  const whole = join(await fetchInto([first.link]), basename(folder));
  const names = (root: string): string[] => readdirSync(root, { recursive: true }).map(String).sort();
  assert.equal(names(whole), names(folder));
  for (const { path } of first.files) assert.is(digest(join(whole, path)), digest(join(folder, path)));
  const [wanted] = first.files.filter(({ sizeBytes }) => sizeBytes > 50_000);
  const part = join(await fetchInto([`${first.link}&so=${wanted?.index}`]), basename(folder));
  assert.is(digest(join(part, wanted?.path ?? '')), digest(join(folder, wanted?.path ?? '')));
});

test('the torrent names the own tracker, what was given, and no web seed that nobody could reach', async () => {
  const torrent = join(temporaryFolder('torrent'), 'mine.torrent');
  const words = [
    '--tracker',
    'udp://t.example:6969/announce',
    '--web-seed',
    'https://w.example/f/',
    '--comment',
    'A word',
    '--name',
    'Another name.bin',
  ];
  const { shoal, first } = await publish([randomFile(), ...words, '--piece-length', '32', '--http', '--torrent', torrent]);
  const { trackerTiers, webSeeds, comment, name, pieceLengthBytes, infoHash } = torrentAt(torrent);
  assert.is(infoHash, first.id);
  assert.equal(trackerTiers[0], ['udp://t.example:6969/announce']);
  assert.ok(trackerTiers.flat().some((url) => url.startsWith('http://127.0.0.1:')));
  assert.equal([webSeeds, comment, name, pieceLengthBytes], [['https://w.example/f/'], 'A word', 'Another name.bin', 32_768]);
  await until('it says why it is no web seed', () => /other machines cannot reach the web server/.test(shoal.program.errors));
  const folder = await fetchInto([torrent], { settings: { 'tracker.announce': '' } });
  assert.ok(existsSync(join(folder, 'Another name.bin')));
});

test('a station that others reach by HTTP is a web seed of what it publishes: without any peer the files come', async () => {
  const path = randomFile();
  // The name is for the torrent alone here; the address is this machine's.
  const settings = { 'relay.http.host': '0.0.0.0', 'swarm.publicHost': 'station.example', 'titles.publicHttp': true };
  const { shoal, first } = await publish([path], 1, { settings });
  const { webSeeds } = torrentAt(first.torrent);
  const { port } = new URL(shoal.ready.page);
  assert.equal(webSeeds, [`http://station.example:${port}/seed/${first.id}/`]);
  const response = await fetch(`http://127.0.0.1:${port}/seed/${first.id}/film.bin`, { headers: { Range: 'bytes=1000-1999' } });
  assert.is(response.status, 206);
  assert.equal(new Uint8Array(await response.arrayBuffer()), new Uint8Array(readFileSync(path)).slice(1000, 2000));
  const link = `magnet:?xt=urn:btih:${first.id}&ws=${encodeURIComponent(`http://127.0.0.1:${port}/seed/${first.id}/`)}&x.pe=127.0.0.1:${parsePort(first.link)}`;
  assert.is(digest(join(await fetchInto([link]), 'film.bin')), digest(path));
});

function parsePort(link: string): string {
  return /x\.pe=[^&]*:(\d+)/.exec(link)?.[1] ?? /tr=[^&]*%3A(\d+)/.exec(link)?.[1] ?? '';
}

test('a private title names its own trackers and nothing else', async () => {
  const { first } = await publish([randomFile(), '--private', '--tracker', 'http://127.0.0.1:9/announce']);
  const parsed = parseMagnet(first.link);
  if (parsed instanceof Malformed) throw new Error(parsed.reason);
  assert.equal(parsed.trackers, ['http://127.0.0.1:9/announce']);
  assert.equal(parsed.peers, []);
});

test('what cannot be published is refused before anything is hashed or listens: what, where, and what would be right', async () => {
  const folder = temporaryFolder('own');
  const [good, empty, nothing] = [randomFile(), join(folder, 'empty.bin'), join(folder, 'nothing')];
  writeFileSync(empty, '');
  mkdirSync(nothing);
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [[good, empty], /empty\.bin is empty; a title has at least one byte/],
    [[nothing], /nothing can't be published: it holds no files/],
    [[good, '--tracker', 'ftp://x'], /'ftp:\/\/x' is invalid\. expected an address such as http:\/\/HOST\/announce or udp:\/\/HOST:PORT/],
    [[good, good, '--name', 'x'], /--name goes with one path/],
    [[good, '--torrent', join(folder, 'no', 'x.torrent')], /--torrent takes a folder that is there/],
    [[good, '--watch'], /--watch takes folders, and .*film\.bin is none/],
  ];
  await Promise.all(
    wrong.map(async ([words, sentence]) => {
      const { program } = await runShoal(['publish', ...words]);
      assert.is(program.exit?.code, 1, words.join(' '));
      assert.match(program.errors, sentence);
      assert.not.match(program.output + program.errors, /hashed|internal error|The page is at/);
    }),
  );
});

test('what is no title is refused before anything listens: what, where, and what would be right', async () => {
  const folder = temporaryFolder('bad');
  const write = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['magnet:?xt=urn:btih:123', /info hash "123" has 3 characters; expected 40 hex digits/],
    ['shoal:abc', /live channel: shoal watch/],
    ['ftp://x/y', /begins with "ftp:"; expected magnet:, http: or https:, or a \.torrent file/],
    [join(folder, 'none.torrent'), /neither a magnet link nor a torrent file \(there is no such file\)/],
    [folder, /is a folder; expected a \.torrent file/],
    [write('short.torrent', 'd4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:xx'), /at byte \d+/],
    [
      write('hashes.torrent', `d4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces19:${'x'.repeat(19)}ee`),
      /info\.pieces has 19 bytes; expected a multiple of 20/,
    ],
    [write('film.mkv', 'x'.repeat(10_500_000)), /has 10\.5 MB, so it is no torrent file/],
  ];
  await Promise.all(
    wrong.map(async ([source, sentence]) => {
      const { program } = await runShoal(['get', source]);
      assert.is(program.exit?.code, 1, source);
      assert.match(program.errors, sentence);
      assert.not.match(program.output + program.errors, /internal error|The page is at/);
    }),
  );
});

test('broken off while hashing, it says that nothing is published; broken off while downloading, how far it is; both end with 1', async () => {
  const big = join(temporaryFolder('own'), 'big.bin');
  writeFileSync(big, '');
  truncateSync(big, 60_000_000_000);
  const hashing = begin(['publish', big]);
  await until('it hashes', () => /hashing .*% /.test(hashing.program.output), 30_000);
  hashing.signal('SIGINT');
  assert.is((await hashing.program.whenExited(5_000)).code, 1);
  assert.match(hashing.program.errors, /Stopped: .*big\.bin is not published, for it was still being hashed/);
  const getting = begin(['get', `magnet:?xt=urn:btih:${'a'.repeat(40)}&dn=Film`]);
  await until('it looks', () => /The page is at/.test(getting.program.output), READY_MS);
  getting.signal('SIGTERM');
  assert.is((await getting.program.whenExited(5_000)).code, 1);
  assert.match(getting.program.errors, /the link names no tracker, no peer and no web seed, so nobody can be found/);
  assert.match(getting.program.errors, /Stopped: "Film" is here to 0 %\. The same command goes on from there\./);
});

test('beside a station that runs on the data folder, the commands bring it what they are given', async () => {
  const station = await startStation({ settings: { 'station.testCard': false } });
  processes.push(station);
  const options = { dataDir: station.dataDir };
  const { first: other } = await publish([randomFile('other.bin')]);
  const path = randomFile('mine.bin');
  const published = await runShoal(['publish', path], options);
  assert.is(published.program.exit?.code, 0, published.program.errors);
  assert.match(published.program.output, /"mine\.bin" is published: one file/);
  const got = await runShoal(['get', other.link], options);
  assert.is(got.program.exit?.code, 0, got.program.errors);
  const played = await runShoal(['play', other.link, '--json'], options);
  const [{ files } = { files: [] }] = said<{ readonly files: readonly string[] }>(played, 'playable');
  assert.is((await fetch(files[0] ?? '')).status, 200);
  const { titles } = (await (await fetch(new URL('/api/titles', station.ready.page))).json()) as { readonly titles: readonly TitleView[] };
  assert.equal(titles.map(({ name, state, published }) => `${name} ${state} ${published}`).sort(), [
    'mine.bin seeding true',
    'other.bin seeding false',
  ]);
  const mine = titles.find(({ name }) => name === 'mine.bin');
  // Its own tracker knows the title: whoever has the link alone finds it.
  const detail = (await (await fetch(new URL(`/api/titles/${mine?.id}`, station.ready.page))).json()) as TitleDetail;
  assert.ok(
    detail.trackers.some(({ url, state }) => url.includes('127.0.0.1') && state === 'working'),
    JSON.stringify(detail.trackers),
  );
  assert.is(digest(join(await fetchInto([mine?.link ?? '']), 'mine.bin')), digest(path));
  const refused = await runShoal(['get', other.link, '--folder', temporaryFolder('got')], options);
  assert.is(refused.program.exit?.code, 1);
  assert.match(refused.program.errors, /takes no --folder\. Leave it out, or use --data DIR/);
});

test('a watched folder is published as it fills, and withdrawn as it empties', async () => {
  const folder = temporaryFolder('watched');
  writeRandomFile(join(folder, 'one.bin'), 100_000, 1);
  const { shoal, first } = await publish([folder, '--watch']);
  appendFileSync(join(folder, 'growing.bin'), 'x');
  const growing = setInterval(() => appendFileSync(join(folder, 'growing.bin'), 'x'.repeat(1000)), 500);
  assert.is(digest(join(await fetchInto([first.link]), 'one.bin')), digest(join(folder, 'one.bin')));
  rmSync(join(folder, 'one.bin'));
  await until('it is withdrawn', () => said(shoal, 'withdrawn').length === 1, READY_MS);
  assert.is(said(shoal, 'published').length, 1);
  clearInterval(growing);
  await until('what grew is published', () => said(shoal, 'published').length === 2, READY_MS);
});

test.run();

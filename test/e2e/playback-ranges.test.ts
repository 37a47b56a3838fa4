/** The playback endpoint of a running program, asked by curl while the title is far from complete. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TitleDetail } from '../../src/plugins/titles/title-view.js';
import { type PlayingTitle, type Publisher, playTitle, publishTitle } from '../support/playing-title.js';
import { Program, temporaryFolder } from '../support/program.js';
import { writeRandomFile } from '../support/title-fixture.js';
import { until } from '../support/until.js';

const FILM_BYTES = 48 * 1_048_576;
/** So that the film takes minutes. */
const LINE_BYTES_PER_SECOND = 400_000;
const SUBTITLES = '1\n00:00:01,000 --> 00:00:02,500\nHello, <i>there</i>\n\n';
const PATIENCE_S = 20;
/** The seed has been let go by then; who is lost is dialled again after 2 s at first. */
const SOON_S = 1.5;

let folder: string;
let film: Buffer;
let publisher: Publisher;
let title: PlayingTitle;
let filmUrl: string;

test.before(async () => {
  folder = join(temporaryFolder('ranges'), 'Film & more');
  mkdirSync(folder, { recursive: true });
  writeRandomFile(join(folder, 'film.mp4'), FILM_BYTES, 5);
  writeFileSync(join(folder, 'film.en.srt'), SUBTITLES);
  film = readFileSync(join(folder, 'film.mp4'));
  publisher = await publishTitle(folder, LINE_BYTES_PER_SECOND);
  title = await playTitle(publisher.torrentPath, ['--peer', `127.0.0.1:${peerPort(publisher.link)}`]);
  filmUrl = title.files.find((file) => file.includes('film.mp4')) as string;
});

test.after(async () => {
  await title.stop();
  await publisher.stop();
});

function peerPort(link: string): string {
  return /x\.pe=127\.0\.0\.1%?3?A?:?(\d+)/i.exec(link)?.[1] ?? '';
}

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: Buffer;
}

/** What curl gets. `words` are its own. */
async function curl(url: string, ...words: readonly string[]): Promise<Answer> {
  const parts: Buffer[] = [];
  const head = join(temporaryFolder('curl'), 'head');
  const all = ['-sS', '--max-time', `${PATIENCE_S}`, '-D', head, ...words, url];
  const program = new Program('curl', all, { keepOutput: false, onOutput: (chunk) => parts.push(chunk) });
  const { code } = await program.whenExited((PATIENCE_S + 5) * 1000);
  assert.is(code, 0, program.errors);
  const text = readFileSync(head, 'latin1');
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), head: text, body: Buffer.concat(parts) };
}

function field(answer: Answer, name: string): string | undefined {
  return new RegExp(`^${name}: (.*?)\\r?$`, 'im').exec(answer.head)?.[1];
}

function digest(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex');
}

function assertPart(answer: Answer, fromByte: number, toByte: number): void {
  assert.is(answer.status, 206);
  assert.is(field(answer, 'Content-Range'), `bytes ${fromByte}-${toByte - 1}/${FILM_BYTES}`);
  assert.is(field(answer, 'Content-Length'), `${toByte - fromByte}`);
  assert.is(digest(answer.body), digest(film.subarray(fromByte, toByte)));
}

test('parts of a file that is not here yet come with its very bytes: from, to, single, last ones', async () => {
  const middle = FILM_BYTES / 2 + 1234;
  assertPart(await curl(filmUrl, '-r', `${middle}-${middle + 99_999}`), middle, middle + 100_000);
  assertPart(await curl(filmUrl, '-r', '-1000'), FILM_BYTES - 1000, FILM_BYTES);
  assertPart(await curl(filmUrl, '-r', `${FILM_BYTES - 5}-`), FILM_BYTES - 5, FILM_BYTES);
  assertPart(await curl(filmUrl, '-r', '0-0'), 0, 1);
  assertPart(await curl(filmUrl, '-r', `${FILM_BYTES - 10}-${FILM_BYTES * 2}`), FILM_BYTES - 10, FILM_BYTES);
  assert.ok((title.view?.progress ?? 1) < 0.9);
});

test('several parts at once come as one answer of several bodies', async () => {
  const answer = await curl(filmUrl, '-r', '100-199,20000000-20000099');
  assert.is(answer.status, 206);
  const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(field(answer, 'Content-Type') ?? '')?.[1];
  assert.ok(boundary);
  assert.is(field(answer, 'Content-Length'), `${answer.body.length}`);
  const text = answer.body.toString('latin1');
  for (const [fromByte, toByte] of [
    [100, 200],
    [20_000_000, 20_000_100],
  ] as const) {
    const head = `Content-Range: bytes ${fromByte}-${toByte - 1}/${FILM_BYTES}\r\n\r\n`;
    const at = text.indexOf(head) + head.length;
    assert.is(digest(answer.body.subarray(at, at + 100)), digest(film.subarray(fromByte, toByte)));
  }
  assert.ok(text.endsWith(`\r\n--${boundary}--\r\n`));
});

test('what no part can be is 416 with the length; a unit that is not bytes is not looked at', async () => {
  for (const range of [`bytes=${FILM_BYTES}-`, 'bytes=9-1']) {
    const beyond = await curl(filmUrl, '-H', `Range: ${range}`);
    assert.equal([beyond.status, field(beyond, 'Content-Range')], [416, `bytes */${FILM_BYTES}`]);
  }
  const other = await curl(filmUrl, '-I', '-H', 'Range: seconds=1-2');
  assert.equal([other.status, field(other, 'Content-Length')], [200, `${FILM_BYTES}`]);
});

test('the entity tag holds: If-Range, If-None-Match, If-Match', async () => {
  const tag = field(await curl(filmUrl, '-I'), 'ETag') ?? '';
  assert.match(tag, /^"[^"]+"$/);
  const same = await curl(filmUrl, '-r', '10-19', '-H', `If-Range: ${tag}`);
  assertPart(same, 10, 20);
  const other = await curl(filmUrl, '-I', '-r', '10-19', '-H', 'If-Range: "other"');
  assert.equal([other.status, field(other, 'Content-Length')], [200, `${FILM_BYTES}`]);
  assert.is((await curl(filmUrl, '-H', `If-None-Match: ${tag}`)).status, 304);
  assert.is((await curl(filmUrl, '-H', 'If-Match: "other"')).status, 412);
});

test('HEAD tells everything and starts nothing: it is answered while nobody gives a byte, and asks for none', async () => {
  const lonely = await playTitle(publisher.torrentPath, [], { settings: { 'tracker.enabled': false } });
  try {
    const answer = await curl(lonely.files.find((file) => file.includes('film.mp4')) as string, '-I', '-r', '40000000-');
    assert.is(answer.status, 206);
    assert.is(field(answer, 'Content-Length'), `${FILM_BYTES - 40_000_000}`);
    assert.is(field(answer, 'Accept-Ranges'), 'bytes');
    assert.is(field(answer, 'Content-Type'), 'video/mp4');
  } finally {
    await lonely.stop();
  }
});

test('without its token, by another name of this machine, or for another page there is nothing', async () => {
  const bare = new URL(filmUrl);
  bare.search = '';
  assert.is((await curl(bare.href)).status, 403);
  assert.is((await curl(`${bare.href}?token=AAAAAAAAAAAAAAAAAAAAAA`)).status, 403);
  assert.ok((await curl(filmUrl, '-I', '-H', 'Host: rebound.example')).status >= 400);
  assert.is((await curl(filmUrl, '-I', '-H', 'Origin: http://elsewhere.example')).status, 403);
  assert.is((await curl(filmUrl, '-I', '-H', 'Sec-Fetch-Site: cross-site')).status, 403);
  const opened = await curl(filmUrl, '-I');
  assert.is(field(opened, 'Cross-Origin-Resource-Policy'), 'same-origin');
  const posted = await curl(filmUrl, '-X', 'POST');
  assert.equal([posted.status, field(posted, 'Allow')], [405, 'GET, HEAD']);
});

test('renderers are told how it may be fetched', async () => {
  const words = ['-I', '-H', 'getcontentFeatures.dlna.org: 1', '-H', 'transferMode.dlna.org: Interactive'];
  const answer = await curl(filmUrl, ...words);
  assert.match(field(answer, 'contentFeatures\\.dlna\\.org') ?? '', /DLNA\.ORG_OP=01/);
  assert.is(field(answer, 'transferMode\\.dlna\\.org'), 'Interactive');
});

test('the playlist names the film with its address, and the subtitles come as WebVTT', async () => {
  const playlist = await curl(title.playlist);
  assert.is(playlist.status, 200);
  const text = playlist.body.toString();
  assert.ok(text.startsWith('#EXTM3U'));
  assert.ok(text.includes(filmUrl));
  const index = /\/vod\/[0-9a-f]+\/(\d+)\//.exec(filmUrl)?.[1];
  const subtitles = await curl(filmUrl.replace(new RegExp(`/${index}/.*\\?`), `/${index}.vtt?`));
  assert.is(field(subtitles, 'Content-Type'), 'text/vtt; charset=utf-8');
  assert.match(subtitles.body.toString(), /^WEBVTT\n\n[\s\S]*00:00:01\.000 --> 00:00:02\.500\nHello, <i>there<\/i>/);
  assert.equal(title.subtitles.length, 1);
});

test('several players read one title at different places at once, each its own bytes', async () => {
  const places = [3_000_000, 17_000_000, 31_000_000];
  const answers = await Promise.all(places.map((at) => curl(filmUrl, '-r', `${at}-${at + 299_999}`)));
  for (const [index, at] of places.entries()) assertPart(answers[index] as Answer, at, at + 300_000);
});

test('what a player waits for is called off when it hangs up', async () => {
  // Of this title only the subtitles are wanted, so that what is asked for beside them is asked for players alone.
  const sparse = await playTitle(`${publisher.link}&so=0`);
  const url = sparse.files.find((file) => file.includes('film.mp4')) as string;
  try {
    await until('the subtitles are here', () => sparse.view?.progress === 1, PATIENCE_S * 1000);
    const hungOn = performance.now();
    const player = await hangOn(url, 30_000_000);
    await eventually('the player is asked for', async () => (await requestedOf(sparse)).length > 0, SOON_S);
    const gone = performance.now();
    process.stdout.write(`measured: asked for ${Math.round(gone - hungOn)} ms after a player came\n`);
    player.resetAndDestroy();
    await eventually('nothing is asked for', async () => (await requestedOf(sparse)).length === 0);
    process.stdout.write(`measured: called off ${Math.round(performance.now() - gone)} ms after a player hung up, as the API tells it\n`);
  } finally {
    await sparse.stop();
  }
});

async function requestedOf({ id, shoal }: PlayingTitle): Promise<readonly number[]> {
  const answer = await fetch(new URL(`/api/titles/${id}`, shoal.ready.page));
  return ((await answer.json()) as TitleDetail).requested;
}

async function eventually(what: string, condition: () => Promise<boolean>, patienceS = PATIENCE_S): Promise<void> {
  for (const endMs = performance.now() + patienceS * 1000; !(await condition()); ) {
    if (performance.now() > endMs) throw new Error(`Waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('players that hang up leave nothing behind', async () => {
  const before = title.shoal.program.errors;
  for (let count = 0; count < 20; count++) (await hangOn(filmUrl, 20_000_000 + count * 1_000_000)).resetAndDestroy();
  const answer = await curl(filmUrl, '-r', '45000000-45000999');
  assertPart(answer, 45_000_000, 45_001_000);
  assert.is(title.shoal.program.errors, before);
});

/** Asks from there on, and has the head of the answer. */
async function hangOn(url: string, fromByte: number): Promise<Socket> {
  const { hostname, port, host, pathname, search } = new URL(url);
  const socket = connect(Number(port), hostname);
  let heard = '';
  socket.on('data', (bytes) => {
    heard += bytes.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nRange: bytes=${fromByte}-\r\n\r\n`);
  await until('the answer begins', () => heard.startsWith('HTTP/1.1 206'));
  return socket;
}

test.run();

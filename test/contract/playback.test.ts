/** The playback endpoint over real sockets: who may play, what players get, and what it costs when they leave or stand still. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HttpServer } from '../../src/io/web/http-server.js';
import { mountPlayback, type Playback } from '../../src/plugins/titles/playback.js';
import { FileTitle, libraryOf } from '../support/file-title.js';
import { MemoryLog } from '../support/memory-log.js';
import { temporaryFolder } from '../support/program.js';
import { ask, type RawAnswer, RawClient, request } from '../support/raw-http.js';
import { until } from '../support/until.js';

const FILM_BYTES = 8 * 1024 * 1024;
const CLOSE = 'Connection: close';
const SRT = '1\r\n00:00:01,000 --> 00:00:02,500\r\nGr\xfc\xdfe & <i>mehr</i>\r\n';
const log = new MemoryLog();
const folder = temporaryFolder('playback');
const film = randomBytes(FILM_BYTES);
let server: HttpServer;
let playback: Playback;
let title: FileTitle;
let seed: FileTitle;
let unfinished: FileTitle;

test.before(async () => {
  writeFileSync(join(folder, 'film.mkv'), film);
  writeFileSync(join(folder, 'film.de.srt'), Buffer.from(SRT, 'latin1'));
  writeFileSync(join(folder, 'page.html'), '<script>alert(1)</script>');
  writeFileSync(join(folder, 'broken.srt'), 'nothing of the kind');
  const paths = ['film.mkv', 'film.de.srt', 'page.html', 'broken.srt'].map((name) => join(folder, name));
  title = new FileTitle(paths, {
    name: 'Two\n#EXTINF:names',
    paths: [['Season 1', 'film, part 1.mkv'], ['Season 1', 'film, part 1.de.srt'], ['page.html'], ['broken.srt']],
  });
  seed = new FileTitle(paths.slice(0, 2), { infoHash: 'a'.repeat(40), name: 'Public', isPublicSeed: true });
  unfinished = new FileTitle(paths.slice(0, 1), { infoHash: 'b'.repeat(40), name: 'film.mkv', isPublicSeed: true, isComplete: false });
  server = await HttpServer.start({ host: '127.0.0.1', port: 0, log });
  playback = mountPlayback(server, libraryOf(title, seed, unfinished), { key: randomBytes(32), log, seedsMax: 2 });
});

test.after(async () => {
  await playback.stop();
  await server.stop();
});

function fileAt(index: number) {
  const file = title.files[index];
  assert.ok(file);
  return file;
}

function pathOf(url: string): string {
  return new URL(url).pathname + new URL(url).search;
}

function filmPath(): string {
  return pathOf(playback.addressesOf(title, fileAt(0)).url);
}

function token(): string {
  return new URL(playback.playlistOf(title)).search;
}

function get(path: string, headers: readonly string[] = [], method = 'GET'): Promise<RawAnswer> {
  return ask(server.port, request(path, { method, headers: [...headers, CLOSE] }));
}

test('a file has one stable address, which names it, and a shorter one', async () => {
  assert.match(
    playback.addressesOf(title, fileAt(0)).url,
    /\/vod\/0123456789abcdef0123456789abcdef01234567\/0\/film%2C%20part%201\.mkv\?token=[\w-]{22}$/,
  );
  const base = `/vod/${title.infoHash}`;
  for (const path of ['/0', '/0/', '/0/film%2C%20part%201.mkv', '/Season%201/film,%20part%201.mkv'])
    assert.is((await get(`${base}${path}${token()}`, ['Range: bytes=0-9'])).status, 206, path);
  for (const path of ['/0/other.mkv', '/9', '/Season%201', '/..%2f..%2fetc%2fpasswd', '/0/film%2C%20part%201.mkv/more', '/%ff', '/-1'])
    assert.is((await get(`${base}${path}${token()}`)).status, 404, path);
});

test('without its token nothing is told: a title that is there and one that is not answer alike', async () => {
  const unknown = filmPath().replace(title.infoHash, 'c'.repeat(40));
  const bare = filmPath().replace(/\?.*/, '');
  const wrong = `${bare}?token=${'A'.repeat(22)}`;
  const answers = await Promise.all(
    [bare, wrong, unknown, unknown.replace(/\?.*/, ''), '/vod/x', `${bare}?token=`].map((path) => get(path)),
  );
  for (const { status, body } of answers) assert.equal([status, body.toString()], [403, answers[0]?.body.toString()]);
});

test('a token opens its own title only', async () => {
  assert.is((await get(`/vod/${seed.infoHash}/0${token()}`)).status, 403);
});

test('what a browser marks as coming from another page is refused, token or not', async () => {
  const own = `Origin: http://127.0.0.1:${server.port}`;
  const asked = (headers: readonly string[]) =>
    ask(server.port, request(filmPath(), { host: `127.0.0.1:${server.port}`, headers: [...headers, 'Range: bytes=0-0', CLOSE] }));
  for (const header of [
    'Sec-Fetch-Site: cross-site',
    'Sec-Fetch-Site: same-site',
    'Origin: http://evil.example',
    'Origin: null',
    'Origin: http://127.0.0.1:1',
  ])
    assert.is((await asked([header])).status, 403, header);
  for (const header of ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: none', own]) assert.is((await asked([header])).status, 206, header);
});

test('no answer may be used by another page, run, or sniffed', async () => {
  const { headers } = await get(filmPath(), ['Range: bytes=0-0']);
  assert.is(headers['cross-origin-resource-policy'], 'same-origin');
  assert.is(headers['access-control-allow-origin'], undefined);
  assert.is(headers['x-content-type-options'], 'nosniff');
  assert.match(headers['content-security-policy'] ?? '', /sandbox/);
  const page = await get(pathOf(playback.addressesOf(title, fileAt(2)).url));
  assert.is(page.headers['content-type'], 'application/octet-stream');
  assert.match(page.headers['content-disposition'] ?? '', /^attachment/);
});

test('a token never reaches the log', async () => {
  title.isRemoved = false;
  await get(filmPath(), ['Range: bytes=0-0']);
  assert.not.match(log.text, new RegExp(token().slice('?token='.length)));
});

test('renderers are told how the file may be fetched', async () => {
  const { headers } = await get(filmPath(), [
    'getcontentFeatures.dlna.org: 1',
    'transferMode.dlna.org: Background',
    'realTimeInfo.dlna.org: DLNA.ORG_TLAG=5',
    'Range: bytes=0-0',
  ]);
  assert.match(headers['contentfeatures.dlna.org'] ?? '', /DLNA\.ORG_OP=01/);
  assert.is(headers['transfermode.dlna.org'], 'Background');
  assert.is(headers['realtimeinfo.dlna.org'], 'DLNA.ORG_TLAG=*');
});

test('the playlist names what can be played, under the name it was asked by, and no name breaks out of its line', async () => {
  for (const path of [`/vod/${title.infoHash}${token()}`, pathOf(playback.playlistOf(title))]) {
    const host = `localhost:${server.port}`;
    const { status, headers, body } = await ask(server.port, request(path, { host, headers: [CLOSE] }));
    assert.equal([status, headers['content-type']], [200, 'application/vnd.apple.mpegurl']);
    assert.equal(body.toString().split('\n'), [
      '#EXTM3U',
      '#PLAYLIST:Two #EXTINF:names',
      '#EXTINF:-1,film, part 1.mkv',
      playback.addressesOf(title, fileAt(0)).url.replace('127.0.0.1', 'localhost'),
      '',
    ]);
  }
});

test('subtitles come as WebVTT, at their own number and at that of the film they go with', async () => {
  for (const index of [0, 1]) {
    const { headers, body } = await get(`/vod/${title.infoHash}/${index}.vtt${token()}`);
    assert.is(headers['content-type'], 'text/vtt; charset=utf-8');
    assert.is(body.toString(), 'WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nGrüße &amp; <i>mehr</i>\n');
  }
  const broken = await get(`/vod/${title.infoHash}/3.vtt${token()}`);
  assert.is(broken.status, 415);
  assert.match(broken.body.toString(), /no SubRip file/);
  assert.is((await get(`/vod/${title.infoHash}/2.vtt${token()}`)).status, 404);
});

test('ten players at once get the right bytes, whatever parts they ask for', async () => {
  const players = Array.from({ length: 10 }, (_, index) => {
    const fromByte = index * 777_777;
    const toByte = Math.min(FILM_BYTES, fromByte + 3_000_001);
    return ask(server.port, request(filmPath(), { headers: [`Range: bytes=${fromByte}-${toByte - 1}`, CLOSE] }), 20_000).then(
      ({ status, body }) => {
        assert.is(status, 206);
        assert.ok(body.equals(film.subarray(fromByte, toByte)), `player ${index}`);
      },
    );
  });
  await Promise.all(players);
  await until('all readings are closed', () => title.open.size === 0);
  await until('nobody is counted', () => playback.players === 0);
});

test('a player that leaves frees its reading within 100 ms, whether bytes come or not', async () => {
  for (const pauseAtByte of [1_000_000, 0]) {
    title.pauseAtByte = pauseAtByte;
    const player = new RawClient(server.port, request(filmPath()));
    await until('it is being served', () => title.open.size === 1 && player.receivedBytes >= pauseAtByte);
    const [reading] = title.open;
    const leftMs = performance.now();
    player.destroy();
    await until('the reading is closed', () => reading?.closedMs !== undefined);
    assert.ok((reading?.closedMs ?? 0) - leftMs < 100);
  }
  title.pauseAtByte = Number.POSITIVE_INFINITY;
});

test('a player that stands still is read for no further than its socket takes', async () => {
  let readBytes = 0;
  const huge = {
    infoHash: 'd'.repeat(40),
    name: 'huge',
    files: [
      {
        index: 0,
        path: ['huge.mkv'],
        lengthBytes: 1e12,
        isComplete: () => false,
        open: () => ({
          next: async (maxBytes: number) => {
            readBytes += maxBytes;
            return Buffer.alloc(maxBytes);
          },
          close: () => undefined,
        }),
      },
    ],
  };
  const own = await HttpServer.start({ host: '127.0.0.1', port: 0, log });
  const mounted = mountPlayback(own, { title: () => huge, list: () => [huge] }, { key: new Uint8Array(32), log });
  const player = new RawClient(own.port, request(pathOf(mounted.addressesOf(huge, huge.files[0] as never).url)));
  await until('it is being served', () => player.receivedBytes > 0);
  player.freeze();
  let lastBytes = -1;
  await until('nothing more is read', () => {
    const isStill = readBytes === lastBytes;
    lastBytes = readBytes;
    return isStill;
  });
  // What lies in the sockets' buffers of the system is not ours; what waits here is one chunk.
  const keptBytes = readBytes - player.receivedBytes;
  assert.ok(keptBytes < 16 * 1024 * 1024, `${keptBytes} bytes`);
  player.thaw();
  await until('it goes on', () => readBytes > lastBytes);
  player.destroy();
  await own.stop();
});

test('bytes that fail to come end the connection, never the body', async () => {
  title.pauseAtByte = 3_000_000;
  const player = new RawClient(server.port, request(filmPath(), { headers: [CLOSE] }));
  await until('it is being served', () => player.receivedBytes > 2_900_000);
  title.isRemoved = true;
  await until('the connection is gone', () => player.closed);
  title.isRemoved = false;
  title.pauseAtByte = Number.POSITIVE_INFINITY;
  const { headers, body } = player.answer();
  assert.ok(body.length < Number(headers['content-length']));
  assert.ok(body.equals(film.subarray(0, body.length)));
});

test('a removed title is 404, for whoever has its token', async () => {
  title.isRemoved = true;
  const { status, body } = await get(filmPath());
  title.isRemoved = false;
  assert.equal([status, body.toString()], [404, 'There is no such title here.\n']);
});

test('a public title is a web seed by its hash and by its name, in ranges, without a token', async () => {
  for (const path of [`/seed/${seed.infoHash}/Public/film.mkv`, '/seed/Public/film.mkv']) {
    const { status, body } = await get(path, ['Range: bytes=1000-1999']);
    assert.is(status, 206);
    assert.ok(body.equals(film.subarray(1000, 2000)));
  }
});

test('a title that is not public, or not complete, is no web seed', async () => {
  for (const path of [`/seed/${title.infoHash}/film.mkv`, '/seed/Public/other', '/seed/', '/seed/%ff'])
    assert.is((await get(path)).status, 404, path);
  unfinished.openedCount = 0;
  const { status, headers } = await get('/seed/film.mkv');
  assert.equal([status, headers['retry-after'], unfinished.openedCount], [503, '60', 0]);
});

test('the only file of a title is found without its name, a folder is not', async () => {
  assert.is((await get(`/seed/${unfinished.infoHash}/`)).status, 503);
  assert.is((await get(`/seed/${seed.infoHash}/`)).status, 404);
});

test('more web seed clients than allowed are asked to come again', async () => {
  seed.isStalled = true;
  const clients = [1, 2].map(() => new RawClient(server.port, request('/seed/Public/film.mkv')));
  await until('both are served', () => seed.open.size === 2);
  assert.is((await get('/seed/Public/film.mkv')).status, 503);
  for (const client of clients) client.destroy();
  seed.isStalled = false;
  await until('both are gone', () => seed.open.size === 0);
  assert.is((await get('/seed/Public/film.mkv', ['Range: bytes=0-0'])).status, 206);
});

test.run();

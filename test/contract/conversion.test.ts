/** Files that browsers cannot play, converted by a real ffmpeg: what is copied, where segments lie, and what ends a conversion. */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HttpServer } from '../../src/io/web/http-server.js';
import { mountPlayback, type Playback } from '../../src/plugins/titles/playback.js';
import { FileTitle, libraryOf } from '../support/file-title.js';
import { H264, makeMediaFile } from '../support/media-file.js';
import { MemoryLog } from '../support/memory-log.js';
import { Program, temporaryFolder } from '../support/program.js';
import { ask, type RawAnswer, RawClient, request } from '../support/raw-http.js';
import { until } from '../support/until.js';

const SECONDS = 60;
const WAIT_MS = 20_000;
const log = new MemoryLog();
let server: HttpServer;
let playback: Playback;
let title: FileTitle;

test.before(async () => {
  const paths = await Promise.all([
    makeMediaFile({ name: 'film.mkv', seconds: SECONDS, codecs: [...H264, '-c:a', 'ac3'] }),
    makeMediaFile({ name: 'old.avi', seconds: SECONDS, codecs: ['-c:v', 'mpeg4', '-c:a', 'libmp3lame'] }),
    makeMediaFile({ name: 'sound.ac3', seconds: SECONDS, codecs: ['-vn', '-c:a', 'ac3'] }),
    makeMediaFile({ name: 'plain.mp4', seconds: 10, codecs: [...H264, '-c:a', 'aac'] }),
  ]);
  const noise = join(temporaryFolder('noise'), 'noise.mkv');
  writeFileSync(noise, Buffer.alloc(100_000, 7));
  title = new FileTitle([...paths, noise]);
  server = await HttpServer.start({ host: '127.0.0.1', port: 0, log });
  playback = mountPlayback(server, libraryOf(title), { key: new Uint8Array(32), log, conversionsMax: 2 });
});

test.after(async () => {
  await playback.stop();
  await server.stop();
});

test.before.each(() => playback.stop());

function addresses(index: number) {
  const file = title.files[index];
  assert.ok(file);
  return playback.addressesOf(title, file);
}

function get(url: string, method = 'GET'): Promise<RawAnswer> {
  const { pathname, search } = new URL(url);
  return ask(server.port, request(pathname + search, { method, headers: ['Connection: close'] }), WAIT_MS);
}

async function playlist(index: number) {
  const { status, body } = await get(addresses(index).hls);
  assert.is(status, 200, body.toString());
  const text = body.toString();
  const absolute = (name: string): string => new URL(name, addresses(index).hls).href;
  return {
    durationsS: [...text.matchAll(/^#EXTINF:([\d.]+),$/gm)].map((match) => Number(match[1])),
    init: absolute(/URI="([^"]+)"/.exec(text)?.[1] ?? ''),
    segments: [...text.matchAll(/^\d+\.m4s.*$/gm)].map(([name]) => absolute(name)),
  };
}

/** Times of the pictures (or sounds) in one segment, seconds, sorted. */
async function timesIn(init: string, segment: string, stream: 'v' | 'a'): Promise<readonly number[]> {
  const bytes = [await get(init), await get(segment)].map(({ status, body }) => {
    assert.is(status, 200, body.toString().slice(0, 200));
    return body;
  });
  const path = join(temporaryFolder('segment'), 'x.mp4');
  writeFileSync(path, Buffer.concat(bytes));
  const probe = new Program('ffprobe', [
    '-v',
    'error',
    '-select_streams',
    stream,
    '-show_entries',
    'packet=pts_time',
    '-of',
    'csv=p=0',
    path,
  ]);
  await probe.whenExited(WAIT_MS);
  return probe.output
    .trim()
    .split('\n')
    .map((line) => Number.parseFloat(line) - 2)
    .sort((one, other) => one - other);
}

async function frames(url: string): Promise<number> {
  const program = new Program('ffmpeg', ['-v', 'error', '-nostdin', '-i', url, '-map', '0:v', '-f', 'null', '-progress', 'pipe:1', '-']);
  await program.whenExited(60_000);
  assert.is(program.errors.replace(/^.*Found duplicated MOOV Atom.*$/gm, '').trim(), '');
  return Number([...program.output.matchAll(/^frame=(\d+)$/gm)].at(-1)?.[1]);
}

test('a page learns whether it can play a file as it is, and what a conversion would do', async () => {
  const view = async (index: number) => JSON.parse((await get(addresses(index).media)).body.toString());
  const film = await view(0);
  assert.equal(
    [film.isDirect, film.conversion, film.video.codec, film.audioCodec],
    [false, { video: 'copy', audio: 'encode' }, 'h264', 'ac3'],
  );
  assert.ok(Math.abs(film.durationS - SECONDS) < 0.2);
  assert.equal((await view(1)).conversion, { video: 'encode', audio: 'copy' });
  assert.equal((await view(2)).conversion, { video: 'none', audio: 'encode' });
  assert.is((await view(3)).isDirect, true);
});

test('copied segments begin where the file says its key frames are, and hold what the playlist says', async () => {
  const { durationsS, init, segments } = await playlist(0);
  assert.ok(Math.abs(durationsS.reduce((sum, one) => sum + one, 0) - SECONDS) < 0.2);
  let startS = 0;
  for (const [index, durationS] of durationsS.entries()) {
    const times = await timesIn(init, segments[index] ?? '', 'v');
    assert.ok(Math.abs((times[0] ?? 0) - startS) < 0.05, `segment ${index} begins at ${times[0]}, not ${startS}`);
    assert.ok(Math.abs(times.length / 25 - durationS) < 0.2, `segment ${index} holds ${times.length} frames for ${durationS} s`);
    startS += durationS;
  }
});

test('encoded segments lie two seconds apart wherever a viewer begins, with sound beside the picture', async () => {
  const { init, segments } = await playlist(1);
  for (const index of [7, 8, 2, 9]) {
    const [video, audio] = [await timesIn(init, segments[index] ?? '', 'v'), await timesIn(init, segments[index] ?? '', 'a')];
    assert.ok(Math.abs((video[0] ?? 0) - index * 2) < 0.05, `segment ${index} begins at ${video[0]}`);
    assert.ok(Math.abs((audio[0] ?? 0) - index * 2) < 0.2, `sound of segment ${index} begins at ${audio[0]}`);
    assert.ok(Math.abs((video.at(-1) ?? 0) - (index * 2 + 2)) < 0.1);
  }
});

test('a player that reads the whole playlist gets every picture once', async () => {
  assert.is(await frames(addresses(0).hls), SECONDS * 25);
});

test('sound alone is cut by time', async () => {
  const { init, segments } = await playlist(2);
  const times = await timesIn(init, segments[4] ?? '', 'a');
  assert.ok(Math.abs((times[0] ?? 0) - 8) < 1.1 && Math.abs((times.at(-1) ?? 0) - 10) < 1.1, `${times[0]} to ${times.at(-1)}`);
});

test('HEAD starts nothing', async () => {
  title.openedCount = 0;
  const before = playback.conversions;
  for (const url of [addresses(0).hls, addresses(0).media, addresses(3).hls.replace('index.m3u8', '0.m4s')])
    assert.is((await get(url, 'HEAD')).status, 200);
  assert.equal([title.openedCount, playback.conversions], [0, before]);
});

test('what cannot be converted is said in words', async () => {
  const noise = await get(addresses(4).hls);
  assert.is(noise.status, 500);
  assert.match(noise.body.toString(), /^ffprobe cannot read this file/);
  assert.not.match(noise.body.toString() + log.text, /vod-input/);
  assert.is((await get(addresses(0).hls.replace('index.m3u8', '999.m4s'))).status, 404);
});

test('a viewer who leaves while a segment is made ends its ffmpeg, and the readings with it', async () => {
  const { segments } = await playlist(1);
  await until('nothing is read', () => title.open.size === 0);
  title.isStalled = true;
  const { pathname, search } = new URL(segments[3] ?? '');
  const viewer = new RawClient(server.port, request(pathname + search));
  await until('ffmpeg reads', () => title.open.size > 0, WAIT_MS);
  assert.is(playback.conversions, 1);
  viewer.destroy();
  await until('the conversion is over', () => playback.conversions === 0);
  await until('nothing is read', () => title.open.size === 0);
  title.isStalled = false;
});

test('more conversions than allowed are refused in words, and one may begin when another ends', async () => {
  title.isStalled = true;
  const lists = [await playlist(0), await playlist(0), await playlist(1)];
  const viewers = lists.slice(0, 2).map(({ segments }) => {
    const { pathname, search } = new URL(segments[1] ?? '');
    return new RawClient(server.port, request(pathname + search));
  });
  await until('two run', () => playback.conversions === 2);
  const refused = await get(lists[2]?.segments[0] ?? '');
  assert.equal([refused.status, refused.headers['retry-after']], [503, '5']);
  assert.match(refused.body.toString(), /As many files are converted/);
  for (const viewer of viewers) viewer.destroy();
  await until('none runs', () => playback.conversions === 0);
  title.isStalled = false;
  assert.is((await get(lists[2]?.segments[0] ?? '')).status, 200);
});

test('the address ffmpeg reads from is good for one run alone', async () => {
  assert.is((await get(`http://x/vod-input/${'A'.repeat(24)}`)).status, 404);
});

test('without ffmpeg it is 503, with the command that installs it', async () => {
  const path = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  const other = await HttpServer.start({ host: '127.0.0.1', port: 0, log });
  const own = mountPlayback(other, libraryOf(title), {
    key: new Uint8Array(32),
    log,
  });
  const file = title.files[0];
  assert.ok(file);
  const { port, pathname, search } = new URL(own.addressesOf(title, file).hls);
  const { status, body } = await ask(Number(port), request(pathname + search, { headers: ['Connection: close'] }));
  process.env['PATH'] = path;
  await other.stop();
  assert.is(status, 503);
  assert.match(body.toString(), /ffprobe is not installed.*ffmpeg/s);
});

test('a playlist that calls itself a film sends nobody anywhere', async () => {
  const visits: string[] = [];
  const victim = createServer((asked, answer) => {
    visits.push(asked.url ?? '');
    answer.end('x');
  });
  await new Promise<void>((resolve) => victim.listen(0, '127.0.0.1', resolve));
  const { port } = victim.address() as AddressInfo;
  const path = join(temporaryFolder('playlist'), 'film.mkv');
  writeFileSync(path, `#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:${port}/secret.ts\n#EXT-X-ENDLIST\n`);
  const disguised = new FileTitle([path]);
  const own = await HttpServer.start({ host: '127.0.0.1', port: 0, log });
  const endpoint = mountPlayback(own, libraryOf(disguised), { key: new Uint8Array(32), log });
  const { hls, media } = endpoint.addressesOf(disguised, disguised.files[0] as (typeof disguised.files)[number]);
  for (const url of [media, hls]) assert.is((await fetch(url)).status, 500);
  assert.equal(visits, []);
  await endpoint.stop();
  await Promise.all([own.stop(), new Promise((resolve) => victim.close(resolve))]);
});

test.run();

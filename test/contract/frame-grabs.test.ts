/** Pictures of titles, grabbed by a real ffmpeg from files of which parts may be missing. */
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HttpServer } from '../../src/io/web/http-server.js';
import { FrameGrabs, type GrabbableTitle } from '../../src/plugins/titles/frame-grabs.js';
import { LentFiles } from '../../src/plugins/titles/lent-files.js';
import type { FileReading } from '../../src/plugins/titles/playable.js';
import { FileTitle } from '../support/file-title.js';
import { H264, makeMediaFile } from '../support/media-file.js';
import { MemoryLog } from '../support/memory-log.js';
import { Program, temporaryFolder } from '../support/program.js';
import { until as untilWithin } from '../support/until.js';

const SECONDS = 40;
/** As long as the programs have, on a busy machine. */
const PATIENCE_MS = 20_000;
const log = new MemoryLog();
const folder = temporaryFolder('pictures');
let server: HttpServer;
let lent: LentFiles;
let film = '';

test.before(async () => {
  film = await makeMediaFile({ name: 'film.mkv', seconds: SECONDS, codecs: [...H264, '-g', '25', '-b:v', '2M', '-c:a', 'aac'] });
  const copy = new Program('ffmpeg', ['-v', 'error', '-nostdin', '-i', film, '-c', 'copy', film.replace(/\.mkv$/, '.mp4')]);
  assert.is((await copy.whenExited(20_000)).code, 0, copy.errors);
  server = await HttpServer.start({ host: '127.0.0.1', port: 0, log });
  lent = new LentFiles(server, log);
});

test.after(() => server.stop());

/** A title of files of this machine with only some of their bytes; `asked` hears of every reading beyond them. */
class HoledTitle extends FileTitle implements GrabbableTitle {
  /** Of every file alike, as shares. */
  here: readonly (readonly [number, number])[] = [[0, 1]];
  readings = 0;

  hereUntil(index: number, fromByte: number): number {
    const lengthBytes = this.files[index]?.lengthBytes ?? 0;
    const run = this.here.find(([from, to]) => from * lengthBytes <= fromByte && fromByte < to * lengthBytes);
    return run === undefined ? fromByte : Math.floor(run[1] * lengthBytes);
  }

  openHere(index: number, fromByte: number, toByte: number): FileReading {
    this.readings += 1;
    const reading = this.files[index]?.open(fromByte, toByte);
    assert.ok(reading);
    let atByte = fromByte;
    return {
      next: async (maxBytes) => {
        const room = Math.min(maxBytes, this.hereUntil(index, atByte) - atByte);
        if (room <= 0 && atByte < toByte) throw new Error('not here');
        const bytes = await reading.next(Math.max(1, room));
        atByte += bytes?.length ?? 0;
        return bytes;
      },
      close: () => reading.close(),
    };
  }
}

function until(what: string, holds: () => boolean): Promise<void> {
  return untilWithin(what, holds, PATIENCE_MS);
}

let made = 0;

function titleOf(paths: readonly string[], names?: readonly string[]): HoledTitle {
  made += 1;
  const infoHash = made.toString(16).padStart(40, '0');
  return new HoledTitle(paths, { infoHash, ...(names && { paths: names.map((name) => [name]) }) });
}

function grabsIn(root = mkdtempSync(join(folder, 'x'))) {
  return { root, grabs: new FrameGrabs({ files: lent, log, pathOf: (id, name) => join(root, `${id}-${name}`) }) };
}

/** Asks for attempts until none is made any more; how many readings there were. */
async function settle(grabs: FrameGrabs, title: HoledTitle): Promise<number> {
  for (;;) {
    await until('the attempt is over', () => !grabs.isBusy);
    grabs.consider([title]);
    if (!grabs.isBusy) break;
  }
  return title.readings;
}

async function sizeOf(path: string): Promise<string> {
  const words = ['-v', 'error', '-show_entries', 'stream=codec_name,width,height', '-of', 'csv=p=0', path];
  const program = new Program('ffprobe', words);
  await program.whenExited(10_000);
  return program.output.trim();
}

test('a complete film gets a picture of its own shape, which is kept over a restart', async () => {
  const { root, grabs } = grabsIn();
  const title = titleOf([film]);
  assert.is(grabs.markOf(title.infoHash), null);
  assert.is(await grabs.picture(title.infoHash), null);
  grabs.consider([title]);
  await until('there is a picture', () => grabs.markOf(title.infoHash) === 'final');
  const bytes = await grabs.picture(title.infoHash);
  assert.equal([...(bytes ?? []).slice(0, 2)], [0xff, 0xd8]);
  assert.is(await sizeOf(join(root, readdirSync(root)[0] ?? '')), 'mjpeg,480,270');
  const readings = title.readings;
  assert.is(await settle(grabs, title), readings, 'one is enough');
  const again = grabsIn(root).grabs;
  assert.is(again.markOf(title.infoHash), 'final');
  assert.equal(await again.picture(title.infoHash), bytes);
  assert.is(await settle(again, title), readings);
});

test('a film of which a part is here gets a picture from that part, and a better one when it is complete', async () => {
  const { grabs } = grabsIn();
  const title = titleOf([film]);
  title.here = [
    [0, 0.1],
    [0.4, 0.7],
    [0.97, 1],
  ];
  grabs.consider([title]);
  await until('there is a picture', () => grabs.markOf(title.infoHash) === 'early');
  const early = await grabs.picture(title.infoHash);
  assert.ok(early);
  assert.is(title.openedCount, title.readings, 'nothing was asked of the swarm');
  title.here = [[0, 1]];
  grabs.consider([title]);
  await until('there is a better picture', () => grabs.markOf(title.infoHash) === 'final');
  assert.not.equal(await grabs.picture(title.infoHash), early);
});

test('nothing is tried before there is enough, and after a failure not before there is more', async () => {
  const { grabs } = grabsIn();
  const title = titleOf([film]);
  const lengthBytes = statSync(film).size;
  assert.ok(lengthBytes > 6_000_000, `${lengthBytes}`);
  title.here = [];
  assert.is(await settle(grabs, title), 0, 'nothing is here');
  title.here = [[0.5, 1]];
  assert.is(await settle(grabs, title), 0, 'the head is missing');
  title.here = [
    [0, 0.01],
    [0.5, 0.501],
  ];
  assert.is(await settle(grabs, title), 0, 'a run of a few kilobytes');
  // A hole behind the head: what a program needs first is missing.
  const broken = titleOf([film.replace(/\.mkv$/, '.mp4')]);
  broken.here = [
    [0, 0.02],
    [0.4, 0.5],
  ];
  const readings = await settle(grabs, broken);
  assert.ok(readings > 0, 'it was tried');
  assert.is(grabs.markOf(broken.infoHash), null);
  assert.is(await settle(grabs, broken), readings, 'once');
  broken.here = [
    [0, 0.02],
    [0.4, 0.6],
    [0.9, 1],
  ];
  grabs.consider([broken]);
  await until('the index is there, and then the picture', () => grabs.markOf(broken.infoHash) === 'early');
});

test('what is no film costs a few programs, once', async () => {
  const { grabs } = grabsIn();
  const noise = join(folder, 'noise.mkv');
  writeFileSync(noise, Buffer.alloc(3_000_000, 7));
  const title = titleOf([noise]);
  const readings = await settle(grabs, title);
  assert.ok(readings > 0 && readings < 10, `${readings}`);
  assert.is(await settle(grabs, title), readings);
  assert.is(grabs.markOf(title.infoHash), null);
});

test('a sound gets its cover, and one without a cover none', async () => {
  const { grabs } = grabsIn();
  const bare = await makeMediaFile({ name: 'bare.mp3', seconds: 2, codecs: ['-vn', '-c:a', 'libmp3lame'] });
  const cover = bare.replace('bare.mp3', 'cover.mp3');
  const picture = bare.replace('bare.mp3', 'cover.jpg');
  const words = ['-v', 'error', '-nostdin'];
  const drawn = new Program('ffmpeg', [...words, '-f', 'lavfi', '-i', 'testsrc2=size=300x300', '-frames:v', '1', picture]);
  assert.is((await drawn.whenExited(20_000)).code, 0, drawn.errors);
  const joined = new Program('ffmpeg', [...words, '-i', bare, '-i', picture, '-map', '0', '-map', '1', '-c', 'copy', cover]);
  assert.is((await joined.whenExited(20_000)).code, 0, joined.errors);
  const [with_, without] = [titleOf([cover]), titleOf([bare])];
  grabs.consider([with_]);
  await until('there is a cover', () => grabs.markOf(with_.infoHash) === 'final');
  await settle(grabs, without);
  assert.is(grabs.markOf(without.infoHash), null);
});

test('a playlist that calls itself a film sends nobody anywhere', async () => {
  const visits: string[] = [];
  const victim = createServer((request, response) => {
    visits.push(request.url ?? '');
    response.end('x');
  });
  await new Promise<void>((resolve) => victim.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(victim.address() as AddressInfo).port}/secret`;
  const { grabs } = grabsIn();
  const contents = {
    'hls.mkv': `#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n${address}.ts\n#EXT-X-ENDLIST\n`,
    'concat.mp4': `ffconcat version 1.0\nfile '${address}.mp4'\n`,
    'dash.webm': `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT5S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>${address}.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>`,
  };
  for (const [name, text] of Object.entries(contents)) {
    const path = join(folder, name);
    writeFileSync(path, text);
    const title = titleOf([path]);
    assert.ok((await settle(grabs, title)) > 0, `${name} was looked at`);
    assert.is(grabs.markOf(title.infoHash), null, name);
  }
  assert.equal(visits, []);
  await new Promise((resolve) => victim.close(resolve));
});

test('a title that goes away takes its attempt with it, and so does the end of the process', async () => {
  const { root, grabs } = grabsIn();
  const title = titleOf([film]);
  title.isStalled = true;
  grabs.consider([title]);
  await until('ffprobe reads', () => title.readings > 0);
  grabs.forget(title.infoHash);
  await until('its reading is closed', () => title.open.size === 0);
  grabs.consider([title]);
  await until('it is tried again', () => title.open.size > 0);
  grabs.stop();
  await until('its reading is closed', () => title.open.size === 0);
  assert.equal(readdirSync(root), []);
});

test('an address that was lent is good for nothing afterwards', async () => {
  const { url, end } = lent.lend(new HoledTitle([film]).files[0] as NonNullable<HoledTitle['files'][0]>);
  const answer = await fetch(url, { headers: { Range: 'bytes=0-9' } });
  assert.is(answer.status, 206);
  assert.equal(Buffer.from(await answer.arrayBuffer()), readFileSync(film).subarray(0, 10));
  end();
  assert.is((await fetch(url)).status, 404);
});

test.run();

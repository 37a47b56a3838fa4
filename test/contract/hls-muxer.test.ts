import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HlsMuxer, type HlsMuxerOptions } from '../../src/io/web/hls-muxer.js';
import { HttpServer, type WebReply } from '../../src/io/web/http-server.js';
import { AUDIO, VIDEO } from '../../src/media/flv.js';
import { TagFeed } from '../../src/relay/endpoints/tag-feed.js';
import { recordEnhancedFlv } from '../support/enhanced-recording.js';
import { publishLive, pushAll, type Recipe, recordFlv } from '../support/flv-recording.js';
import { audioHeaderTag, metadataTag, videoHeaderTag, videoTag } from '../support/media-fixture.js';
import { MemoryLog } from '../support/memory-log.js';
import { until } from '../support/until.js';

const run = promisify(execFile);
/** The list as it is now with an end, so that a tool reads what is there and leaves. */
const FINISHED = 'finished.m3u8';

interface Stage {
  readonly feed: TagFeed;
  readonly hls: HlsMuxer;
  readonly log: MemoryLog;
  readonly url: string;
}

async function withStage(scene: (stage: Stage) => Promise<void>, options: Partial<HlsMuxerOptions> = {}): Promise<void> {
  const log = new MemoryLog();
  const feed = new TagFeed();
  const hls = new HlsMuxer(feed, { log, ...options });
  const server = await HttpServer.start({ host: '127.0.0.1', port: 0, log });
  server.route(['GET', 'OPTIONS'], '/live/x/:file', async ({ method, parameters }) => {
    if (parameters['file'] !== FINISHED) return hls.serve(method, parameters['file'] ?? '');
    const reply = await hls.serve(method, 'index.m3u8');
    return { ...reply, body: `${textOf(reply)}#EXT-X-ENDLIST\n` };
  });
  try {
    await scene({ feed, hls, log, url: `${server.url}live/x/index.m3u8` });
  } finally {
    hls.stop();
    await server.stop();
  }
}

function textOf({ body }: WebReply): string {
  return typeof body === 'string' ? body : new TextDecoder().decode(body);
}

function segmentsOf(playlist: string): readonly string[] {
  return playlist.split('\n').filter((line) => line.endsWith('.m4s'));
}

async function frameCounts(url: string): Promise<Readonly<Record<string, number>>> {
  const args = ['-v', 'error', '-count_frames', '-show_entries', 'stream=codec_name,nb_read_frames', '-of', 'csv=p=0', url];
  const { stdout, stderr } = await run('ffprobe', args, { timeout: 20_000 });
  assert.is(stderr, '');
  return Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(','))
      .map(([codec = '', count = '0']) => [codec, Number(count)]),
  );
}

test('the first playlist has several segments at once, made of what the feed holds', async () => {
  const recording = await recordFlv('h264-aac', 8);
  await withStage(async ({ feed, hls }) => {
    pushAll(feed, recording);
    const startMs = performance.now();
    const reply = await hls.serve('GET', 'index.m3u8');
    assert.ok(performance.now() - startMs < 3000);
    assert.is(reply.status ?? 200, 200);
    assert.is(reply.headers?.['Content-Type'], 'application/vnd.apple.mpegurl');
    assert.is(reply.headers?.['Access-Control-Allow-Origin'], '*');
    assert.equal(segmentsOf(textOf(reply)), ['segment-0.m4s', 'segment-1.m4s', 'segment-2.m4s']);
    const media = await hls.serve('GET', 'segment-1.m4s');
    assert.is(media.headers?.['Content-Type'], 'video/iso.segment');
    assert.ok((media.body?.length ?? 0) > 10_000);
    assert.is((await hls.serve('GET', 'init-0.mp4')).headers?.['Content-Type'], 'video/mp4');
    assert.is((await hls.serve('OPTIONS', 'index.m3u8')).status, 204);
    assert.is((await hls.serve('GET', 'segment-99.m4s')).status, 404);
    assert.is((await hls.serve('GET', '../../etc/passwd')).status, 404);
  });
});

const WANTED = [
  ['h264-aac', { h264: 150, aac: 258 }],
  ['h264-only', { h264: 150 }],
  ['aac-only', { aac: 258 }],
  ['mp3-only', { mp3: 229 }],
  ['h264-mp3', { h264: 150, mp3: 229 }],
] as const satisfies readonly (readonly [Recipe, Readonly<Record<string, number>>])[];

for (const [recipe, wanted] of WANTED) {
  test(`every frame of six seconds decodes from HLS: ${recipe}`, async () => {
    const recording = await recordFlv(recipe, 8.1);
    await withStage(async ({ feed, hls, log, url }) => {
      pushAll(
        feed,
        recording.filter(({ timestampMs }) => timestampMs < 6200),
      );
      const listed = textOf(await hls.serve('GET', 'index.m3u8'));
      assert.is(segmentsOf(listed).length, 3, listed);
      const counts = await frameCounts(url.replace('index.m3u8', FINISHED));
      assert.equal(Object.keys(counts).sort(), Object.keys(wanted).sort());
      // Segments end where a video frame begins, so audio may differ by what fits into the rounding.
      for (const [codec, count] of Object.entries(wanted))
        assert.ok(Math.abs((counts[codec] ?? 0) - count) <= 12, `${codec}: ${counts[codec]} of ${count}`);
      if ('h264' in wanted) assert.is(counts['h264'], wanted.h264);
      assert.equal(log.complaints, []);
    });
  });
}

for (const recipe of ['hevc-opus', 'av1-opus'] as const) {
  test(`Enhanced FLV is served as HLS: ${recipe}`, async () => {
    const recording = await recordEnhancedFlv(recipe, 5);
    await withStage(async ({ feed, hls, log, url }) => {
      pushAll(feed, recording);
      const listed = textOf(await hls.serve('GET', 'index.m3u8'));
      assert.is(segmentsOf(listed).length, 2, listed);
      const counts = await frameCounts(url.replace('index.m3u8', FINISHED));
      assert.is(counts[recipe === 'av1-opus' ? 'av1' : 'hevc'], 100);
      assert.ok((counts['opus'] ?? 0) >= 190, `${counts['opus']}`);
      assert.equal(log.complaints, []);
    });
  });
}

test('segments are numbered inside too, as players expect of one stream', async () => {
  const recording = await recordFlv('h264-aac', 8);
  await withStage(async ({ feed, hls }) => {
    pushAll(feed, recording);
    await hls.serve('GET', 'index.m3u8');
    const numbers: number[] = [];
    for (const name of ['segment-0.m4s', 'segment-1.m4s', 'segment-2.m4s']) {
      const bytes = Buffer.from((await hls.serve('GET', name)).body as Uint8Array);
      numbers.push(bytes.readUInt32BE(bytes.indexOf('mfhd') + 8));
    }
    assert.equal(numbers, [1, 2, 3]);
  });
});

test('ffmpeg follows a live playlist without a gap or a step back in time', async () => {
  const recording = await recordFlv('h264-aac', 6);
  await withStage(async ({ feed, url }) => {
    const publisher = publishLive(feed, recording, 9000);
    const args = ['-v', 'warning', '-nostdin', '-i', url, '-t', '6', '-f', 'null', '-'];
    const { stderr } = await run('ffmpeg', args, { timeout: 25_000 });
    publisher.stop();
    // ffmpeg says this of every live playlist with an initialisation section.
    const complaints = stderr.split('\n').filter((line) => line !== '' && !/duplicated MOOV|Last message repeated/.test(line));
    assert.equal(complaints, []);
  });
});

test('segments in memory are bounded, and the media sequence grows as they leave', async () => {
  const recording = await recordFlv('h264-aac', 6);
  await withStage(
    async ({ feed, hls }) => {
      for (let count = 0; count < 3; count++) {
        for (let ms = 0; ms < 6000; ms += 1) feedOnce(feed, recording, ms, count * 6000);
      }
      await hls.serve('GET', 'index.m3u8');
      for (let count = 3; count < 8; count++) {
        for (let ms = 0; ms < 6000; ms += 1) feedOnce(feed, recording, ms, count * 6000);
        await until('it is muxed', () => hls.running);
        await hls.serve('GET', 'index.m3u8');
      }
      let text = '';
      for (const endMs = performance.now() + 5000; performance.now() < endMs && !text.includes('segment-12.m4s'); ) {
        text = textOf(await hls.serve('GET', 'index.m3u8'));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.is(segmentsOf(text).length, 4);
      const sequence = Number(/MEDIA-SEQUENCE:(\d+)/.exec(text)?.[1]);
      assert.is(segmentsOf(text)[0], `segment-${sequence}.m4s`);
      assert.is((await hls.serve('GET', 'segment-0.m4s')).status, 404);
    },
    { segmentsMax: 4 },
  );
});

function feedOnce(feed: TagFeed, recording: Awaited<ReturnType<typeof recordFlv>>, ms: number, offsetMs: number): void {
  for (const tag of recording)
    if (tag.timestampMs === ms && tag.type !== 18) feed.push({ ...tag, timestampMs: tag.timestampMs + offsetMs });
}

test('a publisher that restarts is a break in the playlist, not a new playlist', async () => {
  const recording = await recordFlv('h264-aac', 6);
  await withStage(async ({ feed, hls, url }) => {
    pushAll(feed, recording);
    const before = segmentsOf(textOf(await hls.serve('GET', 'index.m3u8')));
    feed.discontinuity();
    pushAll(feed, recording);
    let text = '';
    for (const endMs = performance.now() + 5000; performance.now() < endMs && segmentsOf(text).length < before.length + 3; ) {
      text = textOf(await hls.serve('GET', 'index.m3u8'));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.match(text, /#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="init-1.mp4"/);
    assert.equal(segmentsOf(text).slice(0, before.length), before);
    assert.match(url, /index/);
  });
});

test('a codec that HLS cannot carry is 415 with the reason', async () => {
  const recording = await recordFlv('sorenson', 3);
  await withStage(async ({ feed, hls }) => {
    pushAll(feed, recording);
    const reply = await hls.serve('GET', 'index.m3u8');
    assert.is(reply.status, 415);
    assert.match(textOf(reply), /^Video codec flv-video-2 cannot be served as HLS/);
  });
});

test('before any media the answer is 503 after a bounded wait', async () => {
  await withStage(
    async ({ hls }) => {
      const reply = await hls.serve('GET', 'index.m3u8');
      assert.is(reply.status, 503);
      assert.is(reply.headers?.['Retry-After'], '2');
    },
    { firstSegmentMs: 100 },
  );
});

test('a request that waits is answered as soon as the first segment is there', async () => {
  const recording = await recordFlv('h264-aac', 6);
  await withStage(async ({ feed, hls }) => {
    const asking = hls.serve('GET', 'index.m3u8');
    await until('the muxer runs', () => hls.running);
    pushAll(feed, recording);
    assert.ok(segmentsOf(textOf(await asking)).length > 0);
  });
});

test('nobody watching stops it and frees the segments; the next request goes on with the numbers', async () => {
  const recording = await recordFlv('h264-aac', 8);
  await withStage(
    async ({ feed, hls }) => {
      pushAll(feed, recording);
      const first = textOf(await hls.serve('GET', 'index.m3u8'));
      assert.ok(hls.running && hls.watched);
      await until('it has stopped', () => !hls.running);
      assert.is((await hls.serve('GET', 'segment-0.m4s')).status, 404);
      const second = textOf(await hls.serve('GET', 'index.m3u8'));
      assert.is(segmentsOf(second)[0], `segment-${segmentsOf(first).length}.m4s`);
      assert.match(second, /#EXT-X-DISCONTINUITY\n/);
    },
    { idleMs: 150 },
  );
});

test('media that no muxer takes is left out with a line in the log, and the process lives', async () => {
  await withStage(
    async ({ feed, hls, log }) => {
      pushAll(feed, [metadataTag(), videoHeaderTag(), audioHeaderTag()]);
      for (let ms = 0; ms <= 6000; ms += 40) {
        feed.push({
          ...videoTag(ms, ms % 1000 === 0),
          body: Uint8Array.of(ms % 1000 === 0 ? 0x17 : 0x27, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff),
        });
        feed.push({ type: AUDIO, timestampMs: ms, body: Uint8Array.of(0xaf, 1, 0) });
      }
      const reply = await hls.serve('GET', 'index.m3u8');
      assert.ok([200, 503].includes(reply.status ?? 200));
      feed.push({ type: VIDEO, timestampMs: 7000, body: Uint8Array.of(0x17, 0, 0, 0, 0) });
      assert.equal(
        log.lines.filter(({ level }) => level === 'error'),
        [],
      );
    },
    { firstSegmentMs: 500 },
  );
});

test.run();

/** What a pulled FLV source publishes, describes and says: over a loss, and while its publisher is away. */
import type { Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CutWindow } from '../../src/ingest/window-cutter.js';
import { Rng } from '../../src/kernel/rng.js';
import { AUDIO, decodeTags, type FlvTag } from '../../src/media/flv.js';
import { ChannelOutput } from '../../src/plugins/channel-output.js';
import { PulledFlvSource } from '../../src/plugins/pulled-flv-source.js';
import { collectingSink } from '../support/channel-sink.js';
import { MemoryLog } from '../support/memory-log.js';
import { encodeAmf0 } from '../support/rtmp-client.js';
import { rtmpCommand, rtmpMedia, rtmpStatus, startRtmpServer } from '../support/scripted-rtmp-server.js';
import { until } from '../support/until.js';

const FRAME_MS = 25;
const WINDOW_MS = 500;
const AWAY = rtmpStatus('NetStream.Play.UnpublishNotify');

/** An AAC header, then the frames of these seconds. */
function sound(fromMs: number, toMs: number): Uint8Array {
  const tags: FlvTag[] = [{ type: AUDIO, timestampMs: fromMs, body: Uint8Array.of(0xaf, 0, 0x12, 0x10) }];
  for (let timestampMs = fromMs; timestampMs < toMs; timestampMs += FRAME_MS)
    tags.push({ type: AUDIO, timestampMs, body: Uint8Array.of(0xaf, 1, timestampMs >> 8, timestampMs & 0xff) });
  return Buffer.concat(tags.map(rtmpMedia));
}

function metadata(text: string): Uint8Array {
  const body = encodeAmf0(['@setDataFrame', 'onMetaData', new Map([['title', text]])]);
  return rtmpMedia({ type: 18, timestampMs: 0, body: Uint8Array.from(body) });
}

interface Scene {
  readonly windows: CutWindow[];
  readonly described: Uint8Array[];
  readonly log: MemoryLog;
  readonly output: ChannelOutput;
}

/** Pulls from a server that does this after each `play`. */
async function withSource(onPlay: (socket: Socket, index: number) => void, judge: (scene: Scene) => Promise<void>): Promise<void> {
  const server = await startRtmpServer(onPlay);
  const log = new MemoryLog();
  const inputs = (): { flv: string; mmsh: string } => ({ flv: '', mmsh: '' });
  const demand = (): { flv: number; asf: number } => ({ flv: 0, asf: 0 });
  const output = new ChannelOutput({ name: 'a', historyMs: 20_000, convert: false, inputs, demand, log });
  const url = `rtmp://127.0.0.1:${server.port}/live/a`;
  const source = new PulledFlvSource({ url, windowMs: WINDOW_MS, output, rng: new Rng(1), log });
  const scene: Scene = { windows: [], described: [], log, output };
  source.start(collectingSink(scene.windows, { describe: (bytes) => scene.described.push(bytes) }));
  try {
    await judge(scene);
  } finally {
    source.stop();
    await output.stop();
    await server.stop();
  }
}

function timesOf({ bytes }: CutWindow): number[] {
  const tags = decodeTags(bytes) as readonly FlvTag[];
  return tags.filter(({ body }) => body[1] === 1).map(({ timestampMs }) => timestampMs);
}

/** Asserts that each window has every frame of its time. */
function assertWhole(windows: readonly CutWindow[]): void {
  for (const window of windows) {
    const expected = Array.from({ length: WINDOW_MS / FRAME_MS }, (_, index) => window.startMs + index * FRAME_MS);
    assert.equal(timesOf(window), expected, `window ${window.number}`);
  }
}

test('windows carry the numbers of the times of the source, and none that we joined in the middle of', async () => {
  await withSource(
    (socket) => socket.write(sound(60_100, 66_000)),
    async ({ windows, output }) => {
      await until('windows come', () => windows.length >= 5);
      assert.is(windows[0]?.number, 123);
      assert.is(windows[0]?.startMs, 61_500);
      assertWhole(windows);
      assert.ok(output.flv.frameCount > 200);
    },
  );
});

test('metadata goes beside the windows as players want it; what is too large is left out and said', async () => {
  await withSource(
    (socket) => socket.write(Buffer.concat([metadata('short'), metadata('x'.repeat(20_000)), sound(0, 1000)])),
    async ({ described, log }) => {
      await until('it is said', () => log.complaints.length > 0);
      assert.match(log.complaints[0] ?? '', /script metadata of 200\d\d bytes is left out/);
      assert.equal(
        described.map((bytes) => Buffer.from(bytes).toString('latin1').includes('@setDataFrame')),
        [false],
      );
    },
  );
});

test('metadata that comes again and again is passed on a few times a second', async () => {
  const flood = Buffer.concat(Array.from({ length: 60 }, (_, index) => metadata(`number ${index}`)));
  await withSource(
    (socket) => socket.write(Buffer.concat([flood, sound(60_000, 66_000)])),
    async ({ windows, described }) => {
      await until('windows come', () => windows.length >= 5);
      assert.ok(described.length >= 1 && described.length <= 6, String(described.length));
    },
  );
});

test('a server that sends us elsewhere in the middle makes a break, too', async () => {
  const server = await startRtmpServer((socket) => socket.write(sound(15_800, 22_000)));
  const elsewhere = rtmpCommand(
    'onStatus',
    0,
    null,
    new Map([['code', 'NetConnection.Connect.ReconnectRequest'] as const, ['tcUrl', `rtmp://127.0.0.1:${server.port}/live`] as const]),
  );
  await withSource(
    (socket) => socket.write(Buffer.concat([sound(10_000, 15_300), elsewhere])),
    async ({ windows, log }) => {
      await until('it goes on', () => windows.some(({ startMs }) => startMs >= 17_500));
      assertWhole(windows);
      assert.is(windows.filter(({ discontinuity }) => discontinuity).length, 2);
      assert.equal(log.complaints, []);
    },
  );
  await server.stop();
});

test('after a loss the cutter starts over, so that no window with a gap is published', async () => {
  await withSource(
    (socket, index) => socket.end(index === 0 ? sound(10_000, 15_300) : sound(15_800, 22_000)),
    async ({ windows, log }) => {
      await until('it comes back', () => windows.some(({ startMs }) => startMs >= 17_500), 10_000);
      assertWhole(windows);
      assert.is(windows.filter(({ discontinuity }) => discontinuity).length, 2);
      assert.is(log.complaints[0], 'the source is lost: the server closed the connection');
    },
  );
});

test('while its publisher is away nothing is lost, and the cutter goes on where times go on', async () => {
  await withSource(
    (socket) => socket.write(Buffer.concat([sound(10_000, 15_250), AWAY, sound(15_250, 20_000)])),
    async ({ windows, log }) => {
      await until('windows come', () => windows.length >= 12);
      assertWhole(windows);
      assert.is(windows.filter(({ discontinuity }) => discontinuity).length, 1);
      assert.ok(log.lines.some(({ message }) => message === "the source's publisher has left; waiting for the next"));
      assert.equal(log.complaints, []);
    },
  );
});

test('an encoder that starts again at zero makes a break, and numbers that only grow', async () => {
  await withSource(
    (socket) => socket.write(Buffer.concat([sound(10_000, 15_000), AWAY, sound(0, 8_000)])),
    async ({ windows }) => {
      await until('windows come', () => windows.length >= 12);
      assertWhole(windows);
      assert.equal(
        windows.filter(({ number }, index) => number <= (windows[index - 1]?.number ?? -1)),
        [],
      );
      assert.is(windows.filter(({ discontinuity }) => discontinuity).length, 2);
    },
  );
});

test('a source that cannot be reached is complained of once', async () => {
  await withSource(
    (socket) => socket.write(rtmpStatus('NetConnection.Connect.Closed')),
    async ({ log }) => {
      const losses = (): number => log.lines.filter(({ message }) => message.includes('lost')).length;
      await until('it is tried again', () => losses() > 1, 10_000);
      assert.equal(log.complaints, ['the source is lost: the server closes the connection']);
    },
  );
});

test.run();

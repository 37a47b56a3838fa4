/** What a pushed source publishes when its publisher stops, and when it vanishes. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CutWindow } from '../../src/ingest/window-cutter.js';
import { MediaHost } from '../../src/io/rtmp/media-host.js';
import { AUDIO, decodeTags, type FlvTag } from '../../src/media/flv.js';
import { ChannelOutput } from '../../src/plugins/channel-output.js';
import { PushedSource } from '../../src/plugins/pushed-source.js';
import { collectingSink } from '../support/channel-sink.js';
import { MemoryLog } from '../support/memory-log.js';
import { RtmpClient, waitUntil } from '../support/rtmp-client.js';

const FRAME_MS = 23;
const FRAMES = 60;
const WINDOW_MS = 500;

/** An AAC header, then frames of 1.4 s. */
function sound(): FlvTag[] {
  const header: FlvTag = { type: AUDIO, timestampMs: 0, body: Uint8Array.of(0xaf, 0, 0x12, 0x10) };
  const frames = Array.from({ length: FRAMES }, (_, index) => ({
    type: AUDIO,
    timestampMs: index * FRAME_MS,
    body: Uint8Array.of(0xaf, 1, index, 7),
  }));
  return [header, ...(frames as FlvTag[])];
}

/** Publishes the sound to a source and ends as told; returns the numbers of the frames that were published in windows. */
async function publishedFrames(end: (client: RtmpClient) => void): Promise<number[]> {
  const log = new MemoryLog();
  const host = await MediaHost.start({
    host: '127.0.0.1',
    port: 0,
    authorisePublish: () => ({ allowed: true, streamPath: '/live/a' }),
    log,
  });
  const inputs = (): { flv: string; mmsh: string } => ({ flv: '', mmsh: '' });
  const demand = (): { flv: number; asf: number } => ({ flv: 0, asf: 0 });
  const output = new ChannelOutput({ name: 'a', historyMs: 2_000, convert: false, inputs, demand, log });
  const source = new PushedSource({ host, streamPath: '/live/a', windowMs: WINDOW_MS, output, log });
  const windows: CutWindow[] = [];
  source.start(collectingSink(windows));
  const client = await RtmpClient.open(host.port);
  await client.publish('a');
  await waitUntil(() => host.isPublished('/live/a'), 'the publisher is on the air');
  for (const tag of sound()) client.tag(tag);
  await waitUntil(() => output.flv.frameCount === FRAMES, 'every frame has come');
  end(client);
  await waitUntil(() => !host.isPublished('/live/a'), 'the publisher is gone');
  client.destroy();
  source.stop();
  await output.stop();
  await host.stop();
  const tags = windows.flatMap(({ bytes }) => decodeTags(bytes) as readonly FlvTag[]);
  return tags.filter(({ body }) => body[1] === 1).map(({ body }) => body[2] ?? -1);
}

test('a publisher that stops is published to its last frame', async () => {
  const frames = await publishedFrames((client) => client.command('deleteStream', 0, null, 1));
  assert.equal(
    frames,
    Array.from({ length: FRAMES }, (_, index) => index),
  );
});

test('of a publisher that vanishes only whole windows are published', async () => {
  const frames = await publishedFrames((client) => client.destroy());
  const whole = Math.ceil((2 * WINDOW_MS) / FRAME_MS);
  assert.equal(
    frames,
    Array.from({ length: whole }, (_, index) => index),
  );
});

test.run();

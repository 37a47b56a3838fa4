/** One station with little upload, eight viewers, a real encoder: everybody gets everything, and from each other. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FfmpegPublisher, PUBLISHED_BYTES_PER_SECOND } from '../support/ffmpeg-publisher.js';
import { differenceFrom, FlvRecorder, fallenBehindMs, longestGapMs, type RecordedTag } from '../support/flv-recorder.js';
import { type ShoalProcess, startChannel, watch } from '../support/shoal-process.js';
import { until } from '../support/until.js';

const VIEWERS = 8;
const BROADCAST_SECONDS = 60;

let station: ShoalProcess;
let viewers: readonly ShoalProcess[] = [];
let recorders: readonly FlvRecorder[] = [];
let sent: readonly RecordedTag[] = [];

test.before(async () => {
  station = await startChannel('Race', { settings: { 'swarm.uploadBytesPerSecond': Math.round(2.2 * PUBLISHED_BYTES_PER_SECOND) } });
  const { link } = station.channel;
  viewers = await Promise.all(Array.from({ length: VIEWERS }, () => watch(link)));
  recorders = viewers.map((viewer) => new FlvRecorder(viewer.channel.watch.flv));
});

test.after(async () => {
  for (const recorder of recorders) recorder.stop();
  await Promise.all([station, ...viewers].map((shoal) => shoal.stop()));
});

test('eight viewers take a broadcast of a minute to its last frame', async () => {
  const publisher = new FfmpegPublisher(station.publishUrl(), { seconds: BROADCAST_SECONDS });
  const exit = await publisher.program.whenExited((BROADCAST_SECONDS + 15) * 1000);
  assert.is(exit.code, 0, publisher.program.errors);
  sent = await publisher.sentFrames();
  assert.ok(sent.length > BROADCAST_SECONDS * 60, `${sent.length} frames`);
  // Else the upload limit would be more than 2.2 times what is really sent.
  const sentBytes = sent.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
  assert.ok(sentBytes / BROADCAST_SECONDS > 0.95 * PUBLISHED_BYTES_PER_SECOND, `${sentBytes} bytes`);
  const last = sent.at(-1)?.hash;
  const missing = (): number[] => recorders.flatMap(({ frames }, index) => (frames.at(-1)?.hash === last ? [] : [index]));
  await until('the last frame reaches everybody', () => missing().length === 0, 5000).catch(() => undefined);
  assert.equal(missing(), [], 'viewers without the last frame');
});

test("every viewer's tags equal the publisher's in body, order and time, from its first key frame on", () => {
  const differences = recorders.map(({ frames }) => differenceFrom(sent, frames));
  assert.equal(differences, Array(VIEWERS).fill(null));
});

test('every viewer had the broadcast from near its beginning', () => {
  for (const { frames } of recorders)
    assert.ok((frames[0]?.timestampMs ?? Number.POSITIVE_INFINITY) < 8000, `${frames[0]?.timestampMs} ms`);
});

test('no viewer stalls', () => {
  const behindMs = recorders.map(({ frames }) => Math.round(fallenBehindMs(frames)));
  const gapsMs = recorders.map(({ frames }) => Math.round(longestGapMs(frames)));
  assert.ok(Math.max(...behindMs) <= 1000, `fallen behind by at most ${behindMs.join(', ')} ms`);
  assert.ok(Math.max(...gapsMs) <= 1500, `no tag for at most ${gapsMs.join(', ')} ms`);
  assert.equal(
    recorders.map(({ fault }) => fault),
    Array(VIEWERS).fill(undefined),
  );
});

test('no viewer has a hole', () => {
  assert.equal(
    viewers.map(({ status }) => status.holes),
    Array(VIEWERS).fill(0),
  );
});

test('peers carry most of it', () => {
  const received = viewers.map(({ status }) => status.downBytes.media);
  const total = received.reduce((sum, bytes) => sum + bytes, 0);
  const fromPeers = viewers.reduce((sum, { status }) => sum + (status.shareFromPeers ?? 0) * status.downBytes.media, 0);
  assert.ok(fromPeers / total > 0.75, `${Math.round((100 * fromPeers) / total)} % came from peers`);
});

test('the station sends little more than one copy', () => {
  const oneViewerBytes = Math.max(...recorders.map(({ frames }) => frames.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0)));
  const copies = station.status.upBytes.media / oneViewerBytes;
  assert.ok(copies <= 1.5, `${copies.toFixed(2)} copies`);
});

test.run();

/** Viewers that come late, die, stand still, and a station that restarts: what the others see of it, with real processes. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FfmpegPublisher } from '../support/ffmpeg-publisher.js';
import {
  differenceWithin,
  FlvRecorder,
  fallenBehindMs,
  largestStepBackMs,
  longestGapMs,
  type RecordedTag,
} from '../support/flv-recorder.js';
import { freePort } from '../support/free-port.js';
import { type ShoalProcess, startChannel, watch } from '../support/shoal-process.js';
import { until } from '../support/until.js';

const PAUSE_MS = 8_000;
const LIVE_AGAIN_MS = 10_000;
const GAP_MAX_MS = 1_500;
/** Whatever still moves among viewers has arrived after so long. */
const QUIET_MS = 3_000;

interface Watching {
  readonly viewer: ShoalProcess;
  readonly recorder: FlvRecorder;
}

let station: ShoalProcess;
let publisher: FfmpegPublisher;
const steady: Watching[] = [];
let killed: Watching;
let paused: Watching;
let late: Watching;
let everybody: ShoalProcess[] = [];
/** What the first encoder sent, and when it was over for it, on `performance`'s clock. */
let firstSent: readonly RecordedTag[] = [];
let restartMs = 0;

async function startWatching(): Promise<Watching> {
  const viewer = await watch(station.channel.link);
  everybody.push(viewer);
  return { viewer, recorder: new FlvRecorder(viewer.channel.watch.flv) };
}

/** Until the broadcast has gone on this much at a viewer whom nothing happens to. */
async function broadcastGoesOn(seconds: number): Promise<void> {
  const recorder = steady[0]?.recorder as FlvRecorder;
  const untilMs = (recorder.frames.at(-1)?.timestampMs ?? 0) + seconds * 1000;
  await until(`${seconds} s of broadcast`, () => (recorder.frames.at(-1)?.timestampMs ?? 0) >= untilMs, seconds * 1000 + 8000);
}

function noticesNothing({ viewer, recorder }: Watching): void {
  assert.is(recorder.fault, undefined);
  assert.ok(longestGapMs(recorder.frames) <= GAP_MAX_MS, `no tag for ${Math.round(longestGapMs(recorder.frames))} ms`);
  assert.ok(fallenBehindMs(recorder.frames) <= 1000, `${Math.round(fallenBehindMs(recorder.frames))} ms behind`);
  assert.is(viewer.status.holes, 0);
}

/** How far the newest frame lies behind one that would have come at once, by a viewer's first frames. */
function lagMs({ frames }: FlvRecorder): number {
  const [first] = frames;
  const last = frames.at(-1);
  if (first === undefined || last === undefined) return Number.POSITIVE_INFINITY;
  return performance.now() - last.timestampMs - (first.arrivedMs - first.timestampMs);
}

test.before(async () => {
  // It will be back on the same ports.
  const [http, rtmp, swarm, tracker] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const settings = { 'relay.http.port': http, 'station.rtmp.port': rtmp, 'swarm.port': swarm, 'tracker.port': tracker };
  station = await startChannel('Churn', { settings });
  everybody.push(station);
  const watching = await Promise.all([startWatching(), startWatching(), startWatching(), startWatching()]);
  const [one, two, victim, sleeper] = watching;
  steady.push(one, two);
  killed = victim;
  paused = sleeper;
  publisher = new FfmpegPublisher(station.publishUrl(), { videoKilobitsPerSecond: 700 });
  await Promise.all(watching.map(({ recorder }) => recorder.whenFrames(50)));
});

test.after(async () => {
  for (const { recorder } of [...steady, killed, paused, late]) recorder?.stop();
  await publisher?.stop();
  await Promise.all(everybody.map((shoal) => shoal.stop()));
  everybody = [];
});

test('a viewer that joins late has the broadcast within two seconds, from a key frame on', async () => {
  await broadcastGoesOn(8);
  late = await startWatching();
  await late.recorder.whenFrames(1);
  const afterReadyMs = (late.recorder.frames[0]?.arrivedMs ?? 0) - late.viewer.readyMs;
  assert.ok(afterReadyMs < 2000, `${Math.round(afterReadyMs)} ms`);
  assert.ok(late.recorder.frames[0]?.key);
  assert.equal(
    late.recorder.tags.slice(0, 3).map(({ kind }) => kind),
    ['metadata', 'header', 'header'],
  );
  await broadcastGoesOn(3);
  steady.forEach(noticesNothing);
});

test('a viewer that is killed leaves no trace at the others', async () => {
  killed.viewer.signal('SIGKILL');
  await killed.viewer.program.whenExited(2000);
  await broadcastGoesOn(4);
  [...steady, late, paused].forEach(noticesNothing);
});

test('a viewer that stands still for eight seconds is live again within ten, without a hole', async () => {
  paused.viewer.signal('SIGSTOP');
  const pausedMs = performance.now();
  await until('the pause is over', () => performance.now() - pausedMs >= PAUSE_MS, PAUSE_MS + 1000);
  const heldBack = paused.recorder.frames.length;
  paused.viewer.signal('SIGCONT');
  const continuedMs = performance.now();
  const isLive = (): boolean => paused.recorder.frames.length > heldBack && lagMs(paused.recorder) < 1500;
  await until('live again', isLive, LIVE_AGAIN_MS).catch(() => undefined);
  assert.ok(isLive(), `${Math.round(lagMs(paused.recorder))} ms behind after ${Math.round(performance.now() - continuedMs)} ms`);
  await broadcastGoesOn(4);
  assert.ok(isLive(), `it is ${Math.round(lagMs(paused.recorder))} ms behind again`);
  await paused.viewer.whenStatus('figures after the pause', () => true);
  assert.is(paused.viewer.status.holes, 0);
  assert.is(paused.recorder.fault, undefined);
  [...steady, late].forEach(noticesNothing);
});

test('a station that is stopped leaves its viewers up', async () => {
  await station.stop();
  assert.is(station.program.exit?.code, 0);
  await publisher.program.whenExited(5000);
  // The last of it is still on its way from viewer to viewer.
  const quietSinceMs = (): number => Math.max(...[...steady, late, paused].map(({ recorder }) => recorder.frames.at(-1)?.arrivedMs ?? 0));
  await until('nothing comes any more', () => performance.now() - quietSinceMs() > QUIET_MS, 20_000);
  restartMs = performance.now();
  firstSent = await publisher.sentFrames();
  for (const { recorder } of [...steady, late, paused]) {
    assert.is(differenceWithin(firstSent, recorder.frames), null);
    assert.is(recorder.fault, undefined);
  }
});

test('viewers go on with the channel when the station is back, and times never go back', async () => {
  const { page, publish, link, name } = { page: station.ready.page, ...station.channel };
  station = await startChannel(name, { dataDir: station.dataDir, settings: portsOf(page, publish?.rtmp ?? '', link) });
  everybody.push(station);
  assert.is(station.channel.link, link);
  publisher = new FfmpegPublisher(station.publishUrl(), { videoKilobitsPerSecond: 700 });
  const viewers = [...steady, late, paused];
  const framesSince = ({ recorder }: Watching): RecordedTag[] => recorder.frames.filter(({ arrivedMs }) => arrivedMs > restartMs);
  const isBack = (): boolean => viewers.every((watching) => framesSince(watching).length > 300);
  await until('everybody is back', isBack, 25_000).catch(() => undefined);
  assert.ok(isBack(), `frames since: ${viewers.map((watching) => framesSince(watching).length).join(', ')}`);
  await publisher.stop();
  const sent = await publisher.sentFrames();
  for (const watching of viewers) {
    assert.ok(framesSince(watching)[0]?.key);
    assert.is(differenceWithin(sent, framesSince(watching)), null);
    assert.is(largestStepBackMs(watching.recorder.frames), 0);
    assert.is(watching.recorder.fault, undefined);
    assert.is(watching.viewer.program.exit, undefined);
  }
});

/** The settings with which a station gets the addresses again that its link names. */
function portsOf(page: string, rtmp: string, link: string): Record<string, number> {
  const magnet = new URL(link).searchParams;
  return {
    'relay.http.port': Number(new URL(page).port),
    'station.rtmp.port': Number(/:(\d+)\//.exec(rtmp)?.[1]),
    'swarm.port': Number(magnet.get('x.pe')?.split(':')[1]),
    'tracker.port': Number(new URL(magnet.get('tr') ?? '').port),
  };
}

test.run();

/**
 * Publishers of one source die, freeze and come back, one after the other, and nobody who watches notices: no gap of more than a second in what the
 * local relays give out, no player sent away, no tag missing or repeated, times that never go back. And all of them at once, for a while.
 */
import { stdout } from 'node:process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Continuity, continuityOf, longestGapWithin } from '../support/continuity.js';
import { type FedFleet, feedFleet } from '../support/fed-fleet.js';
import { FlvRecorder, largestStepBackMs, longestGapMs, type RecordedTag } from '../support/flv-recorder.js';
import { Program } from '../support/program.js';
import type { Publisher } from '../support/publisher-fleet.js';
import { type ShoalProcess, watch } from '../support/shoal-process.js';
import { until } from '../support/until.js';

const PUBLISHERS = 2;
const VIEWERS = 3;
const CYCLES = 50;
const GAP_MS_MAX = 1_000;
/** Longer than a viewer waits for anybody. */
const FREEZE_MS = 2_500;
const RETURN_MS = 20_000;
const AWAY_MS = 15_000;
/** Nothing happens: what gaps there are anyway. */
const CALM_MS = 6_000;
const BACK_MS = 25_000;

type Fault = 'kill' | 'freeze';

interface Cycle {
  readonly fault: Fault;
  readonly startMs: number;
  readonly endMs: number;
  /** From the end of the fault until the publisher has sent media to a viewer again, by figures that come once a second. */
  readonly publishesMs: number;
  /** And until every viewer has every publisher as a neighbour again; NaN when that was not waited for any longer. */
  readonly connectedMs: number;
  readonly victim: number;
}

let fed: FedFleet;
let viewers: readonly ShoalProcess[] = [];
let recorders: readonly FlvRecorder[] = [];
let probe: Program;
const cycles: Cycle[] = [];

test.before(async () => {
  fed = await feedFleet('rebasing-rtmp', PUBLISHERS);
  await fed.fleet.start();
  viewers = await Promise.all(Array.from({ length: VIEWERS }, () => watch(fed.fleet.link)));
  recorders = viewers.map(({ channel }) => new FlvRecorder(channel.watch.flv));
  const packets = ['-v', 'error', '-show_entries', 'packet=codec_type,dts_time', '-of', 'csv=p=0'];
  probe = new Program('ffprobe', [...packets, viewers[0]?.channel.watch.flv ?? '']);
  await Promise.all(recorders.map((recorder) => recorder.whenFrames(200)));
  await allConnected();
});

test.after(async () => {
  for (const recorder of recorders) recorder.stop();
  await probe?.stop();
  await Promise.all(viewers.map((viewer) => viewer.stop()));
  await Promise.all([fed?.source.stop(), fed?.fleet.stop()]);
});

/** Every viewer has the other viewers and every publisher as neighbours, by figures that are up to a second old. */
function allConnected(): Promise<void> {
  const everybody = VIEWERS - 1 + PUBLISHERS;
  const isConnected = (viewer: ShoalProcess): boolean => viewer.statuses.length > 0 && viewer.status.peers >= everybody;
  return until('all are connected', () => viewers.every(isConnected), RETURN_MS);
}

/** For as long as a fault lasts. */
function pass(durationMs: number): Promise<void> {
  const startedMs = performance.now();
  return until('the time is over', () => performance.now() - startedMs >= durationMs, durationMs + 5_000);
}

async function strike(publisher: Publisher, fault: Fault): Promise<void> {
  if (fault === 'kill') {
    await publisher.kill();
    publisher.launch();
    return;
  }
  publisher.freeze();
  await pass(FREEZE_MS);
  publisher.thaw();
}

async function runCycle(publisher: Publisher, fault: Fault): Promise<void> {
  const startMs = performance.now();
  await strike(publisher, fault);
  const overMs = performance.now();
  const { process } = publisher;
  // Figures and no collector: a neighbour that passes nothing on would delay what it is dealt, at every return anew.
  const sentBytes = fault === 'kill' ? 0 : process.status.upBytes.media;
  const isBack = (): boolean =>
    (process.statuses.at(-1)?.atMs ?? 0) > overMs && process.status.live && process.status.upBytes.media > sentBytes;
  await until(`publisher ${publisher.index} publishes again`, isBack, RETURN_MS).catch((error: Error) => {
    throw new Error(`${error.message}; its log: ${process.program.errors.slice(-2000)}`);
  });
  const publishesMs = performance.now() - overMs;
  const connectedMs = await allConnected().then(
    () => performance.now() - overMs,
    () => Number.NaN,
  );
  cycles.push({ fault, startMs, endMs: performance.now(), publishesMs, connectedMs, victim: publisher.index });
}

/** The runner shows such lines of a file that passes too. */
function print(text: string): void {
  stdout.write(`measured: ${text}\n`);
}

/** Largest first. */
function sorted(values: readonly number[]): readonly number[] {
  return values.toSorted((a, b) => b - a);
}

function summary(values: readonly number[]): string {
  const all = sorted(values);
  const at = (ratio: number): number => Math.round(all[Math.floor((all.length - 1) * ratio)] ?? Number.NaN);
  return `largest ${at(0)}, p90 ${at(0.1)}, p50 ${at(0.5)} ms of ${all.length}`;
}

function printCycles(): void {
  for (const fault of ['kill', 'freeze'] as const) {
    const of = cycles.filter((cycle) => cycle.fault === fault);
    const gaps = recorders.map(({ frames }) =>
      of.map(({ startMs, endMs }) => longestGapWithin(frames, startMs, endMs)?.lengthMs ?? endMs - startMs),
    );
    for (const [index, ofViewer] of gaps.entries()) print(`${fault}: viewer ${index}: gaps of arrival: ${summary(ofViewer)}`);
    print(`${fault}: publishes again after: ${summary(of.map(({ publishesMs }) => publishesMs))}`);
    print(`${fault}: all connected again after: ${summary(of.map(({ connectedMs }) => connectedMs).filter(Number.isFinite))}`);
  }
}

/** Where a viewer waited for longer than it should have. */
function printSilences(): void {
  for (const [index, { fault, victim, startMs, endMs }] of cycles.entries()) {
    const gaps = recorders.map(({ frames }) => longestGapWithin(frames, startMs, endMs));
    const after = gaps.map((gap) =>
      gap === undefined ? 'nothing came' : `${Math.round(gap.lengthMs)} ms, ${Math.round(gap.fromMs - startMs)} ms after`,
    );
    const isLong = gaps.some((gap) => gap === undefined || gap.lengthMs > GAP_MS_MAX);
    if (isLong) print(`cycle ${index}, ${fault} of publisher ${victim}: silent for ${after.join('; ')}`);
  }
}

function packetTimes(kind: 'video' | 'audio'): readonly number[] {
  const lines = probe.output.split('\n').slice(0, -1);
  return lines.filter((line) => line.startsWith(kind)).map((line) => Number(line.split(',')[1]));
}

function frameOrder(frames: readonly RecordedTag[]): string {
  return `${frames.length} frames, largest step back ${largestStepBackMs(frames)} ms, largest gap ${Math.round(longestGapMs(frames))} ms`;
}

function goesBack(times: readonly number[]): boolean {
  return times.some((time, index) => time < (times[index - 1] ?? Number.NEGATIVE_INFINITY));
}

test(`publishers are killed and frozen in turn, ${CYCLES} times`, async () => {
  const calmMs = performance.now();
  await pass(CALM_MS);
  const calm = recorders.map(({ frames }) => Math.round(longestGapWithin(frames, calmMs, calmMs + CALM_MS)?.lengthMs ?? CALM_MS));
  print(`calm: largest gap of arrival at each viewer: ${calm.join(', ')} ms`);
  for (let index = 0; index < CYCLES; index++) {
    const publisher = fed.fleet.publishers[index % PUBLISHERS] as Publisher;
    await runCycle(publisher, Math.floor(index / PUBLISHERS) % 2 === 0 ? 'kill' : 'freeze');
  }
  printCycles();
  printSilences();
  for (const [index, { frames, fault }] of recorders.entries()) print(`viewer ${index}: ${frameOrder(frames)}, ended: ${fault ?? 'no'}`);
  for (const [index, { status }] of viewers.entries())
    print(`viewer ${index}: ${status.holes} holes, ${status.timeouts} timeouts, line ${status.lineBytesPerSecond ?? 'without limit'}`);
  print(`ffprobe: ${packetTimes('video').length} pictures, ended: ${probe.exit === undefined ? 'no' : 'yes'}${probe.errors.slice(0, 500)}`);
});

test('no player was sent away', () => {
  assert.equal(
    recorders.map(({ fault }) => fault),
    recorders.map(() => undefined),
  );
  assert.is(probe.exit, undefined, probe.errors);
  assert.ok(viewers.every(({ program }) => program.exit === undefined));
});

test('times never went back, in no track of any player', () => {
  for (const { frames } of recorders) assert.is(largestStepBackMs(frames), 0);
  assert.ok(packetTimes('video').length > 25 * CYCLES);
  assert.not(goesBack(packetTimes('video')));
  assert.not(goesBack(packetTimes('audio')));
});

test('no tag is missing or there twice', async () => {
  const sent = (await fed.source.sentFrames?.()) ?? [];
  const continuity = recorders.map(({ frames }) => continuityOf(sent, frames));
  for (const [index, of] of continuity.entries()) print(`viewer ${index}: ${JSON.stringify(of)}`);
  const whole: Continuity = { missing: 0, repeated: 0, unknown: 0 };
  assert.equal(
    continuity,
    recorders.map(() => whole),
  );
});

test('no relay was silent for longer than a second', () => {
  const longest = recorders.map(({ frames }) => Math.round(longestGapMs(frames)));
  assert.ok(
    longest.every((gapMs) => gapMs <= GAP_MS_MAX),
    longest.join(', '),
  );
});

test('all publishers are gone for a while: viewers wait, and go on when one is back', async () => {
  await Promise.all(fed.fleet.publishers.map((publisher) => publisher.kill()));
  const goneMs = performance.now();
  const playedOut = recorders.map(({ frames }) => frames.length);
  await pass(AWAY_MS);
  const [back] = fed.fleet.publishers as readonly [Publisher];
  back.launch();
  const launchedMs = performance.now();
  const framesSince = ({ frames }: FlvRecorder): readonly RecordedTag[] => frames.filter(({ arrivedMs }) => arrivedMs > launchedMs);
  const goesOn = (): boolean => recorders.every((recorder) => framesSince(recorder).length > 200);
  await until('everybody goes on', goesOn, BACK_MS).catch(() => undefined);
  for (const [index, recorder] of recorders.entries()) {
    const { frames, fault } = recorder;
    const late = frames.slice(playedOut[index]).filter(({ arrivedMs }) => arrivedMs < launchedMs);
    const silentMs = Math.round((framesSince(recorder)[0]?.arrivedMs ?? Number.NaN) - (late.at(-1)?.arrivedMs ?? goneMs));
    const afterMs = Math.round((framesSince(recorder)[0]?.arrivedMs ?? Number.NaN) - launchedMs);
    print(`viewer ${index}: ${late.length} frames played out, silent for ${silentMs} ms, first frame ${afterMs} ms after the launch`);
    assert.is(fault, undefined);
    assert.is(largestStepBackMs(frames), 0);
  }
  assert.ok(goesOn(), 'somebody did not go on');
  assert.is(probe.exit, undefined, probe.errors);
  assert.not(goesBack(packetTimes('video')));
  assert.ok(viewers.every(({ program }) => program.exit === undefined));
});

test.run();

/**
 * Two publishers of one source make equal pieces, for every kind of source: one joins later, one is killed and comes back. And where the source itself
 * breaks (a gap that the server hides, an encoder that begins anew) they name what follows alike, and viewers cross it.
 */
import { stdout } from 'node:process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { continuityOf } from '../support/continuity.js';
import { type FedFleet, feedFleet } from '../support/fed-fleet.js';
import { FlvRecorder, largestStepBackMs } from '../support/flv-recorder.js';
import type { MadeWindow, PieceCollector } from '../support/piece-collector.js';
import { comparePair, type PairCount } from '../support/piece-table.js';
import { type Publisher, PublisherFleet } from '../support/publisher-fleet.js';
import { RebasingOrigin } from '../support/rebasing-origin.js';
import { ServedOrigin } from '../support/served-origin.js';
import { type ShoalProcess, watch } from '../support/shoal-process.js';
import { until } from '../support/until.js';

/** Each of them has an encoder or a server of its own, and two cores carry two of them. All kinds of origin are in `bench/redundancy.ts`. */
const TOGETHER = [
  ['nginx-rtmp', 'rebasing-flv'],
  ['tee-push', 'vlc-mms'],
] as const;
const START_MS = 20_000;
const BACK_MS = 10_000;
/** The second one joins so much later. */
const HEAD_START_WINDOWS = 10;
/** Per stretch: 2.5 s at either end are not compared. */
const STRETCH_MS = 8_000;
/** After what happens to a source, which takes part of it. */
const AFTERMATH_MS = 11_000;

const closers: (() => Promise<void> | void)[] = [];

test.after.each(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Closed after the test, the latest first. */
function kept<Thing extends { stop(): Promise<void> | void }>(thing: Thing): Thing {
  closers.push(() => thing.stop());
  return thing;
}

/** The runner shows such lines of a file that passes too. */
function print(text: string): void {
  stdout.write(`measured: ${text}\n`);
}

type Pair = readonly [Publisher, Publisher];

/** Until each has announced windows over so much time since now. */
async function pass(collectors: readonly PieceCollector[], durationMs: number): Promise<void> {
  const endMs = performance.now() + durationMs;
  const isOver = ({ latest }: PieceCollector): boolean => (latest?.arrivedMs ?? 0) >= endMs;
  await until('both go on', () => collectors.every(isOver), durationMs + 10_000);
}

function ofBoth(collectors: readonly PieceCollector[]): PairCount {
  const [one, other] = collectors.map(({ windows }) => windows);
  return comparePair(0, one ?? [], 1, other ?? []);
}

/** Only the windows that came after a moment. */
function ofBothSince(collectors: readonly PieceCollector[], sinceMs: number): PairCount {
  const [one, other] = collectors.map(({ windows }) => windows.filter(({ arrivedMs }) => arrivedMs >= sinceMs));
  return comparePair(0, one ?? [], 1, other ?? []);
}

function assertEqual(name: string, { compared, equal, differing }: PairCount, least: number): void {
  print(`${name}: ${equal} of ${compared} pieces equal`);
  assert.ok(compared >= least, `${name}: ${compared} pieces compared`);
  assert.is(equal, compared, `${name}: windows ${differing.join(', ')} differ`);
}

/** Numbers only grow, over all runs of the station: none comes after a higher one, or comes again as another. */
function assertGrowing(name: string, windows: readonly MadeWindow[]): void {
  const known = new Map<number, string>();
  let newest = -1;
  for (const { number, pieces } of windows) {
    const content = pieces.join();
    assert.is(known.get(number) ?? content, content, `${name}: window ${number} is there with two contents`);
    assert.ok(number >= newest, `${name}: window ${number} came after ${newest}`);
    known.set(number, content);
    newest = Math.max(newest, number);
  }
}

/** One begins, the other joins, the first one is killed and comes back. */
async function runOrigin(name: string): Promise<void> {
  const fed: FedFleet = await feedFleet(name, 2);
  kept(fed.source);
  const fleet = kept(fed.fleet);
  const [one, other] = fleet.publishers as Pair;
  one.launch();
  await one.whenPublishing(START_MS);
  const collectors = await fleet.collectors();
  await until(`${name}: a head start`, () => (collectors[0]?.windows.length ?? 0) >= HEAD_START_WINDOWS, START_MS);
  const launchedMs = performance.now();
  other.launch();
  await other.whenPublishing(START_MS);
  const joinedMs = performance.now() - launchedMs;
  await until(`${name}: the second one is seen`, () => collectors[1]?.latest !== undefined, START_MS);
  await pass(collectors, STRETCH_MS);
  await one.kill();
  const killedMs = performance.now();
  one.launch();
  await one.whenPublishing(BACK_MS);
  const backMs = performance.now() - killedMs;
  await until(`${name}: the first one is seen again`, () => collectors[0]?.firstSince(killedMs) !== undefined, START_MS);
  await pass(collectors, STRETCH_MS);
  print(`${name}: the second publishes after ${Math.round(joinedMs)} ms, the first again after ${Math.round(backMs)} ms`);
  for (const [index, { windows }] of collectors.entries()) assertGrowing(`${name}, publisher ${index}`, windows);
  assertEqual(name, ofBoth(collectors), 12);
  for (const { process } of fleet.publishers) {
    assert.is(process.status.conflict, null, name);
    assert.not.match(process.program.errors, /banned|"level":"error"/);
  }
}

for (const names of TOGETHER) {
  test(`two publishers make equal pieces, and the one that was killed comes back: ${names.join(', ')}`, async () => {
    const outcomes = await Promise.allSettled(names.map(runOrigin));
    const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as Error] : []));
    assert.equal(
      failures.map(({ message }) => message),
      [],
    );
  });
}

/** A viewer with a player, and how often its player was told of a break. */
class Onlooker {
  readonly viewer: ShoalProcess;
  readonly recorder: FlvRecorder;

  constructor(viewer: ShoalProcess) {
    this.viewer = kept(viewer);
    this.recorder = kept(new FlvRecorder(viewer.channel.watch.flv));
  }

  async whenMore(count: number, timeoutMs = 20_000): Promise<void> {
    await this.recorder.whenFrames(this.recorder.frames.length + count, timeoutMs);
  }

  /** How often its players have been told of a break, as the HLS playlist, which counts them, says. */
  async breaks(): Promise<number> {
    const playlist = await (await fetch(this.viewer.channel.watch.hls)).text();
    const gone = /^#EXT-X-DISCONTINUITY-SEQUENCE:(\d+)$/m.exec(playlist)?.[1];
    assert.ok(gone !== undefined, playlist);
    return Number(gone) + [...playlist.matchAll(/^#EXT-X-DISCONTINUITY$/gm)].length;
  }

  assertWhole(name: string): void {
    assert.is(this.recorder.fault, undefined, name);
    assert.is(largestStepBackMs(this.recorder.frames), 0, name);
    assert.is(this.viewer.status.holes, 0, name);
    assert.is(this.viewer.status.conflict, null, name);
  }
}

interface Watched {
  readonly fleet: PublisherFleet;
  readonly collectors: readonly PieceCollector[];
  readonly onlookers: readonly Onlooker[];
}

/** Two publishers of a source, and two viewers that play already. */
async function startWatched(source: string): Promise<Watched> {
  const fleet = kept(await PublisherFleet.prepare({ count: 2, source }));
  await fleet.start();
  const collectors = await fleet.collectors();
  const onlookers = (await Promise.all([watch(fleet.link), watch(fleet.link)])).map((viewer) => new Onlooker(viewer));
  await Promise.all(onlookers.map(({ recorder }) => recorder.whenFrames(100)));
  await until('both are seen', () => collectors.every(({ latest }) => latest !== undefined));
  return { fleet, collectors, onlookers };
}

/** Numbers at which a publisher says that something else begins, from windows that came after a moment. */
function breaksOf({ windows }: PieceCollector, sinceMs: number): readonly number[] {
  return windows.filter(({ discontinuity, arrivedMs }) => discontinuity && arrivedMs >= sinceMs).map(({ number }) => number);
}

function breaksOfAll({ onlookers }: Watched): Promise<readonly number[]> {
  return Promise.all(onlookers.map((each) => each.breaks()));
}

/** Something happens to the source: how many breaks each player is told of until some time later. Both publishers must make equal pieces after it. */
async function breaksBy(name: string, watched: Watched, happens: () => Promise<void> | void): Promise<readonly number[]> {
  const { collectors } = watched;
  const before = await breaksOfAll(watched);
  const sinceMs = performance.now();
  await happens();
  await pass(collectors, AFTERMATH_MS);
  const after = await breaksOfAll(watched);
  const counts = after.map((count, index) => count - (before[index] ?? 0));
  const named = collectors.map((collector) => `[${breaksOf(collector, sinceMs).join(', ')}]`).join(' and ');
  print(`${name}: publishers begin anew at ${named}; breaks at players: ${counts.join(', ')}`);
  const [one, other] = collectors.map((collector) => breaksOf(collector, sinceMs));
  assert.equal(one, other, `${name}: both name the break alike`);
  assertEqual(name, ofBothSince(collectors, sinceMs), 12);
  return counts;
}

test('a gap that the server hides, and an encoder that begins anew: equal afterwards', async () => {
  const origin = kept(await RebasingOrigin.start());
  const watched = await startWatched(origin.rtmpUrl);
  const { collectors, onlookers } = watched;
  await pass(collectors, 4_000);
  const hidden = await breaksBy('hidden gap', watched, () => origin.insertGap(700));
  assert.ok(
    hidden.every((count) => count <= 1),
    'one break at most',
  );
  // Nothing tells a player of such a server that the encoder is another one: times go on, and its headers are the same.
  const restart = await breaksBy('encoder restart', watched, () => origin.restartEncoder());
  assert.ok(
    restart.every((count) => count <= 1),
    'one break at most',
  );
  for (const each of onlookers) {
    await each.whenMore(50);
    each.assertWhole('encoder restart');
    assert.equal(continuityOf(origin.sent, each.recorder.frames), { missing: 0, repeated: 0, unknown: 0 });
  }
  for (const { windows } of collectors) assertGrowing('encoder restart', windows);
});

test('node-media-server splices a new run of the encoder to the old one, each track by itself: both name it alike', async () => {
  const origin = kept(await ServedOrigin.nodeMediaServer('rtmp'));
  const watched = await startWatched(origin.url);
  const { collectors, onlookers } = watched;
  await pass(collectors, 4_000);
  const spliced = await breaksBy('spliced', watched, async () => {
    await origin.restartEncoder();
    const goneMs = performance.now();
    const isBack = ({ latest }: PieceCollector): boolean => (latest?.arrivedMs ?? 0) > goneMs + 3_000;
    await until('both publish the new run', () => collectors.every(isBack), 30_000);
  });
  assert.ok(
    spliced.every((count) => count <= 1),
    'one break at most',
  );
  for (const each of onlookers) {
    await each.whenMore(50);
    each.assertWhole('spliced');
  }
  for (const { windows } of collectors) assertGrowing('spliced', windows);
});

test.run();

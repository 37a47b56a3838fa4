/** The rigs of the redundancy tests with real stations: encoders that push to several, and collectors that tell what each station made. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type FedFleet, feedFleet } from '../support/fed-fleet.js';
import { FlvRecorder, longestGapMs } from '../support/flv-recorder.js';
import { compareAll, comparePair } from '../support/piece-table.js';
import { until } from '../support/until.js';

const BACK_MS = 15_000;
/** A window lasts 0.5 s, and 2.5 s at either end of a run are not compared. */
const WINDOWS = 24;
const GAP_MS_MAX = 400;

let fed: FedFleet | undefined;

test.after.each(async () => {
  await Promise.all([fed?.source.stop(), fed?.fleet.stop()]);
  fed = undefined;
});

test('an encoder with a tee is not disturbed by the death of one station, and comes back to it', async () => {
  fed = await feedFleet('tee-push', 2);
  const { fleet } = fed;
  const [one, other] = fleet.publishers as readonly [(typeof fleet.publishers)[0], (typeof fleet.publishers)[0]];
  await fleet.start();
  const collectors = await fleet.collectors();
  await until('both made windows', () => collectors.every(({ windows }) => windows.length >= WINDOWS), 30_000);
  const recorder = new FlvRecorder(other.process.channel.watch.flv);
  await recorder.whenFrames(50);
  const [pair] = compareAll(collectors.map(({ windows }) => windows));
  assert.ok((pair?.compared ?? 0) > 20);
  assert.is(pair?.equal, pair?.compared, 'one encoder, the same times, the same pieces');
  const killedMs = performance.now();
  await one.kill();
  one.launch();
  await one.whenPublishing(BACK_MS);
  await until('the collector is back too', () => collectors[0]?.firstSince(killedMs) !== undefined, 5_000);
  assert.is(collectors[0]?.latest?.run, 1);
  assert.is(collectors[1]?.latest?.run, 0);
  assert.ok(collectors.every(({ latest }) => latest?.signer !== null));
  const known = recorder.frames.length;
  await recorder.whenFrames(known + 100);
  assert.ok(longestGapMs(recorder.frames) < GAP_MS_MAX, `${longestGapMs(recorder.frames)} ms`);
  assert.is(recorder.fault, undefined);
  recorder.stop();
});

test('outputs with clocks of their own give the same bodies other times', async () => {
  fed = await feedFleet('rebased-push', 2);
  const [one, other] = fed.fleet.publishers;
  one?.launch();
  await one?.whenPublishing(BACK_MS);
  other?.launch();
  await other?.whenPublishing(BACK_MS);
  const recorders = [one, other].map((publisher) => new FlvRecorder(publisher?.process.channel.watch.flv ?? ''));
  await Promise.all(recorders.map((recorder) => recorder.whenFrames(200)));
  for (const recorder of recorders) recorder.stop();
  const [early, late] = recorders.map(({ frames }) => frames);
  const times = new Map(late?.map(({ hash, timestampMs }) => [hash, timestampMs]));
  const offsets = early?.flatMap(({ hash, timestampMs }) => (times.has(hash) ? [timestampMs - (times.get(hash) ?? 0)] : [])) ?? [];
  assert.ok(offsets.length > 50);
  assert.is(new Set(offsets).size, 1);
  assert.ok((offsets[0] ?? 0) > 0);
});

test('a window is compared when both were at work, whatever its number', () => {
  const made = (number: number, atMs: number, piece: string) => ({ number, arrivedMs: atMs, pieces: [piece, `${piece} too`], run: 0 });
  const run = (shift: number, differ: readonly number[] = []) =>
    Array.from({ length: 40 }, (_, index) => made(index + shift, index * 500, differ.includes(index) ? 'other' : `p${index}`));
  const filled = (windows: ReturnType<typeof run>) =>
    windows.map((window) => ({ ...window, previous: null, discontinuity: false, startMs: 0, durationMs: 500, signer: null }));
  assert.equal(comparePair(0, filled(run(0)), 1, filled(run(0))), { one: 0, other: 1, compared: 60, equal: 60, differing: [] });
  const oneOff = comparePair(0, filled(run(0)), 1, filled(run(0, [20])));
  assert.equal([oneOff.compared - oneOff.equal, oneOff.differing], [2, [20]]);
  assert.is(comparePair(0, filled(run(0)), 1, filled(run(16))).equal, 0, 'the same media under other numbers is not equal');
});

test.run();

/** Laws of redundant publishers: whenever each of them joined, restarted or shifted, they make the same windows, and numbers only grow. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AlignedCutter } from '../../src/ingest/aligned-cutter.js';
import type { AlignmentEffect } from '../../src/ingest/alignment.js';
import { WindowCutter } from '../../src/ingest/window-cutter.js';
import { nodeHasher } from '../../src/io/crypto.js';
import { VIDEO } from '../../src/media/flv.js';
import { assertLaw } from '../support/law.js';
import { compareWindows, encoderTags, runPublishers, SimPublisher, type TimedTag, WINDOW_MS } from '../support/publisher-swarm.js';

const RUN_MS = 60_000;

function numbersGrow(publisher: SimPublisher): void {
  let last = -1;
  for (const { window } of publisher.published) {
    assert.ok(window.number > last, `${publisher.name}: ${window.number} after ${last}`);
    last = window.number;
  }
}

function agree(publishers: readonly SimPublisher[], fromMs: number, least: number, share = 1): void {
  for (const [index, a] of publishers.entries()) {
    numbersGrow(a);
    for (const b of publishers.slice(index + 1)) {
      const { compared, equal } = compareWindows(a, b, fromMs);
      const told = `${a.name} and ${b.name}: ${equal} of ${compared} equal; ${a.states.join(' ')} | ${b.states.join(' ')}`;
      assert.ok(compared >= least, told);
      // Of few windows one may differ all the same: that of a takeover.
      assert.ok(equal >= Math.floor(compared * share), told);
    }
  }
}

test('two publishers of a server that keeps times agree from the first window on', () => {
  const source = encoderTags(0, RUN_MS, { startTimeMs: 12_345 });
  const publishers = [new SimPublisher('a', 1, 0), new SimPublisher('b', 2, 7_000)];
  publishers[0]?.connect(source, { fromMs: 1_000, untilMs: RUN_MS, times: 'kept' });
  publishers[1]?.connect(source, { fromMs: 8_000, untilMs: RUN_MS, times: 'kept' });
  runPublishers(publishers, RUN_MS);
  agree(publishers, 0, 90, 1);
});

test('a publisher of a server that rebases times finds its place by content', () => {
  const source = encoderTags(0, RUN_MS, { startTimeMs: 12_345 });
  const publishers = [new SimPublisher('a', 1, 0), new SimPublisher('b', 2, 7_000)];
  publishers[0]?.connect(source, { fromMs: 1_000, untilMs: RUN_MS, times: 'rebased' });
  publishers[1]?.connect(source, { fromMs: 8_000, untilMs: RUN_MS, times: 'rebased' });
  runPublishers(publishers, RUN_MS);
  assert.is(publishers[1]?.cutter.state, 'aligned');
  agree(publishers, 0, 85, 1);
});

test('two that begin at once without seeing each other converge', () => {
  const source = encoderTags(0, RUN_MS, { startTimeMs: 12_345 });
  const publishers = [new SimPublisher('a', 1, 0), new SimPublisher('b', 2, 0)];
  publishers[0]?.connect(source, { fromMs: 4_000, untilMs: RUN_MS, times: 'rebased' });
  publishers[1]?.connect(source, { fromMs: 4_040, untilMs: RUN_MS, times: 'rebased' });
  runPublishers(publishers, RUN_MS);
  agree(publishers, 20_000, 70, 1);
});

/** All are away at once, and who is back first counts its times from 0: it was silent for as long as it had published before. */
const ONCE_SILENT: readonly [{ joinMs: number; breakMs: number; backAfterMs: number; times: 'rebased' }[], number, boolean][] = [
  [
    [
      { joinMs: 2_500, breakMs: 22_000, backAfterMs: 4_401, times: 'rebased' },
      { joinMs: 14_901, breakMs: 22_000, backAfterMs: 100, times: 'rebased' },
    ],
    0,
    false,
  ],
];

test('whenever they join and restart, on whatever times, what both make is equal', () => {
  const connection = fc.record({
    joinMs: fc.integer({ min: 2_500, max: 20_000 }),
    breakMs: fc.integer({ min: 22_000, max: 35_000 }),
    backAfterMs: fc.integer({ min: 100, max: 6_000 }),
    times: fc.constantFrom('kept' as const, 'rebased' as const),
  });
  const starts = fc.oneof(fc.constantFrom(0, 2 ** 31 - 20_000, 2 ** 32 - 20_000), fc.integer({ min: 0, max: 2 ** 31 }));
  assertLaw(
    fc.property(fc.array(connection, { minLength: 2, maxLength: 3 }), starts, fc.boolean(), (connections, startTimeMs, silent) => {
      const source = encoderTags(0, RUN_MS, { startTimeMs, silent });
      const publishers = connections.map((_, index) => new SimPublisher(`p${index}`, index + 1, 0));
      const plan = connections.map(({ joinMs, breakMs, backAfterMs, times }) => [
        { fromMs: joinMs, untilMs: breakMs, times },
        { fromMs: breakMs + backAfterMs, untilMs: RUN_MS, times },
      ]);
      for (const [index, publisher] of publishers.entries()) publisher.connect(source, plan[index]?.[0] as never);
      runPublishers(publishers, RUN_MS, (nowMs) => {
        for (const [index, publisher] of publishers.entries()) {
          const second = plan[index]?.[1];
          if (second && nowMs === Math.ceil(second.fromMs / 20) * 20 - 20) publisher.connect(source, second);
        }
      });
      agree(publishers, 12_000, 5, 0.97);
      for (const publisher of publishers) {
        const tail = publisher.published.filter(({ atMs }) => atMs > RUN_MS - 5_000);
        assert.ok(tail.length >= 8, `${publisher.name} is off the air: ${publisher.states.join(' ')}`);
      }
      agree(publishers, 50_000, 10, 1);
    }),
    { numRuns: 25, examples: [...ONCE_SILENT] },
  );
});

test('a source that is not the same is not published beside another, and takes over when that stops', () => {
  const publishers = [new SimPublisher('a', 1, 0), new SimPublisher('b', 2, 0)];
  publishers[0]?.connect(encoderTags(0, RUN_MS), { fromMs: 3_000, untilMs: 30_000, times: 'kept' });
  publishers[1]?.connect(encoderTags(0, RUN_MS, { seed: 2 }), { fromMs: 8_000, untilMs: RUN_MS, times: 'kept' });
  runPublishers(publishers, RUN_MS);
  const [a, b] = publishers as [SimPublisher, SimPublisher];
  assert.ok(b.states.includes('standby'), b.states.join(' '));
  // From when it has looked for long enough until the other one stops.
  assert.ok(b.conflicts.length >= 3, `it says why for as long as it stands by: ${b.conflicts.join(' ')}`);
  const [first] = b.published;
  assert.ok((first?.atMs ?? 0) > 30_000 && (first?.atMs ?? 0) < 34_500, `${first?.atMs}`);
  assert.ok((first?.window.number ?? 0) > (a.published.at(-1)?.window.number ?? 0), `${first?.window.number}`);
  numbersGrow(b);
});

test('times that a server shifts under one publisher do not reach the swarm', () => {
  const source = encoderTags(0, RUN_MS);
  // Half a second is lost to everybody; the server hides it from the second publisher only.
  const gapped = source.filter(({ atMs }) => atMs < 30_000 || atMs >= 30_600);
  const publishers = [new SimPublisher('a', 1, 0), new SimPublisher('b', 2, 0)];
  publishers[0]?.connect(gapped, { fromMs: 3_000, untilMs: RUN_MS, times: 'kept' });
  publishers[1]?.connect(gapped, { fromMs: 8_000, untilMs: RUN_MS, times: -1_000, shifts: [{ atMs: 30_600, byMs: -590 }] });
  runPublishers(publishers, RUN_MS);
  agree(publishers, 0, 80, 1);
  assert.ok((publishers[1]?.published.filter(({ atMs }) => atMs > 45_000).length ?? 0) > 25);
});

test('an encoder that starts again is named alike by all who watch, at once, and by those who come later', () => {
  for (const silenceMs of [0, 700, 5_000]) {
    const first = encoderTags(0, 20_000, { startTimeMs: 600_000 });
    const second = encoderTags(20_000 + silenceMs, 40_000, { startTimeMs: 40, seed: 2 });
    const source = [...first, ...second];
    const publishers = ['a', 'b', 'c'].map((name, index) => new SimPublisher(name, index + 1, 0));
    publishers[0]?.connect(source, { fromMs: 3_000, untilMs: RUN_MS, times: 'kept' });
    publishers[1]?.connect(source, { fromMs: 9_000, untilMs: RUN_MS, times: 'kept' });
    publishers[2]?.connect(source, { fromMs: 30_000, untilMs: RUN_MS, times: 'kept' });
    runPublishers(publishers, RUN_MS);
    agree(publishers, 0, 40, 1);
    const [a, b, c] = publishers as [SimPublisher, SimPublisher, SimPublisher];
    for (const watcher of [a, b]) {
      const breaks = watcher.published.filter(({ window, atMs }) => window.discontinuity && atMs > 15_000);
      assert.is(breaks.length, 1, `${watcher.name} tells of ${breaks.length} breaks`);
      assert.equal(watcher.conflicts, []);
      assert.not(watcher.states.slice(-1).includes('looking'));
    }
    assert.is(c.published.filter(({ window }) => window.discontinuity).length, 0, 'who comes later tells of none');
    const [breakA, breakB] = [a, b].map(
      ({ published }) => published.find(({ window, atMs }) => window.discontinuity && atMs > 15_000)?.window.number,
    );
    assert.is(breakA, breakB);
  }
});

test('a source that ended and came back is cut off like any other: what is open then is not published', () => {
  const first = encoderTags(0, 20_000, { startTimeMs: 600_000 });
  const end: TimedTag = { atMs: 20_000, tag: { type: VIDEO, timestampMs: 620_000, body: Uint8Array.of(0x17, 2, 0, 0, 0) } };
  const second = encoderTags(20_500, 30_000, { startTimeMs: 620_500, seed: 2 });
  const source = [...first, end, ...second];
  const publishers = [new SimPublisher('a', 1, 0), new SimPublisher('b', 2, 0)];
  publishers[0]?.connect(source, { fromMs: 3_000, untilMs: 40_000, times: 'kept' });
  publishers[1]?.connect(source, { fromMs: 5_000, untilMs: 33_777, times: 'kept' });
  runPublishers(publishers, 45_000);
  agree(publishers, 0, 40, 1);
});

test('samples from before a break, come late, do not lead a publisher back to numbers of the run before', () => {
  const cutter = new WindowCutter({ windowMs: WINDOW_MS });
  const before = encoderTags(0, 20_000, { startTimeMs: 600_000 }).flatMap(({ tag }) => cutter.push(tag));
  const source = encoderTags(20_000, 20_000, { startTimeMs: 40, seed: 2 });
  const behind = source.filter(({ atMs }) => atMs < 25_000).flatMap(({ tag }) => cutter.push(tag));
  const [newest, oldest] = [behind.at(-1), before.at(-1)];
  assert.ok(newest && oldest && newest.number > oldest.number);
  const key = new Uint8Array(32);
  const aligned = new AlignedCutter({ windowMs: WINDOW_MS, hasher: nodeHasher, publisherKey: () => key, firstNumber: 0 });
  const published: number[] = [];
  const take = (effects: readonly AlignmentEffect[]): void => {
    for (const effect of effects) if (effect.kind === 'publish') published.push(effect.window.number);
  };
  take(aligned.connected('pull', 27_000));
  // The newest window that is spoken of cannot be had any more.
  const tick = (nowMs: number): void =>
    take(
      aligned.tick(
        { upMs: 10_000, neighbours: 2, publishers: 0, onAir: 0, before: 0, head: newest.number + 1, quietMs: nowMs - 25_000 },
        nowMs,
      ),
    );
  for (const { number, startMs, bytes } of [newest, oldest]) take(aligned.surveyed({ number, startMs, bytes, publisher: key }, 27_000));
  for (const { atMs, tag } of [...source.slice(0, 2), ...source.filter(({ atMs }) => atMs > 27_000)]) {
    take(aligned.push(tag, Math.max(27_000, atMs)));
    if (atMs % 200 === 0 && atMs > 27_000) tick(atMs);
  }
  assert.ok(published.length > 5);
  assert.ok(Math.min(...published) > newest.number, `${published[0]} after ${newest.number}`);
});

test('the length of a window does not matter', () => {
  const runMs = 120_000;
  const source = encoderTags(0, runMs, { startTimeMs: 12_345 });
  for (const windowMs of [100, 2_000, 10_000]) {
    const publishers = [new SimPublisher('a', 1, 0, windowMs), new SimPublisher('b', 2, 0, windowMs)];
    publishers[0]?.connect(source, { fromMs: 1_000, untilMs: runMs, times: 'rebased' });
    publishers[1]?.connect(source, { fromMs: 33_333, untilMs: runMs, times: 'rebased' });
    runPublishers(publishers, runMs);
    assert.is(publishers[1]?.cutter.state, 'aligned', `windows of ${windowMs} ms: ${publishers[1]?.states.join(' ')}`);
    agree(publishers, 0, 4, 1);
  }
});

test('a jump of the source is named alike by all who watch, whatever zero their servers count from', () => {
  for (const startTimeMs of [0, 12_345, 2 ** 32 - 25_000]) {
    const source = encoderTags(0, RUN_MS, { startTimeMs }).filter(({ atMs }) => atMs < 25_000 || atMs > 36_500);
    const publishers = (['rebased', 'kept', 'rebased', 'kept'] as const).map((times, index) => {
      const publisher = new SimPublisher(`p${index}`, index + 1, 0);
      publisher.connect(source, { fromMs: [15_945, 8_685, 17_048, 15_075][index] ?? 0, untilMs: RUN_MS, times });
      return publisher;
    });
    runPublishers(publishers, RUN_MS);
    agree(publishers, 0, 30, 1);
    for (const { name, conflicts, published } of publishers) {
      assert.equal(conflicts, [], name);
      assert.is(published.filter(({ window, atMs }) => window.discontinuity && atMs > 25_000).length, 1, name);
    }
  }
});

test('who comes back while the source itself is away names what follows as those do who waited', () => {
  const moment = fc.record({ joinMs: fc.integer({ min: 2_500, max: 20_000 }), cutMs: fc.integer({ min: 22_000, max: 34_000 }) });
  const times = fc.constantFrom('kept' as const, 'rebased' as const);
  const law = fc.property(
    fc.array(fc.record({ moment, times, awayMs: fc.integer({ min: 300, max: 6_000 }) }), { minLength: 2, maxLength: 3 }),
    (plan) => {
      const source = [...encoderTags(0, RUN_MS, { startTimeMs: 12_345 })].filter(({ atMs }) => atMs < 25_000 || atMs > 36_500);
      const publishers = [new SimPublisher('stays', 1, 0), ...plan.map((_, index) => new SimPublisher(`p${index}`, index + 2, 0))];
      publishers[0]?.connect(source, { fromMs: 1_000, untilMs: RUN_MS, times: 'kept' });
      for (const [index, { moment, times }] of plan.entries())
        publishers[index + 1]?.connect(source, { fromMs: moment.joinMs, untilMs: moment.cutMs, times });
      const back = plan.map(({ moment, awayMs }) => Math.ceil((moment.cutMs + awayMs) / 20) * 20);
      runPublishers(publishers, RUN_MS, (nowMs) => {
        for (const [index, { times }] of plan.entries())
          if (nowMs === back[index]) publishers[index + 1]?.connect(source, { fromMs: nowMs, untilMs: RUN_MS, times });
      });
      agree(publishers, 12_000, 20, 1);
    },
  );
  assertLaw(law, { numRuns: 15 });
});

test.run();

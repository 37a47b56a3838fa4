/** Whatever neighbours say, what is learnt of the line stays a rate, a piece a second at least, and one of many alone changes nothing. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Bitfield } from '../../src/kernel/bitfield.js';
import { LineEstimate } from '../../src/relay/exchange/line-estimate.js';
import { Neighbour } from '../../src/relay/exchange/neighbour.js';
import { assertLaw } from '../support/law.js';

const PIECE_BYTES = 1_000;
const PIECES = 8;

const step = fc.record({
  kind: fc.constantFrom(
    'send' as const,
    'send' as const,
    'call-off' as const,
    'map' as const,
    'empty-map' as const,
    'drop' as const,
    'wake' as const,
  ),
  who: fc.nat({ max: 4 }),
  window: fc.nat({ max: 3 }),
  piece: fc.nat({ max: PIECES - 1 }),
  waitMs: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 5_000 })),
});
const steps = fc.array(step, { maxLength: 150 });
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** Runs the steps. With a liar, nobody but it ever says that something has not come. */
function run(all: readonly Step[], check: (line: LineEstimate, nowMs: number) => void, liar?: number): void {
  const line = new LineEstimate(PIECE_BYTES);
  const neighbours = Array.from({ length: 5 }, (_, index) => new Neighbour(`n${index}`, 0));
  let nowMs = 1_000;
  for (const { kind, who, window, piece, waitMs } of all) {
    nowMs += waitMs;
    const neighbour = neighbours[who] as Neighbour;
    const mayComplain = liar === undefined || who === liar;
    if (kind === 'send' && line.delayMs(nowMs) === 0) {
      // Where there is a liar all others are served as well, or it would be the only one.
      for (const to of liar === undefined ? [neighbour] : neighbours) line.noteSent(to, window, piece, PIECE_BYTES, nowMs);
    } else if (kind === 'call-off' && mayComplain) line.noteCalledOff(neighbour, window, [piece], nowMs);
    else if (kind === 'map' || kind === 'empty-map') {
      const held = kind === 'map' && mayComplain ? new Bitfield(PIECES) : null;
      const windows = kind === 'map' ? [0, 1, 2, 3].map((number) => ({ number, pieceCount: PIECES, key: false, held })) : [];
      line.noteMap(neighbour, { kind: 'map', full: true, tail: 0, windows }, nowMs);
    } else if (kind === 'drop' && liar === undefined) line.dropPeer(neighbour.id);
    else if (kind === 'wake') line.onWake();
    check(line, nowMs);
  }
}

test('whatever is said, there is no limit or one that lets a piece go each second, and what waits comes to an end', () => {
  assertLaw(
    fc.property(steps, (all) => {
      run(all, (line, nowMs) => {
        const { bytesPerSecond } = line;
        assert.ok(bytesPerSecond === 0 || bytesPerSecond >= PIECE_BYTES, `${bytesPerSecond}`);
        const delayMs = line.delayMs(nowMs);
        assert.ok(delayMs >= 0 && delayMs <= 3_000, `${delayMs}`);
        assert.ok(line.uploadMs(PIECE_BYTES, nowMs) <= 4_000);
      });
    }),
    { numRuns: 300 },
  );
});

test('one of five that says what it likes brings about no limit', () => {
  assertLaw(
    fc.property(steps, fc.nat({ max: 4 }), (all, liar) => {
      run(all, (line) => assert.is(line.bytesPerSecond, 0), liar);
    }),
    { numRuns: 300 },
  );
});

test('the same steps have the same outcome', () => {
  const limits = (all: readonly Step[]): readonly number[] => {
    const seen: number[] = [];
    run(all, (line) => seen.push(line.bytesPerSecond));
    return seen;
  };
  assertLaw(
    fc.property(steps, (all) => assert.equal(limits(all), limits(all))),
    { numRuns: 50 },
  );
});

test.run();

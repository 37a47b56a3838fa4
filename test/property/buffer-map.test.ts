/** A neighbour's map equals a naive one that enters each whole map anew, whatever is said in which order. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Bitfield } from '../../src/kernel/bitfield.js';
import { BufferMap } from '../../src/relay/exchange/buffer-map.js';
import type { WindowAvailability } from '../../src/relay/exchange/live-message.js';
import { assertLaw } from '../support/law.js';

const PIECES = 3;
/** Mostly neighbours; a liar names the highest number there is. */
const number = fc.oneof({ weight: 12, arbitrary: fc.nat({ max: 12 }) }, { weight: 1, arbitrary: fc.constantFrom(40, 0xffff_ffff) });
const version = fc.constantFrom(undefined, undefined, 7, 8);
const claim = fc.record({ number, version, held: fc.option(fc.nat({ max: 7 }), { freq: 3 }), hasDetails: fc.boolean(), key: fc.boolean() });
const run = fc.record({ first: fc.nat({ max: 6 }), count: fc.nat({ max: 10 }), told: fc.array(claim, { maxLength: 2 }) });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('run' as const), run, tail: fc.option(fc.nat({ max: 4 }), { nil: undefined }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('whole' as const), claims: fc.array(claim, { maxLength: 6 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('news' as const), claims: fc.array(claim, { minLength: 1, maxLength: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('held' as const), number, piece: fc.nat({ max: PIECES - 1 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('missing' as const, 'version' as const, 'forget' as const), number }) },
);

type Claim = typeof claim extends fc.Arbitrary<infer Value> ? Value : never;

function availability({ number, held, hasDetails, key, version }: Claim): WindowAvailability {
  if (held === null) return hasDetails ? { number, pieceCount: PIECES, key, held, version } : { number, pieceCount: 0, key: false, held };
  return { number, pieceCount: PIECES, key, held: new Bitfield(PIECES, Uint8Array.of(held << 5)), version };
}

/** As a peer sends it: a run without details, of which some have been replaced. */
function windowsOf({ first, count, told }: { first: number; count: number; told: readonly Claim[] }): WindowAvailability[] {
  return Array.from({ length: count }, (_, at) => {
    const detailed = told.find(({ number }) => number === first + at);
    return detailed ? availability(detailed) : { number: first + at, pieceCount: 0, key: false, held: null };
  });
}

function plain(window: WindowAvailability | undefined): unknown {
  return window && { ...window, version: window.version, held: window.held && [...window.held.bytes] };
}

test('a map that is kept from one whole map to the next equals one that is made anew', () => {
  assertLaw(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const map = new BufferMap();
      let naive = new BufferMap();
      for (const one of steps) {
        if (one.kind === 'run' || one.kind === 'whole') {
          const made = (): WindowAvailability[] => (one.kind === 'run' ? windowsOf(one.run) : one.claims.map(availability));
          const tail = one.kind === 'run' ? one.tail : undefined;
          const news = map.update(true, tail, made());
          const anew = new BufferMap();
          // A window far ahead, which this whole map does not name: so the map cannot be kept.
          const far: WindowAvailability = { number: 0xffff_fffe, pieceCount: 0, key: false, held: null };
          anew.update(false, undefined, [...naive.numbers().map((known) => naive.get(known) as WindowAvailability), far]);
          assert.equal(news.map(plain), anew.update(true, tail ?? naive.tail, made()).map(plain));
          naive = anew;
        } else if (one.kind === 'news') {
          map.update(false, undefined, one.claims.map(availability));
          naive.update(false, undefined, one.claims.map(availability));
        } else
          for (const either of [map, naive]) {
            if (one.kind === 'held') either.noteHeld(one.number, one.piece, PIECES, 7);
            else if (one.kind === 'missing') either.noteMissing(one.number);
            else if (one.kind === 'version') either.noteVersion(one.number, 8);
            else either.forgetBelow(Math.min(one.number, 8));
          }
        assert.equal(map.numbers(), naive.numbers());
        for (const known of naive.numbers()) assert.equal(plain(map.get(known)), plain(naive.get(known)));
        assert.is(map.tail, naive.tail);
      }
    }),
    { numRuns: 1_000 },
  );
});

test.run();

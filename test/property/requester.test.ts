/** While the requester says that it is idle, a plan would ask for nothing: whatever neighbours have told, and however much time has passed. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Lineage } from '../../src/relay/exchange/lineage.js';
import type { LiveMessage } from '../../src/relay/exchange/live-message.js';
import type { Neighbour } from '../../src/relay/exchange/neighbour.js';
import { PendingWindows } from '../../src/relay/exchange/pending-windows.js';
import { Playout } from '../../src/relay/exchange/playout.js';
import { Requester } from '../../src/relay/exchange/requester.js';
import { Subscriptions } from '../../src/relay/exchange/subscriptions.js';
import { addNeighbour, availability, hold, makeContext, makeWindow, PARAMETERS, sentOf } from '../support/exchange-fixture.js';

const FIRST = 4;
const WINDOWS = 4;
/** More than a newcomer may owe, in two windows. */
const PIECES = 6;
const MADE = Array.from({ length: WINDOWS }, (_, index) => makeWindow(FIRST + index, PIECES));

const at = fc.nat({ max: WINDOWS - 1 });
const pieces = fc.subarray([0, 1, 2, 3, 4, 5]);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('news' as const), from: fc.nat({ max: 3 }), at, pieces, whole: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('whole map' as const), from: fc.nat({ max: 3 }), upTo: at }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('piece' as const), at, pieces }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('refusal' as const), from: fc.nat({ max: 3 }), at, pieces }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('time' as const), forMs: fc.nat({ max: 400 }) }) },
);

test('an idle requester has nothing to ask for', () => {
  let [idle, busy] = [0, 0];
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
      const context = makeContext({}, 1_000);
      const playout = new Playout(PARAMETERS, context.buffer, () => false);
      const pending = new PendingWindows();
      const lineage = new Lineage(context);
      const requester = new Requester({ context, playout, pending, lineage, subscriptions: new Subscriptions(context, playout, lineage) });
      playout.moveTo(FIRST);
      const neighbours = ['publisher', 'a', 'b', 'c'].map((id) => addNeighbour(context, id, id === 'publisher'));
      for (const neighbour of neighbours.slice(2)) neighbour.succeeded();
      const tell = (from: Neighbour, map: LiveMessage & { kind: 'map' }): void => {
        requester.wakeFor(from, map);
        from.onAir = map.onAir === true;
        context.takeMap(from, map);
        for (const { number } of map.windows) {
          if (lineage.consider(number, !pending.hasAny(number))) requester.startOver(number);
          requester.onNews(from, number);
        }
      };
      for (const one of steps) {
        if (one.kind === 'time') context.nowMs += one.forMs;
        else if (one.kind === 'piece') {
          requester.wake();
          const window = MADE[one.at] as (typeof MADE)[number];
          hold(context, window, one.pieces);
          for (const piece of one.pieces)
            for (const neighbour of neighbours) requester.onAnswer(neighbour, FIRST + one.at, piece, window.pieces[piece]?.length ?? 0);
        } else {
          const from = neighbours[one.from] as Neighbour;
          if (one.kind === 'refusal') {
            requester.wake();
            requester.onRefusal(from, { kind: 'refuse', why: 'busy', window: FIRST + one.at, etaMs: 500, pieces: one.pieces });
          } else if (one.kind === 'news') {
            const told = availability(MADE[one.at] as (typeof MADE)[number], one.whole ? undefined : one.pieces);
            tell(from, { kind: 'map', full: false, windows: [told] });
          } else tell(from, { kind: 'map', full: true, tail: 0, windows: MADE.slice(0, one.upTo).map((made) => availability(made)) });
        }
        context.takeEffects();
        const { isIdle } = requester;
        requester.plan();
        const asked = sentOf(context.takeEffects(), 'request');
        if (isIdle) assert.equal(asked, [], `idle at ${context.nowMs} ms after ${JSON.stringify(one)}`);
        if (isIdle) idle += 1;
        else busy += 1;
      }
    }),
    { numRuns: 2000 },
  );
  assert.ok(idle > 500 && busy > 500, `idle ${idle} times, busy ${busy} times`);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { WindowMender } from '../../../../src/media/holed-window.js';
import { Delivery } from '../../../../src/relay/exchange/delivery.js';
import type { LiveExchangeOptions } from '../../../../src/relay/exchange/exchange-context.js';
import { Lineage } from '../../../../src/relay/exchange/lineage.js';
import type { LiveEvent } from '../../../../src/relay/exchange/live-protocol.js';
import { PendingWindows } from '../../../../src/relay/exchange/pending-windows.js';
import { Playout } from '../../../../src/relay/exchange/playout.js';
import { Requester } from '../../../../src/relay/exchange/requester.js';
import { Subscriptions } from '../../../../src/relay/exchange/subscriptions.js';
import { addNeighbour, availability, hold, makeContext, makeWindow, PARAMETERS } from '../../../support/exchange-fixture.js';

const FAR = { number: 0xffff_ffff, pieceCount: 3, key: true, held: null };

function setUp(overrides: Partial<LiveExchangeOptions> = {}) {
  const context = makeContext(overrides, 1_000);
  const pending = new PendingWindows();
  const playout = new Playout(PARAMETERS, context.buffer, (after, before) => context.isAnnounced(after, before));
  const lineage = new Lineage(context);
  const requester = new Requester({ context, playout, pending, lineage, subscriptions: new Subscriptions(context, playout, lineage) });
  const delivery = new Delivery({ context, playout, requester, pending, lineage });
  const events = (): LiveEvent[] => context.takeEffects().flatMap((effect) => (effect.kind === 'emit' ? [effect.event] : []));
  const given = (): (LiveEvent & { kind: 'window' })[] => events().filter((event) => event.kind === 'window');
  const told = (): string[] =>
    events().map((event) =>
      event.kind === 'window' ? `${event.manifest.number}` : event.kind === 'skipped' ? `${event.from}>${event.to}` : '',
    );
  const claim = (id: string, numbers: readonly number[], publisher = false) => {
    const neighbour = context.neighbours.get(id) ?? addNeighbour(context, id, publisher);
    neighbour.map.update(
      true,
      0,
      numbers.map((number) => availability(makeWindow(number))),
    );
    delivery.noteMap();
    return neighbour;
  };
  /** Time passes in ticks. */
  const wait = (forMs: number): void => {
    for (let leftMs = forMs; leftMs > 0; leftMs -= 100) {
      context.nowMs += 100;
      delivery.skipIfHopeless();
      delivery.start();
      if (context.deliverDue) delivery.deliver();
      context.deliverDue = false;
    }
  };
  return { context, pending, playout, requester, delivery, told, given, claim, wait };
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

test('two neighbours that agree are believed at once', () => {
  const { delivery, playout, claim } = setUp();
  claim('x', range(1, 12));
  claim('y', range(1, 12));
  assert.ok(delivery.start());
  assert.is(playout.next, 8);
});

test('a publisher alone is waited with for a moment, a viewer alone is not', () => {
  const { context, delivery, claim } = setUp();
  claim('p', range(1, 12), true);
  assert.not(delivery.start());
  context.nowMs += 150;
  assert.ok(delivery.start());
  const other = setUp();
  other.claim('x', range(1, 12));
  assert.ok(other.delivery.start());
});

test('neighbours that do not agree are given half a second, and then the one that is not far out is believed', () => {
  const { context, delivery, playout, claim } = setUp();
  claim('liar', []).map.update(true, 0, [FAR]);
  claim('x', range(1, 12));
  assert.not(delivery.start());
  context.nowMs += 500;
  assert.ok(delivery.start());
  assert.is(playout.next, 8);
});

test('a start that nobody can show is chosen again without those who named it', () => {
  const { context, playout, claim, wait, delivery } = setUp();
  const liars = ['a', 'b'].map((id) => claim(id, []));
  for (const liar of liars) liar.map.update(true, 0, [FAR]);
  delivery.start();
  assert.is(playout.next, FAR.number);
  claim('x', range(1, 12));
  wait(1_700);
  assert.is(playout.next, 8);
  assert.equal([context.neighbours.get('a')?.credible, context.neighbours.get('x')?.credible], [false, true]);
  assert.is(delivery.windowsSkipped, 0);
});

test('a start whose namers are gone is chosen again at once', () => {
  const { context, playout, claim, wait, delivery } = setUp();
  claim('liar', []).map.update(true, 0, [FAR]);
  delivery.start();
  context.neighbours.delete('liar');
  claim('x', range(1, 12));
  wait(100);
  assert.is(playout.next, 8);
});

test('windows are delivered as soon as they are whole, with what they held and how old they are', () => {
  const { context, delivery, claim } = setUp();
  claim('x', range(1, 12));
  delivery.start();
  for (const number of [8, 9]) hold(context, makeWindow(number));
  context.nowMs += 30;
  delivery.deliver();
  const [first] = context.takeEffects();
  assert.ok(first?.kind === 'emit' && first.event.kind === 'window');
  if (first?.kind === 'emit' && first.event.kind === 'window') {
    assert.equal(first.event.bytes, makeWindow(8).content.bytes);
    assert.is(first.event.delayMs, 30 + PARAMETERS.windowMs);
  }
  assert.equal([delivery.windowsDelivered, delivery.stalls, delivery.bufferedMs], [2, 0, 1_000]);
});

test('the first window of a stream that has just begun waits for a second of reserve', () => {
  const { context, delivery, claim, wait, told } = setUp();
  claim('x', [4]);
  delivery.start();
  hold(context, makeWindow(4));
  delivery.deliver();
  assert.equal(told(), []);
  wait(900);
  assert.equal(told(), []);
  wait(100);
  assert.equal(told(), ['4']);
});

test('a window that is late counts as a stall', () => {
  const { context, delivery, claim } = setUp();
  claim('x', range(1, 12));
  delivery.start();
  hold(context, makeWindow(8));
  delivery.deliver();
  context.nowMs += 501;
  hold(context, makeWindow(9));
  delivery.deliver();
  assert.is(delivery.stalls, 1);
});

/** Has played 8, and lacks 9, which everybody but nobody has; 12 can be had. */
function blocked() {
  const made = setUp();
  made.claim('x', range(1, 12));
  made.claim('y', range(1, 12));
  made.delivery.start();
  hold(made.context, makeWindow(8));
  made.delivery.deliver();
  made.told();
  return made;
}

test('what nobody holds any more is jumped over once somebody else could have been dealt it, to a key frame, and told of when the jump comes off', () => {
  const { context, claim, wait, told, delivery } = blocked();
  for (const id of ['x', 'y']) claim(id, range(11, 14));
  wait(2_700);
  assert.equal(told(), [], 'the jump is on, but its far side is not here');
  hold(context, makeWindow(12));
  delivery.deliver();
  assert.equal(told(), ['9>12', '12']);
  assert.is(delivery.windowsSkipped, 3);
});

test('whoever has jumped does not jump again for as long as the second stage rests', () => {
  const { context, claim, wait, playout, delivery } = blocked();
  for (const id of ['x', 'y']) claim(id, range(11, 14));
  wait(2_700);
  hold(context, makeWindow(12));
  delivery.deliver();
  const jumpedMs = context.nowMs;
  for (const id of ['x', 'y']) claim(id, range(15, 22));
  wait(PARAMETERS.secondStageMs - 1_000);
  assert.is(playout.next, 13);
  wait(1_000);
  assert.is(playout.next, 20);
  assert.ok(context.nowMs - jumpedMs >= PARAMETERS.secondStageMs - 200);
});

test('what somebody says it holds is waited for as long as the limit says', () => {
  const { wait, playout } = blocked();
  wait(PARAMETERS.giveUpMs);
  assert.is(playout.next, 9);
  wait(2_000);
  assert.is(playout.next, 12);
});

test('when the stream itself has not gone on, nothing is given up', () => {
  const { claim, wait, playout } = blocked();
  for (const id of ['x', 'y']) claim(id, range(1, 8));
  wait(60_000);
  assert.is(playout.next, 9);
});

test('one liar about the newest window makes nobody give up', () => {
  const { claim, wait, playout } = blocked();
  for (const id of ['x', 'y']) claim(id, range(1, 8));
  claim('liar', []).map.update(true, 0, [FAR]);
  wait(60_000);
  assert.is(playout.next, 9);
});

test('windows that are fetched and not wanted any more are forgotten', () => {
  const { delivery, pending, claim, context } = setUp();
  claim('x', range(1, 12));
  delivery.start();
  pending.noteManifestAsked(8, 'x', 0);
  pending.noteManifestAsked(3, 'x', 0);
  pending.noteManifestAsked(9_999, 'x', 0);
  delivery.prune();
  assert.equal(pending.numbers(), [8]);
  hold(context, makeWindow(8));
  delivery.deliver();
  delivery.prune();
  assert.equal(pending.numbers(), [8]);
});

test('a window that nobody names is kept while it is asked of a publisher of the line, which has not shown it', () => {
  for (const isOnAir of [true, false]) {
    const { delivery, pending, claim, context, playout } = setUp();
    claim('p', range(1, 8), true).onAir = isOnAir;
    hold(context, makeWindow(8));
    playout.moveTo(9);
    // The others were named by somebody who has taken it back.
    for (const number of [9, 10, 4_000_000_000]) pending.noteManifestAsked(number, 'p', context.nowMs);
    delivery.prune();
    assert.equal(pending.numbers(), isOnAir ? [9] : []);
  }
});

/** Gaps stay zeros; key frames have to be whole. */
const mend: WindowMender = ({ bytes, gaps, keyOffsets }) =>
  keyOffsets.length > 0 && gaps.length > 0 ? undefined : { bytes, keyOffsets, lossOffsets: [] };

/** Window 8 has been played, and is good for one window's time; of window 9 some pieces are here, and those behind it, with key frames, whole. */
function holed({ missing, behind = [10, 11], mends = true }: { missing: readonly number[]; behind?: readonly number[]; mends?: boolean }) {
  const set = setUp(mends ? { mend } : {});
  set.claim('x', range(1, 12));
  set.delivery.start();
  hold(set.context, makeWindow(8));
  set.context.nowMs += PARAMETERS.startLagMs;
  set.delivery.deliver();
  set.given();
  const pieces = range(0, 15).filter((piece) => !missing.includes(piece));
  hold(set.context, makeWindow(9, 16), pieces);
  const keyMarks = [{ offsetBytes: 0, afterStartMs: 0 }];
  for (const number of behind) hold(set.context, makeWindow(number, 3, { keyMarks }));
  return set;
}

test('the player waits half as long as the picture would stand still, and goes on without what is missing', () => {
  const { wait, given, delivery } = holed({ missing: [3] });
  // The gap lies 94 ms into the window, the next key frame 406 ms behind it.
  wait(PARAMETERS.windowMs + 200);
  assert.equal(given(), []);
  wait(100);
  const [first, ...rest] = given();
  assert.equal([first?.manifest.number, first?.gaps], [9, [{ offsetBytes: 300, lengthBytes: 100 }]]);
  assert.equal(
    rest.map(({ manifest, gaps }) => [manifest.number, gaps]),
    [
      [10, []],
      [11, []],
    ],
  );
  assert.equal([delivery.windowsInPart, delivery.piecesMissed, delivery.stalls], [1, 1, 1]);
});

test('after the stream has stood still, what is missing is waited for from when the window came, and not from when the player ran dry', () => {
  const { context, claim, wait, given } = holed({ missing: [], behind: [] });
  claim('x', range(1, 9));
  wait(8_000);
  assert.equal(
    given().map(({ manifest }) => manifest.number),
    [9],
  );
  claim('x', range(1, 11));
  hold(context, makeWindow(10, 16), [...range(0, 2), ...range(4, 15)]);
  hold(context, makeWindow(11, 3, { keyMarks: [{ offsetBytes: 0, afterStartMs: 0 }] }));
  wait(200);
  assert.equal(given(), []);
  hold(context, makeWindow(10, 16), [3]);
  wait(100);
  assert.equal(
    given().map(({ manifest, gaps }) => [manifest.number, gaps]),
    [
      [10, []],
      [11, []],
    ],
  );
});

test('one that lacks half is waited for half as long as it lasts, and one that lacks more to the end', () => {
  const many = holed({ missing: range(0, 7) });
  many.wait(PARAMETERS.windowMs + PARAMETERS.windowMs / 2 - 100);
  assert.equal(many.given(), []);
  many.wait(100);
  assert.equal(
    many.given().map(({ manifest }) => manifest.number),
    [9, 10, 11],
  );
  const more = holed({ missing: range(0, 8) });
  more.wait(PARAMETERS.windowMs + 500);
  assert.equal(more.given(), []);
});

test('nothing is left out while what follows is missing too: the player would stand still anyway', () => {
  const { wait, given } = holed({ missing: [3], behind: [] });
  wait(PARAMETERS.windowMs + 1_000);
  assert.equal(given(), []);
  const one = holed({ missing: range(0, 7), behind: [10] });
  one.wait(PARAMETERS.windowMs + 500);
  assert.equal(one.given(), []);
});

test('a window is never cut where its container needs what is missing, nor without a mender', () => {
  const whole = holed({ missing: [3], mends: false });
  whole.wait(PARAMETERS.windowMs + 500);
  assert.equal(whole.given(), []);
  const key = setUp({ mend });
  key.claim('x', range(1, 12));
  key.playout.moveTo(11);
  hold(key.context, makeWindow(11));
  key.wait(PARAMETERS.startLagMs + 100);
  assert.equal(
    key.given().map(({ manifest }) => manifest.number),
    [11],
  );
  hold(key.context, makeWindow(12, 16), range(1, 15));
  hold(key.context, makeWindow(13));
  key.wait(PARAMETERS.windowMs + 500);
  assert.equal(key.given(), []);
});

test('what is fed of a window that nobody has spoken of is not thrown away', () => {
  const { context, pending, delivery, claim } = setUp();
  const feeder = claim('x', range(1, 12));
  delivery.start();
  for (const number of range(8, 12)) hold(context, makeWindow(number));
  delivery.deliver();
  pending.expect(13, context.nowMs);
  pending.noteManifestAsked(14, 'x', context.nowMs);
  for (const number of [13, 14]) pending.keep(number, 1, { from: 'x', payload: new Uint8Array(10) });
  delivery.prune();
  assert.equal([pending.has(13, 1), pending.has(14, 1), feeder.unjudged], [true, false, 1], 'what was asked for has been told of');
  for (const number of range(13, 16)) hold(context, makeWindow(number));
  delivery.deliver();
  delivery.prune();
  assert.not(pending.has(13, 1), 'played');
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Delivery } from '../../../../src/relay/exchange/delivery.js';
import { Lineage } from '../../../../src/relay/exchange/lineage.js';
import type { LiveEvent } from '../../../../src/relay/exchange/live-protocol.js';
import { PendingWindows } from '../../../../src/relay/exchange/pending-windows.js';
import { Playout } from '../../../../src/relay/exchange/playout.js';
import { Requester } from '../../../../src/relay/exchange/requester.js';
import { addNeighbour, availability, hold, makeContext, makeWindow, PARAMETERS } from '../../../support/exchange-fixture.js';

const FAR = { number: 0xffff_ffff, pieceCount: 3, key: true, held: null };

function setUp() {
  const context = makeContext({}, 1_000);
  const pending = new PendingWindows();
  const playout = new Playout(PARAMETERS, context.buffer, (after, before) => context.isAnnounced(after, before));
  const lineage = new Lineage(context);
  const requester = new Requester({ context, playout, pending, lineage });
  const delivery = new Delivery({ context, playout, requester, pending, lineage });
  const events = (): LiveEvent[] => context.takeEffects().flatMap((effect) => (effect.kind === 'emit' ? [effect.event] : []));
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
  return { context, pending, playout, requester, delivery, told, claim, wait };
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

test('what nobody holds any more is jumped over after a second, to a key frame, and told of when the jump comes off', () => {
  const { context, claim, wait, told, delivery } = blocked();
  for (const id of ['x', 'y']) claim(id, range(11, 14));
  wait(1_200);
  assert.equal(told(), [], 'the jump is on, but its far side is not here');
  hold(context, makeWindow(12));
  delivery.deliver();
  assert.equal(told(), ['9>12', '12']);
  assert.is(delivery.windowsSkipped, 3);
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

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ConflictWatch } from '../../../../src/relay/exchange/conflict-watch.js';
import { signDissent } from '../../../../src/relay/exchange/dissent.js';
import type { ExchangeContext } from '../../../../src/relay/exchange/exchange-context.js';
import { Lineage } from '../../../../src/relay/exchange/lineage.js';
import type { LiveEvent } from '../../../../src/relay/exchange/live-exchange.js';
import {
  addNeighbour,
  availability,
  CERTIFICATE,
  CHANNEL,
  hold,
  makeContext,
  makeWindow,
  OWNER,
  PUBLISHER,
  STRANGER,
  sentOf,
} from '../../../support/exchange-fixture.js';

const OURS = makeWindow(4);
const OTHER = makeWindow(4, 3, { bytes: new Uint8Array(40).fill(9) }, PUBLISHER, CHANNEL, CERTIFICATE);

function events(context: ExchangeContext): readonly LiveEvent[] {
  return context.takeEffects().flatMap((effect) => (effect.kind === 'emit' ? [effect.event] : []));
}

function setUp(publisher = false) {
  const context = makeContext(publisher ? { signer: OWNER } : {}, 10_000);
  hold(context, OURS);
  const left: Uint8Array[] = [];
  const watch = new ConflictWatch(context, new Lineage(context), (publisher) => left.push(publisher));
  return { context, watch, left, x: addNeighbour(context, 'x') };
}

test('of other content under a number of ours proof is asked for, and a valid signature makes a conflict of it', () => {
  const { context, watch, left, x } = setUp();
  watch.onMap(x, [availability(OTHER)]);
  assert.equal(
    sentOf(context.takeEffects(), 'request').map(({ to, window, pieces, wantManifest }) => [to, window, pieces.length, wantManifest]),
    [['x', 4, 0, true]],
  );
  assert.ok(watch.takes(x, OTHER.manifest.bytes));
  assert.equal(events(context), [{ kind: 'conflict', number: 4, publishers: [OWNER.publicKey, PUBLISHER.publicKey] }]);
  assert.equal(left, [], 'ours is followed on');
});

test('who has only begun to watch leaves the publisher with the higher key, and it is said once', () => {
  const { context, left, x } = setUp();
  context.buffer.remove(4);
  hold(context, OTHER);
  const lineage = new Lineage(context);
  // It has just begun.
  lineage.consider(9, true);
  const watch = new ConflictWatch(context, lineage, (publisher) => left.push(publisher));
  watch.onMap(x, [availability(OURS)]);
  assert.ok(watch.takes(x, OURS.manifest.bytes));
  assert.equal(left, [PUBLISHER.publicKey]);
  // The owner's window is here now, and the other one is named again.
  context.buffer.remove(4);
  hold(context, OURS);
  context.nowMs += 3_000;
  watch.onMap(x, [availability(OTHER)]);
  assert.ok(watch.takes(x, OTHER.manifest.bytes));
  assert.is(left.length, 1);
});

test('proof is asked for now and then only', () => {
  const { context, watch, x } = setUp();
  for (let time = 0; time < 20; time++) {
    watch.onMap(x, [availability(OTHER)]);
    context.nowMs += 100;
  }
  assert.is(sentOf(context.takeEffects(), 'request').length, 1);
});

test('equal content is no conflict, nor is a manifest that nobody may have signed', () => {
  const { context, watch, x } = setUp();
  watch.onMap(x, [availability(OURS)]);
  assert.equal(context.takeEffects(), []);
  watch.onMap(x, [availability(OTHER)]);
  const forged = makeWindow(4, 3, { bytes: new Uint8Array(40).fill(7) }, STRANGER);
  context.takeEffects();
  assert.ok(watch.takes(x, forged.manifest.bytes));
  assert.equal(events(context), []);
  assert.is(x.offences, 1);
});

test('what was not asked for here is left to others', () => {
  const { watch, x } = setUp();
  assert.not(watch.takes(x, OTHER.manifest.bytes));
});

test('a publisher hears of other content, of windows among its own that it never made, and of numbers far ahead', () => {
  const { context, watch, x } = setUp(true);
  const doubts = (): number[] => events(context).flatMap((event) => (event.kind === 'doubt' ? [event.number] : []));
  watch.notePublished(4);
  watch.onMap(x, [availability(OTHER)]);
  assert.equal(doubts(), [4]);
  context.nowMs += 2_000;
  hold(context, makeWindow(5));
  hold(context, makeWindow(6));
  hold(context, makeWindow(9));
  watch.notePublished(5);
  watch.notePublished(6);
  watch.onMap(x, [availability(makeWindow(3))]);
  assert.equal(doubts(), [], 'from before its time');
  watch.onMap(x, [availability(makeWindow(7))]);
  assert.equal(doubts(), [7]);
  context.nowMs += 2_000;
  watch.onMap(x, [availability(makeWindow(30))]);
  assert.equal(doubts(), [], 'others may be a little ahead');
  context.nowMs += 5_000;
  watch.onMap(x, [availability(makeWindow(31))]);
  assert.equal(doubts(), [31]);
});

test('numbers far ahead are told of also while this publisher goes on with its own, until it gets there', () => {
  const { context, watch, x } = setUp(true);
  const doubts = (): number => events(context).filter(({ kind }) => kind === 'doubt').length;
  const publish = (number: number): void => {
    hold(context, makeWindow(number));
    watch.notePublished(number);
  };
  const go = (from: number, theirs: number, count: number): void => {
    for (let step = 0; step < count; step++) {
      context.nowMs += 500;
      publish(from + step);
      watch.onMap(x, [availability(makeWindow(theirs + step))]);
    }
  };
  go(5, 8, 30);
  assert.is(doubts(), 0, 'three windows ahead, as a source may be');
  go(35, 5_000, 12);
  assert.ok(doubts() > 0, 'on other numbers');
  x.emptyClaims = 3;
  go(47, 9_000, 12);
  assert.is(doubts(), 0, 'one that makes numbers up');
});

test('what others made while a publisher was away is no wonder', () => {
  const { context, watch, x } = setUp(true);
  watch.notePublished(4);
  hold(context, makeWindow(20));
  watch.notePublished(20);
  watch.onMap(x, [availability(makeWindow(10))]);
  assert.equal(events(context), []);
});

test('a window that was not confirmed is told of at once', () => {
  const { context, watch } = setUp(true);
  watch.deny(7);
  assert.equal(events(context), [{ kind: 'doubt', number: 7, published: false }]);
});

test('a publisher that stands by says so to all, and is named beside the one that is followed', () => {
  const { context, watch } = setUp(true);
  addNeighbour(context, 'y');
  watch.dissent(4);
  const [told] = sentOf(context.takeEffects(), 'dissent');
  assert.ok(told);
  const viewer = setUp();
  const { bytes } = signDissent(4, CHANNEL, PUBLISHER, CERTIFICATE);
  viewer.watch.onDissent(viewer.x, bytes);
  viewer.watch.onDissent(viewer.x, bytes);
  assert.equal(events(viewer.context), [{ kind: 'conflict', number: 4, publishers: [OWNER.publicKey, PUBLISHER.publicKey] }]);
  viewer.context.nowMs += 5_000;
  viewer.watch.onDissent(viewer.x, signDissent(4, CHANNEL, STRANGER, null).bytes);
  assert.equal(events(viewer.context), []);
  assert.is(viewer.x.offences, 1);
});

test.run();

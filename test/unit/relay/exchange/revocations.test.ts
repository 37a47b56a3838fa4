import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Announcer } from '../../../../src/relay/exchange/announcer.js';
import type { LiveExchangeOptions } from '../../../../src/relay/exchange/exchange-context.js';
import { Lineage } from '../../../../src/relay/exchange/lineage.js';
import { PendingWindows } from '../../../../src/relay/exchange/pending-windows.js';
import { Playout } from '../../../../src/relay/exchange/playout.js';
import { Requester } from '../../../../src/relay/exchange/requester.js';
import { signRevocationList } from '../../../../src/relay/exchange/revocation-list.js';
import { Revocations } from '../../../../src/relay/exchange/revocations.js';
import { StreamDescription } from '../../../../src/relay/exchange/stream-description.js';
import { Subscriptions } from '../../../../src/relay/exchange/subscriptions.js';
import { NO_FEED } from '../../../../src/relay/exchange/substreams.js';
import { WindowShares } from '../../../../src/relay/exchange/window-shares.js';
import {
  addNeighbour,
  availability,
  CERTIFICATE,
  CHANNEL,
  hold,
  makeContext,
  makeWindow,
  OWNER,
  PARAMETERS,
  PUBLISHER,
  STRANGER,
  sentOf,
  WALL_MS,
} from '../../../support/exchange-fixture.js';

const LIST = signRevocationList(9, [{ key: PUBLISHER.publicKey, sinceMs: WALL_MS }], CHANNEL, OWNER);
const delegated = (number: number) => makeWindow(number, 3, {}, PUBLISHER, CHANNEL, CERTIFICATE);

function setUp(overrides: Partial<LiveExchangeOptions> = {}) {
  const context = makeContext(overrides, 1_000);
  const pending = new PendingWindows();
  const playout = new Playout(PARAMETERS, context.buffer, () => false);
  playout.moveTo(4);
  const lineage = new Lineage(context);
  const requester = new Requester({ context, playout, pending, lineage, subscriptions: new Subscriptions(context, playout, lineage) });
  const shares = new WindowShares(PARAMETERS.revealMs);
  const announcer = new Announcer(context, shares, () => NO_FEED);
  const description = new StreamDescription(context);
  const revocations = new Revocations({ context, announcer, requester, pending, description, shares });
  return { context, pending, requester, revocations, x: addNeighbour(context, 'x'), y: addNeighbour(context, 'y') };
}

test('a newer list is kept, passed on to all others, and reported to be kept', () => {
  const { context, revocations, x, y } = setUp();
  revocations.onRevocations(x, LIST.bytes);
  const effects = context.takeEffects();
  assert.equal(
    sentOf(effects, 'revocations').map(({ to, bytes }) => [to, bytes]),
    [['y', LIST.bytes]],
  );
  assert.equal(
    effects.flatMap((effect) => (effect.kind === 'emit' ? [effect.event.kind] : [])),
    ['revocations'],
  );
  assert.equal([x.toldSerial, y.toldSerial, context.authority.serial], [9, 9, 9]);
});

test('a known or older list is passed over in silence, whoever says it', () => {
  const { context, revocations, x, y } = setUp();
  revocations.revoke(LIST.bytes);
  context.takeEffects();
  revocations.onRevocations(x, LIST.bytes);
  revocations.onRevocations(y, signRevocationList(8, [], CHANNEL, OWNER).bytes);
  revocations.revoke(signRevocationList(8, [], CHANNEL, OWNER).bytes);
  assert.equal([context.takeEffects(), context.takeAccused()], [[], []]);
});

for (const [title, bytes] of [
  ['a stranger signed', signRevocationList(9, [], CHANNEL, STRANGER).bytes],
  ['the owner signed for another channel', signRevocationList(9, [], CHANNEL.replace('c', 'd'), OWNER).bytes],
  ['nobody can read', LIST.bytes.subarray(1)],
] as const) {
  test(`a list that ${title} is a ban, and no command of ours takes it`, () => {
    const { context, revocations, x } = setUp();
    revocations.onRevocations(x, bytes);
    assert.is(context.takeAccused()[0]?.[0], x);
    revocations.revoke(bytes);
    assert.equal([context.takeEffects(), context.authority.serial], [[], 0]);
  });
}

test('a new neighbour is told the list, if there is one', () => {
  const { context, revocations, x } = setUp();
  revocations.greet(x);
  assert.equal([context.takeEffects(), x.toldSerial], [[], 0]);
  revocations.revoke(LIST.bytes);
  context.takeEffects();
  const late = addNeighbour(context, 'late');
  revocations.greet(late);
  assert.equal(sentOf(context.takeEffects(), 'revocations'), [{ kind: 'revocations', bytes: LIST.bytes, to: 'late' }]);
  assert.is(late.toldSerial, 9);
});

test('what a withdrawn publisher signed is dropped, no longer announced, and what is awaited of it called off', () => {
  const { context, requester, revocations, x } = setUp();
  hold(context, makeWindow(4));
  hold(context, delegated(5), [0]);
  x.map.update(true, 0, [availability(makeWindow(5))]);
  requester.plan();
  assert.ok(requester.awaits(5));
  context.takeEffects();
  revocations.revoke(LIST.bytes);
  const effects = context.takeEffects();
  assert.equal(
    [...context.buffer.windows()].map(({ number }) => number),
    [4],
  );
  assert.not(requester.awaits(5));
  assert.is(sentOf(effects, 'cancel').length, 2);
  const maps = sentOf(effects, 'map');
  assert.equal(
    maps.map(({ to, full, windows }) => [to, full, windows.map(({ number }) => number)]),
    [
      ['x', true, [4]],
      ['y', true, [4]],
    ],
  );
});

test('what was being fetched before its signer was known is asked for anew, and nobody is blamed for early pieces', () => {
  const { context, pending, requester, revocations, x } = setUp();
  x.map.update(true, 0, [availability(delegated(4))]);
  requester.plan();
  pending.keep(4, 0, { from: 'x', payload: delegated(4).pieces[0] as Uint8Array });
  revocations.revoke(LIST.bytes);
  assert.equal([pending.count, pending.sizeBytes, requester.awaits(4)], [0, 0, false]);
  assert.ok(context.planDue);
});

test('with the end of a certificate what it signed goes, and the rest stays', () => {
  let wallMs = WALL_MS;
  const { context, revocations } = setUp({ wallClockMs: () => wallMs });
  hold(context, makeWindow(4));
  hold(context, delegated(5));
  context.authority.noteKept(CERTIFICATE);
  wallMs = CERTIFICATE.untilMs - 1;
  revocations.expire();
  assert.is(context.buffer.count, 2);
  wallMs += 1;
  revocations.expire();
  assert.equal([context.buffer.count, context.buffer.head], [1, 4]);
});

test.run();

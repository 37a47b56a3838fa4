import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ChangeOver } from '../../../../src/relay/exchange/change-over.js';
import type { LiveExchangeOptions } from '../../../../src/relay/exchange/exchange-context.js';
import { Lineage } from '../../../../src/relay/exchange/lineage.js';
import { PendingWindows } from '../../../../src/relay/exchange/pending-windows.js';
import { Playout } from '../../../../src/relay/exchange/playout.js';
import { Requester } from '../../../../src/relay/exchange/requester.js';
import { Subscriptions } from '../../../../src/relay/exchange/subscriptions.js';
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
  sentOf,
} from '../../../support/exchange-fixture.js';

/** Windows of the owner, and what the publisher, whom it has delegated, makes of the same numbers. */
const OURS = [4, 5, 6].map((number) => makeWindow(number));
const OTHERS = [4, 5, 6].map((number) =>
  makeWindow(number, 3, { bytes: new Uint8Array(290).fill(number) }, PUBLISHER, CHANNEL, CERTIFICATE),
);
type Made = (typeof OURS)[number];

/** Window 3 has been played; neighbour `x` names the owner's windows. */
function setUp(overrides: Partial<LiveExchangeOptions> = {}) {
  const context = makeContext(overrides, 1_000);
  const playout = new Playout(PARAMETERS, context.buffer, () => false);
  playout.moveTo(3);
  hold(context, makeWindow(3));
  playout.deliver(context.nowMs);
  const pending = new PendingWindows();
  const lineage = new Lineage(context);
  const requester = new Requester({ context, playout, pending, lineage, subscriptions: new Subscriptions(context, playout, lineage) });
  const naming = (id: string, made: readonly Made[]) => {
    const neighbour = addNeighbour(context, id);
    neighbour.succeeded();
    neighbour.map.update(
      true,
      0,
      made.map((each) => availability(each)),
    );
    return neighbour;
  };
  const x = naming('x', OURS);
  const changeOver = new ChangeOver({ context, playout, pending, lineage, requester });
  for (const { content } of OURS) changeOver.follow(content.number);
  return { context, requester, lineage, changeOver, naming, x };
}

const versionOf = (made: Made | undefined): number | undefined => made?.manifest.version;

test('what more neighbours name is fetched instead, and what was asked for of the other is called off', () => {
  const { context, requester, lineage, changeOver, naming } = setUp();
  requester.plan();
  context.takeEffects();
  for (const id of ['y', 'z']) naming(id, OTHERS.slice(0, 1));
  changeOver.follow(4);
  assert.is(lineage.of(4), versionOf(OTHERS[0]));
  assert.equal(
    sentOf(context.takeEffects(), 'cancel').map(({ to, window, pieces }) => [to, window, pieces]),
    [0, 1, 2].map((piece) => ['x', 4, [piece]]),
  );
});

test('as time passes a content that is waited for gives way to another one', () => {
  const { context, lineage, changeOver, x } = setUp();
  const stranger = addNeighbour(context, 'y');
  const [before, after] = [
    makeWindow(3, 3, { bytes: new Uint8Array(290).fill(1) }),
    makeWindow(7, 3, { bytes: new Uint8Array(290).fill(7) }),
  ];
  stranger.map.update(true, 0, [availability(before), availability(after)]);
  x.map.update(false, 0, [availability(makeWindow(3))]);
  changeOver.follow(7);
  assert.ok(lineage.waits(7), 'ours may still come');
  context.nowMs += 1_300;
  changeOver.followAll();
  assert.is(lineage.of(7), versionOf(after));
});

test('of a publisher that is left what was not played goes, where somebody names another content', () => {
  const { context, lineage, changeOver, naming, x } = setUp();
  naming('y', OTHERS.slice(0, 1));
  const [four, five] = OURS as [Made, Made];
  for (const made of [four, five]) hold(context, made);
  x.news.add(4);
  changeOver.leave(PUBLISHER.publicKey);
  assert.equal(
    context.buffer.windows().map(({ number }) => number),
    [3, 4, 5],
    'nothing is of that publisher',
  );
  changeOver.leave(OWNER.publicKey);
  assert.equal(
    context.buffer.windows().map(({ number }) => number),
    [3, 5],
    'what was played stays, and what nobody else has',
  );
  assert.equal([lineage.of(4), x.news.size], [versionOf(OTHERS[0]), 0]);
});

test('a publisher keeps what it has made', () => {
  const { context, changeOver, naming } = setUp({ signer: OWNER });
  naming('y', OTHERS);
  for (const made of OURS) hold(context, made);
  changeOver.leave(OWNER.publicKey);
  assert.is(context.buffer.count, 4);
});

test.run();

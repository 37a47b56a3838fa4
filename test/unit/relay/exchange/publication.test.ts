import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Announcer } from '../../../../src/relay/exchange/announcer.js';
import { ConflictWatch } from '../../../../src/relay/exchange/conflict-watch.js';
import type { ExchangeContext, LiveExchangeOptions } from '../../../../src/relay/exchange/exchange-context.js';
import { FellowPublishers } from '../../../../src/relay/exchange/fellow-publishers.js';
import { Lineage } from '../../../../src/relay/exchange/lineage.js';
import { WINDOW_DOMAIN } from '../../../../src/relay/exchange/manifest.js';
import { Playout } from '../../../../src/relay/exchange/playout.js';
import { Publication } from '../../../../src/relay/exchange/publication.js';
import { signRevocationList } from '../../../../src/relay/exchange/revocation-list.js';
import { Subscribers } from '../../../../src/relay/exchange/subscribers.js';
import { Subscriptions } from '../../../../src/relay/exchange/subscriptions.js';
import { ALL_SUBSTREAMS, NO_FEED, NO_SUBSTREAMS } from '../../../../src/relay/exchange/substreams.js';
import { Uploader } from '../../../../src/relay/exchange/uploader.js';
import { WindowShares } from '../../../../src/relay/exchange/window-shares.js';
import {
  addNeighbour,
  authorityAt,
  availability,
  CERTIFICATE,
  CHANNEL,
  certify,
  type MadeWindow,
  makeContext,
  makeWindow,
  OWNER,
  PARAMETERS,
  PUBLISHER,
  STRANGER,
  sentOf,
  WALL_MS,
} from '../../../support/exchange-fixture.js';

function publicationOf(context: ExchangeContext, shares: WindowShares): Publication {
  const lineage = new Lineage(context);
  const playout = new Playout(PARAMETERS, context.buffer, () => false);
  const subscriptions = new Subscriptions(context, playout, lineage);
  const subscribers = new Subscribers({
    context,
    uploader: new Uploader(context),
    subscriptions,
    passesOn: (peer) => shares.passesOn(peer),
  });
  const [announcer, fellows, watch] = [
    new Announcer(context, shares, () => NO_FEED),
    new FellowPublishers(context),
    new ConflictWatch(context, lineage, () => undefined),
  ];
  return new Publication({ context, shares, announcer, fellows, watch, subscribers });
}

function setUp() {
  const context = makeContext({ signer: OWNER }, 1_000);
  const shares = new WindowShares(PARAMETERS.revealMs);
  return { context, shares, publication: publicationOf(context, shares) };
}

test('a window is signed and held whole', () => {
  const { context, publication } = setUp();
  publication.publish(makeWindow(4).content, false);
  const window = context.buffer.get(4);
  assert.ok(window?.complete && authorityAt().judge(WINDOW_DOMAIN, window.manifest) === 'valid');
  assert.is(publication.windowsPublished, 1);
});

test('it is dealt out among viewers that read, shown whole to other publishers, and revealed later', () => {
  const { context, shares, publication } = setUp();
  for (const id of ['a', 'b', 'blocked']) addNeighbour(context, id);
  const blocked = context.neighbours.get('blocked');
  if (blocked) blocked.blockedSinceMs = 0;
  addNeighbour(context, 'other', true);
  publication.publish(makeWindow(4, 4).content, false);
  const effects = context.takeEffects();
  assert.equal(
    sentOf(effects, 'map').map(({ to, windows }) => [to, windows[0]?.held?.count]),
    [
      ['a', 2],
      ['b', 2],
      ['other', undefined],
    ],
  );
  assert.ok(effects.some((effect) => effect.kind === 'schedule' && effect.timer === 'reveal:4' && effect.delayMs === shares.lookMs));
});

test('after some time everybody is told of everything, and no timer is left', () => {
  const { context, shares, publication } = setUp();
  for (const id of ['a', 'b']) addNeighbour(context, id);
  publication.publish(makeWindow(4, 4).content, false);
  context.takeEffects();
  let looks = 0;
  for (let isWaiting = true; isWaiting; looks++) {
    context.nowMs += shares.lookMs;
    publication.reveal(4);
    const effects = context.takeEffects();
    isWaiting = effects.some((effect) => effect.kind === 'schedule' && effect.timer === 'reveal:4');
    if (!isWaiting) assert.equal(sentOf(effects, 'map').at(-1)?.windows, [availability(makeWindow(4, 4))]);
  }
  assert.is(looks * shares.lookMs, 12 * PARAMETERS.revealMs);
});

test('a window is dealt to those who are awake and tell what they hold, as long as there are two of them', () => {
  const { context, publication } = setUp();
  for (const id of ['a', 'b', 'asleep', 'mute']) addNeighbour(context, id).lastToldMs = context.nowMs;
  const [asleep, mute] = ['asleep', 'mute'].map((id) => context.neighbours.get(id));
  context.nowMs += 2 * PARAMETERS.mapPeriodMs;
  for (const { id } of context.neighbours.values()) {
    const neighbour = context.neighbours.get(id);
    if (neighbour && neighbour !== asleep) neighbour.lastHeardMs = context.nowMs;
    if (neighbour && neighbour !== mute) neighbour.lastToldMs = context.nowMs;
  }
  const dealtIn = (number: number): readonly string[] => {
    context.nowMs += PARAMETERS.haveBatchMs;
    publication.publish(makeWindow(number, 4).content, false);
    return sentOf(context.takeEffects(), 'map').map(({ to }) => to);
  };
  assert.equal(dealtIn(4), ['a', 'b']);
  context.neighbours.delete('b');
  assert.equal(dealtIn(5), ['a', 'asleep', 'mute']);
});

test('nobody holds a window that there is not, or that no publisher has sent anything of', () => {
  const { context, publication } = setUp();
  for (const id of ['a', 'b']) addNeighbour(context, id);
  publication.publish(makeWindow(4).content, false);
  const credible = (number: number): boolean => publication.areCredible([availability(makeWindow(number))]);
  assert.equal([credible(4), credible(9), publication.areCredible([])], [false, false, false]);
  context.buffer.get(4)?.noteTaker(1, 'a');
  assert.equal([credible(4), credible(9)], [true, false]);
  publication.publish(makeWindow(5).content, false);
  assert.is(credible(5), false);
  addNeighbour(context, 'fellow', true);
  assert.equal([credible(5), credible(9)], [true, false], 'it may have been sent by the other one');
});

test('one viewer alone is told of everything at once', () => {
  const { context, publication } = setUp();
  addNeighbour(context, 'a');
  publication.publish(makeWindow(4).content, false);
  assert.equal(sentOf(context.takeEffects(), 'map')[0]?.windows, [availability(makeWindow(4))]);
});

test('a window that has left the buffer is not revealed', () => {
  const { context, publication } = setUp();
  publication.reveal(4);
  assert.equal(context.takeEffects(), []);
});

test('a window below the tail is not published, and one without a signer is our bug', () => {
  const { context, publication } = setUp();
  for (let number = 1; number <= PARAMETERS.bufferWindows + 1; number++) publication.publish(makeWindow(number, 1).content, false);
  publication.publish(makeWindow(1, 1).content, false);
  assert.is(publication.windowsPublished, PARAMETERS.bufferWindows + 1);
  const viewer = makeContext();
  const shares = new WindowShares(PARAMETERS.revealMs);
  assert.throws(() => publicationOf(viewer, shares).publish(makeWindow(1).content, false), /signer/);
  assert.ok(context.buffer.count <= PARAMETERS.bufferWindows);
});

test('without authority nothing is published: not without a certificate, nor with one of another key, ended or withdrawn', () => {
  const publish = (overrides: Partial<LiveExchangeOptions>): number => {
    const context = makeContext({ signer: PUBLISHER, certificate: CERTIFICATE, ...overrides });
    context.authority.accept(signRevocationList(1, [{ key: STRANGER.publicKey, sinceMs: WALL_MS }], CHANNEL, OWNER));
    const shares = new WindowShares(PARAMETERS.revealMs);
    const publication = publicationOf(context, shares);
    publication.publish(makeWindow(4).content, false);
    return publication.windowsPublished;
  };
  assert.is(publish({}), 1);
  assert.is(publish({ certificate: null }), 0);
  assert.is(publish({ signer: STRANGER }), 0);
  assert.is(publish({ wallClockMs: () => CERTIFICATE.untilMs }), 0);
  assert.is(publish({ signer: STRANGER, certificate: certify({ key: STRANGER.publicKey }) }), 0);
});

/** A fellow that makes windows a little later than we, so that there is somebody to confirm ours. */
function setUpPair() {
  const { context, publication } = setUp();
  const fellow = addNeighbour(context, 'fellow', true);
  fellow.map.update(true, 0, [availability(makeWindow(3))]);
  const name = (id: string, made: MadeWindow): void => {
    const neighbour = context.neighbours.get(id) ?? addNeighbour(context, id);
    neighbour.map.update(false, 0, [availability(made)]);
    publication.onMap([made.content]);
  };
  return { context, publication, fellow, name };
}

const OTHER_FOUR = makeWindow(4, 3, { bytes: new Uint8Array(40).fill(9) }, PUBLISHER, CHANNEL, CERTIFICATE);

test('a window that is to be confirmed goes out when somebody names the same, or nobody names any', () => {
  const { publication, fellow, name } = setUpPair();
  publication.publish(makeWindow(4).content, true);
  assert.is(publication.windowsPublished, 0);
  name('fellow', makeWindow(4));
  assert.is(publication.windowsPublished, 1);
  publication.publish(makeWindow(5).content, true);
  publication.confirm(5);
  assert.is(publication.windowsPublished, 2);
  assert.is(fellow.emptyClaims, 0);
});

test('a window that is to be confirmed is held back by a signature, not by words', () => {
  const { context, publication, fellow, name } = setUpPair();
  name('liar', OTHER_FOUR);
  publication.publish(makeWindow(4).content, true);
  assert.equal(
    sentOf(context.takeEffects(), 'request').map(({ to, wantManifest, pieces }) => [to, wantManifest, pieces.length]),
    [['liar', true, 0]],
  );
  publication.confirm(4);
  assert.equal([publication.windowsPublished, context.neighbours.get('liar')?.emptyClaims], [1, 1]);

  const five = makeWindow(5, 3, { bytes: new Uint8Array(40).fill(9) }, PUBLISHER, CHANNEL, CERTIFICATE);
  name('fellow', makeWindow(4));
  publication.publish(makeWindow(5).content, true);
  name('fellow', five);
  assert.ok(publication.takes(fellow, five.manifest.bytes));
  assert.not(publication.takes(fellow, five.manifest.bytes), 'asked once');
  publication.confirm(5);
  assert.is(publication.windowsPublished, 1);
  const doubts = context.takeEffects().flatMap((effect) => (effect.kind === 'emit' && effect.event.kind === 'doubt' ? [effect.event] : []));
  assert.equal(doubts, [{ kind: 'doubt', number: 5, published: false }]);
});

test('a window does not overtake one before it that is still to be confirmed', () => {
  const { context, publication, fellow, name } = setUpPair();
  publication.publish(makeWindow(4).content, true);
  fellow.map.update(false, 0, [availability(OTHER_FOUR)]);
  publication.publish(makeWindow(5).content, false);
  assert.is(publication.windowsPublished, 0);
  name('fellow', makeWindow(5));
  assert.equal([context.buffer.head, publication.windowsPublished], [5, 2]);
  publication.publish(makeWindow(6).content, true);
  context.neighbours.delete(fellow.id);
  publication.publish(makeWindow(7).content, false);
  assert.is(publication.windowsPublished, 4);
});

test('what is fed to a viewer is dealt to it, shown to it alone, and sent unasked', () => {
  const { context, shares, publication } = setUp();
  for (const id of ['a', 'b', 'c']) addNeighbour(context, id);
  const [, b] = context.neighbours.values();
  if (b) b.subscribed = ALL_SUBSTREAMS;
  publication.publish(makeWindow(4, 4).content, false);
  const effects = context.takeEffects();
  assert.equal(
    sentOf(effects, 'piece').map(({ to, piece }) => [to, piece]),
    [0, 1, 2, 3].map((piece) => ['b', piece]),
  );
  assert.equal(
    sentOf(effects, 'manifest').map(({ to }) => to),
    ['b'],
  );
  const window = context.buffer.get(4);
  assert.equal(window && ['a', 'b', 'c'].map((id) => shares.visibleTo(id, window).count), [0, 4, 0]);
});

test('whoever is to be fed, and was not dealt it because it tells of nothing, is sent nothing', () => {
  const { context, publication } = setUp();
  for (const id of ['mute', 'b', 'c']) addNeighbour(context, id).lastToldMs = id === 'mute' ? Number.NEGATIVE_INFINITY : context.nowMs;
  const [mute] = context.neighbours.values();
  if (mute) mute.subscribed = ALL_SUBSTREAMS;
  publication.publish(makeWindow(4, 4).content, false);
  assert.equal(sentOf(context.takeEffects(), 'piece'), []);
});

test('whoever is fed and passes little on is fed no more, and is told', () => {
  const { context, shares, publication } = setUp();
  for (const id of ['a', 'b', 'c']) addNeighbour(context, id);
  const [a] = context.neighbours.values();
  if (a) a.subscribed = ALL_SUBSTREAMS;
  let number = 4;
  const publish = (): void => {
    publication.publish(makeWindow(number, 4).content, false);
    for (let look = 0; look < 16; look++) {
      context.nowMs += shares.lookMs;
      for (const neighbour of context.neighbours.values()) neighbour.lastHeardMs = neighbour.lastToldMs = context.nowMs;
      publication.reveal(number);
    }
    number += 1;
  };
  publish();
  assert.equal([shares.passesOn('a'), a?.subscribed], [false, ALL_SUBSTREAMS]);
  context.takeEffects();
  publish();
  const effects = context.takeEffects();
  assert.is(a?.subscribed, NO_SUBSTREAMS);
  assert.equal(
    sentOf(effects, 'feeding').map(({ to, substreams }) => [to, substreams]),
    [['a', NO_SUBSTREAMS]],
  );
  assert.equal(sentOf(effects, 'piece'), []);
});

test.run();

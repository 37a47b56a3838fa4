import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { signRevocationList } from '../../../../src/relay/exchange/revocation-list.js';
import { StreamDescription } from '../../../../src/relay/exchange/stream-description.js';
import { decodeStreamInfo, type StreamInfo, signStreamInfo } from '../../../../src/relay/exchange/stream-info.js';
import {
  addNeighbour,
  CERTIFICATE,
  CHANNEL,
  certify,
  DAY_MS,
  hold,
  makeContext,
  makeWindow,
  OWNER,
  PUBLISHER,
  STRANGER,
  sentOf,
  WALL_MS,
} from '../../../support/exchange-fixture.js';

const SELF_MADE = certify({ key: STRANGER.publicKey }, STRANGER);
const METADATA = Uint8Array.of(1, 2, 3);

const sinceOf = (bytes: Uint8Array | undefined): number => (decodeStreamInfo(bytes ?? new Uint8Array()) as { since: number }).since;

test('metadata is signed with the first window, whose number it takes', () => {
  const context = makeContext({ signer: OWNER });
  const description = new StreamDescription(context);
  addNeighbour(context, 'x');
  description.describe(METADATA);
  assert.equal(context.takeEffects(), []);
  description.beforeWindow(500);
  assert.is(sinceOf(sentOf(context.takeEffects(), 'info')[0]?.bytes), 500);
});

test('later metadata takes the number of the next window, and the same metadata again is not sent again', () => {
  const context = makeContext({ signer: OWNER });
  const description = new StreamDescription(context);
  hold(context, makeWindow(7));
  addNeighbour(context, 'x');
  description.describe(METADATA);
  description.describe(METADATA.slice());
  description.describe(Uint8Array.of(9));
  assert.equal(
    sentOf(context.takeEffects(), 'info').map(({ bytes }) => sinceOf(bytes)),
    [8, 9],
  );
});

test('a viewer passes on what the owner signed, to all but the one it came from, and emits it', () => {
  const context = makeContext();
  const description = new StreamDescription(context);
  const [x] = [addNeighbour(context, 'x'), addNeighbour(context, 'y')];
  description.onInfo(x, signStreamInfo(3, METADATA, CHANNEL, OWNER).bytes);
  const effects = context.takeEffects();
  assert.equal(
    sentOf(effects, 'info').map(({ to }) => to),
    ['y'],
  );
  assert.ok(effects.some((effect) => effect.kind === 'emit' && effect.event.kind === 'metadata'));
  description.greet(addNeighbour(context, 'z'));
  assert.equal(
    sentOf(context.takeEffects(), 'info').map(({ to }) => to),
    ['z'],
  );
});

test('what is older than what is known is ignored without looking at its signature', () => {
  const context = makeContext();
  const description = new StreamDescription(context);
  const x = addNeighbour(context, 'x');
  description.onInfo(x, signStreamInfo(3, METADATA, CHANNEL, OWNER).bytes);
  context.takeEffects();
  description.onInfo(x, signStreamInfo(3, Uint8Array.of(7), CHANNEL, STRANGER).bytes);
  assert.equal([context.takeEffects(), context.takeAccused()], [[], []]);
});

for (const [title, bytes] of [
  ['a stranger signed', signStreamInfo(3, METADATA, CHANNEL, STRANGER).bytes],
  ['the owner signed for another channel', signStreamInfo(3, METADATA, CHANNEL.replace('c', 'd'), OWNER).bytes],
  ['a stranger signed with its own certificate', signStreamInfo(3, METADATA, CHANNEL, STRANGER, SELF_MADE).bytes],
] as const) {
  test(`metadata that ${title} is refused, and a ban the second time`, () => {
    const context = makeContext();
    const description = new StreamDescription(context);
    const x = addNeighbour(context, 'x');
    description.onInfo(x, bytes);
    assert.equal(context.takeAccused(), []);
    description.onInfo(x, bytes);
    assert.is(context.takeAccused().length, 1);
    assert.equal(context.takeEffects(), []);
  });
}

test('metadata that nobody can read is a ban at once', () => {
  const context = makeContext();
  new StreamDescription(context).onInfo(addNeighbour(context, 'x'), Uint8Array.of(1, 2));
  assert.is(context.takeAccused().length, 1);
});

const emitted = (context: ReturnType<typeof makeContext>): readonly unknown[] =>
  context.takeEffects().flatMap((effect) => (effect.kind === 'emit' && effect.event.kind === 'metadata' ? [effect.event.metadata[0]] : []));

test('a withdrawn publisher takes its metadata with it, however high it was numbered, and that of another is in force at once', () => {
  const context = makeContext();
  const description = new StreamDescription(context);
  const x = addNeighbour(context, 'x');
  description.onInfo(x, signStreamInfo(7, Uint8Array.of(1), CHANNEL, OWNER).bytes);
  description.onInfo(x, signStreamInfo(0xffff_ffff, Uint8Array.of(2), CHANNEL, PUBLISHER, CERTIFICATE).bytes);
  assert.equal(emitted(context), [1, 2]);
  context.authority.accept(signRevocationList(1, [{ key: PUBLISHER.publicKey, sinceMs: WALL_MS }], CHANNEL, OWNER));
  description.purge();
  assert.equal(emitted(context), [1]);
  description.onInfo(x, signStreamInfo(8, Uint8Array.of(3), CHANNEL, OWNER).bytes);
  description.onInfo(x, signStreamInfo(9, Uint8Array.of(2), CHANNEL, PUBLISHER, CERTIFICATE).bytes);
  assert.equal([emitted(context), context.takeAccused()], [[3], []]);
  description.greet(addNeighbour(context, 'late'));
  assert.equal(
    sentOf(context.takeEffects(), 'info').map(({ bytes }) => sinceOf(bytes)),
    [8],
  );
});

test('withdrawn metadata is held against a neighbour that has certainly read the list', () => {
  const context = makeContext();
  const description = new StreamDescription(context);
  const x = addNeighbour(context, 'x');
  context.authority.accept(signRevocationList(5, [{ key: PUBLISHER.publicKey, sinceMs: WALL_MS }], CHANNEL, OWNER));
  x.readSerial = 5;
  for (const since of [1, 2]) description.onInfo(x, signStreamInfo(since, METADATA, CHANNEL, PUBLISHER, CERTIFICATE).bytes);
  assert.is(context.takeAccused().length, 1);
});

test('with a new certificate a publisher says the same again, so that it does not end with the old one', () => {
  const context = makeContext({ signer: PUBLISHER, certificate: CERTIFICATE });
  const description = new StreamDescription(context);
  addNeighbour(context, 'x');
  description.describe(METADATA);
  description.beforeWindow(4);
  context.certificate = certify({ untilMs: WALL_MS + 9 * DAY_MS });
  description.renew();
  const infos = sentOf(context.takeEffects(), 'info').map(({ bytes }) => decodeStreamInfo(bytes) as StreamInfo);
  assert.equal(
    infos.map(({ since, certificate }) => [since, certificate?.untilMs]),
    [
      [4, CERTIFICATE.untilMs],
      [5, WALL_MS + 9 * DAY_MS],
    ],
  );
});

test('a publisher without authority says nothing, and says it once it has a certificate', () => {
  const context = makeContext({ signer: PUBLISHER });
  const description = new StreamDescription(context);
  addNeighbour(context, 'x');
  description.describe(METADATA);
  description.beforeWindow(4);
  assert.equal(context.takeEffects(), []);
  context.certificate = CERTIFICATE;
  description.renew();
  description.beforeWindow(5);
  assert.is(sinceOf(sentOf(context.takeEffects(), 'info')[0]?.bytes), 5);
});

test('a viewer describes nothing', () => {
  assert.throws(() => new StreamDescription(makeContext()).describe(METADATA), /signer/);
});

test.run();

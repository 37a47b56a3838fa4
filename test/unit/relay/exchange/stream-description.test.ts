import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { StreamDescription } from '../../../../src/relay/exchange/stream-description.js';
import { decodeStreamInfo, signStreamInfo } from '../../../../src/relay/exchange/stream-info.js';
import { addNeighbour, CHANNEL, hold, makeContext, makeWindow, OWNER, STRANGER, sentOf } from '../../../support/exchange-fixture.js';

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
  ['nobody can read', Uint8Array.of(1, 2)],
] as const) {
  test(`metadata that ${title} is an offence`, () => {
    const context = makeContext();
    new StreamDescription(context).onInfo(addNeighbour(context, 'x'), bytes);
    assert.is(context.takeAccused().length, 1);
    assert.equal(context.takeEffects(), []);
  });
}

test('a viewer describes nothing', () => {
  assert.throws(() => new StreamDescription(makeContext()).describe(METADATA), /signer/);
});

test.run();

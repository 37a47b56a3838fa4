/** The peer wire's messages under mutation: decoding returns, within its bounds, and what it accepts it can say again. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import { type PeerMessage, PIECES_MAX, peerCodec, REQUEST_BYTES_MAX } from '../../src/vod/peer-message.js';
import { corpusOf, forMutants } from '../support/mutation.js';

const BUDGET_MS = 800;

function checkBounds(message: PeerMessage): void {
  if (message.kind === 'piece') assert.ok(message.bytes.length > 0 && message.bytes.length <= REQUEST_BYTES_MAX);
  if (message.kind === 'bitfield') assert.ok(message.bytes.length <= PIECES_MAX / 8);
  if ('piece' in message) assert.ok(Number.isInteger(message.piece) && message.piece >= 0 && message.piece < 2 ** 32);
}

test('the kept messages are good', () => {
  for (const bytes of corpusOf('peer-message')) assert.not.instance(peerCodec.decode(bytes), Malformed);
});

test('mutated messages are decoded or refused, never thrown at', () => {
  let acceptedCount = 0;
  forMutants('peer-message', 20_261_121, BUDGET_MS, (mutant, rng) => {
    // Half of them with their length set right, or hardly any would get past it.
    if (mutant.length > 4 && rng.below(2) === 0) new DataView(mutant.buffer, mutant.byteOffset).setUint32(0, mutant.length - 4);
    const message = peerCodec.decode(mutant);
    if (message instanceof Malformed) return;
    acceptedCount++;
    checkBounds(message);
    const again = peerCodec.decode(peerCodec.encode(message));
    assert.not.instance(again, Malformed);
    assert.is((again as PeerMessage).kind, message.kind);
    assert.equal([...peerCodec.encode(again as PeerMessage)], [...peerCodec.encode(message)]);
  });
  assert.ok(acceptedCount > 0, 'the mutations never met a valid message');
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher, nodeVerifier } from '../../../src/io/crypto.js';
import { Malformed } from '../../../src/kernel/errors.js';
import { type LiveMessage, liveCodec } from '../../../src/relay/exchange/live-message.js';
import { signatureHolds } from '../../../src/relay/exchange/signature.js';
import { SwarmMemory } from '../../../src/sim/swarm-memory.js';
import { CHANNEL, makeWindow, OWNER, PIECE_BYTES, STRANGER } from '../../support/exchange-fixture.js';

function setUp() {
  const calls = { hashed: 0, verified: 0 };
  const sha256 = (bytes: Uint8Array): Uint8Array => {
    calls.hashed += 1;
    return nodeHasher.sha256(bytes);
  };
  const verify = (key: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean => {
    calls.verified += 1;
    return nodeVerifier.verify(key, bytes, signature);
  };
  return { calls, memory: new SwarmMemory({ ...nodeHasher, sha256 }, { verify }) };
}

const pieceOf = (payload: Uint8Array, window = 7, piece = 1): LiveMessage => ({ kind: 'piece', window, piece, payload });

test('a piece travels as the codec writes it, and is the same array at everybody it comes to', () => {
  const { memory, calls } = setUp();
  const first = memory.codec.encode(pieceOf(Uint8Array.of(1, 2, 3)));
  assert.equal(first, liveCodec.encode(pieceOf(Uint8Array.of(1, 2, 3))));
  const [here, there] = [memory.codec.decode(first), memory.codec.decode(first)] as (LiveMessage & { kind: 'piece' })[];
  assert.equal(here, pieceOf(Uint8Array.of(1, 2, 3)));
  assert.is(here?.payload, there?.payload);
  const kept = memory.intake.keep(here?.payload ?? new Uint8Array());
  assert.is(memory.codec.encode(pieceOf(kept)), first);
  assert.equal(memory.hasher.sha256(kept), nodeHasher.sha256(kept));
  assert.equal([memory.hasher.sha256(there?.payload ?? kept), calls.hashed], [nodeHasher.sha256(kept), 1]);
});

test('the same bytes as another piece, or other bytes as the same one, are encoded anew', () => {
  const { memory } = setUp();
  const payload = Uint8Array.of(1, 2, 3);
  memory.codec.encode(pieceOf(payload));
  assert.equal(memory.codec.encode(pieceOf(payload, 7, 2)), liveCodec.encode(pieceOf(payload, 7, 2)));
  assert.equal(memory.codec.encode(pieceOf(Uint8Array.of(9))), liveCodec.encode(pieceOf(Uint8Array.of(9))));
});

test('every other message, and what makes no sense, is left to the codec', () => {
  const { memory } = setUp();
  const request: LiveMessage = { kind: 'request', window: 7, pieces: [0], wantManifest: true, patienceMs: 400 };
  assert.equal(memory.codec.decode(memory.codec.encode(request)), request);
  assert.instance(memory.codec.decode(Uint8Array.of(4, 0)), Malformed);
});

test('what is not known is kept as a copy', () => {
  const { memory } = setUp();
  const packet = Uint8Array.of(1, 2, 3);
  const kept = memory.intake.keep(packet.subarray(1));
  packet.fill(0);
  assert.equal(kept, Uint8Array.of(2, 3));
});

test('a signature is checked once, and never taken for good with other bytes or another key', () => {
  const { memory, calls } = setUp();
  const { manifest } = makeWindow(3);
  const holds = (bytes: Uint8Array, key = OWNER.publicKey): boolean =>
    signatureHolds('shoal window 1\0', bytes, CHANNEL, key, memory.verifier);
  assert.equal([holds(manifest.bytes), holds(manifest.bytes.slice()), calls.verified], [true, true, 1]);
  const altered = manifest.bytes.slice();
  altered[20] = 255;
  assert.equal([holds(altered), holds(manifest.bytes, STRANGER.publicKey), holds(manifest.bytes)], [false, false, true]);
});

test('a manifest is read once, and one with the same signature over other bytes anew', () => {
  const { memory } = setUp();
  const { manifest } = makeWindow(3);
  const known = memory.intake.manifest(manifest.bytes, PIECE_BYTES);
  assert.is(memory.intake.manifest(manifest.bytes.slice(), PIECE_BYTES), known);
  const altered = manifest.bytes.slice();
  altered[5] = 9;
  const other = memory.intake.manifest(altered, PIECE_BYTES);
  assert.ok(!(other instanceof Malformed));
  assert.is(other.number, 9);
});

test('a whole window is put together once for all who have it by the same manifest', () => {
  const { memory } = setUp();
  const [one, other] = [makeWindow(3).manifest, makeWindow(4).manifest];
  const known = memory.intake.whole(one, () => Uint8Array.of(1));
  assert.is(
    memory.intake.whole(one, () => Uint8Array.of(1)),
    known,
  );
  assert.equal(
    memory.intake.whole(other, () => Uint8Array.of(2)),
    Uint8Array.of(2),
  );
});

test.run();

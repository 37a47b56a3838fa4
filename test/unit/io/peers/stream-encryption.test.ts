/** Two ends of one negotiation, cut in any way; and what a wrong end comes to. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../../../src/io/crypto.js';
import {
  type EncryptionWorld,
  type EstablishedStream,
  encryptedRequestKey,
  PLAIN_METHOD,
  RC4_METHOD,
  StreamEncryption,
  type StreamMethod,
} from '../../../../src/io/peers/stream-encryption.js';
import { Malformed } from '../../../../src/kernel/errors.js';
import { Rng } from '../../../../src/kernel/rng.js';
import { hex, INFO_HASH, pattern } from '../../../support/swarm-fixture.js';

const HASH = Buffer.from(INFO_HASH, 'hex');
const HELLO = pattern(68, 9);

function world(seed: number): EncryptionWorld {
  const rng = new Rng(seed);
  return { random: (length) => Uint8Array.from({ length }, () => rng.below(256)), sha1: nodeHasher.sha1 };
}

function responder(seed: number, methods: readonly StreamMethod[]): StreamEncryption {
  const key = encryptedRequestKey(HASH, nodeHasher.sha1);
  return new StreamEncryption({ role: 'responder', methods, findInfoHash: (request) => (request === key ? HASH : undefined) }, world(seed));
}

function initiator(seed: number, methods: readonly StreamMethod[], infoHash: Uint8Array = HASH): StreamEncryption {
  return new StreamEncryption({ role: 'initiator', infoHash, methods, initialPayload: () => HELLO }, world(seed));
}

interface Meeting {
  readonly a: EstablishedStream | Malformed | undefined;
  readonly b: EstablishedStream | Malformed | undefined;
}

/** Lets both ends talk until neither has anything to say. */
function meet(a: StreamEncryption, b: StreamEncryption, cut: number): Meeting {
  const results: { a?: EstablishedStream | Malformed; b?: EstablishedStream | Malformed } = {};
  const queue: ['a' | 'b', Uint8Array][] = [['b', a.start()]];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [to, bytes] = next;
    for (let offset = 0; offset < bytes.length && results[to] === undefined; offset += cut) {
      const step = (to === 'a' ? a : b).receive(bytes.subarray(offset, offset + cut));
      if (step instanceof Malformed) results[to] = step;
      else {
        for (const sent of step.send) queue.push([to === 'a' ? 'b' : 'a', sent]);
        if (step.established !== undefined) results[to] = step.established;
      }
    }
  }
  return { a: results.a, b: results.b };
}

test('both ends agree however the bytes are cut, and the stream goes on as chosen', () => {
  for (const [methods, chosen] of [
    [[PLAIN_METHOD, RC4_METHOD], PLAIN_METHOD],
    [[RC4_METHOD], RC4_METHOD],
  ] as const) {
    for (const cut of [1, 7, 96, 100_000]) {
      const { a, b } = meet(initiator(cut, methods), responder(cut + 1, [PLAIN_METHOD, RC4_METHOD]), cut);
      if (a === undefined || b === undefined || a instanceof Malformed || b instanceof Malformed) throw new Error('agreed');
      assert.equal([a.method, b.method], [chosen, chosen]);
      assert.is(hex(b.early), chosen === RC4_METHOD ? hex(HELLO) : '', 'the handshake comes with the request where all is encrypted');
      const message = pattern(1000, 4);
      const sent = message.slice();
      a.outgoing?.apply(sent);
      assert.is(hex(sent) === hex(message), chosen === PLAIN_METHOD);
      b.incoming?.apply(sent);
      assert.is(hex(sent), hex(message));
      const back = message.slice();
      b.outgoing?.apply(back);
      a.incoming?.apply(back);
      assert.is(hex(back), hex(message));
    }
  }
});

test('an info hash that is not ours, and methods without one in common, end the negotiation', () => {
  const other = meet(initiator(1, [RC4_METHOD], new Uint8Array(20)), responder(2, [RC4_METHOD]), 50);
  assert.match(other.b instanceof Malformed ? other.b.reason : '', 'not ours');
  const apart = meet(initiator(1, [PLAIN_METHOD]), responder(2, [RC4_METHOD]), 50);
  assert.match(apart.b instanceof Malformed ? apart.b.reason : '', 'no method in common');
});

test('keys without a secret and marks that never come are refused, and what is kept stays small', () => {
  for (const key of [new Uint8Array(96), Uint8Array.from({ length: 96 }, (_, i) => (i === 95 ? 1 : 0)), new Uint8Array(96).fill(0xff)]) {
    assert.instance(responder(1, [RC4_METHOD]).receive(key), Malformed);
  }
  const machine = responder(1, [RC4_METHOD]);
  let takenBytes = 0;
  for (; takenBytes < 2000; takenBytes++) {
    if (machine.receive(Uint8Array.of(7)) instanceof Malformed) break;
  }
  assert.is(takenBytes, 96 + 512 + 20 - 1, 'at the end of the search window');
});

test.run();

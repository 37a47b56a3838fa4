/** The responder of an encrypted stream under mutation of what the initiator sends, cut anywhere: never more kept than the protocol allows. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../src/io/crypto.js';
import { encryptedRequestKey, PLAIN_METHOD, RC4_METHOD, StreamEncryption } from '../../src/io/peers/stream-encryption.js';
import { Malformed } from '../../src/kernel/errors.js';
import { Rng } from '../../src/kernel/rng.js';
import { forMutants } from '../support/mutation.js';
import { INFO_HASH } from '../support/swarm-fixture.js';

const HASH = Buffer.from(INFO_HASH, 'hex');
const KEY = encryptedRequestKey(HASH, nodeHasher.sha1);
/** Key, both pads, hashes, offer and payload at their longest. */
const UNDECIDED_BYTES_MAX = 96 + 512 + 20 + 20 + 14 + 512 + 2 + 4_096;

/** The one that the corpus was recorded against. */
function responder(): StreamEncryption {
  const rng = new Rng(7);
  const world = { random: (length: number) => Uint8Array.from({ length }, () => rng.below(256)), sha1: nodeHasher.sha1 };
  const findInfoHash = (request: string): Uint8Array | undefined => (request === KEY ? HASH : undefined);
  return new StreamEncryption({ role: 'responder', methods: [PLAIN_METHOD, RC4_METHOD], findInfoHash }, world);
}

test('mutated negotiations come to a stream, wait for more, or are refused', () => {
  const outcomes = { established: 0, refused: 0 };
  forMutants('stream-encryption', 19, 900, (mutant, rng) => {
    const end = responder();
    let takenBytes = 0;
    for (let offset = 0; offset < mutant.length; ) {
      const cut = 1 + rng.below(200);
      const step = end.receive(mutant.slice(offset, offset + cut));
      offset += cut;
      takenBytes = Math.min(offset, mutant.length);
      if (step instanceof Malformed) {
        outcomes.refused++;
        return;
      }
      if (step.established !== undefined) {
        outcomes.established++;
        return;
      }
    }
    assert.ok(takenBytes <= UNDECIDED_BYTES_MAX, `undecided after ${takenBytes} bytes`);
  });
  assert.ok(outcomes.established > 0 && outcomes.refused > 0, JSON.stringify(outcomes));
});

test.run();

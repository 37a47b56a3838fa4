/** The metadata exchange under mutation: it never throws, never sends much, and never takes anything for the metadata but the metadata. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../src/io/crypto.js';
import { decodeMetadataMessage, MetadataExchange } from '../../src/io/peers/metadata-exchange.js';
import { Malformed } from '../../src/kernel/errors.js';
import { forMutants } from '../support/mutation.js';
import { hex } from '../support/swarm-fixture.js';

const METADATA = new Uint8Array(100).fill(5);
const HASH = hex(nodeHasher.sha1(METADATA));

test('mutated messages are answered, ignored or held against their sender', () => {
  let verifiedCount = 0;
  forMutants('metadata-exchange', 17, 600, (mutant) => {
    const message = decodeMetadataMessage(mutant);
    if (!(message instanceof Malformed)) assert.ok(message.payload.length <= mutant.length);
    for (const known of [null, METADATA]) {
      const exchange = new MetadataExchange(HASH, nodeHasher, known);
      exchange.peerReady('a', METADATA.length, 0);
      const effects = exchange.message('a', mutant, 1);
      assert.ok(effects.length <= 1);
      for (const effect of effects) {
        if (effect.kind === 'verified') verifiedCount++;
        if (effect.kind === 'verified') assert.is(hex(effect.metadata), hex(METADATA));
        if (effect.kind === 'send') assert.ok(effect.bytes.length <= 200);
      }
    }
  });
  assert.ok(verifiedCount > 0);
});

test.run();

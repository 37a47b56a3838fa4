/** The extended handshake under mutation: decoded or refused, and what we pass on to the wire package is small and plain. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeExtendedHandshake, encodeExtendedHandshake } from '../../src/io/peers/extended-handshake.js';
import { Malformed } from '../../src/kernel/errors.js';
import { forMutants } from '../support/mutation.js';

test('mutated handshakes are decoded or refused, and rewritten without loss', () => {
  let acceptedCount = 0;
  forMutants('extended-handshake', 11, 600, (mutant) => {
    const decoded = decodeExtendedHandshake(mutant);
    if (decoded instanceof Malformed) return;
    acceptedCount++;
    const rewritten = encodeExtendedHandshake(decoded);
    assert.ok(rewritten.length < 8192);
    assert.equal(decodeExtendedHandshake(rewritten), decoded);
    for (const [name, id] of decoded.extensions) assert.ok(/^[A-Za-z]/.test(name) && id >= 0 && id <= 255);
  });
  assert.ok(acceptedCount > 0);
});

test.run();

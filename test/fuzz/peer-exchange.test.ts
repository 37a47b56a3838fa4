/** Peer exchange under mutation: addresses that can be dialled, at most 50, or a refusal. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodePexMessage } from '../../src/io/peers/peer-exchange.js';
import { Malformed } from '../../src/kernel/errors.js';
import { addressScope, formatAddress, makeAddress } from '../../src/kernel/peer-address.js';
import { forMutants } from '../support/mutation.js';

test('mutated messages give distinct usable addresses or a refusal', () => {
  let acceptedCount = 0;
  forMutants('peer-exchange', 13, 600, (mutant) => {
    const addresses = decodePexMessage(mutant);
    if (addresses instanceof Malformed) return;
    acceptedCount++;
    assert.ok(addresses.length <= 50);
    assert.is(new Set(addresses.map(formatAddress)).size, addresses.length);
    for (const address of addresses) {
      assert.is.not(addressScope(address.host), 'unusable');
      assert.equal(makeAddress(address.host, address.port), address);
    }
  });
  assert.ok(acceptedCount > 0);
});

test.run();

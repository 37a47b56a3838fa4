/** The key exchange against OpenSSL's, over the same prime. */
import { createDiffieHellman } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { publicKey, sharedSecret } from '../../../../src/io/peers/key-exchange.js';
import { hex, pattern } from '../../../support/swarm-fixture.js';

const PRIME =
  'ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563';

test('both ends come to one secret, the one that OpenSSL comes to', () => {
  const theirs = createDiffieHellman(PRIME, 'hex', 2);
  theirs.generateKeys();
  const ours = pattern(20, 77);
  const padded = (bytes: Uint8Array): string => hex(bytes).padStart(192, '0');
  const secret = sharedSecret(ours, theirs.getPublicKey());
  assert.is(hex(secret ?? new Uint8Array(0)), padded(theirs.computeSecret(publicKey(ours))));
});

test('keys whose secret everybody knows are refused', () => {
  assert.is(sharedSecret(pattern(20, 1), new Uint8Array(96)), undefined);
  const almostPrime = Buffer.from(`${PRIME.slice(0, -1)}2`, 'hex');
  assert.is(sharedSecret(pattern(20, 1), almostPrime), undefined);
});

test.run();

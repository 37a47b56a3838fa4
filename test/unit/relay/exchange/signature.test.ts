import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeVerifier } from '../../../../src/io/crypto.js';
import { SIGNATURE_BYTES, signatureHolds, signedBytes } from '../../../../src/relay/exchange/signature.js';
import { CHANNEL, OWNER, STRANGER } from '../../../support/exchange-fixture.js';

const BODY = Uint8Array.of(1, 2, 3);
const SIGNED = Uint8Array.from([...BODY, ...OWNER.sign(signedBytes('a\0', CHANNEL, BODY))]);

test('what is signed is the domain, the channel and the body', () => {
  assert.is(Buffer.from(signedBytes('a\0', CHANNEL, BODY)).toString('hex'), `6100${CHANNEL}010203`);
});

test('a signature holds for its domain, channel, key and body only', () => {
  assert.ok(signatureHolds('a\0', SIGNED, CHANNEL, OWNER.publicKey, nodeVerifier));
  assert.not(signatureHolds('b\0', SIGNED, CHANNEL, OWNER.publicKey, nodeVerifier));
  assert.not(signatureHolds('a\0', SIGNED, CHANNEL.replace('c', 'd'), OWNER.publicKey, nodeVerifier));
  assert.not(signatureHolds('a\0', SIGNED, CHANNEL, STRANGER.publicKey, nodeVerifier));
  assert.not(signatureHolds('a\0', SIGNED.slice().fill(9, 0, 1), CHANNEL, OWNER.publicKey, nodeVerifier));
  assert.not(signatureHolds('a\0', new Uint8Array(SIGNATURE_BYTES - 1), CHANNEL, OWNER.publicKey, nodeVerifier));
});

test.run();

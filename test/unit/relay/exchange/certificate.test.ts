import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeVerifier } from '../../../../src/io/crypto.js';
import { Malformed } from '../../../../src/kernel/errors.js';
import {
  CERTIFICATE_BYTES,
  type Certificate,
  certificateIsSigned,
  decodeCertificate,
  signCertificate,
} from '../../../../src/relay/exchange/certificate.js';
import { CERTIFICATE, CHANNEL, OWNER, PUBLISHER, STRANGER } from '../../../support/exchange-fixture.js';

test('a certificate survives travelling in 109 bytes, and carries the signature of the owner', () => {
  const moment = fc.integer({ min: 0, max: 2 ** 48 - 2 });
  fc.assert(
    fc.property(moment, fc.integer({ min: 1 }), (fromMs, lengthMs) => {
      const untilMs = Math.min(fromMs + lengthMs, 2 ** 48 - 1);
      const made = signCertificate({ key: PUBLISHER.publicKey, fromMs, untilMs }, CHANNEL, OWNER);
      assert.is(made.bytes.length, CERTIFICATE_BYTES);
      assert.equal(decodeCertificate(made.bytes), made);
      assert.ok(certificateIsSigned(made, CHANNEL, OWNER.publicKey, nodeVerifier));
    }),
    { numRuns: 50 },
  );
});

test('it is good for this owner, this channel and these bytes only', () => {
  assert.not(certificateIsSigned(CERTIFICATE, CHANNEL, STRANGER.publicKey, nodeVerifier));
  assert.not(certificateIsSigned(CERTIFICATE, CHANNEL.replace('c', 'd'), OWNER.publicKey, nodeVerifier));
  for (let at = 0; at < CERTIFICATE_BYTES; at++) {
    const bytes = CERTIFICATE.bytes.slice();
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const changed = decodeCertificate(bytes);
    assert.ok(changed instanceof Malformed || !certificateIsSigned(changed, CHANNEL, OWNER.publicKey, nodeVerifier), `byte ${at}`);
  }
});

test('another length, another version, and an end before the beginning are malformed', () => {
  assert.instance(decodeCertificate(CERTIFICATE.bytes.subarray(1)), Malformed);
  assert.instance(decodeCertificate(new Uint8Array(CERTIFICATE_BYTES + 1)), Malformed);
  assert.instance(decodeCertificate(CERTIFICATE.bytes.slice().fill(2, 0, 1)), Malformed);
  assert.instance(decodeCertificate(CERTIFICATE.bytes.slice().fill(0, 39, 45)), Malformed);
});

test('a certificate that no one could use is our bug', () => {
  const make = (key: Uint8Array, fromMs: number, untilMs: number): Certificate => signCertificate({ key, fromMs, untilMs }, CHANNEL, OWNER);
  assert.throws(() => make(new Uint8Array(31), 0, 1), /32 bytes/);
  assert.throws(() => make(PUBLISHER.publicKey, 5, 5), /begins before it ends/);
});

test.run();

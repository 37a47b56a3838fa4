import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../../src/kernel/errors.js';
import { DISSENT_DOMAIN, type Dissent, decodeDissent, signDissent } from '../../../../src/relay/exchange/dissent.js';
import { authorityAt, CERTIFICATE, CHANNEL, OWNER, PUBLISHER, STRANGER } from '../../../support/exchange-fixture.js';

test('a dissent of the owner or of a delegated publisher is read again as it was signed', () => {
  for (const [signer, certificate] of [
    [OWNER, null],
    [PUBLISHER, CERTIFICATE],
  ] as const) {
    const made = signDissent(7, CHANNEL, signer, certificate);
    const read = decodeDissent(made.bytes) as Dissent;
    assert.equal([read.number, read.signer], [7, certificate?.key ?? null]);
    assert.is(authorityAt().judge(DISSENT_DOMAIN, read), 'valid');
  }
});

test('of anybody else it has no authority', () => {
  assert.is(authorityAt().judge(DISSENT_DOMAIN, signDissent(7, CHANNEL, STRANGER, null)), 'foreign');
});

test('what is cut off, too long or of another version is malformed', () => {
  const { bytes } = signDissent(7, CHANNEL, PUBLISHER, CERTIFICATE);
  assert.instance(decodeDissent(bytes.subarray(0, -1)), Malformed);
  assert.instance(decodeDissent(Uint8Array.of(...bytes, 0)), Malformed);
  assert.instance(decodeDissent(Uint8Array.of(2, ...bytes.subarray(1))), Malformed);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../../src/kernel/errors.js';
import { CERTIFICATE_BYTES } from '../../../../src/relay/exchange/certificate.js';
import { CertificateMemory } from '../../../../src/relay/exchange/certificate-memory.js';
import { CHANNEL, certify, makeWindow, OWNER, PUBLISHER, WALL_MS } from '../../../support/exchange-fixture.js';

const delegated = (number: number, certificate = certify()): Uint8Array =>
  makeWindow(number, 2, {}, PUBLISHER, CHANNEL, certificate).manifest.bytes;
const owned = (number: number): Uint8Array => makeWindow(number, 2, {}, OWNER).manifest.bytes;

test('what goes in at one end comes out at the other, and a certificate travels once as long as it is the same', () => {
  const [sender, receiver] = [new CertificateMemory(), new CertificateMemory()];
  const renewed = certify({ untilMs: WALL_MS + 99 });
  const manifests = [
    owned(1),
    delegated(2),
    delegated(3),
    owned(4),
    delegated(5),
    delegated(6, renewed),
    delegated(7, renewed),
    delegated(8),
  ];
  const shortened = manifests.map((bytes) => {
    const message = sender.shorten(bytes);
    assert.equal(receiver.restore(message), bytes);
    return message.short === true ? bytes.length - message.bytes.length : 0;
  });
  assert.equal(shortened, [0, 0, CERTIFICATE_BYTES, 0, CERTIFICATE_BYTES, 0, CERTIFICATE_BYTES, 0]);
});

test('each direction has a memory of its own', () => {
  const memory = new CertificateMemory();
  memory.restore({ bytes: delegated(1) });
  assert.is(memory.shorten(delegated(2)).short, undefined);
});

test('a certificate that has never come cannot be left out, and rubbish comes out as rubbish', () => {
  const memory = new CertificateMemory();
  const short = new CertificateMemory();
  short.shorten(delegated(1));
  assert.instance(memory.restore(short.shorten(delegated(2))), Malformed);
  assert.equal(memory.restore({ bytes: Uint8Array.of(1, 4) }), Uint8Array.of(1, 4));
  memory.restore({ bytes: delegated(1) });
  assert.is((memory.restore({ bytes: Uint8Array.of(1), short: true }) as Uint8Array).length, 1 + CERTIFICATE_BYTES);
});

test.run();

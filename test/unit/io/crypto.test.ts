/** Hashes and signatures against published vectors: FIPS 180-4 examples and RFC 8032, section 7.1. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createSigner, generateSeed, nodeHasher, nodeVerifier } from '../../../src/io/crypto.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

/** RFC 8032, 7.1, TEST 1 to 3. */
const VECTORS = [
  {
    seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    message: '',
    signature:
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  },
  {
    seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    message: '72',
    signature:
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  },
  {
    seed: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    publicKey: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    message: 'af82',
    signature:
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  },
];

test('the hashes of "abc" are the published ones', () => {
  const abc = new TextEncoder().encode('abc');
  assert.is(hex(nodeHasher.sha1(abc)), 'a9993e364706816aba3e25717850c26c9cd0d89d');
  assert.is(hex(nodeHasher.sha256(abc)), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('keys and signatures equal those of RFC 8032', () => {
  for (const vector of VECTORS) {
    const signer = createSigner(bytesOf(vector.seed));
    assert.is(hex(signer.publicKey), vector.publicKey);
    assert.is(hex(signer.sign(bytesOf(vector.message))), vector.signature);
    assert.ok(nodeVerifier.verify(bytesOf(vector.publicKey), bytesOf(vector.message), bytesOf(vector.signature)));
  }
});

test('a changed message, signature or key is refused', () => {
  const signer = createSigner(generateSeed());
  const message = new TextEncoder().encode('window 17');
  const signature = signer.sign(message);
  const changed = signature.slice();
  changed[5] = (changed[5] ?? 0) ^ 1;
  assert.ok(nodeVerifier.verify(signer.publicKey, message, signature));
  assert.not(nodeVerifier.verify(signer.publicKey, message.subarray(1), signature));
  assert.not(nodeVerifier.verify(signer.publicKey, message, changed));
  assert.not(nodeVerifier.verify(createSigner(generateSeed()).publicKey, message, signature));
});

test('a key or signature of the wrong length, or a key that is no point, is wrong and does not throw', () => {
  const signer = createSigner(generateSeed());
  const message = new Uint8Array(3);
  const signature = signer.sign(message);
  assert.not(nodeVerifier.verify(signer.publicKey.subarray(1), message, signature));
  assert.not(nodeVerifier.verify(signer.publicKey, message, signature.subarray(1)));
  assert.not(nodeVerifier.verify(new Uint8Array(0), message, new Uint8Array(0)));
  assert.not(nodeVerifier.verify(new Uint8Array(32).fill(255), message, signature));
});

test('more keys than are kept still verify, the first one too', () => {
  const message = new Uint8Array([1]);
  const signers = Array.from({ length: 300 }, (_, index) => createSigner(new Uint8Array(32).fill(index & 255, 0, index < 256 ? 32 : 16)));
  const check = (): boolean => signers.every((signer) => nodeVerifier.verify(signer.publicKey, message, signer.sign(message)));
  assert.ok(check());
  assert.ok(check());
});

test('a seed of the wrong length is our bug', () => {
  assert.throws(() => createSigner(new Uint8Array(31)), /32 bytes/);
});

test('two fresh seeds differ', () => {
  assert.is(generateSeed().length, 32);
  assert.is.not(hex(generateSeed()), hex(generateSeed()));
});

test.run();

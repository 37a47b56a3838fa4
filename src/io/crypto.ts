/**
 * Hashes and Ed25519 signatures by node:crypto, behind the kernel's ports `Hasher`, `Verifier` and `Signer`.
 *
 * Keys are raw: 32 bytes public, 32 bytes private seed (RFC 8032, 5.1.5). node:crypto takes them wrapped in DER, so each key gets
 * the fixed prefix of RFC 8410 in front. Importing a key costs about as much as a check, so imported public keys are kept, the
 * least recently used one leaving first.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as nodeSign,
  verify as nodeVerify,
  randomBytes,
} from 'node:crypto';
import { invariant } from '../kernel/errors.js';
import type { Hasher, Signer, Verifier } from '../kernel/ports.js';

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** RFC 8410, section 4: SubjectPublicKeyInfo of an Ed25519 key, up to the key itself. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
/** RFC 8410, section 7: PrivateKeyInfo of an Ed25519 key, up to the seed itself. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
/** Imported keys kept. A viewer meets one owner and a few publishers per channel; 256 covers a machine with every channel open. */
const KEYS_KEPT_COUNT = 256;

/** SHA-1 and SHA-256 by node:crypto. */
export const nodeHasher: Hasher = {
  sha1: (bytes) => new Uint8Array(createHash('sha1').update(bytes).digest()),
  sha256: (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest()),
};

class KeyCache {
  readonly #keys = new Map<string, KeyObject>();

  /** The imported key; undefined when node:crypto refuses the bytes. */
  get(publicKey: Uint8Array): KeyObject | undefined {
    const name = Buffer.from(publicKey).toString('latin1');
    const key = this.#keys.get(name) ?? importPublicKey(publicKey);
    if (key === undefined) return undefined;
    this.#keys.delete(name);
    this.#keys.set(name, key);
    if (this.#keys.size > KEYS_KEPT_COUNT) this.#forgetOldest();
    return key;
  }

  #forgetOldest(): void {
    for (const name of this.#keys.keys()) {
      this.#keys.delete(name);
      return;
    }
  }
}

const publicKeys = new KeyCache();

/** Checks Ed25519 signatures; never throws, whatever the bytes are. */
export const nodeVerifier: Verifier = {
  verify(publicKey, bytes, signature) {
    if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
    const key = publicKeys.get(publicKey);
    return key !== undefined && nodeVerify(null, bytes, key, signature);
  },
};

/**
 * A signer for one private key.
 *
 * @param seed 32 secret bytes (RFC 8032 calls them the private key); any other length is our bug and throws `INVARIANT`.
 */
export function createSigner(seed: Uint8Array): Signer {
  invariant(seed.length === KEY_BYTES, `An Ed25519 seed has ${KEY_BYTES} bytes, not ${seed.length}.`);
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
  const publicKey = new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length));
  return { publicKey, sign: (bytes) => new Uint8Array(nodeSign(null, bytes, key)) };
}

/** 32 fresh secret bytes from the operating system's generator. */
export function generateSeed(): Uint8Array {
  return new Uint8Array(randomBytes(KEY_BYTES));
}

function importPublicKey(publicKey: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

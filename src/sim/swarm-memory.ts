/**
 * What every peer of a simulated swarm works out for itself from the same bytes, worked out once; and one copy of it for all.
 *
 * How a piece is encoded, what its hash is, whether a signature holds, what a manifest says: every result is the shipped function's own, for exactly these bytes.
 * Nothing is hashed or signed more cheaply, it is only remembered. Pieces are known again by the array they lie in, which nobody writes to; signatures and manifests by comparing
 * every byte. Bounded: pieces are forgotten with the last peer that holds them, the rest beyond `REMEMBERED_MAX`, the oldest first.
 */
import { copyOf } from '../kernel/bytes.js';
import { Malformed } from '../kernel/errors.js';
import type { Codec, Hasher, Verifier } from '../kernel/ports.js';
import type { Bytes, PieceIndex, WindowNumber } from '../kernel/units.js';
import type { Intake } from '../relay/exchange/intake.js';
import { type LiveMessage, liveCodec } from '../relay/exchange/live-message.js';
import { decodeManifest, type Manifest } from '../relay/exchange/manifest.js';
import { SIGNATURE_BYTES } from '../relay/exchange/signature.js';

/** Manifests, and signatures: those of the windows in anybody's buffer, several times over. */
const REMEMBERED_MAX = 1_024;

/** How a piece travels. */
interface Encoded {
  readonly window: WindowNumber;
  readonly piece: PieceIndex;
  readonly bytes: Uint8Array;
}

interface Verified {
  readonly publicKey: Uint8Array;
  readonly bytes: Uint8Array;
  readonly isGood: boolean;
}

export class SwarmMemory {
  readonly #hasher: Hasher;
  readonly #verifier: Verifier;
  readonly #hashes = new WeakMap<Uint8Array, Uint8Array>();
  readonly #encoded = new WeakMap<Uint8Array, Encoded>();
  readonly #decoded = new WeakMap<Uint8Array, LiveMessage>();
  readonly #joined = new WeakMap<Manifest, Uint8Array>();
  /** Both by signature. */
  readonly #verified = new Map<string, Verified>();
  readonly #manifests = new Map<string, Manifest>();

  constructor(hasher: Hasher, verifier: Verifier) {
    this.#hasher = hasher;
    this.#verifier = verifier;
  }

  readonly codec: Codec<LiveMessage> = {
    encode: (message) => (message.kind === 'piece' ? this.#encodePiece(message) : liveCodec.encode(message)),
    decode: (bytes) => this.#decoded.get(bytes) ?? this.#decode(bytes),
  };

  readonly hasher: Hasher = {
    sha1: (bytes) => this.#hasher.sha1(bytes),
    sha256: (bytes) => {
      const known = this.#hashes.get(bytes);
      if (known) return known;
      const hash = this.#hasher.sha256(bytes);
      this.#hashes.set(bytes, hash);
      return hash;
    },
  };

  readonly verifier: Verifier = {
    verify: (publicKey, bytes, signature) => {
      const name = nameOf(signature);
      const known = this.#verified.get(name);
      if (known && isEqual(known.bytes, bytes) && isEqual(known.publicKey, publicKey)) return known.isGood;
      const isGood = this.#verifier.verify(publicKey, bytes, signature);
      remember(this.#verified, name, { publicKey: copyOf(publicKey), bytes: copyOf(bytes), isGood });
      return isGood;
    },
  };

  readonly intake: Intake = {
    keep: (bytes) => (this.#encoded.has(bytes) ? bytes : copyOf(bytes)),
    manifest: (bytes, pieceBytes) => this.#manifest(bytes, pieceBytes),
    whole: (manifest, join) => this.#whole(manifest, join),
  };

  #encodePiece(message: LiveMessage & { readonly kind: 'piece' }): Uint8Array {
    const { window, piece, payload } = message;
    const known = this.#encoded.get(payload);
    if (known?.window === window && known.piece === piece) return known.bytes;
    const bytes = liveCodec.encode(message);
    this.#encoded.set(payload, { window, piece, bytes });
    return bytes;
  }

  #decode(bytes: Uint8Array): LiveMessage | Malformed {
    const message = liveCodec.decode(bytes);
    if (message instanceof Malformed || message.kind !== 'piece') return message;
    const { window, piece, payload } = message;
    this.#decoded.set(bytes, message);
    this.#encoded.set(payload, { window, piece, bytes });
    return message;
  }

  #manifest(bytes: Uint8Array, pieceBytes: Bytes): Manifest | Malformed {
    const name = nameOf(bytes.subarray(-SIGNATURE_BYTES));
    const known = this.#manifests.get(name);
    if (known && isEqual(known.bytes, bytes)) return known;
    const manifest = decodeManifest(copyOf(bytes), pieceBytes);
    if (!(manifest instanceof Malformed)) remember(this.#manifests, name, manifest);
    return manifest;
  }

  #whole(manifest: Manifest, join: () => Uint8Array): Uint8Array {
    const known = this.#joined.get(manifest);
    if (known) return known;
    const bytes = join();
    this.#joined.set(manifest, bytes);
    return bytes;
  }
}

function nameOf(signature: Uint8Array): string {
  return Buffer.from(signature.buffer, signature.byteOffset, signature.length).toString('latin1');
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

function remember<Item>(items: Map<string, Item>, name: string, item: Item): void {
  items.set(name, item);
  if (items.size <= REMEMBERED_MAX) return;
  const [oldest] = items.keys();
  if (oldest !== undefined) items.delete(oldest);
}

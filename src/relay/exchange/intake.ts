/**
 * What is kept of the bytes that come from the network, and in what form.
 *
 * A peer keeps copies: a view would keep the whole buffer it lies in alive. A simulator, whose peers all live in one process, gives them one copy
 * among them.
 */
import { copyOf } from '../../kernel/bytes.js';
import type { Malformed } from '../../kernel/errors.js';
import type { Bytes } from '../../kernel/units.js';
import { decodeManifest, type Manifest } from './manifest.js';

export interface Intake {
  /** The same bytes, to be kept; nobody changes them. */
  keep(bytes: Uint8Array): Uint8Array;
  /** Reads a manifest that is to be kept. */
  manifest(bytes: Uint8Array, pieceBytes: Bytes): Manifest | Malformed;
  /** The bytes of a whole window, each piece of which has been checked against this manifest; nobody changes them. */
  whole(manifest: Manifest, join: () => Uint8Array): Uint8Array;
}

export const copyingIntake: Intake = {
  keep: copyOf,
  manifest: (bytes, pieceBytes) => decodeManifest(copyOf(bytes), pieceBytes),
  whole: (_, join) => join(),
};

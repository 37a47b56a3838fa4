/**
 * Who signs for a channel that is declared open: anybody who knows its descriptor, which is everybody in its swarm.
 *
 * An open channel has no owner in its descriptor, so publishers that never spoke to each other compute the same id from the source alone.
 * Its windows are signed all the same, with a key that follows from the descriptor: the exchange then needs no second rule. The signature
 * proves nothing but that; who may publish is everybody, and the person who declares a channel open accepts that.
 */
import { createSigner, nodeHasher } from '../io/crypto.js';
import type { Signer } from '../kernel/ports.js';

const DOMAIN = new TextEncoder().encode('shoal open channel 1\0');

/** The signer of an open channel. */
export function openSigner(descriptor: Uint8Array): Signer {
  const bytes = new Uint8Array(DOMAIN.length + descriptor.length);
  bytes.set(DOMAIN);
  bytes.set(descriptor, DOMAIN.length);
  return createSigner(nodeHasher.sha256(bytes));
}

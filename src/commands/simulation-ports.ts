/**
 * What simulated worlds get from the real one: its clock, hashes and signatures.
 */
import { createSigner, nodeHasher, nodeVerifier } from '../io/crypto.js';
import type { SimulationPorts } from '../sim/simulation.js';

export function simulationPorts(exchange: Readonly<Record<string, number>>): SimulationPorts {
  return { nowMs: () => performance.now(), hasher: nodeHasher, verifier: nodeVerifier, signer: createSigner, exchange };
}

/**
 * Who is how far from whom: the latency of every link of a world, from a transit-stub map or drawn pair by pair.
 */
import type { Rng } from '../kernel/rng.js';
import type { Milliseconds } from '../kernel/units.js';
import { between, namedRng } from './chance.js';
import type { NetworkModel } from './scenario.js';
import { type Place, TOPOLOGIES, Topology } from './topology.js';

export class Latencies {
  readonly #model: NetworkModel;
  readonly #seed: number;
  readonly #topology: Topology | undefined;
  readonly #places = new Map<string, Place>();

  constructor(model: NetworkModel, seed: number) {
    this.#model = model;
    this.#seed = seed;
    this.#topology = model.topology === 'none' ? undefined : new Topology(TOPOLOGIES[model.topology], seed);
  }

  /** One way; depends on the two names alone. */
  between(one: string, other: string): Milliseconds {
    const topology = this.#topology;
    if (topology) return topology.latencyMs(this.#place(topology, one), this.#place(topology, other));
    const [first, second] = one < other ? [one, other] : [other, one];
    return between(namedRng(this.#seed, `way ${first} ${second}`), this.#model.latencyMs);
  }

  #place(topology: Topology, name: string): Place {
    const known = this.#places.get(name);
    if (known) return known;
    const rng: Rng = namedRng(this.#seed, `place ${name}`);
    const place = topology.place(rng);
    this.#places.set(name, place);
    return place;
  }
}

/**
 * A map of the internet for the simulator: a transit-stub graph, and the latency between any two places on it.
 *
 * Domains of transit nodes, each transit node with stub domains, each of those with stub nodes; hosts hang on random stub nodes by an access
 * line. Inside a domain a random spanning tree comes first and edges by chance after it, so everything is connected. A way between two stub
 * domains goes over their transit nodes. Kept are transit x transit and stub node -> transit alone, so a map for a million hosts is small.
 * Source: the model of GT-ITM; delays and presets in the algorithm sheet, 7.5.
 */
import type { Rng } from '../kernel/rng.js';
import type { Milliseconds } from '../kernel/units.js';
import { between, namedRng } from './chance.js';

export interface TransitStubShape {
  readonly domains: number;
  readonly transitNodes: number;
  readonly stubDomains: number;
  readonly stubNodes: number;
}

/** Node counts: 5000, 5000, 4515, 5400. `tiny` is for tests. */
export const TOPOLOGIES = {
  paper5000: { domains: 5, transitNodes: 8, stubDomains: 4, stubNodes: 31 },
  'many-stubs': { domains: 10, transitNodes: 5, stubDomains: 9, stubNodes: 11 },
  'ts5k-large': { domains: 5, transitNodes: 3, stubDomains: 5, stubNodes: 60 },
  'ts5k-small': { domains: 120, transitNodes: 5, stubDomains: 4, stubNodes: 2 },
  tiny: { domains: 2, transitNodes: 2, stubDomains: 2, stubNodes: 3 },
} as const satisfies Readonly<Record<string, TransitStubShape>>;

export type TopologyName = keyof typeof TOPOLOGIES;

/** One way; between domains each pair draws its own around the mean. */
const INTER_DOMAIN_MS: readonly [Milliseconds, Milliseconds] = [25, 75];
const INTRA_TRANSIT_MS: Milliseconds = 20;
const TRANSIT_STUB_MS: Milliseconds = 10;
const INTRA_STUB_MS: Milliseconds = 2;
const ACCESS_MS: readonly [Milliseconds, Milliseconds] = [1, 15];
/** Chance of an edge beyond the spanning tree. */
const DOMAIN_EDGE_RATIO = 1;
const TRANSIT_EDGE_RATIO = 0.6;
const STUB_EDGE_RATIO = 0.42;

/** Where a host hangs. */
export interface Place {
  readonly stubDomain: number;
  readonly stubNode: number;
  readonly accessMs: Milliseconds;
}

/** An undirected graph as a matrix of one-way delays; `Infinity`: no edge. */
type Matrix = Float64Array[];

export class Topology {
  readonly #shape: TransitStubShape;
  readonly #seed: number;
  /** Between transit nodes. */
  readonly #core: Matrix;
  /** By stub domain: between its nodes; node 0 is the one at the transit node. */
  readonly #stubs: (Matrix | undefined)[] = [];

  constructor(shape: TransitStubShape, seed: number) {
    this.#shape = shape;
    this.#seed = seed;
    this.#core = this.#makeCore(namedRng(seed, 'transit'));
  }

  get nodeCount(): number {
    const { domains, transitNodes, stubDomains, stubNodes } = this.#shape;
    return domains * transitNodes * (1 + stubDomains * stubNodes);
  }

  /** A place for one more host. */
  place(rng: Rng): Place {
    const { domains, transitNodes, stubDomains, stubNodes } = this.#shape;
    return {
      stubDomain: rng.below(domains * transitNodes * stubDomains),
      stubNode: rng.below(stubNodes),
      accessMs: between(rng, ACCESS_MS),
    };
  }

  /** One way, from host to host. */
  latencyMs(a: Place, b: Place): Milliseconds {
    const accessMs = a.accessMs + b.accessMs;
    if (a.stubDomain === b.stubDomain) return accessMs + delay(this.#stub(a.stubDomain), a.stubNode, b.stubNode);
    return accessMs + this.#toTransitMs(a) + this.#toTransitMs(b) + delay(this.#core, this.#transitOf(a), this.#transitOf(b));
  }

  #toTransitMs({ stubDomain, stubNode }: Place): Milliseconds {
    return TRANSIT_STUB_MS + delay(this.#stub(stubDomain), 0, stubNode);
  }

  #transitOf({ stubDomain }: Place): number {
    return Math.floor(stubDomain / this.#shape.stubDomains);
  }

  /** Made when somebody lives there. */
  #stub(domain: number): Matrix {
    const made = this.#stubs[domain];
    if (made) return made;
    const matrix = emptyMatrix(this.#shape.stubNodes);
    const nodes = Array.from({ length: this.#shape.stubNodes }, (_, node) => node);
    addEdges(matrix, nodes, STUB_EDGE_RATIO, () => INTRA_STUB_MS, namedRng(this.#seed, `stub ${domain}`));
    this.#stubs[domain] = shortestWays(matrix);
    return this.#stubs[domain] as Matrix;
  }

  #makeCore(rng: Rng): Matrix {
    const { domains, transitNodes } = this.#shape;
    const matrix = emptyMatrix(domains * transitNodes);
    const nodesOf = (domain: number): number[] => Array.from({ length: transitNodes }, (_, node) => domain * transitNodes + node);
    for (let domain = 0; domain < domains; domain++) addEdges(matrix, nodesOf(domain), TRANSIT_EDGE_RATIO, () => INTRA_TRANSIT_MS, rng);
    // A line between two domains ends at a random node of each.
    const gates = emptyMatrix(domains);
    const all = Array.from({ length: domains }, (_, domain) => domain);
    addEdges(gates, all, DOMAIN_EDGE_RATIO, () => between(rng, INTER_DOMAIN_MS), rng);
    for (let one = 0; one < domains; one++)
      for (let other = 0; other < one; other++) {
        const ms = delay(gates, one, other);
        if (ms === Number.POSITIVE_INFINITY) continue;
        connect(matrix, one * transitNodes + rng.below(transitNodes), other * transitNodes + rng.below(transitNodes), ms);
      }
    return shortestWays(matrix);
  }
}

/** A random spanning tree, then every other edge with this chance. */
function addEdges(matrix: Matrix, nodes: readonly number[], ratio: number, delayMs: () => Milliseconds, rng: Rng): void {
  for (let at = 1; at < nodes.length; at++) connect(matrix, nodes[at] as number, nodes[rng.below(at)] as number, delayMs());
  for (let at = 1; at < nodes.length; at++)
    for (let before = 0; before < at; before++) {
      const [one, other] = [nodes[at] as number, nodes[before] as number];
      if (rng.float() < ratio && delay(matrix, one, other) === Number.POSITIVE_INFINITY) connect(matrix, one, other, delayMs());
    }
}

function connect(matrix: Matrix, one: number, other: number, ms: Milliseconds): void {
  (matrix[one] as Float64Array)[other] = ms;
  (matrix[other] as Float64Array)[one] = ms;
}

function delay(matrix: Matrix, from: number, to: number): Milliseconds {
  return (matrix[from] as Float64Array)[to] as number;
}

function emptyMatrix(size: number): Matrix {
  return Array.from({ length: size }, (_, row) => {
    const delays = new Float64Array(size).fill(Number.POSITIVE_INFINITY);
    delays[row] = 0;
    return delays;
  });
}

/** Floyd and Warshall. */
function shortestWays(matrix: Matrix): Matrix {
  for (let over = 0; over < matrix.length; over++)
    for (let from = 0; from < matrix.length; from++) {
      const first = delay(matrix, from, over);
      if (first === Number.POSITIVE_INFINITY) continue;
      const row = matrix[from] as Float64Array;
      for (let to = 0; to < matrix.length; to++) {
        const through = first + delay(matrix, over, to);
        if (through < (row[to] as number)) row[to] = through;
      }
    }
  return matrix;
}

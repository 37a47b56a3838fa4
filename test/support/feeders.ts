/** Who feeds whom in a simulated swarm, as the words between them say. */
import type { ConnectionId } from '../../src/kernel/units.js';
import { hasSubstream, NO_SUBSTREAMS, SUBSTREAMS, type SubstreamSet } from '../../src/relay/exchange/substreams.js';
import type { LiveStep } from '../../src/sim/live-world.js';
import type { SimPeer } from '../../src/sim/sim-peer.js';

export class Feeders {
  /** What each has last told its neighbours that it wants of them, and that they get of it; by connection. */
  readonly #wanted = new Map<SimPeer, Map<ConnectionId, SubstreamSet>>();
  readonly #given = new Map<SimPeer, Map<ConnectionId, SubstreamSet>>();

  readonly onStep = ({ peer, input, effects }: LiveStep): void => {
    const [wanted, given] = [this.#of(this.#wanted, peer), this.#of(this.#given, peer)];
    if (input.kind === 'peer-down') for (const said of [wanted, given]) said.delete(input.peer);
    for (const effect of effects) {
      if (effect.kind === 'disconnect') for (const said of [wanted, given]) said.delete(effect.peer);
      if (effect.kind !== 'send') continue;
      if (effect.message.kind === 'subscribe') wanted.set(effect.to, effect.message.substreams);
      if (effect.message.kind === 'feeding') given.set(effect.to, effect.message.substreams);
    }
  };

  #of<Key, Value>(all: Map<SimPeer, Map<Key, Value>>, peer: SimPeer): Map<Key, Value> {
    const own = all.get(peer) ?? new Map<Key, Value>();
    all.set(peer, own);
    return own;
  }

  /** By viewer, whom it has this substream from: as both say, among these. */
  edges(peers: readonly SimPeer[], substream: number): ReadonlyMap<string, readonly string[]> {
    const byName = new Map(peers.map((peer) => [peer.name, peer]));
    const edges = new Map<string, readonly string[]>();
    for (const peer of peers) {
      const feeders = peer.engine.connections.flatMap(({ id, peerId }) => {
        const feeder = byName.get(peerId);
        if (!feeder || !hasSubstream(this.#wanted.get(peer)?.get(id) ?? NO_SUBSTREAMS, substream)) return [];
        const isGiven = feeder.engine.connections.some(
          (back) => back.peerId === peer.name && hasSubstream(this.#given.get(feeder)?.get(back.id) ?? NO_SUBSTREAMS, substream),
        );
        return isGiven ? [peerId] : [];
      });
      edges.set(peer.name, feeders);
    }
    return edges;
  }

  /** Viewers that have a substream from themselves in the end, as `substream: a < b < a`. */
  cycles(peers: readonly SimPeer[]): readonly string[] {
    const cycles: string[] = [];
    for (let substream = 0; substream < SUBSTREAMS; substream++) {
      const edges = this.edges(peers, substream);
      for (const name of edges.keys()) {
        const way = wayBack(name, edges);
        if (way) cycles.push(`${substream}: ${way.join(' < ')}`);
      }
    }
    return cycles;
  }
}

/** From feeder to feeder until it is back where it began. */
function wayBack(
  name: string,
  edges: ReadonlyMap<string, readonly string[]>,
  way: readonly string[] = [name],
): readonly string[] | undefined {
  for (const feeder of edges.get(way.at(-1) ?? name) ?? []) {
    if (feeder === name) return [...way, feeder];
    if (way.includes(feeder)) continue;
    const longer = wayBack(name, edges, [...way, feeder]);
    if (longer) return longer;
  }
  return undefined;
}

/** A small live channel on real sockets in this process: a station that makes windows of its own, and viewers that know nothing but its address. */
import { channelId, encodeDescriptor } from '../../src/ingest/channel.js';
import { createSigner, nodeHasher, nodeVerifier } from '../../src/io/crypto.js';
import { readConfigFiles } from '../../src/io/files/config-file.js';
import { PeerNetwork } from '../../src/io/peers/peer-network.js';
import { TokenBucket } from '../../src/kernel/token-bucket.js';
import { resolveConfig } from '../../src/plugins/config.js';
import { LiveSwarm, type SwarmContext } from '../../src/plugins/live-swarm.js';
import { MemoryLog } from './memory-log.js';
import { temporaryFolder } from './program.js';

const WINDOW_MS = 500;
const WINDOW_BYTES = 20_000;
const OWNER = createSigner(new Uint8Array(32).fill(5));
const DESCRIPTOR = encodeDescriptor({
  source: 'push:nodes',
  container: 'flv',
  owner: OWNER.publicKey,
  pieceBytes: 4_096,
  windowMs: WINDOW_MS,
});
const CHANNEL = channelId(DESCRIPTOR, nodeHasher);

/** One process's worth of a channel. */
export class LiveNode {
  /** Numbers of the windows it was given, in order. */
  readonly windows: number[] = [];
  readonly log = new MemoryLog();
  readonly network: PeerNetwork;
  readonly #swarm: LiveSwarm;
  #feeding: NodeJS.Timeout | undefined;

  private constructor(network: PeerNetwork, settings: readonly string[], station: LiveNode | undefined) {
    const { defaults } = readConfigFiles({ currentDir: temporaryFolder('nodes') });
    const context: SwarmContext = {
      config: resolveConfig({ defaults, settings }).config,
      log: this.log,
      network,
      hasher: nodeHasher,
      verifier: nodeVerifier,
      uplink: new TokenBucket(0),
      downlink: new TokenBucket(0),
    };
    this.network = network;
    this.#swarm = new LiveSwarm(context, {
      id: CHANNEL,
      descriptor: station ? null : DESCRIPTOR,
      ...(station ? {} : { signer: OWNER }),
      trackers: [],
      peers: station ? [`127.0.0.1:${station.network.port}`] : [],
      onEvent: (event) => {
        if (event.kind === 'window') this.windows.push(event.manifest.number);
      },
    });
    this.#swarm.start();
    if (!station) this.#feed();
  }

  /** @param station undefined for the station itself. */
  static async start(settings: readonly string[], station?: LiveNode): Promise<LiveNode> {
    const network = await PeerNetwork.start({ host: '127.0.0.1', port: 0, maxConnections: 40, log: new MemoryLog(), hasher: nodeHasher });
    return new LiveNode(network, settings, station);
  }

  get neighbours(): number {
    return this.#swarm.status(0).peers;
  }

  async stop(): Promise<void> {
    clearInterval(this.#feeding);
    await this.#swarm.stop();
    await this.network.stop();
  }

  #feed(): void {
    let number = 0;
    this.#feeding = setInterval(() => {
      const bytes = Uint8Array.from({ length: WINDOW_BYTES }, (_, index) => (index * 7 + number) & 0xff);
      const times = { startMs: number * WINDOW_MS, durationMs: WINDOW_MS };
      const previous = number === 0 ? null : number - 1;
      const keyMarks = [{ offsetBytes: 0, afterStartMs: 0 }];
      this.#swarm.command({ kind: 'publish', content: { number, previous, discontinuity: false, ...times, bytes, keyMarks } });
      number += 1;
    }, WINDOW_MS);
  }
}

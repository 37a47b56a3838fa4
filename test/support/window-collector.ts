/** A peer of one channel in this process: it takes every window from the swarm and keeps its manifest, which players never see. */

import { parseLink } from '../../src/ingest/channel-link.js';
import { nodeHasher, nodeVerifier } from '../../src/io/crypto.js';
import { readConfigFiles } from '../../src/io/files/config-file.js';
import { PeerNetwork } from '../../src/io/peers/peer-network.js';
import { Malformed } from '../../src/kernel/errors.js';
import { TokenBucket } from '../../src/kernel/token-bucket.js';
import { resolveConfig } from '../../src/plugins/config.js';
import { LiveSwarm } from '../../src/plugins/live-swarm.js';
import { MemoryLog } from './memory-log.js';
import { temporaryFolder } from './program.js';

export interface CollectedWindow {
  readonly number: number;
  readonly previous: number | null;
  readonly discontinuity: boolean;
  /** Of all pieces, in hex. */
  readonly pieces: string;
  readonly bytes: Uint8Array;
}

export class WindowCollector {
  readonly windows: CollectedWindow[] = [];
  /** Times that windows had to be skipped. */
  skips = 0;
  readonly #network: PeerNetwork;
  readonly #swarm: LiveSwarm;

  /** Knows only the peer that the link names, and asks no tracker. */
  static async join(link: string): Promise<WindowCollector> {
    const log = new MemoryLog();
    const network = await PeerNetwork.start({ host: '127.0.0.1', port: 0, maxConnections: 10, log, hasher: nodeHasher });
    return new WindowCollector(link, network, log);
  }

  private constructor(link: string, network: PeerNetwork, log: MemoryLog) {
    const parsed = parseLink(link);
    if (parsed instanceof Malformed) throw new Error(parsed.reason);
    const { defaults } = readConfigFiles({ currentDir: temporaryFolder('collector') });
    const { config } = resolveConfig({ defaults });
    const context = {
      config,
      log,
      network,
      hasher: nodeHasher,
      verifier: nodeVerifier,
      uplink: new TokenBucket(0),
      downlink: new TokenBucket(0),
    };
    this.#network = network;
    this.#swarm = new LiveSwarm(context, {
      id: parsed.id,
      descriptor: null,
      trackers: [],
      peers: parsed.peers,
      onEvent: (event) => {
        if (event.kind === 'skipped') this.skips += 1;
        if (event.kind !== 'window') return;
        const { number, previous, discontinuity, pieceHashes } = event.manifest;
        const pieces = pieceHashes.map((hash) => Buffer.from(hash).toString('hex')).join(' ');
        this.windows.push({ number, previous, discontinuity, pieces, bytes: event.bytes });
      },
    });
    this.#swarm.start();
  }

  async stop(): Promise<void> {
    await this.#swarm.stop();
    await this.#network.stop();
  }
}

/** Numbers of windows that both collected. */
export function commonNumbers(one: WindowCollector, other: WindowCollector): readonly number[] {
  const numbers = new Set(other.windows.map(({ number }) => number));
  return one.windows.map(({ number }) => number).filter((number) => numbers.has(number));
}

/** The windows under these numbers of which the pieces differ. */
export function differingNumbers(one: WindowCollector, other: WindowCollector): readonly number[] {
  const pieces = new Map(other.windows.map((window) => [window.number, window.pieces]));
  return one.windows
    .filter((window) => pieces.has(window.number) && pieces.get(window.number) !== window.pieces)
    .map(({ number }) => number);
}

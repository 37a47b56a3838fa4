/** A library of titles as in a real process, without page and web server: peer port, sessions, stores, budget. Several fit into one test. */
import { join } from 'node:path';
import { nodeHasher } from '../../src/io/crypto.js';
import { readConfigFiles } from '../../src/io/files/config-file.js';
import { PeerNetwork } from '../../src/io/peers/peer-network.js';
import { TitleShelf } from '../../src/io/titles/title-shelf.js';
import { makeTorrent } from '../../src/io/titles/torrent-maker.js';
import { Rng } from '../../src/kernel/rng.js';
import { TokenBucket } from '../../src/kernel/token-bucket.js';
import { resolveConfig } from '../../src/plugins/config.js';
import { PeerFinding } from '../../src/plugins/titles/peer-finding.js';
import type { Title } from '../../src/plugins/titles/title.js';
import { parseTitleEntry } from '../../src/plugins/titles/title-entry.js';
import { TitleLibrary } from '../../src/plugins/titles/title-library.js';
import { TitleViews } from '../../src/plugins/titles/title-views.js';
import { Line } from '../../src/vod/transfer/line.js';
import { MemoryLog } from './memory-log.js';
import { temporaryFolder } from './program.js';

export interface LibraryNodeOptions {
  /** Listens there, and dials from there. Default 127.0.0.1. */
  readonly host?: string;
  readonly dataDir?: string;
  /** Dotted keys with their values. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
}

const QUIET = { 'titles.dht': false, 'titles.localDiscovery': false, 'swarm.maxConnections': 200 };

export class LibraryNode {
  readonly dataDir: string;
  readonly host: string;
  readonly network: PeerNetwork;
  readonly library: TitleLibrary;
  readonly log: MemoryLog;

  private constructor(dataDir: string, host: string, network: PeerNetwork, library: TitleLibrary, log: MemoryLog) {
    this.dataDir = dataDir;
    this.host = host;
    this.network = network;
    this.library = library;
    this.log = log;
  }

  static async start(options: LibraryNodeOptions = {}): Promise<LibraryNode> {
    const { host = '127.0.0.1', dataDir = join(temporaryFolder('library'), 'data') } = options;
    const settings = Object.entries({ ...QUIET, ...options.settings }).map(([key, value]) => `${key}=${value}`);
    const { defaults } = readConfigFiles({ currentDir: dataDir, configHome: dataDir });
    const { config } = resolveConfig({ defaults, settings: [`dataDir=${dataDir}`, ...settings] });
    const log = new MemoryLog();
    const { maxConnections, uploadBytesPerSecond, downloadBytesPerSecond } = config.swarm;
    const network = await PeerNetwork.start({ host, port: 0, maxConnections, log, hasher: nodeHasher });
    const context = {
      config,
      log,
      network,
      uplink: new TokenBucket(uploadBytesPerSecond),
      downlink: new TokenBucket(downloadBytesPerSecond),
      line: new Line(),
      shelf: new TitleShelf(dataDir, parseTitleEntry, log),
      rng: new Rng(1),
      trackers: [],
      peerAddresses: [`${host}:${network.port}`],
      seedBase: null,
      onTitle: () => {},
      onTitleGone: () => {},
      finding: new PeerFinding({ config, network, log }),
    };
    const library = new TitleLibrary(context, new TitleViews(() => undefined));
    library.start();
    return new LibraryNode(dataDir, host, network, library, log);
  }

  get address(): string {
    return `${this.host}:${this.network.port}`;
  }

  /** Makes a title of a file and gives it. */
  async publish(
    source: string,
    pieceLengthBytes = 65_536,
    trackers: readonly string[] = [],
  ): Promise<{ readonly title: Title; readonly torrent: Uint8Array }> {
    const trackerTiers = trackers.map((url) => [url]);
    const { metainfo, torrentBytes: torrent, folder } = await makeTorrent({ source, pieceLengthBytes, trackerTiers });
    return { title: await this.library.publish({ metainfo, torrent, folder, publicSeed: false }), torrent };
  }

  /** Adds a title by its torrent and names peers that have it. */
  async add(torrent: Uint8Array, peers: readonly LibraryNode[], addition: Parameters<TitleLibrary['add']>[1] = {}): Promise<Title> {
    const { id } = await this.library.add({ torrent }, addition);
    const title = this.library.title(id);
    if (title === undefined) throw new Error('the title is not there');
    this.meet(title, peers);
    return title;
  }

  /** Peers named one after the other, as soon as the title is in its swarm. */
  meet(title: Title, peers: readonly LibraryNode[]): void {
    const timer = setInterval(() => {
      if (title.swarm === undefined) return;
      clearInterval(timer);
      for (const peer of peers) title.swarm.addCandidate(peer.host, peer.network.port, 'link');
    }, 5);
    timer.unref();
  }

  async stop(): Promise<void> {
    await this.library.stop();
    await this.network.stop();
  }
}

/** Runs a test with nodes that are stopped afterwards, whatever happens. */
export async function withLibraries(task: (start: (options?: LibraryNodeOptions) => Promise<LibraryNode>) => Promise<void>): Promise<void> {
  const nodes: LibraryNode[] = [];
  try {
    await task(async (options) => {
      const node = await LibraryNode.start(options);
      nodes.push(node);
      return node;
    });
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
  }
}

/**
 * Several stations that publish one channel: each a process with a data folder and ports of its own, which it keeps over restarts.
 *
 * They find their viewers, and their viewers them, by a tracker in the test's own process, which no death of a station takes away. What makes
 * them publishers of one channel stands in `entitle` alone: a copy of the owner's keys.
 */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { TrackerServer } from '../../src/io/trackers/tracker-server.js';
import { freePort } from './free-port.js';
import { MemoryLog } from './memory-log.js';
import { PieceCollector } from './piece-collector.js';
import { temporaryFolder } from './program.js';
import { ShoalProcess, startStation } from './shoal-process.js';

export interface PublisherFleetOptions {
  readonly count: number;
  /** What all of them pull; without it somebody must push to every one (`pushUrl`). */
  readonly source?: string;
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
}

type Settings = NonNullable<PublisherFleetOptions['settings']>;

const NAME = 'Fleet';
const STREAM_KEY = 'fleet-stream-key';
const TRACKER_INTERVAL_MS = 5_000;

export class Publisher {
  readonly index: number;
  readonly swarmPort: number;
  readonly #dataDir: string;
  readonly #settings: Settings;
  readonly #rtmpPort: number;
  #process: ShoalProcess | undefined;

  constructor(index: number, dataDir: string, ports: { readonly swarm: number; readonly rtmp: number }, settings: Settings) {
    this.index = index;
    this.swarmPort = ports.swarm;
    this.#rtmpPort = ports.rtmp;
    this.#dataDir = dataDir;
    this.#settings = { ...settings, 'swarm.port': ports.swarm, 'station.rtmp.port': ports.rtmp };
  }

  /** The process that runs or ran last. */
  get process(): ShoalProcess {
    if (this.#process === undefined) throw new Error(`publisher ${this.index} was never started`);
    return this.#process;
  }

  get isRunning(): boolean {
    return this.#process !== undefined && this.#process.program.exit === undefined;
  }

  /** Where an encoder pushes to it. */
  get pushUrl(): string {
    return `rtmp://127.0.0.1:${this.#rtmpPort}/live/${STREAM_KEY}`;
  }

  /** Begins to start; `whenPublishing` tells when it is of use. */
  launch(): ShoalProcess {
    if (this.isRunning) throw new Error(`publisher ${this.index} runs already`);
    this.#process = new ShoalProcess(['start', '--json'], { dataDir: this.#dataDir, settings: this.#settings });
    return this.#process;
  }

  /** Until it has made a window within its newest second, by its own figures. */
  async whenPublishing(timeoutMs: number): Promise<void> {
    const { process } = this;
    await process.whenReady(timeoutMs);
    await process
      .whenStatus(`publisher ${this.index} publishes`, ({ live }) => live, timeoutMs)
      .catch((error: Error) => {
        throw new Error(`${error.message}; its log: ${process.program.errors.slice(-2000)}`);
      });
  }

  async kill(): Promise<void> {
    this.process.signal('SIGKILL');
    await this.process.program.whenExited(5_000);
  }

  freeze(): void {
    this.process.signal('SIGSTOP');
  }

  thaw(): void {
    this.process.signal('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }
}

export class PublisherFleet {
  readonly publishers: readonly Publisher[];
  /** The channel's id. */
  readonly id: string;
  /** Names every publisher and the tracker. */
  readonly link: string;
  readonly trackerUrl: string;
  readonly #tracker: TrackerServer;
  #collectors: readonly PieceCollector[] = [];

  /** Prepares everything and starts nothing but the tracker. */
  static async prepare(options: PublisherFleetOptions): Promise<PublisherFleet> {
    const log = new MemoryLog();
    const limits = { intervalMs: TRACKER_INTERVAL_MS, allow: () => true };
    const tracker = await TrackerServer.start({ host: '127.0.0.1', httpPort: 0, udpPort: 0, log, ...limits });
    const trackerUrl = `http://127.0.0.1:${tracker.httpPort}/announce`;
    const channel = options.source === undefined ? { name: NAME, key: STREAM_KEY } : { name: NAME, source: options.source };
    const settings = {
      'station.testCard': false,
      'station.channels': JSON.stringify([channel]),
      'tracker.enabled': false,
      'tracker.announce': trackerUrl,
      ...options.settings,
    };
    const owner = await startStation({ settings }).catch(async (error) => {
      await tracker.stop();
      throw error;
    });
    await owner.stop();
    const publishers: Publisher[] = [];
    for (let index = 0; index < options.count; index++) {
      const ports = { swarm: await freePort(), rtmp: await freePort() };
      publishers.push(new Publisher(index, entitle(owner.dataDir), ports, settings));
    }
    return new PublisherFleet(publishers, owner.channel.id, tracker, trackerUrl);
  }

  private constructor(publishers: readonly Publisher[], id: string, tracker: TrackerServer, trackerUrl: string) {
    this.publishers = publishers;
    this.id = id;
    this.#tracker = tracker;
    this.trackerUrl = trackerUrl;
    const peers = publishers.map(({ swarmPort }) => `x.pe=127.0.0.1:${swarmPort}`).join('&');
    this.link = `magnet:?xt=urn:btih:${id}&dn=${NAME}&tr=${encodeURIComponent(trackerUrl)}&${peers}`;
  }

  /** Starts all at once and waits until each publishes. */
  async start(timeoutMs = 30_000): Promise<void> {
    for (const publisher of this.publishers) publisher.launch();
    await Promise.all(this.publishers.map((publisher) => publisher.whenPublishing(timeoutMs)));
  }

  /** One for each publisher, in their order; the same ones each time. */
  async collectors(): Promise<readonly PieceCollector[]> {
    if (this.#collectors.length === 0) {
      this.#collectors = await Promise.all(this.publishers.map(({ swarmPort }) => PieceCollector.start({ id: this.id, port: swarmPort })));
    }
    return this.#collectors;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#collectors.map((collector) => collector.stop()));
    await Promise.all(this.publishers.map((publisher) => publisher.stop()));
    await this.#tracker.stop();
  }
}

/** A data folder whose station may publish the owner's channel. */
function entitle(ownerDataDir: string): string {
  const dataDir = join(temporaryFolder('publisher-data'), 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  copyFileSync(join(ownerDataDir, 'keys.json'), join(dataDir, 'keys.json'));
  return dataDir;
}

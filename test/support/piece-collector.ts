/**
 * A peer that asks one station alone what it has made: the manifest of every window, and no piece. It asks for the next one until it is there, for what a
 * station has dealt to its viewers it shows to a peer that passes nothing on some seconds later, and not in order.
 *
 * It speaks our own wire through `PeerNetwork`, announces nothing, takes no piece, and so changes hardly anything for the others. A station that dies is waited for and
 * taken up again on the same port. Several collectors, one per station, tell how far publishers of one channel agree (`piece-table.ts`).
 */
import { decodeDescriptor } from '../../src/ingest/channel.js';
import { nodeHasher } from '../../src/io/crypto.js';
import { PeerNetwork } from '../../src/io/peers/peer-network.js';
import type { Swarm } from '../../src/io/peers/swarm.js';
import type { Connection } from '../../src/kernel/connection.js';
import { Malformed } from '../../src/kernel/errors.js';
import { CertificateMemory } from '../../src/relay/exchange/certificate-memory.js';
import { LIVE_VERSION, type LiveMessage, liveCodec } from '../../src/relay/exchange/live-message.js';
import { decodeManifest, type Manifest } from '../../src/relay/exchange/manifest.js';
import { MemoryLog } from './memory-log.js';
import { isListening } from './tcp-port.js';

/** A window as one station says it has made it. */
export interface MadeWindow {
  readonly number: number;
  readonly previous: number | null;
  readonly discontinuity: boolean;
  readonly startMs: number;
  readonly durationMs: number;
  /** SHA-256 of each piece, in hex. */
  readonly pieces: readonly string[];
  /** The public key, in hex, that signed it by its own word; null for an open channel's. Signatures are not checked here. */
  readonly signer: string | null;
  /** When the manifest came, on `performance`'s clock. */
  readonly arrivedMs: number;
  /** Which connection to the station it came over, from 0; a station that restarts begins another. */
  readonly run: number;
}

export interface PieceCollectorOptions {
  /** The channel's id. */
  readonly id: string;
  /** Where the station listens for peers, on loopback. */
  readonly port: number;
}

const EXTENSION = 'shoal_live';
const PATIENCE_MS = 2_000;
/** A peer that says nothing for 15 s is let go. */
const SIGN_OF_LIFE_MS = 5_000;
const LOOK_MS = 50;
/** Numbers that a station leaves out at once, and that are asked for all the same. */
const GAP_MAX = 64;
/** A station that listens but does not answer, because it stands still or has only just begun, is dialled again after this. */
const DIAL_MS = 1_000;

export class PieceCollector {
  /** In the order they came. A number comes again when a later run of the station announces it again. */
  readonly windows: MadeWindow[] = [];
  /** Times that a connection came to be. */
  connections = 0;
  readonly #options: PieceCollectorOptions;
  readonly #network: PeerNetwork;
  readonly #timer: NodeJS.Timeout;
  #swarm: Swarm | undefined;
  #connection: Connection | undefined;
  #descriptor: Uint8Array | null = null;
  #certificates = new CertificateMemory();
  /** Over this connection: all numbers up to this one have been asked for, from the first that the station showed; and those that have come. */
  #askedTo: number | undefined;
  #taken = new Set<number>();
  #dialledMs = Number.NEGATIVE_INFINITY;
  #saidMs = 0;
  #isLooking = false;
  #isStopped = false;

  static async start(options: PieceCollectorOptions): Promise<PieceCollector> {
    const log = new MemoryLog();
    // It wants to be with the station the moment that is there.
    const timings = { tickMs: LOOK_MS };
    const network = await PeerNetwork.start({ host: '127.0.0.1', port: 0, maxConnections: 4, log, hasher: nodeHasher, timings });
    return new PieceCollector(options, network);
  }

  private constructor(options: PieceCollectorOptions, network: PeerNetwork) {
    this.#options = options;
    this.#network = network;
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
  }

  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** The newest window; undefined before the first. */
  get latest(): MadeWindow | undefined {
    return this.windows.at(-1);
  }

  /** When a window came after `sinceMs`; undefined when none has yet. */
  firstSince(sinceMs: number): MadeWindow | undefined {
    return this.windows.find(({ arrivedMs }) => arrivedMs >= sinceMs);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#network.stop();
  }

  /** Keeps a connection alive, or makes a new one. A swarm of its own for each try: the pool would wait longer from failure to failure. */
  async #look(): Promise<void> {
    const nowMs = performance.now();
    if (this.#connection !== undefined) {
      if (this.#askedTo !== undefined) this.#ask(this.#askedTo + 1);
      return this.#showLife(nowMs);
    }
    if (this.#isLooking || nowMs - this.#dialledMs < DIAL_MS) return;
    this.#isLooking = true;
    const { port, id } = this.#options;
    if ((await isListening(port)) && !this.#isStopped) {
      await this.#swarm?.leave();
      if (this.#isStopped) return;
      this.#dialledMs = performance.now();
      this.#swarm = this.#network.join({
        infoHash: id,
        extension: EXTENSION,
        metadata: this.#descriptor,
        publisher: false,
        maxConnections: 2,
        targetConnections: 1,
        onConnection: (connection, { outgoing, address }) => {
          // Others learn of us from the station, and we of them; they are none of our business.
          if (outgoing && address.endsWith(`:${port}`)) this.#onConnection(connection);
          else connection.close({ kind: 'surplus', detail: 'this peer looks at one station alone' });
        },
        onMetadata: (bytes) => {
          this.#descriptor = bytes;
        },
      });
      this.#swarm.addCandidate('127.0.0.1', port, 'link');
    }
    this.#isLooking = false;
  }

  /** Before there is anything to ask for. */
  #showLife(nowMs: number): void {
    if (nowMs - this.#saidMs >= SIGN_OF_LIFE_MS) this.#say({ kind: 'map', full: true, tail: 0, windows: [] });
  }

  #onConnection(connection: Connection): void {
    this.#connection = connection;
    this.connections += 1;
    this.#askedTo = undefined;
    this.#taken = new Set();
    this.#certificates = new CertificateMemory();
    connection.listen({
      onMessage: (bytes) => this.#onMessage(bytes),
      onDrain: () => undefined,
      onClose: () => {
        if (this.#connection !== connection) return;
        this.#connection = undefined;
        this.#dialledMs = Number.NEGATIVE_INFINITY;
        // Or the pool would go on with a peer that the station has named.
        void this.#swarm?.leave();
        this.#swarm = undefined;
      },
    });
    this.#say({ kind: 'hello', version: LIVE_VERSION, publisher: false, rank: 0 });
    this.#say({ kind: 'map', full: true, tail: 0, windows: [] });
  }

  #say(message: LiveMessage): void {
    this.#saidMs = performance.now();
    this.#connection?.send(liveCodec.encode(message));
  }

  #onMessage(bytes: Uint8Array): void {
    const message = liveCodec.decode(bytes);
    if (message instanceof Malformed) throw new Error(`the station sent what cannot be read: ${message.reason}`);
    if (message.kind === 'manifest') return this.#take(this.#certificates.restore(message));
    if (message.kind !== 'map') return;
    for (const { number } of message.windows) {
      const from = this.#askedTo === undefined ? number : Math.max(this.#askedTo + 1, number - GAP_MAX);
      for (let each = from; each <= number; each++) this.#ask(each);
      this.#askedTo = Math.max(this.#askedTo ?? number, number);
    }
  }

  #ask(window: number): void {
    this.#say({ kind: 'request', window, pieces: [], wantManifest: true, patienceMs: PATIENCE_MS });
  }

  #take(bytes: Uint8Array | Malformed): void {
    if (bytes instanceof Malformed) throw new Error(`the station sent ${bytes.reason}`);
    const descriptor = decodeDescriptor(this.#descriptor ?? new Uint8Array(0));
    if (descriptor instanceof Malformed) throw new Error(descriptor.reason);
    const manifest = decodeManifest(bytes, descriptor.pieceBytes);
    if (manifest instanceof Malformed) throw new Error(`the station sent a manifest that cannot be read: ${manifest.reason}`);
    const { number, previous, discontinuity, startMs, durationMs, pieceHashes } = manifest;
    if (this.#taken.has(number)) return;
    this.#taken.add(number);
    this.#askedTo = Math.max(this.#askedTo ?? number, number);
    const pieces = pieceHashes.map((hash) => Buffer.from(hash).toString('hex'));
    const signer = signerOf(manifest, descriptor.owner);
    const made = { number, previous, discontinuity, startMs, durationMs, pieces, signer };
    this.windows.push({ ...made, arrivedMs: performance.now(), run: this.connections - 1 });
  }
}

/** The one place that knows how a manifest names its signer: by a certificate's key, or not at all, and then it is the channel's owner. */
function signerOf(manifest: Manifest & { readonly signer?: Uint8Array | null }, owner: Uint8Array | null): string | null {
  const key = manifest.signer ?? owner;
  return key === null ? null : Buffer.from(key).toString('hex');
}

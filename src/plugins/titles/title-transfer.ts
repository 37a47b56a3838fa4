/**
 * One title's exchange with its swarm: the session core, its engine, the store, and the web seeds, wired together. Nothing here decides.
 *
 * A block goes from the wire to the store and never waits in between, unless the disk is full: then it is held, and `error` says so until there is room.
 */
import { blockMemory } from '../../io/block-memory.js';
import type { PeerInfo } from '../../io/peers/peer-info.js';
import { systemClock } from '../../io/system-clock.js';
import type { TitleStore } from '../../io/titles/title-store.js';
import { WebSeedClient, type WebSeedTrust } from '../../io/titles/web-seed-client.js';
import type { Connection } from '../../kernel/connection.js';
import { Engine } from '../../kernel/engine.js';
import type { ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import type { Rng } from '../../kernel/rng.js';
import type { TokenBucket } from '../../kernel/token-bucket.js';
import type { Bytes, ConnectionId, Milliseconds, PieceIndex } from '../../kernel/units.js';
import { BLOCK_BYTES } from '../../vod/block.js';
import { type Metainfo, pieceSpanBytes } from '../../vod/metainfo.js';
import { type PeerMessage, peerCodec } from '../../vod/peer-message.js';
import type { TitleCommand, TitleEvent, TitleTimer } from '../../vod/title-protocol.js';
import { TitleSession } from '../../vod/title-session.js';
import { shapeOf } from '../../vod/title-shape.js';
import type { Line } from '../../vod/transfer/line.js';
import { type Block, BlockWriter } from './block-writer.js';

export interface TitleTransferOptions {
  readonly metainfo: Metainfo;
  readonly store: TitleStore;
  readonly rng: Rng;
  readonly uplink: TokenBucket;
  readonly downlink: TokenBucket;
  readonly line: Line;
  readonly webSeeds: readonly string[];
  readonly webSeedTrust: WebSeedTrust;
  readonly log: Log;
  /** The session would like this many neighbours. */
  readonly onWant: (count: number) => void;
  /** Verified, or lost again: readers look, and the page. */
  readonly onPiece: (piece: PieceIndex) => void;
  readonly onEvent: (event: TitleEvent) => void;
  /** The disk refuses for a reason that does not pass. */
  readonly onHopeless: (error: ShoalError) => void;
}

/** Before a piece is fetched again that the disk does not have. */
const RETRY_MS: Milliseconds = 5_000;
const SOON_MS: Milliseconds = 1_000;

interface WebSeed {
  readonly client: WebSeedClient;
  isUp: boolean;
  abort: AbortController | undefined;
  timer: NodeJS.Timeout | undefined;
}

export class TitleTransfer {
  readonly session: TitleSession;
  readonly #options: TitleTransferOptions;
  readonly #engine: Engine<PeerMessage, TitleCommand, TitleEvent, TitleTimer>;
  readonly #webSeeds = new Map<ConnectionId, WebSeed>();
  readonly #infos = new Map<ConnectionId, PeerInfo>();
  #stopped = false;
  #error: string | null = null;
  readonly #writer: BlockWriter;
  readonly #losing = new Set<PieceIndex>();

  constructor(options: TitleTransferOptions) {
    this.#options = options;
    const { metainfo, rng, uplink, downlink, line, store } = options;
    this.#writer = new BlockWriter({
      write: (piece, offsetBytes, bytes) => store.writeBlock(piece, offsetBytes, bytes),
      onStored: (block) => this.#onStored(block),
      onDropped: (block, error) => this.#onDropped(block, error),
      onHopeless: (error) => this.#options.onHopeless(error),
      onTrouble: (error) => this.#onTrouble(error),
    });
    this.session = new TitleSession({ shape: shapeOf(metainfo), rng, uplink, downlink, line });
    this.#engine = new Engine({
      protocol: this.session,
      codec: peerCodec,
      clock: systemClock,
      onEvent: (event) => this.#onEvent(event),
      onConnect: (want) => options.onWant(want),
      onGone: (id) => this.#infos.delete(id),
    });
  }

  /** What the disk says against it; null when all is well. */
  get error(): string | null {
    return this.#error;
  }

  start(): void {
    const { store, webSeeds, metainfo, log, webSeedTrust } = this.#options;
    this.command({ kind: 'start', have: store.have, blocks: store.blocks });
    for (const [index, url] of webSeeds.entries()) {
      const client = new WebSeedClient({ url, metainfo, log, trust: webSeedTrust });
      const id = `web-seed-${index}`;
      this.#webSeeds.set(id, { client, isUp: false, abort: undefined, timer: undefined });
      this.#raise(id);
    }
  }

  /** A neighbour's wire is ready. */
  add(connection: Connection, info: PeerInfo): void {
    if (this.#stopped) return connection.close({ kind: 'leaving', detail: 'stopped' });
    this.#infos.set(connection.id, info);
    this.#engine.add(connection);
    const { fast, requestQueueCount, kin, outgoing, mapsDontHave, mapsUploadOnly, uploadOnly } = info;
    const addressGroup = isLoopbackGroup(info.addressGroup) ? info.address : info.addressGroup;
    const peer = connection.id;
    this.command({
      kind: 'introduce',
      peer,
      fast,
      requestQueueCount,
      addressGroup,
      kin,
      outgoing,
      mapsDontHave,
      mapsUploadOnly,
      uploadOnly,
    });
  }

  command(command: TitleCommand): void {
    if (!this.#stopped) this.#engine.command(command);
  }

  /** Of a connected neighbour, as the wire knows it. */
  info(peer: ConnectionId): PeerInfo | undefined {
    return this.#infos.get(peer);
  }

  webSeedUrl(peer: ConnectionId): string | undefined {
    return this.#webSeeds.get(peer)?.client.url;
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#writer.stop();
    this.#engine.stop();
    this.session.retire();
    for (const seed of this.#webSeeds.values()) {
      clearTimeout(seed.timer);
      seed.abort?.abort();
      seed.client.close();
    }
  }

  #onEvent(event: TitleEvent): void {
    switch (event.kind) {
      case 'store-block':
        return this.#writer.store(event);
      case 'check-piece':
        return this.#writer.afterPiece(event.piece, () => void this.#check(event.piece));
      case 'read-block':
        void this.#read(event.peer, event.piece, event.offsetBytes, event.lengthBytes);
        return;
      case 'digest-blocks':
        void this.#digest(event.piece);
        return;
      case 'drop-blocks':
        return this.#writer.afterPiece(event.piece, () => void this.#drop(event.piece, event.blocks));
      case 'fetch':
        void this.#fetch(event.peer, event.fromByte, event.toByte);
        return;
      case 'fetch-cancelled':
        this.#webSeeds.get(event.peer)?.abort?.abort();
        return;
      case 'offence':
        return this.#onOffence(event.peer, event.detail);
      case 'piece-complete':
        this.#options.onPiece(event.piece);
    }
    this.#options.onEvent(event);
  }

  #onStored({ piece, offsetBytes, bytes }: Block): void {
    blockMemory.giveBack(bytes);
    this.command({ kind: 'block-stored', piece, offsetBytes });
  }

  /** The disk has refused so much that no more of it can be held. */
  #onDropped(block: Block, error: unknown): void {
    // It is on its way no more, and its piece is not whole.
    this.#onStored(block);
    this.#loseLater(block.piece, error);
  }

  #onTrouble(error: ShoalError | null): void {
    this.#error = error?.message ?? null;
    if (error) this.#options.log.warn('the disk takes no more of a title', { reason: error.message });
    else this.#options.log.info('the disk takes the title again');
  }

  /** The disk lacks a piece, or gives it back no more: it is asked for again, but not at once. */
  #loseLater(piece: PieceIndex, error: unknown): void {
    if (this.#stopped || this.#losing.has(piece)) return;
    this.#options.log.debug('a piece is fetched again', { piece, reason: error instanceof Error ? error.message : String(error) });
    this.#losing.add(piece);
    setTimeout(() => {
      this.#losing.delete(piece);
      this.command({ kind: 'piece-lost', piece });
    }, RETRY_MS).unref();
  }

  async #check(piece: PieceIndex): Promise<void> {
    try {
      const ok = await this.#options.store.checkPiece(piece, { keepsWrong: true });
      this.command({ kind: 'piece-checked', piece, ok });
    } catch (error) {
      this.#loseLater(piece, error);
    }
  }

  async #read(peer: ConnectionId, piece: PieceIndex, offsetBytes: Bytes, lengthBytes: Bytes): Promise<void> {
    let bytes: Uint8Array | null = null;
    try {
      bytes = await this.#options.store.readBlock(piece, offsetBytes, lengthBytes);
    } catch (error) {
      this.#options.log.debug('a block could not be read for a peer', { piece, reason: String(error) });
    }
    this.command({ kind: 'block-read', peer, piece, offsetBytes, lengthBytes, bytes, hasHeadroom: true });
  }

  async #drop(piece: PieceIndex, blocks: readonly number[]): Promise<void> {
    try {
      await this.#options.store.dropBlocks(piece, blocks);
      this.command({ kind: 'blocks-dropped', piece, blocks });
    } catch (error) {
      this.#loseLater(piece, error);
    }
  }

  async #digest(piece: PieceIndex): Promise<void> {
    try {
      const digests = await this.#options.store.digestBlocks(piece);
      this.command({ kind: 'blocks-digested', piece, digests });
    } catch (error) {
      this.#loseLater(piece, error);
    }
  }

  #onOffence(peer: ConnectionId, detail: string): void {
    // A neighbour that offended is disconnected, and banned with it, by the engine.
    this.#webSeeds.get(peer)?.client.condemn(detail);
  }

  /** Tells the session of a web seed as soon as it may be asked. */
  #raise(id: ConnectionId): void {
    const seed = this.#webSeeds.get(id);
    if (!seed || this.#stopped || !Number.isFinite(seed.client.waitMs)) return;
    if (seed.client.waitMs === 0) {
      seed.isUp = true;
      return this.command({ kind: 'web-seed-up', peer: id });
    }
    seed.timer = setTimeout(() => this.#raise(id), Math.min(seed.client.waitMs + 1, 2 ** 31 - 1)).unref();
  }

  async #fetch(peer: ConnectionId, fromByte: Bytes, toByte: Bytes): Promise<void> {
    const seed = this.#webSeeds.get(peer);
    if (!seed) return;
    seed.abort?.abort();
    const abort = new AbortController();
    seed.abort = abort;
    const { metainfo, store } = this.#options;
    const blocks = new BlockGatherer(metainfo, fromByte);
    try {
      const piece = Math.floor(fromByte / metainfo.pieceLengthBytes);
      const bytes = seed.client.fetch(piece, fromByte - piece * metainfo.pieceLengthBytes, toByte - fromByte, abort.signal);
      for await (const chunk of bytes) {
        for (const block of blocks.push(chunk)) this.command({ kind: 'fetched', peer, ...block });
        if (store.isFull) await store.drained();
        if (abort.signal.aborted) return;
      }
    } catch (error) {
      if (abort.signal.aborted || this.#stopped) return;
      this.command({ kind: 'fetch-failed', peer, lacks: seed.client.lackedPieces });
      if (seed.client.waitMs > 0) this.#lower(peer, seed, error);
    }
  }

  #lower(id: ConnectionId, seed: WebSeed, error: unknown): void {
    this.#options.log.debug('a web seed rests', { reason: String(error) });
    if (seed.isUp) this.command({ kind: 'web-seed-down', peer: id });
    seed.isUp = false;
    seed.timer = setTimeout(() => this.#raise(id), SOON_MS).unref();
  }
}

/** Cuts a run of bytes into the blocks of their pieces. The run begins where a block begins. */
class BlockGatherer {
  readonly #metainfo: Metainfo;
  #atByte: Bytes;
  #block: Uint8Array | undefined;
  #filledBytes: Bytes = 0;

  constructor(metainfo: Metainfo, fromByte: Bytes) {
    this.#metainfo = metainfo;
    this.#atByte = fromByte;
  }

  *push(chunk: Uint8Array): Generator<{ readonly piece: PieceIndex; readonly offsetBytes: Bytes; readonly bytes: Uint8Array }> {
    for (let from = 0; from < chunk.length; ) {
      const { pieceLengthBytes } = this.#metainfo;
      const piece = Math.floor(this.#atByte / pieceLengthBytes);
      const offsetBytes = this.#atByte - piece * pieceLengthBytes;
      const block = this.#block ?? new Uint8Array(Math.min(BLOCK_BYTES, pieceSpanBytes(this.#metainfo, piece) - offsetBytes));
      this.#block = block;
      const taken = chunk.subarray(from, from + block.length - this.#filledBytes);
      block.set(taken, this.#filledBytes);
      from += taken.length;
      this.#filledBytes += taken.length;
      if (this.#filledBytes < block.length) return;
      this.#block = undefined;
      this.#filledBytes = 0;
      this.#atByte += block.length;
      yield { piece, offsetBytes, bytes: block };
    }
  }
}

/** On one machine peers differ by port alone; other loopback addresses are somebody's choice, and stand for blocks like any. */
function isLoopbackGroup(group: string): boolean {
  return group === '127.0.0.0/24' || group.startsWith('::1') || group === '::/56' || group.startsWith('0:0:0:0:');
}

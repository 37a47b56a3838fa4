/**
 * Serves what neighbours ask for, as fast as the uplink allows, in the order of the upload queue.
 *
 * A block is read only when its turn has come and the neighbour can take it; about a mebibyte at most is being read for one neighbour. With the fast
 * extension every request is answered by a piece or a reject, also after a cancel or a choke (BEP 6); without it what is not served is dropped.
 *
 * The uplink is shared by all titles: who finds it used up takes its place in the line by booking its next block at once, so that titles take turns.
 */
import type { Bytes, ConnectionId, Milliseconds } from '../../kernel/units.js';
import { BLOCK_BYTES } from '../block.js';
import { type BlockMessage, REQUEST_BYTES_MAX } from '../peer-message.js';
import type { TitleCommand } from '../title-protocol.js';
import { type Upload, UploadQueue, type UploadView } from '../upload-queue.js';
import type { Neighbour } from './neighbour.js';
import type { TransferContext } from './transfer-context.js';

/** Being read for one neighbour: as much as it takes in this time, so that little is beyond the reach of a cancel; within these bounds. */
const READING_MS: Milliseconds = 50;
const READING_BYTES_MIN: Bytes = 65_536;
const READING_BYTES_MAX: Bytes = 1_048_576;
const RATE_SAMPLE_MS: Milliseconds = 100;
/** Being read for all. */
const READING_BYTES_TOTAL_MAX: Bytes = 8 * 1_048_576;
/** Who says that somebody watches there goes before all others, 4 to 1 (algorithm sheet, section 6). Silence gains nothing. */
const WATCHING_WEIGHT = 4;
/** Blocks of addresses of which is remembered how much went there; the one longest unheard of is forgotten. */
const GROUPS_MAX = 1_024;

/** What goes to one neighbour. */
interface Flow {
  readingBytes: Bytes;
  bytesPerMs: number;
  sampleBytes: Bytes;
  sampleFromMs: Milliseconds;
}

export class Uploader implements UploadView {
  readonly #context: TransferContext;
  readonly #queue = new UploadQueue();
  readonly #flows = new Map<ConnectionId, Flow>();
  readonly #givenByGroup = new Map<string, Bytes>();
  #readingBytes: Bytes = 0;
  #isScheduled = false;
  /** Taken from the uplink ahead, for the block whose turn comes with the timer. */
  #bookedBytes: Bytes = 0;

  constructor(context: TransferContext) {
    this.#context = context;
  }

  /** Requests waiting. */
  get queuedCount(): number {
    return this.#queue.count;
  }

  onRequest(neighbour: Neighbour, request: BlockMessage): void {
    const { piece, offsetBytes, lengthBytes } = request;
    if (!this.#isInTitle(request)) {
      this.#context.accuse(neighbour, `asks for ${lengthBytes} bytes at ${offsetBytes} of piece ${piece}`);
      return;
    }
    if (this.#queue.has(neighbour.id, piece, offsetBytes)) this.#bearExcess(neighbour);
    const isServed = !neighbour.amChoking && this.#context.wanted.own.has(piece);
    if (!isServed || !this.#queue.add({ peer: neighbour.id, piece, offsetBytes, lengthBytes }, neighbour.introduction.addressGroup)) {
      this.#reject(neighbour, request);
      this.#bearExcess(neighbour);
      return;
    }
    this.serve();
  }

  onCancel(neighbour: Neighbour, request: BlockMessage): void {
    // What is being read is sent all the same: it counts as the answer.
    if (this.#queue.cancel(neighbour.id, request.piece, request.offsetBytes)) this.#reject(neighbour, request);
    else if (!neighbour.manners.bears('stray-cancel', this.#context.nowMs)) this.#context.accuse(neighbour, 'a flood of cancels');
  }

  /** The neighbour is choked: nothing that waits will be served. */
  drop(neighbour: Neighbour): void {
    for (const upload of this.#queue.clear(neighbour.id)) this.#reject(neighbour, upload);
  }

  dropPeer(neighbour: Neighbour): void {
    this.#queue.dropPeer(neighbour.id);
    this.#readingBytes -= this.#flows.get(neighbour.id)?.readingBytes ?? 0;
    this.#flows.delete(neighbour.id);
  }

  /** A block has been read, or not. */
  onRead({ peer, piece, offsetBytes, lengthBytes, bytes, hasHeadroom = false }: TitleCommand & { readonly kind: 'block-read' }): void {
    const neighbour = this.#context.neighbours.get(peer);
    const flow = this.#flows.get(peer);
    if (neighbour === undefined || flow === undefined) return;
    this.#book(flow, -lengthBytes);
    if (bytes === null) {
      this.#context.options.uplink.take(-lengthBytes, this.#context.nowMs);
      this.#reject(neighbour, { piece, offsetBytes, lengthBytes });
    } else {
      neighbour.upBytes += bytes.length;
      this.#remember(neighbour.introduction.addressGroup, bytes.length);
      flow.sampleBytes += bytes.length;
      this.#context.counts.upBytes += bytes.length;
      this.#context.send(neighbour, { kind: 'piece', piece, offsetBytes, bytes, hasHeadroom });
    }
    this.serve();
  }

  /** The timer `upload`: there is credit again. */
  onTimer(): void {
    this.#isScheduled = false;
    this.#serveNow();
  }

  /** Payload that went to the neighbour's block of addresses, earlier connections included. */
  givenTo(neighbour: Neighbour): Bytes {
    return this.#givenByGroup.get(neighbour.introduction.addressGroup) ?? 0;
  }

  /** Reads as much as the uplink allows now and comes back for the rest. */
  serve(): void {
    // Its turn comes with the timer, and until then others have theirs.
    if (!this.#isScheduled) this.#serveNow();
  }

  #serveNow(): void {
    const { uplink } = this.#context.options;
    const { nowMs } = this.#context;
    while (this.#queue.count > 0 && this.#readingBytes < READING_BYTES_TOTAL_MAX) {
      const delayMs = this.#bookedBytes > 0 ? 0 : uplink.delayMs(nowMs);
      if (delayMs > 0) return this.#serveLater(delayMs);
      const upload = this.#queue.take(this);
      if (upload === undefined) break;
      uplink.take(upload.lengthBytes - this.#bookedBytes, nowMs);
      this.#bookedBytes = 0;
      this.#book(this.#flowTo(upload.peer), upload.lengthBytes);
      this.#context.emit({ kind: 'read-block', ...upload });
    }
    this.#unbook();
  }

  /** Nobody who waits can take a block now: others may have the turn. */
  #unbook(): void {
    if (this.#bookedBytes > 0) this.#context.options.uplink.take(-this.#bookedBytes, this.#context.nowMs);
    this.#bookedBytes = 0;
  }

  isReady(peer: ConnectionId): boolean {
    const neighbour = this.#context.neighbours.get(peer);
    if (neighbour === undefined || neighbour.blocked) return false;
    const { readingBytes, bytesPerMs } = this.#flowTo(peer);
    return readingBytes < Math.max(READING_BYTES_MIN, Math.min(READING_BYTES_MAX, bytesPerMs * READING_MS));
  }

  waits({ peer, piece }: Upload): boolean {
    return this.#context.neighbours.get(peer)?.awaited.includes(piece) ?? false;
  }

  watches(peer: ConnectionId): boolean {
    return this.#context.neighbours.get(peer)?.watching ?? false;
  }

  isScarce(piece: number): boolean {
    return this.#context.rarity.partialHolders(piece) === 0;
  }

  weight(peer: ConnectionId): number {
    const neighbour = this.#context.neighbours.get(peer);
    if (neighbour === undefined) return 1;
    return neighbour.standing.priority * (neighbour.watching === true ? WATCHING_WEIGHT : 1);
  }

  #bearExcess(neighbour: Neighbour): void {
    if (!neighbour.manners.bears('excess-request', this.#context.nowMs)) this.#context.accuse(neighbour, 'a flood of requests');
  }

  #isInTitle({ piece, offsetBytes, lengthBytes }: BlockMessage): boolean {
    if (piece >= this.#context.shape.pieceCount || lengthBytes === 0 || lengthBytes > REQUEST_BYTES_MAX) return false;
    return offsetBytes + lengthBytes <= this.#context.pieceBytes(piece);
  }

  #flowTo(peer: ConnectionId): Flow {
    const { nowMs } = this.#context;
    let flow = this.#flows.get(peer);
    if (flow === undefined) {
      flow = { readingBytes: 0, bytesPerMs: 0, sampleBytes: 0, sampleFromMs: nowMs };
      this.#flows.set(peer, flow);
    }
    const tookMs = nowMs - flow.sampleFromMs;
    if (tookMs < RATE_SAMPLE_MS) return flow;
    flow.bytesPerMs = flow.sampleBytes / tookMs;
    flow.sampleBytes = 0;
    flow.sampleFromMs = nowMs;
    return flow;
  }

  #remember(group: string, bytes: Bytes): void {
    const before = this.#givenByGroup.get(group) ?? 0;
    this.#givenByGroup.delete(group);
    this.#givenByGroup.set(group, before + bytes);
    const [oldest] = this.#givenByGroup.keys();
    if (this.#givenByGroup.size > GROUPS_MAX && oldest !== undefined) this.#givenByGroup.delete(oldest);
  }

  #book(flow: Flow, bytes: number): void {
    flow.readingBytes += bytes;
    this.#readingBytes += bytes;
  }

  #serveLater(delayMs: Milliseconds): void {
    this.#isScheduled = true;
    this.#bookedBytes = BLOCK_BYTES;
    this.#context.options.uplink.take(this.#bookedBytes, this.#context.nowMs);
    this.#context.schedule('upload', delayMs);
  }

  #reject(neighbour: Neighbour, { piece, offsetBytes, lengthBytes }: Omit<BlockMessage, 'kind'>): void {
    if (neighbour.introduction.fast) this.#context.send(neighbour, { kind: 'reject', piece, offsetBytes, lengthBytes });
  }
}

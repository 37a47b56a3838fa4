/**
 * A TCP proxy in this process that makes loopback like a line: a rate for each connection and for all together, a delay, and switches to freeze it or to
 * spoil bytes. Needs no root. Only the direction from the target to the caller is shaped; the other one has the same delay and no limit.
 *
 * Bytes leave after both token buckets have let them go and the delay has passed, in order. When more than `queueBytes` wait, the target is not read from, so that
 * it feels the line as it would a real one: by its own socket being full.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface ShapedLinkOptions {
  readonly targetHost?: string;
  /** Default the number that callers call. */
  readonly targetPort?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** For one connection. Default no limit. */
  readonly bytesPerSecond?: number;
  /** For all connections together. Default no limit. */
  readonly totalBytesPerSecond?: number;
  /** For the connections of several links together: the line of whoever calls. Default no limit. */
  readonly line?: Line;
  /** What may pass at once after a pause, in time at the full rate. Default 20 ms. */
  readonly burstMs?: number;
  /** One way. Default 0. */
  readonly delayMs?: number;
  /** What one connection may hold back. Default 256 KiB, about what a home router queues. */
  readonly queueBytes?: number;
}

const QUEUE_BYTES = 262_144;
/** What may pass at once after a pause, in time at the full rate: small, or the first bytes after a seek would be too cheap. */
const BURST_MS = 20;
const TICK_MS = 5;
/** Large pieces would make a slow line jump. */
const SLICE_BYTES = 16_384;
/** What one connection passes on a shared line before it is another's turn. */
const PACKET_BYTES = 4_096;
const SPOILED_BYTES_MIN = 1024;
/** From the end of a slice. */
const SPOILED_PLACE = 100;

export class ShapedLink {
  readonly #options: ShapedLinkOptions;
  readonly #server: Server;
  readonly #pipes = new Set<ShapedPipe>();
  readonly #total: TokenBucket;
  #isFrozen = false;
  #corruptRatio = 0;
  #spoiledSlices = 0;
  #givenBytes = 0;

  static async start(options: ShapedLinkOptions): Promise<ShapedLink> {
    const link = new ShapedLink(options);
    await new Promise<void>((resolve) => link.#server.listen(0, options.host ?? '127.0.0.1', resolve));
    return link;
  }

  private constructor(options: ShapedLinkOptions) {
    this.#options = options;
    this.#total = new TokenBucket(options.totalBytesPerSecond ?? Number.POSITIVE_INFINITY, options.burstMs);
    this.#server = createServer({ noDelay: true }, (caller) => this.#open(caller));
  }

  get host(): string {
    return (this.#server.address() as AddressInfo).address;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** That have left for callers so far. */
  get givenBytes(): number {
    return this.#givenBytes;
  }

  get connectionCount(): number {
    return this.#pipes.size;
  }

  /** While frozen nothing passes either way, new connections neither; they stay open. */
  set isFrozen(frozen: boolean) {
    this.#isFrozen = frozen;
    for (const pipe of this.#pipes) pipe.isFrozen = frozen;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /** Share of slices of up to 16 KiB (0 to 1) in which one byte near the end is inverted; handshakes, which are shorter than 1 KiB, stay whole. */
  set corruptRatio(ratio: number) {
    this.#corruptRatio = ratio;
  }

  async stop(): Promise<void> {
    for (const pipe of this.#pipes) pipe.close();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #open(caller: Socket): void {
    const { targetHost = '127.0.0.1', targetPort = this.port, bytesPerSecond, delayMs = 0, queueBytes = QUEUE_BYTES, line } = this.#options;
    // What the caller has sent still has to reach a target that has said all it has to say.
    const target = connect({ host: targetHost, port: targetPort, noDelay: true, allowHalfOpen: true });
    const pipe = new ShapedPipe({
      caller,
      target,
      buckets: [new TokenBucket(bytesPerSecond ?? Number.POSITIVE_INFINITY), this.#total],
      line,
      delayMs,
      queueBytes,
      onGiven: (bytes) => this.#onGiven(bytes),
      onClosed: () => this.#pipes.delete(pipe),
    });
    pipe.isFrozen = this.#isFrozen;
    this.#pipes.add(pipe);
  }

  /** Spreads the spoiled slices evenly, so that a run can be repeated. */
  #onGiven(bytes: Buffer): void {
    this.#givenBytes += bytes.length;
    if (this.#corruptRatio === 0 || bytes.length < SPOILED_BYTES_MIN) return;
    this.#spoiledSlices += this.#corruptRatio;
    if (this.#spoiledSlices < 1) return;
    this.#spoiledSlices -= 1;
    const place = bytes.length - SPOILED_PLACE;
    bytes[place] = (bytes[place] ?? 0) ^ 0xff;
  }
}

/** Lets `bytesPerSecond` pass, with a burst. */
class TokenBucket {
  readonly #bytesPerSecond: number;
  readonly #burstMs: number;
  #tokens = 0;
  #atMs = performance.now();

  constructor(bytesPerSecond: number, burstMs = BURST_MS) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#burstMs = burstMs;
  }

  /** How many bytes may go now. */
  available(nowMs: number): number {
    if (this.#bytesPerSecond === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    const grown = ((nowMs - this.#atMs) / 1000) * this.#bytesPerSecond;
    this.#tokens = Math.min(this.#tokens + grown, Math.max(1, (this.#bytesPerSecond * this.#burstMs) / 1000));
    this.#atMs = nowMs;
    return Math.floor(this.#tokens);
  }

  take(bytes: number): void {
    if (this.#bytesPerSecond !== Number.POSITIVE_INFINITY) this.#tokens -= bytes;
  }
}

/** What several links share: whoever has something to pass waits in a queue and passes a packet's worth when it is its turn. */
export class Line extends TokenBucket {
  readonly #waiting: object[] = [];

  /** Whether this one may pass so many bytes now. */
  hasTurn(pipe: object, bytes: number, nowMs: number): boolean {
    if (!this.#waiting.includes(pipe)) this.#waiting.push(pipe);
    return this.#waiting[0] === pipe && this.available(nowMs) >= Math.min(bytes, PACKET_BYTES);
  }

  /** It passes no more, for now. */
  leave(pipe: object): void {
    const at = this.#waiting.indexOf(pipe);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}

interface ShapedPipeOptions {
  readonly caller: Socket;
  readonly target: Socket;
  readonly buckets: readonly TokenBucket[];
  readonly line: Line | undefined;
  readonly delayMs: number;
  readonly queueBytes: number;
  /** May change the bytes. */
  readonly onGiven: (bytes: Buffer) => void;
  readonly onClosed: () => void;
}

interface Waiting {
  readonly bytes: Buffer;
  /** Not before. */
  readonly dueMs: number;
}

/** One connection of the caller with its connection to the target. */
class ShapedPipe {
  readonly #options: ShapedPipeOptions;
  readonly #down: Waiting[] = [];
  readonly #up: Waiting[] = [];
  readonly #timer: NodeJS.Timeout;
  #downBytes = 0;
  #isEnding = false;
  isFrozen = false;

  constructor(options: ShapedPipeOptions) {
    this.#options = options;
    const { caller, target } = options;
    target.on('data', (bytes) => this.#take(bytes));
    caller.on('data', (bytes) => {
      this.#up.push({ bytes, dueMs: performance.now() + options.delayMs });
      this.#pass();
    });
    // What is under way when one end hangs up still arrives.
    target.on('end', () => {
      this.#isEnding = true;
    });
    for (const socket of [caller, target]) socket.on('error', () => this.close());
    caller.on('close', () => this.close());
    this.#timer = setInterval(() => this.#pass(), TICK_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#giveWay();
    this.#options.caller.destroy();
    this.#options.target.destroy();
    this.#options.onClosed();
  }

  #giveWay(): false {
    this.#options.line?.leave(this);
    return false;
  }

  #take(bytes: Buffer): void {
    const dueMs = performance.now() + this.#options.delayMs;
    this.#down.push({ bytes, dueMs });
    this.#downBytes += bytes.length;
    if (this.#downBytes >= this.#options.queueBytes) this.#options.target.pause();
    this.#pass();
  }

  #pass(): void {
    if (this.isFrozen) return void this.#giveWay();
    const nowMs = performance.now();
    while (this.#up[0] !== undefined && this.#up[0].dueMs <= nowMs) this.#options.target.write((this.#up.shift() as Waiting).bytes);
    while (this.#passSlice(nowMs));
    if (this.#downBytes < this.#options.queueBytes) this.#options.target.resume();
    if (this.#isEnding && this.#downBytes === 0) this.#options.caller.end();
  }

  /** Whether something went. */
  #passSlice(nowMs: number): boolean {
    const { caller, buckets, line, onGiven } = this.#options;
    const first = this.#down[0];
    const mayPass = first !== undefined && first.dueMs <= nowMs && !caller.writableNeedDrain;
    const own = mayPass ? Math.min(first.bytes.length, SLICE_BYTES, ...buckets.map((bucket) => bucket.available(nowMs))) : 0;
    if (first === undefined || own <= 0) return this.#giveWay();
    if (line && !line.hasTurn(this, own, nowMs)) return false;
    const bytes = line ? Math.min(own, PACKET_BYTES) : own;
    line?.take(bytes);
    line?.leave(this);
    const slice = Buffer.from(first.bytes.subarray(0, bytes));
    if (bytes === first.bytes.length) this.#down.shift();
    else this.#down[0] = { bytes: first.bytes.subarray(bytes), dueMs: first.dueMs };
    for (const bucket of buckets) bucket.take(bytes);
    this.#downBytes -= bytes;
    onGiven(slice);
    caller.write(slice);
    return true;
  }
}

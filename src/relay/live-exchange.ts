/**
 * The live exchange of one channel: peers swap signed windows piece by piece, by pull.
 *
 * A pure core (`Protocol`): the engine drives it over real sockets and in the simulator alike. A publisher feeds windows in with
 * `publish`; a viewer gets them out as `window` events, in order, each checked against a manifest that the channel's owner signed. Every
 * peer serves what it holds. After CoolFish (live module) and the algorithm sheet, section 5, with two additions of our own:
 *
 * - a publisher reveals a new window in shares, one neighbour each, so that about one copy leaves it however many viewers there are;
 * - announcements follow events at once and carry piece counts and key flags, so that a piece can be asked for before its manifest is here.
 *
 * Never trusts: pieces are stored, played and forwarded only after their hash matched; maps only steer requests. All state is bounded by
 * the buffer, the neighbours and fixed caps per neighbour.
 */
import { Bitfield } from '../kernel/bitfield.js';
import { invariant, Malformed } from '../kernel/errors.js';
import type { Hasher, Signer, Verifier } from '../kernel/ports.js';
import type { DisconnectReason, Effect, Input, Protocol } from '../kernel/protocol.js';
import type { Rng } from '../kernel/rng.js';
import type { TokenBucket } from '../kernel/token-bucket.js';
import type { Bytes, ConnectionId, InfoHash, Milliseconds, PieceIndex, WindowNumber } from '../kernel/units.js';
import type { BufferMap } from './buffer-map.js';
import { type Asked, type Download, Downloads } from './downloads.js';
import { LIVE_VERSION, type LiveMessage, type WindowAvailability } from './live-message.js';
import type { LiveParameters } from './live-parameters.js';
import { decodeManifest, type Manifest, manifestIsSigned, pieceSizeBytes, signManifest, splitPieces, type WindowContent } from './manifest.js';
import { Neighbour } from './neighbour.js';
import { chooseStart, Playout } from './playout.js';
import { byUrgency, chooseHolder, deadlineClass, type Need } from './scheduler.js';
import { decodeStreamInfo, type StreamInfo, signStreamInfo, streamInfoIsSigned } from './stream-info.js';
import { UploadQueue } from './upload-queue.js';
import { type BufferedWindow, WindowBuffer } from './window-buffer.js';

export type LiveCommand =
  /** A publisher's cutter has finished a window. */
  | { readonly kind: 'publish'; readonly content: WindowContent }
  /** The source's script metadata, without `@setDataFrame`. */
  | { readonly kind: 'describe'; readonly metadata: Uint8Array }
  /** Begin: start the timers. */
  | { readonly kind: 'start' };

export type LiveEvent =
  /** The next window of the stream, whole and verified. */
  | { readonly kind: 'window'; readonly manifest: Manifest; readonly bytes: Uint8Array; readonly delayMs: Milliseconds }
  /** Windows that could not be had any more; the stream goes on at a key frame. */
  | { readonly kind: 'skipped'; readonly from: WindowNumber; readonly to: WindowNumber }
  /** New script metadata, verified. */
  | { readonly kind: 'metadata'; readonly metadata: Uint8Array };

export type LiveTimer = 'tick' | 'map' | 'news' | 'upload' | `reveal:${number}` | `request:${number}:${number}`;

type LiveEffect = Effect<LiveMessage, LiveEvent, LiveTimer>;

export interface LiveExchangeOptions {
  readonly channel: InfoHash;
  /** Public key of the channel's owner, from the descriptor. */
  readonly owner: Uint8Array;
  readonly parameters: LiveParameters;
  readonly hasher: Hasher;
  readonly verifier: Verifier;
  /** Present for a publisher. */
  readonly signer?: Signer;
  readonly rng: Rng;
  /** Shared by all channels of the process. */
  readonly uplink: TokenBucket;
  readonly downlink: TokenBucket;
}

/** Counters for the page and the log. */
export interface LiveFigures {
  readonly neighbours: number;
  readonly bufferedMs: Milliseconds;
  readonly windowsDelivered: number;
  readonly windowsSkipped: number;
  readonly firstTimeouts: number;
  readonly duplicateBytes: Bytes;
  readonly fromPublishersBytes: Bytes;
  readonly fromPeersBytes: Bytes;
  readonly badPieces: number;
  readonly stalls: number;
  readonly delayMs: Milliseconds | null;
  readonly head: WindowNumber | null;
}

/** Two bad pieces end the acquaintance (peers sheet, goal 11). */
const BAD_PIECES_MAX = 2;
/** Pieces that nobody asked for: late answers are honest, floods are not. */
const UNASKED_MAX = 256;
const BROKEN_PROMISES_MAX = 64;
/** A first map from a publisher alone waits this long for a viewer's, to spare the publisher. */
const START_PATIENCE_MS = 150;
/** A gap between ticks beyond this means that the process did not run. */
const SLEEP_MS = 2_000;
/** A manifest asked for and not here after this long is asked of somebody else. */
const MANIFEST_PATIENCE_MS = 300;
/** After so many rounds of handing unclaimed pieces on, a new window is everybody's. */
const REVEAL_ROUNDS = 3;
/** Windows that nobody holds any more are given up after this long. */
const UNOBTAINABLE_MS = 1_000;

export class LiveExchange implements Protocol<LiveMessage, LiveCommand, LiveEvent, LiveTimer> {
  readonly #options: LiveExchangeOptions;
  readonly #parameters: LiveParameters;
  readonly #neighbours = new Map<ConnectionId, Neighbour>();
  readonly #buffer: WindowBuffer;
  readonly #downloads = new Downloads();
  readonly #uploads = new UploadQueue();
  readonly #playout: Playout;
  /** Pieces that came before their manifest, by window: bounded by what we asked for. */
  readonly #unverified = new Map<WindowNumber, Map<PieceIndex, { from: ConnectionId; payload: Uint8Array }>>();
  /** Whom we asked for a window's manifest, and when. */
  readonly #manifestAsked = new Map<WindowNumber, Milliseconds>();
  /** Windows a publisher has not told everybody about, and how often their unclaimed pieces have been handed on. */
  readonly #unrevealed = new Map<WindowNumber, number>();
  #info: StreamInfo | undefined;
  #effects: LiveEffect[] = [];
  #nowMs: Milliseconds = 0;
  #lastTickMs: Milliseconds | undefined;
  #firstMapMs: Milliseconds | undefined;
  #newsScheduled = false;
  #uploadScheduled = false;
  #shareTurn = 0;
  #windowsDelivered = 0;
  #windowsSkipped = 0;
  #firstTimeouts = 0;
  #duplicateBytes: Bytes = 0;
  #fromPublishersBytes: Bytes = 0;
  #fromPeersBytes: Bytes = 0;
  #badPieces = 0;
  #stalls = 0;
  #delayMs: Milliseconds | null = null;

  constructor(options: LiveExchangeOptions) {
    this.#options = options;
    this.#parameters = options.parameters;
    this.#buffer = new WindowBuffer(options.parameters.bufferWindows, options.parameters.bufferBytes);
    this.#playout = new Playout(options.parameters, this.#buffer);
  }

  handle(input: Input<LiveMessage, LiveCommand, LiveTimer>, nowMs: Milliseconds): readonly LiveEffect[] {
    this.#nowMs = nowMs;
    this.#dispatch(input);
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  figures(): LiveFigures {
    const head = this.#buffer.head ?? null;
    return {
      neighbours: this.#neighbours.size,
      bufferedMs: (this.#isPublisher ? [...this.#buffer.windows()].length : this.#playout.windowsAhead()) * this.#parameters.windowMs,
      windowsDelivered: this.#windowsDelivered,
      windowsSkipped: this.#windowsSkipped,
      firstTimeouts: this.#firstTimeouts,
      duplicateBytes: this.#duplicateBytes,
      fromPublishersBytes: this.#fromPublishersBytes,
      fromPeersBytes: this.#fromPeersBytes,
      badPieces: this.#badPieces,
      stalls: this.#stalls,
      delayMs: this.#delayMs,
      head,
    };
  }

  get #isPublisher(): boolean {
    return this.#options.signer !== undefined;
  }

  #dispatch(input: Input<LiveMessage, LiveCommand, LiveTimer>): void {
    switch (input.kind) {
      case 'command':
        return this.#onCommand(input.command);
      case 'timer':
        return this.#onTimer(input.timer);
      case 'peer-up':
        return this.#onPeerUp(input.peer);
      case 'peer-down':
        return this.#onPeerDown(input.peer);
      case 'peer-blocked':
      case 'peer-drained':
        return this.#onPressure(input.peer, input.kind === 'peer-blocked');
      case 'message':
        return this.#onMessage(input.from, input.message);
    }
  }

  #onCommand(command: LiveCommand): void {
    if (command.kind === 'start') {
      this.#schedule('tick', this.#parameters.tickMs);
      this.#schedule('map', this.#parameters.mapPeriodMs);
      this.#effects.push({ kind: 'connect', want: this.#parameters.targetNeighbours });
    } else if (command.kind === 'publish') {
      this.#publish(command.content);
    } else {
      this.#describe(command.metadata);
    }
  }

  #onTimer(timer: LiveTimer): void {
    if (timer === 'tick') return this.#tick();
    if (timer === 'map') return this.#sendMaps();
    if (timer === 'news') return this.#sendNews();
    if (timer === 'upload') {
      this.#uploadScheduled = false;
      return this.#serve();
    }
    const [name, window, piece] = timer.split(':');
    if (name === 'reveal') return this.#reveal(Number(window));
    this.#onRequestTimeout(Number(window), Number(piece));
  }

  // ── Neighbours ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #onPeerUp(peer: ConnectionId): void {
    const neighbour = new Neighbour(peer, this.#nowMs);
    this.#neighbours.set(peer, neighbour);
    this.#send(neighbour, { kind: 'hello', version: LIVE_VERSION, publisher: this.#isPublisher });
    if (this.#info) this.#send(neighbour, { kind: 'info', bytes: this.#info.bytes });
    this.#sendMap(neighbour);
  }

  #onPeerDown(peer: ConnectionId): void {
    if (!this.#neighbours.delete(peer)) return;
    this.#uploads.dropPeer(peer);
    for (const download of this.#downloads.from(peer)) {
      this.#downloads.release(download, peer);
      if (download.asked.length === 0) this.#forget(download);
    }
    this.#plan();
  }

  #onPressure(peer: ConnectionId, blocked: boolean): void {
    const neighbour = this.#neighbours.get(peer);
    if (!neighbour) return;
    neighbour.blocked = blocked;
    if (!blocked) this.#serve();
  }

  #drop(neighbour: Neighbour, reason: DisconnectReason): void {
    this.#effects.push({ kind: 'disconnect', peer: neighbour.id, reason });
    this.#onPeerDown(neighbour.id);
  }

  #ban(neighbour: Neighbour, detail: string): void {
    this.#drop(neighbour, { kind: 'misbehaved', detail });
  }

  // ── Messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #onMessage(from: ConnectionId, message: LiveMessage): void {
    const neighbour = this.#neighbours.get(from);
    if (!neighbour) return;
    neighbour.lastHeardMs = this.#nowMs;
    if (!neighbour.greeted && message.kind !== 'hello') return this.#ban(neighbour, `${message.kind} before hello`);
    switch (message.kind) {
      case 'hello':
        if (message.version !== LIVE_VERSION) return this.#drop(neighbour, { kind: 'surplus', detail: `live exchange version ${message.version}` });
        neighbour.greeted = true;
        neighbour.publisher = message.publisher;
        return;
      case 'map':
        neighbour.map.update(message.full, message.tail, message.windows);
        this.#firstMapMs ??= this.#nowMs;
        for (const window of message.windows) this.#askOverdue(neighbour, window.number);
        return this.#plan();
      case 'manifest':
        return this.#onManifest(neighbour, message.bytes, message.ageMs);
      case 'piece':
        return this.#onPiece(neighbour, message.window, message.piece, message.payload);
      case 'request':
        return this.#onRequest(neighbour, message);
      case 'cancel':
        for (const piece of message.pieces) this.#uploads.cancel(neighbour.id, message.window, piece);
        return;
      case 'refuse':
        return this.#onRefuse(neighbour, message);
      case 'info':
        return this.#onInfo(neighbour, message.bytes);
    }
  }

  #onInfo(neighbour: Neighbour, bytes: Uint8Array): void {
    const info = decodeStreamInfo(bytes);
    if (info instanceof Malformed) return this.#ban(neighbour, info.reason);
    if (info.since <= (this.#info?.since ?? -1)) return;
    if (!streamInfoIsSigned(info, this.#options.channel, this.#options.owner, this.#options.verifier)) {
      return this.#ban(neighbour, 'stream info without the signature of the owner');
    }
    this.#takeInfo(info, neighbour);
    this.#effects.push({ kind: 'emit', event: { kind: 'metadata', metadata: info.metadata } });
  }

  #takeInfo(info: StreamInfo, from?: Neighbour): void {
    this.#info = info;
    for (const other of this.#neighbours.values()) if (other !== from) this.#send(other, { kind: 'info', bytes: info.bytes });
  }

  #onManifest(neighbour: Neighbour, bytes: Uint8Array, ageMs: Milliseconds): void {
    const manifest = decodeManifest(bytes, this.#parameters.pieceBytes);
    if (manifest instanceof Malformed) return this.#ban(neighbour, manifest.reason);
    if (this.#buffer.get(manifest.number) || manifest.number < this.#lowestWanted) return;
    if (!manifestIsSigned(manifest, this.#options.channel, this.#options.owner, this.#options.verifier)) {
      return this.#ban(neighbour, `window ${manifest.number} without the signature of the owner`);
    }
    const window = this.#buffer.open(manifest, this.#nowMs - ageMs - neighbour.wait.roundTripMs / 2);
    this.#manifestAsked.delete(manifest.number);
    if (window) this.#verifyWaiting(window);
    this.#afterStore();
  }

  /** Pieces that came before the manifest are checked now. */
  #verifyWaiting(window: BufferedWindow): void {
    const waiting = this.#unverified.get(window.number);
    this.#unverified.delete(window.number);
    for (const [piece, { from, payload }] of waiting ?? []) {
      const neighbour = this.#neighbours.get(from);
      this.#verify(window, piece, payload, neighbour);
    }
  }

  #onPiece(neighbour: Neighbour, number: WindowNumber, piece: PieceIndex, payload: Uint8Array): void {
    const download = this.#downloads.get(number, piece);
    const asked = download && this.#downloads.release(download, neighbour.id);
    if (download && asked) this.#settle(neighbour, asked, payload.length);
    else neighbour.unasked += 1;
    if (neighbour.unasked > UNASKED_MAX) return this.#ban(neighbour, 'pieces that nobody asked for');
    const window = this.#buffer.get(number);
    if (window?.held.has(piece)) this.#duplicateBytes += payload.length;
    // A late answer to a request that was given up is still good, if the window is here to check it against.
    if (window?.held.has(piece) || (!download && !window)) return;
    if (download) this.#finish(download);
    neighbour.map.noteHeld(number, piece, window?.held.length ?? piece + 1);
    this.#countMedia(neighbour, payload.length);
    if (window) {
      if (this.#verify(window, piece, payload, neighbour)) this.#afterStore();
      else this.#plan();
      return;
    }
    const waiting = this.#unverified.get(number) ?? new Map();
    this.#unverified.set(number, waiting.set(piece, { from: neighbour.id, payload }));
    this.#plan();
  }

  /** Books an answer with the neighbour's estimates. */
  #settle(neighbour: Neighbour, asked: Asked, receivedBytes: Bytes): void {
    neighbour.outstanding -= 1;
    neighbour.wait.released(asked.sizeBytes - receivedBytes);
    neighbour.wait.answered(receivedBytes, asked.askedMs, asked.predictedMs, asked.wasIdle, this.#nowMs);
  }

  #countMedia(neighbour: Neighbour, sizeBytes: Bytes): void {
    neighbour.mediaDownBytes += sizeBytes;
    if (neighbour.publisher) this.#fromPublishersBytes += sizeBytes;
    else this.#fromPeersBytes += sizeBytes;
  }

  /** The only way into the buffer: the size and the hash must match the signed manifest. */
  #verify(window: BufferedWindow, piece: PieceIndex, payload: Uint8Array, from: Neighbour | undefined): boolean {
    const expected = window.manifest.pieceHashes[piece];
    const sizeBytes = pieceSizeBytes(window.manifest, piece, this.#parameters.pieceBytes);
    if (expected && payload.length === sizeBytes && sameBytes(this.#options.hasher.sha256(payload), expected)) {
      // A copy, so that one piece does not keep the whole network buffer it came in alive.
      window.store(piece, payload.slice());
      this.#note(window);
      return true;
    }
    this.#badPieces += 1;
    if (!from) return false;
    from.badPieces += 1;
    from.map.noteMissing(window.number);
    if (from.badPieces >= BAD_PIECES_MAX) this.#ban(from, `${from.badPieces} pieces that do not match their hash`);
    return false;
  }

  #afterStore(): void {
    this.#deliver();
    this.#plan();
  }

  // ── Delivery ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  get #lowestWanted(): WindowNumber {
    return Math.max(this.#buffer.tail, Math.min(this.#playout.next ?? 0, this.#buffer.head ?? Number.MAX_SAFE_INTEGER));
  }

  #deliver(): void {
    if (this.#isPublisher) return;
    for (let due = this.#deadlineOfNext(); ; due = this.#deadlineOfNext()) {
      const window = this.#playout.deliver(this.#nowMs);
      if (!window) return;
      if (due !== undefined && due < this.#nowMs) this.#stalls += 1;
      const delayMs = Math.max(0, this.#nowMs - window.originMs) + window.manifest.durationMs;
      this.#delayMs = delayMs;
      this.#windowsDelivered += 1;
      this.#effects.push({ kind: 'emit', event: { kind: 'window', manifest: window.manifest, bytes: window.join(), delayMs } });
    }
  }

  #deadlineOfNext(): Milliseconds | undefined {
    const next = this.#playout.next;
    return this.#playout.lastDelivered && next !== undefined ? this.#playout.deadlineMs(next, this.#nowMs) : undefined;
  }

  /** Jumps over what cannot be had any more, to the next start that can. */
  #skipIfHopeless(): void {
    const next = this.#playout.next;
    if (this.#isPublisher || next === undefined || this.#playout.candidate()?.complete) return;
    const heads = this.#maps().flatMap((map) => (map.head === undefined ? [] : [map.head]));
    const newest = Math.max(...heads, this.#buffer.head ?? 0);
    if (newest <= next) return this.#playout.idle(this.#nowMs);
    const blockedMs = this.#playout.blockedMs(this.#nowMs);
    const lateMs = this.#nowMs - this.#playout.deadlineMs(next, this.#nowMs);
    const unobtainable = blockedMs > UNOBTAINABLE_MS && heads.length > 0 && !this.#obtainable(next);
    if (!unobtainable && !(blockedMs > this.#parameters.giveUpMs && lateMs > this.#parameters.giveUpMs)) return;
    const target = this.#nextStart(next);
    if (target !== undefined) this.#skipTo(next, target);
  }

  /** Somebody holds what the next window lacks; a window nobody has described yet counts as lacking everything. */
  #obtainable(number: WindowNumber): boolean {
    const window = this.#playout.candidate();
    const wanted = window?.number ?? number;
    if (this.#unverified.has(wanted) || [...this.#downloads.all()].some((download) => download.window === wanted)) return true;
    return this.#maps().some((map) => {
      if (!window) return map.get(wanted) !== undefined;
      for (let piece = 0; piece < window.held.length; piece++) if (!window.held.has(piece) && map.holds(wanted, piece)) return true;
      return false;
    });
  }

  #nextStart(after: WindowNumber): WindowNumber | undefined {
    for (const window of this.#buffer.windows()) if (window.number > after && window.key && window.complete) return window.number;
    return chooseStart(this.#maps(), after, this.#parameters);
  }

  #skipTo(from: WindowNumber, to: WindowNumber): void {
    this.#windowsSkipped += to - from;
    this.#playout.moveTo(to);
    for (const download of this.#downloads.below(to)) this.#abandon(download);
    for (const number of this.#unverified.keys()) if (number < to) this.#unverified.delete(number);
    this.#effects.push({ kind: 'emit', event: { kind: 'skipped', from, to } });
    this.#deliver();
  }

  // ── Asking ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #maps(): readonly BufferMap[] {
    return [...this.#neighbours.values()].map((neighbour) => neighbour.map);
  }

  /** Chooses the start if there is none, then asks for what is missing. */
  #plan(): void {
    if (this.#isPublisher || (!this.#playout.started && !this.#start())) return;
    const requests = new Map<Neighbour, Map<WindowNumber, PieceIndex[]>>();
    for (const need of this.#needs().sort(byUrgency)) {
      if (this.#options.downlink.delayMs(this.#nowMs) > 0) break;
      const holder = chooseHolder(need, this.#nowMs, () => this.#options.rng.float());
      if (!holder) continue;
      this.#ask(need, holder);
      const windows = requests.get(holder) ?? new Map<WindowNumber, PieceIndex[]>();
      requests.set(holder, windows);
      windows.set(need.window, [...(windows.get(need.window) ?? []), need.piece]);
    }
    for (const [holder, windows] of requests) for (const [window, pieces] of windows) this.#sendRequest(holder, window, pieces);
  }

  #start(): boolean {
    const waitedMs = this.#firstMapMs === undefined ? 0 : this.#nowMs - this.#firstMapMs;
    const onlyPublishers = [...this.#neighbours.values()].every((neighbour) => neighbour.publisher);
    if (onlyPublishers && waitedMs < START_PATIENCE_MS) return false;
    const start = chooseStart(this.#maps(), -1, this.#parameters);
    if (start === undefined) return false;
    this.#playout.moveTo(start);
    return true;
  }

  #needs(): Need[] {
    const first = this.#playout.next ?? 0;
    const heads = this.#maps().map((map) => map.head ?? -1);
    const last = Math.min(Math.max(-1, ...heads), first + this.#parameters.bufferWindows);
    const needs: Need[] = [];
    for (let number = first; number <= last; number++) if (!this.#buffer.get(number)?.complete) this.#needsOf(number, first, needs);
    return needs;
  }

  #needsOf(number: WindowNumber, first: WindowNumber, needs: Need[]): void {
    const window = this.#buffer.get(number);
    const holders = [...this.#neighbours.values()].filter((neighbour) => neighbour.map.get(number) !== undefined);
    if (holders.length === 0) return;
    const waiting = this.#unverified.get(number);
    const slackMs = this.#playout.deadlineMs(number, this.#nowMs) - this.#nowMs;
    const pieceCount = window?.held.length ?? Math.max(1, ...holders.map((holder) => holder.map.get(number)?.pieceCount ?? 0));
    for (let piece = 0; piece < pieceCount; piece++) {
      if (window?.held.has(piece) || waiting?.has(piece) || this.#downloads.get(number, piece)) continue;
      const having = holders.filter((holder) => holder.map.holds(number, piece));
      if (having.length === 0) continue;
      const sizeBytes = window ? pieceSizeBytes(window.manifest, piece, this.#parameters.pieceBytes) : this.#parameters.pieceBytes;
      needs.push({ window: number, piece, sizeBytes, slackMs, deadlineClass: deadlineClass(number - first), holders: having });
    }
  }

  /** Enters the request in the books; the message follows in one batch per window. */
  #ask(need: Need, holder: Neighbour): void {
    const download = this.#downloads.open(need.window, need.piece, this.#waitFor(need, holder));
    this.#addAsked(download, holder, need.sizeBytes);
    this.#schedule(`request:${need.window}:${need.piece}`, download.waitMs);
  }

  #addAsked(download: Download, holder: Neighbour, sizeBytes: Bytes): void {
    const predictedMs = holder.wait.predictMs(sizeBytes);
    download.asked.push({ peer: holder.id, askedMs: this.#nowMs, predictedMs, wasIdle: holder.outstanding === 0, sizeBytes });
    holder.outstanding += 1;
    holder.wait.asked(sizeBytes);
    this.#options.downlink.take(sizeBytes, this.#nowMs);
  }

  /** Wait time of the algorithm sheet 5.4: the estimate, bounded, and short enough to leave room for one retry. */
  #waitFor(need: Need, holder: Neighbour): Milliseconds {
    const { waitMinMs, waitMaxMs, tickMs } = this.#parameters;
    const estimateMs = clamp(holder.wait.waitMs(need.sizeBytes, tickMs), 2 * waitMinMs, waitMaxMs);
    const others = need.holders.filter((other) => other !== holder);
    if (others.length === 0) return estimateMs;
    const bestOtherMs = Math.min(...others.map((other) => other.wait.predictMs(need.sizeBytes)));
    const spareMs = need.slackMs - bestOtherMs;
    return spareMs < estimateMs ? clamp(spareMs, waitMinMs, estimateMs) : estimateMs;
  }

  #sendRequest(holder: Neighbour, window: WindowNumber, pieces: readonly PieceIndex[]): void {
    const askedMs = this.#manifestAsked.get(window);
    const wantManifest = !this.#buffer.get(window) && (askedMs === undefined || this.#nowMs - askedMs > MANIFEST_PATIENCE_MS);
    if (wantManifest) this.#manifestAsked.set(window, this.#nowMs);
    const patienceMs = Math.max(...pieces.map((piece) => this.#downloads.get(window, piece)?.waitMs ?? 0));
    this.#send(holder, { kind: 'request', window, pieces, wantManifest, patienceMs });
  }

  /**
   * The one-shot timeout: once per piece, other holders are asked at once. While there are none, the request stays out, and the first
   * neighbour that announces the piece is asked. After a second wait the piece is free to be asked for anew.
   */
  #onRequestTimeout(window: WindowNumber, piece: PieceIndex): void {
    const download = this.#downloads.get(window, piece);
    if (!download) return;
    if (!download.overdue) {
      download.overdue = true;
      this.#firstTimeouts += 1;
      for (const asked of download.asked) this.#neighbours.get(asked.peer)?.wait.timedOut();
      return this.#hedge(download, this.#othersFor(download));
    }
    this.#abandon(download);
    this.#plan();
  }

  #hedge(download: Download, others: readonly Neighbour[]): void {
    const { window, piece } = download;
    const sizeBytes = download.asked[0]?.sizeBytes ?? this.#parameters.pieceBytes;
    const waits = others.map((other) => other.wait.waitMs(sizeBytes, this.#parameters.tickMs));
    download.waitMs = clamp(Math.max(download.waitMs, ...waits), this.#parameters.waitMinMs, this.#parameters.waitMaxMs);
    this.#schedule(`request:${window}:${piece}`, download.waitMs);
    if (others.length > 0) download.hedged = true;
    for (const other of others) {
      this.#addAsked(download, other, sizeBytes);
      this.#sendRequest(other, window, [piece]);
    }
  }

  /**
   * A neighbour has news of a window. Pieces of it that are overdue elsewhere are asked of it too; pieces that a publisher has not sent in the
   * time it was expected to are asked of this neighbour instead.
   */
  #askOverdue(neighbour: Neighbour, window: WindowNumber): void {
    for (const download of this.#downloads.of(window)) {
      const [first] = download.asked;
      if (!first || download.hedged || first.peer === neighbour.id || !neighbour.map.holds(window, download.piece)) continue;
      if (download.overdue) this.#hedge(download, [neighbour]);
      else if (this.#isBetter(neighbour, first)) this.#move(download, first, neighbour);
    }
  }

  #isBetter(neighbour: Neighbour, asked: Asked): boolean {
    const source = this.#neighbours.get(asked.peer);
    const lateMs = this.#nowMs - asked.askedMs - asked.predictedMs;
    return source?.publisher === true && !neighbour.publisher && lateMs > 0 && neighbour.busyUntilMs <= this.#nowMs;
  }

  #move(download: Download, from: Asked, to: Neighbour): void {
    this.#cancelAt(download, from);
    this.#addAsked(download, to, from.sizeBytes);
    download.waitMs = clamp(to.wait.waitMs(from.sizeBytes, this.#parameters.tickMs), 2 * this.#parameters.waitMinMs, this.#parameters.waitMaxMs);
    this.#schedule(`request:${download.window}:${download.piece}`, download.waitMs);
    this.#sendRequest(to, download.window, [download.piece]);
  }

  #othersFor(download: Download): readonly Neighbour[] {
    const sizeBytes = this.#parameters.pieceBytes;
    return [...this.#neighbours.values()]
      .filter((other) => other.map.holds(download.window, download.piece) && !download.asked.some((asked) => asked.peer === other.id))
      .sort((a, b) => a.wait.predictMs(sizeBytes) - b.wait.predictMs(sizeBytes))
      .slice(0, this.#parameters.hedge);
  }

  /** The piece is here: nobody else needs to send it. */
  #finish(download: Download): void {
    for (const asked of [...download.asked]) this.#cancelAt(download, asked);
    this.#forget(download);
  }

  /** The piece is not coming; whoever still has it in the queue is told. */
  #abandon(download: Download): void {
    this.#finish(download);
  }

  #cancelAt(download: Download, asked: Asked): void {
    this.#downloads.release(download, asked.peer);
    const neighbour = this.#neighbours.get(asked.peer);
    if (!neighbour) return;
    neighbour.outstanding -= 1;
    neighbour.wait.released(asked.sizeBytes);
    this.#send(neighbour, { kind: 'cancel', window: download.window, pieces: [download.piece] });
  }

  #forget(download: Download): void {
    this.#downloads.remove(download.window, download.piece);
    this.#effects.push({ kind: 'cancel', timer: `request:${download.window}:${download.piece}` });
  }

  #onRefuse(neighbour: Neighbour, message: LiveMessage & { kind: 'refuse' }): void {
    if (message.why === 'not-held') neighbour.map.noteMissing(message.window);
    else neighbour.busyUntilMs = this.#nowMs + clamp(message.etaMs, this.#parameters.tickMs, this.#parameters.waitMaxMs) / 2;
    for (const piece of message.pieces) {
      const download = this.#downloads.get(message.window, piece);
      const asked = download && this.#downloads.release(download, neighbour.id);
      if (!download || !asked) continue;
      if (message.why === 'not-held') neighbour.brokenPromises += 1;
      neighbour.outstanding -= 1;
      neighbour.wait.released(asked.sizeBytes);
      if (download.asked.length === 0) this.#forget(download);
    }
    if (neighbour.brokenPromises > BROKEN_PROMISES_MAX) return this.#ban(neighbour, 'announces pieces that it does not hold');
    this.#plan();
  }

  // ── Serving ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  #onRequest(neighbour: Neighbour, request: LiveMessage & { kind: 'request' }): void {
    const window = this.#buffer.get(request.window);
    if (window && request.wantManifest) {
      this.#send(neighbour, { kind: 'manifest', ageMs: Math.max(0, Math.round(this.#nowMs - window.originMs)), bytes: window.manifest.bytes });
    }
    const missing = request.pieces.filter((piece) => !window?.held.has(piece));
    if (missing.length > 0) this.#refuse(neighbour, request.window, missing, 'not-held', 0);
    if (!window) return;
    const busy = request.pieces.filter((piece) => window.held.has(piece) && !this.#enqueue(neighbour, window, piece, request.patienceMs));
    if (busy.length > 0) this.#refuse(neighbour, request.window, busy, 'busy', this.#queueMs);
    this.#serve();
  }

  /** Time until a newly queued upload would leave. */
  get #queueMs(): Milliseconds {
    const { bytesPerSecond } = this.#options.uplink;
    return bytesPerSecond === 0 ? 0 : (this.#uploads.queuedBytes * 1000) / bytesPerSecond;
  }

  #enqueue(neighbour: Neighbour, window: BufferedWindow, piece: PieceIndex, patienceMs: Milliseconds): boolean {
    if (this.#queueMs > patienceMs) return false;
    const sizeBytes = window.piece(piece)?.length ?? 0;
    const deadlineMs = this.#nowMs + patienceMs;
    return this.#uploads.add({ peer: neighbour.id, window: window.number, piece, sizeBytes, deadlineMs });
  }

  #refuse(neighbour: Neighbour, window: WindowNumber, pieces: readonly PieceIndex[], why: 'busy' | 'not-held', etaMs: Milliseconds): void {
    this.#send(neighbour, { kind: 'refuse', window, pieces, why, etaMs: Math.round(etaMs) });
  }

  /** Sends as much as the uplink allows now and comes back for the rest. */
  #serve(): void {
    const ready = (peer: ConnectionId): boolean => this.#neighbours.get(peer)?.blocked === false;
    while (!this.#uploads.empty) {
      const delayMs = this.#options.uplink.delayMs(this.#nowMs);
      if (delayMs > 0) return this.#serveLater(delayMs);
      const upload = this.#uploads.take(ready, (candidate) => this.#uploadRank(candidate.window, candidate.piece, candidate.deadlineMs));
      if (!upload) return;
      const window = this.#buffer.get(upload.window);
      const payload = window?.piece(upload.piece);
      const neighbour = this.#neighbours.get(upload.peer);
      if (!neighbour) continue;
      if (!window || !payload) {
        this.#refuse(neighbour, upload.window, [upload.piece], 'not-held', 0);
        continue;
      }
      window.copies[upload.piece] = (window.copies[upload.piece] ?? 0) + 1;
      neighbour.mediaUpBytes += payload.length;
      neighbour.map.noteHeld(upload.window, upload.piece, window.held.length);
      this.#send(neighbour, { kind: 'piece', window: upload.window, piece: upload.piece, payload });
    }
  }

  #serveLater(delayMs: Milliseconds): void {
    if (this.#uploadScheduled) return;
    this.#uploadScheduled = true;
    this.#schedule('upload', delayMs);
  }

  /** First copies before second ones, then the earlier deadline. A copy counts as much as ten seconds of deadline. */
  #uploadRank(window: WindowNumber, piece: PieceIndex, deadlineMs: Milliseconds): number {
    return (this.#buffer.get(window)?.copies[piece] ?? 0) * 10_000 + deadlineMs - this.#nowMs;
  }

  // ── Publishing ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #publish(content: WindowContent): void {
    const { signer, channel, hasher } = this.#options;
    invariant(signer, 'Only a publisher, which has a signer, publishes.');
    const manifest = signManifest(content, channel, this.#parameters.pieceBytes, hasher, signer);
    const window = this.#buffer.open(manifest, this.#nowMs);
    if (!window) return;
    for (const [piece, bytes] of splitPieces(content.bytes, this.#parameters.pieceBytes).entries()) window.store(piece, bytes);
    this.#windowsDelivered += 1;
    this.#share(window);
    this.#note(window);
  }

  /** Gives each neighbour its own part of a new window to spread; everybody learns of the rest a little later. */
  #share(window: BufferedWindow): void {
    const able = [...this.#neighbours.values()].filter((neighbour) => !neighbour.blocked && !neighbour.publisher);
    if (able.length < 2) return;
    for (let piece = 0; piece < window.held.length; piece++) {
      const turn = this.#shareTurn++ % able.length;
      able[turn]?.assign(window.number, piece, window.held.length);
    }
    this.#unrevealed.set(window.number, 0);
    this.#schedule(`reveal:${window.number}`, this.#parameters.revealMs);
  }

  /**
   * What nobody has fetched by now is handed to another neighbour each. After a few rounds everybody learns of everything, although it
   * should have spread by then: a badly connected swarm still gets it.
   */
  #reveal(number: WindowNumber): void {
    const round = (this.#unrevealed.get(number) ?? 0) + 1;
    const window = this.#buffer.get(number);
    if (!window || round > REVEAL_ROUNDS) {
      this.#unrevealed.delete(number);
      for (const neighbour of this.#neighbours.values()) neighbour.forgetShare(number);
    } else {
      this.#unrevealed.set(number, round);
      this.#handOn(window);
      this.#schedule(`reveal:${number}`, this.#parameters.revealMs);
    }
    if (window) this.#note(window);
  }

  #handOn(window: BufferedWindow): void {
    const able = [...this.#neighbours.values()].filter((neighbour) => !neighbour.blocked && !neighbour.publisher);
    for (const [piece, copies] of window.copies.entries()) {
      if (copies > 0) continue;
      const fresh = able.filter((neighbour) => !neighbour.share(window.number)?.has(piece));
      fresh[this.#shareTurn++ % Math.max(1, fresh.length)]?.assign(window.number, piece, window.held.length);
    }
  }

  #describe(metadata: Uint8Array): void {
    const { signer, channel } = this.#options;
    invariant(signer, 'Only a publisher, which has a signer, describes its stream.');
    if (this.#info && sameBytes(this.#info.metadata, metadata)) return;
    const since = Math.max((this.#info?.since ?? -1) + 1, (this.#buffer.head ?? -1) + 1);
    this.#takeInfo(signStreamInfo(since, metadata, channel, signer));
  }

  // ── Announcing ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Something of this window is new here: tell the neighbours that lack it, at once or with the next batch. */
  #note(window: BufferedWindow): void {
    for (const neighbour of this.#neighbours.values()) if (!neighbour.map.holdsAll(window.number)) neighbour.news.add(window.number);
    this.#sendNews();
  }

  #sendNews(): void {
    let soonestMs = Number.POSITIVE_INFINITY;
    for (const neighbour of this.#neighbours.values()) {
      if (neighbour.news.size === 0) continue;
      const waitMs = neighbour.lastNewsMs + this.#parameters.haveBatchMs - this.#nowMs;
      if (waitMs > 0) soonestMs = Math.min(soonestMs, waitMs);
      else this.#sendNewsTo(neighbour);
    }
    this.#newsScheduled = soonestMs !== Number.POSITIVE_INFINITY;
    if (this.#newsScheduled) this.#schedule('news', soonestMs);
  }

  #sendNewsTo(neighbour: Neighbour): void {
    const windows: WindowAvailability[] = [];
    for (const number of [...neighbour.news].sort((a, b) => a - b)) {
      const window = this.#buffer.get(number);
      const told = window && !neighbour.map.holdsAll(number) && this.#availability(neighbour, window, true);
      if (told) windows.push(told);
    }
    neighbour.news.clear();
    if (windows.length === 0) return;
    neighbour.lastNewsMs = this.#nowMs;
    this.#send(neighbour, { kind: 'map', full: false, tail: this.#buffer.tail, windows });
  }

  /** What this neighbour may know of a window; undefined when it is nothing yet. */
  #availability(neighbour: Neighbour, window: BufferedWindow, details: boolean): WindowAvailability | undefined {
    const { number, key } = window;
    const pieceCount = window.held.length;
    const share = this.#unrevealed.has(number) ? (neighbour.share(number) ?? new Bitfield(0)) : window.held;
    if (share.count === 0) return undefined;
    return share.full ? { number, key, held: null, pieceCount: details ? pieceCount : 0 } : { number, key, held: share, pieceCount };
  }

  #sendMaps(): void {
    for (const neighbour of this.#neighbours.values()) this.#sendMap(neighbour);
    this.#schedule('map', this.#parameters.mapPeriodMs);
  }

  /** The whole map; the first one with all details, later ones as short runs. */
  #sendMap(neighbour: Neighbour): void {
    const windows: WindowAvailability[] = [];
    for (const window of this.#buffer.windows()) {
      const told = this.#availability(neighbour, window, !neighbour.informed || neighbour.news.has(window.number));
      if (told) windows.push(told);
    }
    neighbour.informed = true;
    neighbour.news.clear();
    this.#send(neighbour, { kind: 'map', full: true, tail: this.#buffer.tail, windows });
  }

  // ── Time ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #tick(): void {
    this.#schedule('tick', this.#parameters.tickMs);
    const sleptMs = this.#nowMs - (this.#lastTickMs ?? this.#nowMs) - this.#parameters.tickMs;
    this.#lastTickMs = this.#nowMs;
    if (sleptMs > SLEEP_MS) this.#wake(sleptMs);
    for (const neighbour of this.#neighbours.values()) {
      const silentMs = this.#nowMs - neighbour.lastHeardMs;
      if (silentMs > this.#parameters.silentMs) this.#drop(neighbour, { kind: 'silent', detail: `nothing heard for ${Math.round(silentMs)} ms` });
    }
    for (const number of this.#manifestAsked.keys()) if (number < this.#lowestWanted) this.#manifestAsked.delete(number);
    for (const number of this.#unverified.keys()) if (number < this.#lowestWanted) this.#unverified.delete(number);
    this.#skipIfHopeless();
    this.#plan();
  }

  /** This process stood still (paused, or the machine slept): nobody else is to blame for it. */
  #wake(sleptMs: Milliseconds): void {
    this.#playout.shift(sleptMs);
    for (const neighbour of this.#neighbours.values()) neighbour.lastHeardMs = this.#nowMs;
  }

  #send(neighbour: Neighbour, message: LiveMessage): void {
    if (message.kind === 'piece') this.#options.uplink.take(message.payload.length, this.#nowMs);
    this.#effects.push({ kind: 'send', to: neighbour.id, message });
  }

  #schedule(timer: LiveTimer, delayMs: Milliseconds): void {
    this.#effects.push({ kind: 'schedule', timer, delayMs });
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

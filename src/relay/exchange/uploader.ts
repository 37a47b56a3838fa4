/**
 * Serves what neighbours ask for, as fast as the uplink allows and the line is known to carry, most needed first.
 *
 * What cannot be sent in the time the asker is willing to wait is refused at once, so that it can ask somebody else.
 */
import type { Bytes, BytesPerSecond, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import { LineEstimate } from './line-estimate.js';
import type { LiveMessage } from './live-message.js';
import { MUTE_MAP_PERIODS, type Neighbour } from './neighbour.js';
import { type Upload, UploadQueue } from './upload-queue.js';
import type { BufferedWindow } from './window-buffer.js';

export type LiveRequest = LiveMessage & { readonly kind: 'request' };

/** At a publisher, a copy that is out already counts as much as this much more time until the asker's deadline: first copies go first. */
const COPY_RANK_MS: Milliseconds = 10_000;

/** At a viewer, what is overdue comes after all else. */
const OVERDUE_RANK_MS: Milliseconds = 10_000_000;
/** At a viewer, a copy that is out already counts more than the age of any window: what has had fewer goes first. */
const VIEWER_COPY_RANK_MS: Milliseconds = 100_000;

/** A neighbour that has been here for less than this is only beginning: among equals it goes first, or its player waits for its first picture. */
const BEGINNING_MS: Milliseconds = 5_000;
/** Whoever has had so many pieces here is no beginner any more, or it would be of use to come back again and again. */
const BEGINNING_PIECES = 16;
/** More copies than this make no difference any more. */
const COPIES_RANK_MAX = 50;

/** At a publisher, each piece that a neighbour has had of late counts as much: nobody waits for ever while others are served. */
const SERVED_RANK_MS: Milliseconds = 500;

/** Who has taken something and tells of nothing it holds comes after everybody else: it gives nothing to anybody. */
const MUTE_RANK_MS: Milliseconds = 100_000_000;
/**
 * Who tells of what it holds and gives little of it comes after those who give. Where half of all refuse everything and upload is scarce, the others stall a third as
 * often; where all are honest and upload is just enough, delay falls by a twelfth, because those with upload to spare get first what they can pass on.
 */
const TAKER_RANK_MS: Milliseconds = 20_000_000;

/** What is fed leaves within this time, or not at all: whoever waits for it asks somebody else soon. */
const PUSH_PATIENCE_MS: Milliseconds = 500;

export class Uploader {
  readonly #context: ExchangeContext;
  readonly #queue = new UploadQueue();
  readonly #line: LineEstimate;
  #scheduled = false;
  #pushes = { late: 0, sent: 0 };

  constructor(context: ExchangeContext) {
    this.#context = context;
    this.#line = new LineEstimate(context.parameters.pieceBytes);
  }

  onRequest(neighbour: Neighbour, request: LiveRequest): void {
    const window = this.#context.buffer.get(request.window);
    // While it does not read what it is sent, it gets no more than the pieces it waits for.
    if (window && request.wantManifest && !neighbour.blocked) this.#sendManifest(neighbour, window);
    // What it was told of is another content than what is here by now: that is what it asks for.
    const isOther = window && (neighbour.detailed.get(request.window) ?? window.version) !== window.version;
    const missing = request.pieces.filter((piece) => isOther || !window?.held.has(piece));
    if (missing.length > 0) this.#refuse(neighbour, request.window, missing, 'not-held', 0);
    if (!window || isOther) return;
    const busy = request.pieces.filter((piece) => window.held.has(piece) && !this.#enqueue(neighbour, window, piece, request.patienceMs));
    if (busy.length > 0) this.#refuse(neighbour, request.window, busy, 'busy', this.#uploadMs(this.#queue.queuedBytes));
    this.serve();
  }

  /** Sends a piece that nobody has asked for, in its turn. */
  push({ id: peer }: Neighbour, window: BufferedWindow, piece: PieceIndex): void {
    const { number, version } = window;
    const deadlineMs = this.#context.nowMs + PUSH_PATIENCE_MS;
    this.#queue.add({ peer, window: number, piece, version, sizeBytes: window.piece(piece)?.length ?? 0, deadlineMs, isPush: true });
    this.serve();
  }

  /** How many pieces that nobody had asked for have left since this was last asked, and how many could not in time. */
  takePushes(): { readonly late: number; readonly sent: number } {
    const pushes = this.#pushes;
    this.#pushes = { late: 0, sent: 0 };
    return pushes;
  }

  onCancel(neighbour: Neighbour, window: WindowNumber, pieces: readonly PieceIndex[]): void {
    for (const piece of pieces) this.#queue.cancel(neighbour.id, window, piece);
    this.#line.noteCalledOff(neighbour, window, pieces, this.#context.nowMs);
  }

  /** A map says what a neighbour has not got yet of all that was sent to it. */
  onMap(neighbour: Neighbour, map: LiveMessage & { readonly kind: 'map' }): void {
    this.#line.noteMap(neighbour, map, this.#context.nowMs);
  }

  dropPeer(neighbour: Neighbour): void {
    this.#queue.dropPeer(neighbour.id);
    this.#line.dropPeer(neighbour.id);
  }

  /** This process stood still: what neighbours say of that time is no matter of the line. */
  onWake(): void {
    this.#line.onWake();
  }

  /** What may be promised, as far as anybody has said, or it was learnt; 0: nobody knows of a limit. */
  get bytesPerSecond(): BytesPerSecond {
    return this.#context.options.uplink.bytesPerSecond || this.#line.provenBytesPerSecond(this.#context.nowMs);
  }

  /** Nobody has said what the line carries, and somebody that a piece was late. */
  get isDoubtful(): boolean {
    return this.#context.options.uplink.bytesPerSecond === 0 && this.#line.isDoubtful(this.#context.nowMs);
  }

  /** What the line has been found to carry upwards; null while nothing speaks for a limit, and where one is set. */
  get lineBytesPerSecond(): BytesPerSecond | null {
    return this.#line.bytesPerSecond || null;
  }

  /** The timer `upload`: there is credit again. */
  onTimer(): void {
    this.#scheduled = false;
    this.serve();
  }

  /** Sends as much as the uplink allows now and comes back for the rest. */
  serve(): void {
    const { options, neighbours, nowMs, parameters } = this.#context;
    this.#pushes.late += this.#queue.dropOverdue(nowMs - parameters.waitMaxMs, nowMs);
    const ready = (peer: string): boolean => neighbours.get(peer)?.blocked === false;
    while (!this.#queue.empty) {
      const delayMs = Math.max(options.uplink.delayMs(nowMs), this.#line.delayMs(nowMs));
      if (delayMs > 0) return this.#serveLater(delayMs);
      const upload = this.#queue.take(ready, (candidate) => this.#rank(candidate));
      if (!upload) return;
      this.#upload(upload);
    }
  }

  #upload(upload: Upload): void {
    const neighbour = this.#context.neighbours.get(upload.peer);
    const window = this.#context.buffer.get(upload.window);
    const payload = window?.piece(upload.piece);
    if (!neighbour) return;
    if (!window || !payload || window.version !== upload.version)
      return this.#refuse(neighbour, upload.window, [upload.piece], 'not-held', 0);
    if (upload.isPush && neighbour.map.holds(upload.window, upload.piece, upload.version)) return;
    // Whichever piece comes first: without its manifest nothing of a window can be passed on.
    if (upload.isPush && !neighbour.map.get(upload.window)) this.#sendManifest(neighbour, window);
    if (upload.isPush) this.#pushes.sent += 1;
    window.copies[upload.piece] = (window.copies[upload.piece] ?? 0) + 1;
    if (this.#context.isPublisher) window.noteTaker(upload.piece, upload.peer);
    neighbour.noteServed(payload.length, this.#context.nowMs);
    // Whoever has said what the line carries knows better: at a limit, too, pieces are late once in a while.
    if (this.#context.options.uplink.bytesPerSecond === 0)
      this.#line.noteSent(neighbour, upload.window, upload.piece, payload.length, this.#context.nowMs);
    neighbour.map.noteHeld(upload.window, upload.piece, window.held.length, window.version);
    this.#context.send(neighbour, { kind: 'piece', window: upload.window, piece: upload.piece, payload });
  }

  #serveLater(delayMs: Milliseconds): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#context.schedule('upload', delayMs);
  }

  #enqueue(neighbour: Neighbour, window: BufferedWindow, piece: PieceIndex, patienceMs: Milliseconds): boolean {
    const { nowMs, parameters } = this.#context;
    const sizeBytes = window.piece(piece)?.length ?? 0;
    // Nobody honest waits for longer than this; to say so would make a request that is never overdue.
    const waitsMs = Math.min(patienceMs, parameters.waitMaxMs);
    const { number, version } = window;
    const upload = { peer: neighbour.id, window: number, piece, version, sizeBytes, deadlineMs: nowMs + waitsMs };
    return this.#queueMs(upload) <= waitsMs && this.#queue.add(upload);
  }

  /** Time until this upload would leave: a first copy overtakes all second ones, so these do not keep it from being taken. */
  #queueMs(upload: Upload): Milliseconds {
    const soonestMs = this.#uploadMs(this.#queue.queuedBytes);
    if (this.#context.nowMs + soonestMs <= upload.deadlineMs) return soonestMs;
    return this.#uploadMs(this.#queue.bytesBefore(this.#rank(upload), (other) => this.#rank(other)));
  }

  #uploadMs(sizeBytes: Bytes): Milliseconds {
    const { bytesPerSecond } = this.#context.options.uplink;
    return Math.max(bytesPerSecond === 0 ? 0 : (sizeBytes * 1000) / bytesPerSecond, this.#line.uploadMs(sizeBytes, this.#context.nowMs));
  }

  /** Lower goes first. */
  #rank(upload: Upload): number {
    const { isPublisher, nowMs, neighbours, parameters } = this.#context;
    const neighbour = neighbours.get(upload.peer);
    const isMute = neighbour?.isMute(nowMs, MUTE_MAP_PERIODS * parameters.mapPeriodMs) === true;
    const isLittle = neighbour?.givesLittle === true;
    const lastMs = isMute ? MUTE_RANK_MS : isLittle ? TAKER_RANK_MS : 0;
    return lastMs + (isPublisher ? this.#publisherRankMs(upload, neighbour) : this.#viewerRankMs(upload, neighbour));
  }

  /** A publisher deals first copies out itself; all others it shares fairly. What is overdue waits behind what can still be in time. */
  #publisherRankMs({ window, piece, deadlineMs }: Upload, neighbour: Neighbour | undefined): Milliseconds {
    const { nowMs, parameters } = this.#context;
    const servedPieces = (neighbour?.servedOfLate(nowMs) ?? 0) / parameters.pieceBytes;
    return Math.min(this.#copiesOf(window, piece), 1) * COPY_RANK_MS + Math.abs(deadlineMs - nowMs) + servedPieces * SERVED_RANK_MS;
  }

  /**
   * The newest window first: what few have is what spreads, and what is old can be had elsewhere ("latest useful", Bonald et al., Epidemic live streaming,
   * SIGMETRICS 2008). By deadlines, 200 viewers were 6.5 s behind in the median instead of 3.9 s.
   */
  #viewerRankMs({ window, piece, deadlineMs }: Upload, neighbour: Neighbour | undefined): Milliseconds {
    const { buffer, nowMs, parameters } = this.#context;
    const lastMs = VIEWER_COPY_RANK_MS / 2 - 1;
    const ageMs = Math.min(lastMs, ((buffer.head ?? window) - window) * parameters.windowMs);
    const orderMs = neighbour && this.#isBeginning(neighbour) ? -1 - ageMs : ageMs;
    const copies = Math.min(COPIES_RANK_MAX, this.#copiesOf(window, piece));
    return (deadlineMs < nowMs ? OVERDUE_RANK_MS : 0) + copies * VIEWER_COPY_RANK_MS + orderMs;
  }

  #isBeginning({ sinceMs, mediaUpBytes }: Neighbour): boolean {
    const { nowMs, parameters } = this.#context;
    return nowMs - sinceMs < BEGINNING_MS && mediaUpBytes < BEGINNING_PIECES * parameters.pieceBytes;
  }

  #copiesOf(window: WindowNumber, piece: PieceIndex): number {
    return this.#context.buffer.get(window)?.copies[piece] ?? 0;
  }

  #sendManifest(neighbour: Neighbour, window: BufferedWindow): void {
    const ageMs = Math.max(0, Math.round(this.#context.nowMs - window.originMs));
    this.#context.send(neighbour, { kind: 'manifest', ageMs, ...neighbour.certificates.shorten(window.manifest.bytes) });
  }

  #refuse(neighbour: Neighbour, window: WindowNumber, pieces: readonly PieceIndex[], why: 'busy' | 'not-held', etaMs: Milliseconds): void {
    if (neighbour.blocked) return;
    // It takes back all that it has been told of the window.
    if (why === 'not-held') neighbour.detailed.delete(window);
    this.#context.send(neighbour, { kind: 'refuse', window, pieces, why, etaMs: Math.round(etaMs) });
  }
}

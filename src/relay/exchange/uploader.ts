/**
 * Serves what neighbours ask for, as fast as the uplink allows, most needed first.
 *
 * What cannot be sent in the time the asker is willing to wait is refused at once, so that it can ask somebody else.
 */
import type { Bytes, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import type { LiveMessage } from './live-message.js';
import type { Neighbour } from './neighbour.js';
import { type Upload, UploadQueue } from './upload-queue.js';
import type { BufferedWindow } from './window-buffer.js';

export type LiveRequest = LiveMessage & { readonly kind: 'request' };

/** A copy that is out already counts as much as this much more time until the asker's deadline: first copies go first. */
const COPY_RANK_MS: Milliseconds = 10_000;

export class Uploader {
  readonly #context: ExchangeContext;
  readonly #queue = new UploadQueue();
  #scheduled = false;

  constructor(context: ExchangeContext) {
    this.#context = context;
  }

  onRequest(neighbour: Neighbour, request: LiveRequest): void {
    const window = this.#context.buffer.get(request.window);
    // While it does not read what it is sent, it gets no more than the pieces it waits for.
    if (window && request.wantManifest && !neighbour.blocked) this.#sendManifest(neighbour, window);
    const missing = request.pieces.filter((piece) => !window?.held.has(piece));
    if (missing.length > 0) this.#refuse(neighbour, request.window, missing, 'not-held', 0);
    if (!window) return;
    const busy = request.pieces.filter((piece) => window.held.has(piece) && !this.#enqueue(neighbour, window, piece, request.patienceMs));
    if (busy.length > 0) this.#refuse(neighbour, request.window, busy, 'busy', this.#uploadMs(this.#queue.queuedBytes));
    this.serve();
  }

  onCancel(neighbour: Neighbour, window: WindowNumber, pieces: readonly PieceIndex[]): void {
    for (const piece of pieces) this.#queue.cancel(neighbour.id, window, piece);
  }

  dropPeer(neighbour: Neighbour): void {
    this.#queue.dropPeer(neighbour.id);
  }

  /** The timer `upload`: there is credit again. */
  onTimer(): void {
    this.#scheduled = false;
    this.serve();
  }

  /** Sends as much as the uplink allows now and comes back for the rest. */
  serve(): void {
    const { options, neighbours, nowMs, parameters } = this.#context;
    this.#queue.dropOverdue(nowMs - parameters.waitMaxMs);
    const ready = (peer: string): boolean => neighbours.get(peer)?.blocked === false;
    while (!this.#queue.empty) {
      const delayMs = options.uplink.delayMs(nowMs);
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
    if (!window || !payload) return this.#refuse(neighbour, upload.window, [upload.piece], 'not-held', 0);
    window.copies[upload.piece] = (window.copies[upload.piece] ?? 0) + 1;
    neighbour.mediaUpBytes += payload.length;
    neighbour.map.noteHeld(upload.window, upload.piece, window.held.length, window.version);
    this.#context.send(neighbour, { kind: 'piece', window: upload.window, piece: upload.piece, payload });
  }

  #serveLater(delayMs: Milliseconds): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#context.schedule('upload', delayMs);
  }

  #enqueue(neighbour: Neighbour, window: BufferedWindow, piece: PieceIndex, patienceMs: Milliseconds): boolean {
    const sizeBytes = window.piece(piece)?.length ?? 0;
    const upload = { peer: neighbour.id, window: window.number, piece, sizeBytes, deadlineMs: this.#context.nowMs + patienceMs };
    return this.#queueMs(upload) <= patienceMs && this.#queue.add(upload);
  }

  /** Time until this upload would leave: a first copy overtakes all second ones, so these do not keep it from being taken. */
  #queueMs(upload: Upload): Milliseconds {
    const soonestMs = this.#uploadMs(this.#queue.queuedBytes);
    if (this.#context.nowMs + soonestMs <= upload.deadlineMs) return soonestMs;
    return this.#uploadMs(this.#queue.bytesBefore(this.#rank(upload), (other) => this.#rank(other)));
  }

  #uploadMs(sizeBytes: Bytes): Milliseconds {
    const { bytesPerSecond } = this.#context.options.uplink;
    return bytesPerSecond === 0 ? 0 : (sizeBytes * 1000) / bytesPerSecond;
  }

  /** Lower goes first. What is overdue waits behind what can still be in time. */
  #rank({ window, piece, deadlineMs }: Upload): number {
    return (this.#context.buffer.get(window)?.copies[piece] ?? 0) * COPY_RANK_MS + Math.abs(deadlineMs - this.#context.nowMs);
  }

  #sendManifest(neighbour: Neighbour, window: BufferedWindow): void {
    const ageMs = Math.max(0, Math.round(this.#context.nowMs - window.originMs));
    this.#context.send(neighbour, { kind: 'manifest', ageMs, bytes: window.manifest.bytes });
  }

  #refuse(neighbour: Neighbour, window: WindowNumber, pieces: readonly PieceIndex[], why: 'busy' | 'not-held', etaMs: Milliseconds): void {
    if (neighbour.blocked) return;
    this.#context.send(neighbour, { kind: 'refuse', window, pieces, why, etaMs: Math.round(etaMs) });
  }
}

/**
 * What neighbours have asked of us and not got yet. Served by need: pieces that nobody has a copy of first, then by the asker's deadline.
 *
 * Requests stay requests until the moment they are sent, so that a cancel, a lost neighbour or a closed tap drops them without a byte.
 * Bounded per neighbour.
 */
import type { Bytes, ConnectionId, Milliseconds, PieceIndex, WindowNumber } from '../kernel/units.js';

/** More waiting requests than this from one neighbour are refused. */
export const UPLOADS_PER_PEER_MAX = 128;

export interface Upload {
  readonly peer: ConnectionId;
  readonly window: WindowNumber;
  readonly piece: PieceIndex;
  readonly sizeBytes: Bytes;
  /** When the asker gives up. */
  readonly deadlineMs: Milliseconds;
}

export class UploadQueue {
  readonly #byPeer = new Map<ConnectionId, Upload[]>();
  #queuedBytes: Bytes = 0;

  get queuedBytes(): Bytes {
    return this.#queuedBytes;
  }

  get empty(): boolean {
    return this.#queuedBytes === 0;
  }

  /** @returns false when the neighbour has too many requests waiting; a repeated request replaces the earlier one. */
  add(upload: Upload): boolean {
    this.cancel(upload.peer, upload.window, upload.piece);
    const uploads = this.#byPeer.get(upload.peer) ?? [];
    if (uploads.length >= UPLOADS_PER_PEER_MAX) return false;
    this.#byPeer.set(upload.peer, uploads);
    uploads.push(upload);
    this.#queuedBytes += upload.sizeBytes;
    return true;
  }

  cancel(peer: ConnectionId, window: WindowNumber, piece: PieceIndex): void {
    const uploads = this.#byPeer.get(peer);
    const at = uploads?.findIndex((upload) => upload.window === window && upload.piece === piece) ?? -1;
    if (!uploads || at < 0) return;
    this.#queuedBytes -= uploads[at]?.sizeBytes ?? 0;
    uploads.splice(at, 1);
    if (uploads.length === 0) this.#byPeer.delete(peer);
  }

  dropPeer(peer: ConnectionId): void {
    for (const upload of this.#byPeer.get(peer) ?? []) this.#queuedBytes -= upload.sizeBytes;
    this.#byPeer.delete(peer);
  }

  /** Removes and returns the most needed upload among neighbours that can take one. `rank`: lower goes first. */
  take(ready: (peer: ConnectionId) => boolean, rank: (upload: Upload) => number): Upload | undefined {
    let best: Upload | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    for (const [peer, uploads] of this.#byPeer) {
      if (!ready(peer)) continue;
      for (const upload of uploads) {
        const own = rank(upload);
        if (own < bestRank) {
          best = upload;
          bestRank = own;
        }
      }
    }
    if (best) this.cancel(best.peer, best.window, best.piece);
    return best;
  }
}

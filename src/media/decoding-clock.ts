/**
 * Decoding times for frames that come with presentation times only (ASF), as FLV and MP4 want them.
 *
 * With at most d frames out of order, the decoding time of a frame is the smallest of the d + 1 newest presentation times, where each frame
 * replaces the smallest one before it. That needs no frame ahead, never goes back, is never later than the frame's presentation time, and leaves
 * presentation times as they are. The first d decoding times stand before the first presentation time, a frame's length apart.
 *
 * d comes from the sequence parameter set; a stream that says nothing gets 2 (two B-frames, one of them a reference). Where d proves too
 * small, that one frame is presented at its decoding time, and d grows by one.
 */
import type { Milliseconds } from '../kernel/units.js';

const REORDER_FRAMES_DEFAULT = 2;
const REORDER_FRAMES_MAX = 16;
/** Only the first few decoding times depend on it. */
const FRAME_MS_DEFAULT: Milliseconds = 20;
/** A step of presentation times beyond this is another stretch of the stream. */
const JUMP_MS: Milliseconds = 10_000;
const WRAP_MS = 0x1_0000_0000;

/** A frame's place in an FLV stream. */
export interface DecodingTime {
  /** 32 bits, like the times that went in. */
  readonly decodingMs: Milliseconds;
  /** Presentation minus decoding time; never negative. */
  readonly compositionMs: Milliseconds;
}

export class DecodingClock {
  #saidDepth = REORDER_FRAMES_DEFAULT;
  #depth = REORDER_FRAMES_DEFAULT;
  #frameMs: Milliseconds = FRAME_MS_DEFAULT;
  /** Sorted and unwrapped; `#depth` + 1 of them once started. */
  #newest: Milliseconds[] = [];
  #lastPresentationMs: Milliseconds | undefined;
  #lastDecodingMs: Milliseconds = Number.NEGATIVE_INFINITY;

  /** What the sequence parameter set says; the same again changes nothing. */
  configure(reorderFrames: number | undefined, frameMs: Milliseconds | undefined): void {
    this.#frameMs = frameMs ?? FRAME_MS_DEFAULT;
    const depth = Math.min(REORDER_FRAMES_MAX, reorderFrames ?? REORDER_FRAMES_DEFAULT);
    if (depth === this.#saidDepth) return;
    this.#saidDepth = depth;
    this.#depth = depth;
    this.#newest = [];
  }

  /** What follows is another stretch of the stream. */
  restart(): void {
    this.#newest = [];
    this.#lastPresentationMs = undefined;
    this.#lastDecodingMs = Number.NEGATIVE_INFINITY;
  }

  /** Takes frames in decoding order; `rawMs` has 32 bits and may wrap. */
  read(rawMs: Milliseconds): DecodingTime {
    if (this.#isJump(rawMs)) this.restart();
    const presentationMs = this.#unwrap(rawMs);
    if (this.#newest.length === 0) this.#start(presentationMs);
    this.#newest[0] = presentationMs;
    this.#newest.sort((a, b) => a - b);
    if ((this.#newest[0] ?? 0) < this.#lastDecodingMs) this.#grow();
    const decodingMs = this.#newest[0] ?? presentationMs;
    this.#lastDecodingMs = decodingMs;
    return { decodingMs: wrapped(decodingMs), compositionMs: Math.max(0, presentationMs - decodingMs) };
  }

  #start(presentationMs: Milliseconds): void {
    const lowestMs = Math.min(presentationMs, Math.max(0, this.#lastDecodingMs));
    for (let place = 0; place <= this.#depth; place++) {
      this.#newest.push(Math.max(lowestMs, Math.round(presentationMs - (this.#depth + 1 - place) * this.#frameMs)));
    }
  }

  /** More frames are out of order than was said: room for one more, and no time before the last one handed out. */
  #grow(): void {
    const lowestMs = this.#lastDecodingMs;
    this.#newest = this.#newest.map((timeMs) => Math.max(timeMs, lowestMs));
    if (this.#depth >= REORDER_FRAMES_MAX) return;
    this.#depth += 1;
    this.#newest.unshift(lowestMs);
  }

  #isJump(rawMs: Milliseconds): boolean {
    if (this.#lastPresentationMs === undefined) return false;
    return Math.abs(nearest(rawMs, this.#lastPresentationMs) - this.#lastPresentationMs) > JUMP_MS;
  }

  #unwrap(rawMs: Milliseconds): Milliseconds {
    const presentationMs = this.#lastPresentationMs === undefined ? rawMs : nearest(rawMs, this.#lastPresentationMs);
    this.#lastPresentationMs = presentationMs;
    return presentationMs;
  }
}

/** The value nearest to `lastMs` among all that wrap to `rawMs`. */
function nearest(rawMs: Milliseconds, lastMs: Milliseconds): Milliseconds {
  return rawMs + Math.round((lastMs - rawMs) / WRAP_MS) * WRAP_MS;
}

function wrapped(timeMs: Milliseconds): Milliseconds {
  return ((timeMs % WRAP_MS) + WRAP_MS) % WRAP_MS;
}

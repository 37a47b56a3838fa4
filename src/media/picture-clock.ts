/**
 * Decoding time and composition offset for H.264 pictures in ASF, which gives each picture one time only.
 *
 * By the specification that time is when the picture is presented. In fact VLC's and ffmpeg's muxers write the decoding time (measured with
 * B-frames: times grow in the order of decoding). So decoding time it is, and when to present follows from the picture order count, which
 * the slice headers carry: the picture that is decoded as number i since the last IDR picture, and presented as number r, has the
 * offset (r − i + d) frames. d, the frames that may come out of order, is the sequence parameter set's, so the offset is never negative and
 * sound and picture keep their distance. A set that says nothing counts as d = 0, and d grows when a picture proves it too small.
 *
 * A stream whose times go back in the order of decoding has presentation times after all; from there on `DecodingClock` does the work.
 *
 * A frame's length is the parameter set's, or measured where that is missing or wrong by a fifth. Source: ITU-T H.264, 7.3.3 and 8.2.1.
 */
import type { Milliseconds } from '../kernel/units.js';
import type { AsfMediaObject } from './asf-objects.js';
import { type PictureOrder, readPictureOrder, type SpsFacts } from './avc.js';
import { DecodingClock, type DecodingTime } from './decoding-clock.js';

const FRAME_MS_DEFAULT: Milliseconds = 40;
const DEPTH_MAX = 16;
/** Frames measured before the measure counts, and after which it starts anew. */
const MEASURED_MIN = 25;
const MEASURED_MAX = 250;
const TOLERANCE_RATIO = 0.2;
/** Sheet 4.6: a longer step is another stretch of the stream. */
const JUMP_MS: Milliseconds = 10_000;
/** Two order counts for each frame, as most encoders have it; an odd count shows one that counts by 1. */
const ORDER_STEP = 2;
/** Lost pictures are counted by the object number's step, up to here. */
const LOST_MAX = 100;

export class PictureClock {
  readonly #presented = new DecodingClock();
  #sps: SpsFacts | undefined;
  #hasPresentationTimes = false;
  #depth = 0;
  #orderStep = ORDER_STEP;
  /** Number of the picture since the last IDR picture, in the order of decoding. */
  #index = 0;
  #referenceOrder = 0;
  #lastObjectNumber: number | undefined;
  #lastMs: Milliseconds | undefined;
  #measuredFrames = 0;
  #measuredMs: Milliseconds = 0;

  /** A sequence parameter set, at the start and whenever one comes by. */
  configure(sps: SpsFacts): void {
    if (sps.reorderFrames !== this.#sps?.reorderFrames || this.#sps === undefined)
      this.#depth = Math.min(DEPTH_MAX, sps.reorderFrames ?? 0);
    this.#sps = sps;
    this.#presented.configure(sps.reorderFrames, sps.frameMs);
  }

  /** What follows is another stretch of the stream, and begins with a key frame. */
  restart(): void {
    this.#presented.restart();
    this.#index = 0;
    this.#referenceOrder = 0;
    this.#lastObjectNumber = undefined;
    this.#lastMs = undefined;
  }

  /** Takes pictures in the order of decoding, each with its NAL units. */
  read({ presentationMs: timeMs, objectNumber }: AsfMediaObject, units: readonly Uint8Array[]): DecodingTime {
    const stepMs = signedStep(timeMs, this.#lastMs ?? timeMs);
    if (stepMs < 0 && stepMs >= -JUMP_MS && this.#depthIsPossible()) this.#hasPresentationTimes = true;
    const order = this.#sps && readPictureOrder(units, this.#sps);
    const lateFrames = order === undefined ? 0 : this.#countLateness(order, objectNumber);
    this.#measure(stepMs, objectNumber);
    this.#lastMs = timeMs;
    this.#lastObjectNumber = objectNumber;
    if (this.#hasPresentationTimes) return this.#presented.read(timeMs);
    return { decodingMs: timeMs, compositionMs: Math.round(lateFrames * this.#frameMs()) };
  }

  #depthIsPossible(): boolean {
    return this.#sps === undefined || this.#sps.orderBits !== undefined;
  }

  /** How many frames after its decoding the picture is presented. */
  #countLateness({ idr, reference, orderLow }: PictureOrder, objectNumber: number): number {
    this.#index = idr ? 0 : this.#index + this.#picturesSince(objectNumber);
    if (idr) this.#referenceOrder = 0;
    const orderBits = this.#sps?.orderBits;
    if (orderBits === undefined) return 0;
    const cycle = 2 ** orderBits;
    const order = orderLow + Math.round((this.#referenceOrder - orderLow) / cycle) * cycle;
    if (reference) this.#referenceOrder = order;
    if (order % 2 !== 0 && this.#sps?.framesOnly === true) this.#orderStep = 1;
    const lateness = Math.floor(order / this.#orderStep) - this.#index + this.#depth;
    if (lateness < 0 && this.#sps?.reorderFrames === undefined) this.#depth = Math.min(DEPTH_MAX, this.#depth - lateness);
    return Math.min(2 * DEPTH_MAX, Math.max(0, lateness));
  }

  #picturesSince(objectNumber: number): number {
    const step = (objectNumber - (this.#lastObjectNumber ?? objectNumber - 1)) & 0xff;
    return step >= 1 && step <= LOST_MAX ? step : 1;
  }

  #measure(stepMs: Milliseconds, objectNumber: number): void {
    if (stepMs <= 0 || stepMs > 1000) return;
    if (this.#measuredFrames >= MEASURED_MAX) {
      this.#measuredFrames /= 2;
      this.#measuredMs /= 2;
    }
    this.#measuredFrames += this.#picturesSince(objectNumber);
    this.#measuredMs += stepMs;
  }

  #frameMs(): Milliseconds {
    const saidMs = this.#sps?.frameMs;
    if (this.#measuredFrames < MEASURED_MIN) return saidMs ?? FRAME_MS_DEFAULT;
    const measuredMs = this.#measuredMs / this.#measuredFrames;
    return saidMs !== undefined && Math.abs(saidMs / measuredMs - 1) < TOLERANCE_RATIO ? saidMs : measuredMs;
  }
}

/** The step between two 32-bit times, −2^31 to 2^31. */
function signedStep(toMs: Milliseconds, fromMs: Milliseconds): Milliseconds {
  return (toMs - fromMs) | 0;
}

/**
 * One run of ffmpeg over a file, from one segment on: gives segments as they are asked for, and stands still when it is ahead.
 *
 * Segments come from one continuous run, so that sound has no gaps where they meet. A run holds at most `AHEAD_SEGMENTS` segments and
 * `HELD_BYTES_MAX` beyond the one asked for last; a viewer who does not go on therefore costs that, and a process that waits.
 */
import { SAFE_INPUT_WORDS } from '../../io/programs/ffmpeg-input.js';
import { FfmpegPipe } from '../../io/programs/ffmpeg-pipe.js';
import { Malformed, ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import type { Bytes } from '../../kernel/units.js';
import { type ConversionPlan, SEGMENT_S } from '../../vod/conversion-plan.js';
import { type Fragment, FragmentSplitter } from '../../vod/fragment-splitter.js';

export interface ConversionRunOptions {
  /** Address of the file on this process. */
  readonly input: string;
  readonly plan: ConversionPlan;
  /** The segment it begins with. */
  readonly firstIndex: number;
  readonly log: Log;
  /** The initialisation section is there. */
  readonly onInit: (bytes: Uint8Array) => void;
  /** It has ended, well or not; whatever waits has been told. */
  readonly onEnd: () => void;
}

interface Waiter {
  readonly index: number;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

/** About twelve seconds. */
const AHEAD_SEGMENTS = 6;
const HELD_BYTES_MAX: Bytes = 48 * 1024 * 1024;
/** A request for a segment so far ahead waits; one further ahead is a seek. */
const REACH_SEGMENTS = AHEAD_SEGMENTS + 1;
/** Half a frame: times in a container are rounded. */
const TOLERANCE_S = 0.02;
/**
 * Added to all times, so that decoding times before the first picture do not become negative, which MP4 cannot say. Players take the
 * first segment's time as their zero.
 */
const CLOCK_OFFSET_S = 2;

const FRAGMENTS = '-f mp4 -movflags frag_keyframe+delay_moov+default_base_moof+frag_discont -use_editlist 0';
const TIMES = `-copypriorss 0 -avoid_negative_ts disabled -output_ts_offset ${CLOCK_OFFSET_S}`;
/** At most 720 lines, because a machine of two cores encodes no more in real time; a key frame where each segment begins. */
const ENCODE_VIDEO = `-c:v libx264 -preset veryfast -crf 23 -maxrate 5M -bufsize 10M -pix_fmt yuv420p -sc_threshold 0 -force_key_frames expr:gte(t,n_forced*${SEGMENT_S})`;
const SCALE = '-vf scale=w=trunc(iw*min(1\\,720/ih)/2)*2:h=trunc(min(720\\,ih)/2)*2';
const ENCODE_AUDIO = '-c:a aac -b:a 160k -ac 2';
/** Without video nothing says where a fragment ends. */
const SOUND_FRAGMENTS = '-frag_duration 1000000';

export class ConversionRun {
  readonly #options: ConversionRunOptions;
  readonly #splitter = new FragmentSplitter();
  readonly #ready = new Map<number, Uint8Array>();
  readonly #waiters = new Set<Waiter>();
  readonly #pipe: Promise<FfmpegPipe | undefined>;
  /** Fragments of the segment that is being made. */
  #parts: Uint8Array[] = [];
  #partBytes: Bytes = 0;
  #nextIndex: number;
  #wantedIndex: number;
  #ended: Error | undefined;

  constructor(options: ConversionRunOptions) {
    this.#options = options;
    this.#nextIndex = options.firstIndex;
    this.#wantedIndex = options.firstIndex;
    this.#pipe = this.#start();
  }

  /** Whether this run has the segment, or will have it soon. */
  reaches(index: number): boolean {
    if (this.#ready.has(index)) return true;
    return this.#ended === undefined && index >= this.#nextIndex && index < this.#nextIndex + REACH_SEGMENTS;
  }

  /** Whether ffmpeg has ended; segments may still be here. */
  get isOver(): boolean {
    return this.#ended !== undefined;
  }

  /** Whether somebody waits right now. */
  get isWaitedFor(): boolean {
    return this.#waiters.size > 0;
  }

  /** Rejects with words for a person when it cannot be made, and with the signal's reason when nobody waits any more. */
  segment(index: number, signal: AbortSignal): Promise<Uint8Array> {
    this.#wantedIndex = index;
    for (const held of this.#ready.keys()) if (held < index - 1) this.#ready.delete(held);
    this.#steer();
    const bytes = this.#ready.get(index);
    if (bytes !== undefined) return Promise.resolve(bytes);
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      const waiter = { index, resolve, reject };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', () => this.#waiters.delete(waiter) && reject(signal.reason), { once: true });
    });
  }

  async stop(): Promise<void> {
    this.#finish(new ShoalError('FFMPEG_FAILED', 'the conversion was ended.'));
    await (await this.#pipe)?.stop();
  }

  async #start(): Promise<FfmpegPipe | undefined> {
    const { input, plan, firstIndex, log } = this.#options;
    try {
      const pipe = await FfmpegPipe.start({
        input,
        inputOptions: `${SAFE_INPUT_WORDS.join(' ')} -ss ${(plan.boundariesS[firstIndex] ?? 0).toFixed(6)}`,
        outputOptions: outputOptionsOf(plan),
        purpose: 'converting a file needs it',
        log,
        onBytes: (bytes) => this.#take(bytes),
        onEnd: (reason, isComplete) => this.#onEnd(reason.replaceAll(input, 'the file'), isComplete),
      });
      if (this.#ended !== undefined) await pipe.stop();
      return pipe;
    } catch (error) {
      this.#finish(error instanceof Error ? error : new Error(String(error)));
      return undefined;
    }
  }

  #take(bytes: Uint8Array): void {
    if (this.#ended !== undefined) return;
    const hadInit = this.#splitter.init !== undefined;
    const fragments = this.#splitter.push(bytes);
    if (!hadInit && this.#splitter.init !== undefined) this.#options.onInit(this.#splitter.init);
    if (fragments instanceof Malformed) return this.#fail(`ffmpeg's output is unreadable: ${fragments.reason}`);
    for (const fragment of fragments) this.#add(fragment);
    this.#steer();
  }

  #add({ startS, bytes }: Fragment): void {
    const { boundariesS } = this.#options.plan;
    const atS = startS - CLOCK_OFFSET_S + TOLERANCE_S;
    // What comes before the first key frame asked for belongs to a segment that nobody wants of this run.
    if (this.#parts.length === 0 && atS < (boundariesS[this.#nextIndex] ?? 0) && this.#options.plan.video !== 'none') return;
    while (this.#nextIndex < boundariesS.length - 2 && atS >= (boundariesS[this.#nextIndex + 1] ?? Number.POSITIVE_INFINITY))
      this.#complete();
    this.#parts.push(bytes);
    this.#partBytes += bytes.length;
    if (this.#partBytes > HELD_BYTES_MAX * 2) this.#fail('one segment became too long.');
  }

  #complete(): void {
    const bytes = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#partBytes = 0;
    this.#ready.set(this.#nextIndex, bytes);
    for (const waiter of this.#waiters) {
      if (waiter.index !== this.#nextIndex) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(bytes);
    }
    this.#nextIndex += 1;
  }

  /** Goes on while a segment is missing that is wanted now or next, and there is room. */
  #steer(): void {
    const isAhead = this.#nextIndex > this.#wantedIndex + AHEAD_SEGMENTS;
    const isFull = this.#nextIndex > this.#wantedIndex && this.#heldBytes() > HELD_BYTES_MAX;
    const pause = (isAhead || isFull) && this.#waiters.size === 0;
    void this.#pipe?.then((pipe) => (pause ? pipe?.pause() : pipe?.resume()));
  }

  #heldBytes(): Bytes {
    return [...this.#ready.values()].reduce((sum, { length }) => sum + length, this.#partBytes);
  }

  #onEnd(reason: string, isComplete: boolean): void {
    if (this.#ended !== undefined) return;
    if (!isComplete) return this.#fail(`the conversion has failed: ${reason}`);
    if (this.#parts.length > 0) this.#complete();
    this.#finish(new ShoalError('FFMPEG_FAILED', 'the file ended before this segment.'));
  }

  #fail(words: string): void {
    this.#options.log.warn('a conversion has failed', { reason: words });
    this.#finish(new ShoalError('FFMPEG_FAILED', words));
    void this.#pipe.then((pipe) => pipe?.stop());
  }

  #finish(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters.clear();
    this.#options.onEnd();
  }
}

function outputOptionsOf({ video, audio }: ConversionPlan): string {
  const picture = { copy: '-map 0:V:0 -c:v copy', encode: `-map 0:V:0 ${SCALE} ${ENCODE_VIDEO}`, none: SOUND_FRAGMENTS }[video];
  const sound = { copy: '-map 0:a:0 -c:a copy', encode: `-map 0:a:0 ${ENCODE_AUDIO}`, none: '' }[audio];
  return `-copyts ${picture} ${sound} -sn -dn ${TIMES} ${FRAGMENTS}`;
}

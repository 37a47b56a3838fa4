/**
 * Cuts a feed into HLS segments: which frames stand in which segment, for how long they last, and where a decoder must start anew.
 *
 * A segment starts at the first key frame `segmentMs` or more after the last cut, or at any frame without video. Frames stay in
 * order of arrival. Memory is bounded: a segment that never ends is thrown away and the next one starts after a break.
 * Source: RFC 8216, 3 and 6.2.
 */
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import {
  type AudioConfig,
  readAudioConfig,
  readAudioFrame,
  readMetadataNumber,
  readVideoConfig,
  readVideoFrame,
  type VideoConfig,
} from '../../media/coded-media.js';
import { AUDIO, SCRIPT } from '../../media/flv.js';
import type { FeedTag } from './tag-feed.js';

/** One coded frame with its presentation time. */
export interface SegmentFrame {
  readonly data: Uint8Array;
  readonly presentationMs: Milliseconds;
  readonly durationMs: Milliseconds;
  readonly key: boolean;
}

export interface SegmentTrack<Config> {
  readonly config: Config;
  readonly frames: readonly SegmentFrame[];
}

/** A segment before it is muxed. */
export interface SegmentDraft {
  readonly startMs: Milliseconds;
  readonly durationMs: Milliseconds;
  /** True when it does not continue the one before: other decoder configurations, or other times. */
  readonly discontinuity: boolean;
  readonly video: SegmentTrack<VideoConfig> | null;
  readonly audio: SegmentTrack<AudioConfig> | null;
  /** Picture size in pixels as the publisher's metadata gives it. */
  readonly width: number | undefined;
  readonly height: number | undefined;
}

interface OpenFrame {
  readonly data: Uint8Array;
  readonly decodingMs: Milliseconds;
  readonly presentationMs: Milliseconds;
  readonly key: boolean;
}

interface OpenTrack<Config> {
  config: Config;
  frames: OpenFrame[];
  /** Duration given to a frame without a successor: the last one known. */
  frameMs: Milliseconds;
}

/** Frames that a segment collects before it is given up: no player would hold more, and nothing good makes it. */
const SEGMENT_BYTES_MAX: Bytes = 32 * 1024 * 1024;
/** Beyond this a stream with video has lost it, and goes on as audio alone. */
const VIDEO_SILENCE_MS: Milliseconds = 10_000;
/** Key frames may come this much early and still end a segment: encoders round. */
const EARLY_MS: Milliseconds = 100;

export class SegmentCutter {
  readonly #segmentMs: Milliseconds;
  #video: OpenTrack<VideoConfig> | null = null;
  #audio: OpenTrack<AudioConfig> | null = null;
  #startMs: Milliseconds | null = null;
  #lastVideoMs: Milliseconds = 0;
  #pendingBytes: Bytes = 0;
  #discontinuity = true;
  #width: number | undefined;
  #height: number | undefined;
  #fault: string | null = null;

  constructor(segmentMs: Milliseconds) {
    this.#segmentMs = segmentMs;
  }

  /** Why this stream cannot be cut, as a sentence for a person; null while it can. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Takes the next tag; returns the segment that it ended, if any. */
  push(feedTag: FeedTag): SegmentDraft | null {
    if (this.#fault !== null) return null;
    const { tag } = feedTag;
    if (tag.type === SCRIPT) return this.#noteMetadata(tag.body);
    if (feedTag.kind === 'header') return tag.type === AUDIO ? this.#pushAudioHeader(feedTag) : this.#pushVideoHeader(feedTag);
    if (feedTag.kind !== 'frame') return null;
    return tag.type === AUDIO ? this.#pushAudio(feedTag) : this.#pushVideo(feedTag);
  }

  /** What follows is another timeline; returns what was collected until now. */
  discontinuity(): SegmentDraft | null {
    const draft = this.#close(null);
    this.#discontinuity = true;
    return draft;
  }

  #noteMetadata(body: Uint8Array): null {
    this.#width = readMetadataNumber(body, 'width') ?? this.#width;
    this.#height = readMetadataNumber(body, 'height') ?? this.#height;
    return null;
  }

  #pushVideoHeader({ tag, codec }: FeedTag): SegmentDraft | null {
    const config = readVideoConfig(tag);
    if (config === undefined) return this.#fail(`video codec ${codec} cannot be served as HLS`);
    if (this.#video !== null && sameConfig(this.#video.config, config)) return null;
    const draft = this.discontinuity();
    this.#video = { config, frames: [], frameMs: 40 };
    return draft;
  }

  #pushAudioHeader({ tag, codec }: FeedTag): SegmentDraft | null {
    const config = readAudioConfig(tag);
    // A channel layout is a header too; it is no configuration, and the one before it stands.
    if (config === undefined) return this.#audio === null ? this.#fail(`audio codec ${codec} cannot be served as HLS`) : null;
    return this.#takeAudioConfig(config);
  }

  #takeAudioConfig(config: AudioConfig): SegmentDraft | null {
    if (this.#audio !== null && sameConfig(this.#audio.config, config)) return null;
    // A segment that needs an initialisation section of its own anyway may still gain a track: MP3 tells about itself only in frames.
    const draft = this.#audio === null && this.#discontinuity ? null : this.discontinuity();
    this.#audio = { config, frames: [], frameMs: 23 };
    return draft;
  }

  #pushVideo(feedTag: FeedTag): SegmentDraft | null {
    if (this.#video === null) return this.#fail(`video codec ${feedTag.codec} cannot be served as HLS`);
    const frame = readVideoFrame(feedTag.tag);
    if (frame === undefined) return null;
    const decodingMs = feedTag.tag.timestampMs;
    const draft = feedTag.key && this.#isDue(decodingMs) ? this.#close(decodingMs) : null;
    if (this.#startMs === null && feedTag.key) this.#startMs = decodingMs;
    if (this.#startMs === null) return draft;
    this.#lastVideoMs = decodingMs;
    this.#collect(this.#video, frame.data, decodingMs, decodingMs + frame.compositionMs, feedTag.key);
    return draft;
  }

  #pushAudio(feedTag: FeedTag): SegmentDraft | null {
    const { tag, codec } = feedTag;
    const timestampMs = tag.timestampMs;
    let draft: SegmentDraft | null = null;
    if (this.#audio === null || codec === '.mp3') {
      const config = readAudioConfig(tag);
      if (config === undefined) return this.#audio === null ? this.#fail(`audio codec ${codec} cannot be served as HLS`) : null;
      draft = this.#takeAudioConfig(config);
    }
    if (this.#video !== null && this.#startMs !== null && timestampMs - this.#lastVideoMs > VIDEO_SILENCE_MS) {
      draft = this.discontinuity();
      this.#video = null;
    }
    if (this.#video === null && this.#isDue(timestampMs)) draft = this.#close(timestampMs);
    if (this.#video === null) this.#startMs ??= timestampMs;
    const frame = readAudioFrame(tag);
    if (this.#audio !== null && frame !== undefined && this.#startMs !== null) {
      this.#collect(this.#audio, frame.data, timestampMs, timestampMs, true);
    }
    return draft;
  }

  #isDue(timestampMs: Milliseconds): boolean {
    return this.#startMs !== null && timestampMs - this.#startMs >= this.#segmentMs - EARLY_MS;
  }

  #collect(track: OpenTrack<unknown>, data: Uint8Array, decodingMs: Milliseconds, presentationMs: Milliseconds, key: boolean): void {
    track.frames.push({ data, decodingMs, presentationMs: Math.max(0, presentationMs), key });
    this.#pendingBytes += data.length;
    if (this.#pendingBytes > SEGMENT_BYTES_MAX) this.#giveUp();
  }

  #giveUp(): void {
    this.#reset();
    this.#discontinuity = true;
  }

  #reset(): void {
    if (this.#video !== null) this.#video.frames = [];
    if (this.#audio !== null) this.#audio.frames = [];
    this.#startMs = null;
    this.#pendingBytes = 0;
  }

  /** Ends the segment at `endMs`, or at the end of its last frame; null when it holds nothing. */
  #close(endMs: Milliseconds | null): SegmentDraft | null {
    const startMs = this.#startMs;
    const video = this.#video === null ? null : closeTrack(this.#video, endMs);
    const audio = this.#audio === null ? null : closeTrack(this.#audio, endMs);
    const lastMs = Math.max(video?.endMs ?? 0, audio?.endMs ?? 0);
    this.#reset();
    if (startMs === null || lastMs <= startMs) return null;
    const draft: SegmentDraft = {
      startMs,
      durationMs: (endMs ?? lastMs) - startMs,
      discontinuity: this.#discontinuity,
      video: video?.track ?? null,
      audio: audio?.track ?? null,
      width: this.#width,
      height: this.#height,
    };
    this.#discontinuity = false;
    return draft;
  }

  #fail(sentence: string): null {
    this.#fault = sentence;
    this.#reset();
    return null;
  }
}

function closeTrack<Config>(open: OpenTrack<Config>, endMs: Milliseconds | null): { track: SegmentTrack<Config>; endMs: Milliseconds } {
  const frames = open.frames.map((frame, index): SegmentFrame => {
    const nextMs = open.frames[index + 1]?.decodingMs ?? lastFrameEndMs(open, frame, endMs);
    const durationMs = Math.max(1, nextMs - frame.decodingMs);
    open.frameMs = durationMs;
    return { data: frame.data, presentationMs: frame.presentationMs, durationMs, key: frame.key };
  });
  const last = open.frames.at(-1);
  return { track: { config: open.config, frames }, endMs: last === undefined ? 0 : last.decodingMs + open.frameMs };
}

/** A cut belongs to the track that made it; the other track's last frame simply lasts as long as the ones before it. */
function lastFrameEndMs(open: OpenTrack<unknown>, frame: OpenFrame, endMs: Milliseconds | null): Milliseconds {
  const usualMs = frame.decodingMs + open.frameMs;
  return endMs !== null && Math.abs(endMs - usualMs) <= open.frameMs / 2 ? endMs : usualMs;
}

function sameConfig(a: VideoConfig | AudioConfig, b: VideoConfig | AudioConfig): boolean {
  const left = a.description ?? new Uint8Array(0);
  const right = b.description ?? new Uint8Array(0);
  const rates = 'sampleRate' in a && 'sampleRate' in b ? a.sampleRate === b.sampleRate && a.channelCount === b.channelCount : true;
  return a.codecString === b.codecString && rates && left.length === right.length && left.every((byte, i) => byte === right[i]);
}

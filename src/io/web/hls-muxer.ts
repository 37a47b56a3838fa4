/**
 * Live HLS of one feed, made only while somebody asks for it.
 *
 * The first request starts the muxer from what the feed holds, so that a playlist with several segments is there at once; a minute
 * without requests stops it. Segments are fragmented MP4 in memory: at most `segmentsMax` listed and half as many kept behind
 * the list for players that are late. Media sequence numbers grow for the life of this object, over restarts and breaks.
 * The only importer of mediabunny, and only when needed: it costs start-up time.
 */
import type { Log } from '../../kernel/ports.js';
import type { Milliseconds } from '../../kernel/units.js';
import { formatPlaylist, type PlaylistSegment } from '../../relay/endpoints/hls-playlist.js';
import { SegmentCutter, type SegmentDraft, type SegmentFrame } from '../../relay/endpoints/segment-cutter.js';
import type { FeedTag, TagFeed } from '../../relay/endpoints/tag-feed.js';
import type { WebReply } from './http-server.js';

type Mediabunny = typeof import('mediabunny');
type VideoCodec = import('mediabunny').VideoCodec;
type AudioCodec = import('mediabunny').AudioCodec;
type EncodedPacket = import('mediabunny').EncodedPacket;
type Output = import('mediabunny').Output;

export interface HlsMuxerOptions {
  readonly log: Log;
  /** Least length of a segment; it ends at the next key frame. Default 2 s, the usual distance of key frames. */
  readonly segmentMs?: Milliseconds;
  /** Default 8: 16 s, of which players keep about 6 s between themselves and the end. */
  readonly segmentsMax?: number;
  /** Default 60 s. */
  readonly idleMs?: Milliseconds;
  /** How long a playlist request waits for the first segment. Default 8 s, below what hls.js waits for an answer. */
  readonly firstSegmentMs?: Milliseconds;
}

interface Stored extends PlaylistSegment {
  readonly bytes: Uint8Array;
}

/** One run of the muxer, from a first request to silence. */
interface Run {
  readonly cutter: SegmentCutter;
  readonly unsubscribe: () => void;
  /** Drafts that wait for the muxer, in order. */
  readonly drafts: SegmentDraft[];
  /** A draft was lost, so the next segment does not continue the last one. */
  broken: boolean;
  muxing: boolean;
  /** All that the feed held at the start has been muxed, and there is a segment. */
  primed: boolean;
  stopped: boolean;
  /** Initialisation section in effect, for as long as no break comes. */
  initName: string;
}

const SEGMENT_MS: Milliseconds = 2_000;
const SEGMENTS_MAX = 8;
const IDLE_MS: Milliseconds = 60_000;
const FIRST_SEGMENT_MS: Milliseconds = 8_000;
/** A viewer's requests come this often at least; beyond it nobody watches. */
const WATCHED_MS: Milliseconds = 15_000;
/** Used when a publisher tells no picture size; decoders read the true one from the stream. */
const DEFAULT_WIDTH = 1280;
const DEFAULT_HEIGHT = 720;

/** Box types as numbers. */
const MOOF = 0x6d6f6f66;
const MFHD = 0x6d666864;

const VIDEO_CODECS: Readonly<Record<string, VideoCodec>> = { avc1: 'avc', hvc1: 'hevc', av01: 'av1', vp09: 'vp9' };
const AUDIO_CODECS: Readonly<Record<string, AudioCodec>> = { mp4a: 'aac', '.mp3': 'mp3', Opus: 'opus', fLaC: 'flac' };
const CORS_HEADERS: Readonly<Record<string, string>> = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, OPTIONS',
  'Access-Control-Allow-Headers': 'range',
};

export class HlsMuxer {
  readonly #feed: TagFeed;
  readonly #log: Log;
  readonly #segmentMs: Milliseconds;
  readonly #segmentsMax: number;
  readonly #idleMs: Milliseconds;
  readonly #firstSegmentMs: Milliseconds;
  readonly #waiting = new Set<() => void>();
  #starting: Promise<void> | undefined;
  #bunny: Mediabunny | undefined;
  #run: Run | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #stored: Stored[] = [];
  #inits = new Map<string, Uint8Array>();
  #nextSequence = 0;
  #nextInit = 0;
  #breaksGone = 0;
  #longestMs: Milliseconds = 0;
  #lastRequestMs = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(feed: TagFeed, options: HlsMuxerOptions) {
    this.#feed = feed;
    this.#log = options.log;
    this.#segmentMs = options.segmentMs ?? SEGMENT_MS;
    this.#segmentsMax = options.segmentsMax ?? SEGMENTS_MAX;
    this.#idleMs = options.idleMs ?? IDLE_MS;
    this.#firstSegmentMs = options.firstSegmentMs ?? FIRST_SEGMENT_MS;
  }

  /** Whether somebody asked for anything in the last seconds. */
  get watched(): boolean {
    return performance.now() - this.#lastRequestMs < WATCHED_MS;
  }

  /** Whether segments are being made. */
  get running(): boolean {
    return this.#run !== undefined;
  }

  /** Answers a request for `index.m3u8`, a segment or an initialisation section. */
  async serve(method: string, name: string): Promise<WebReply> {
    if (method === 'OPTIONS') return { status: 204, headers: CORS_HEADERS };
    if (name === 'index.m3u8') return this.#servePlaylist();
    const bytes = this.#inits.get(name) ?? this.#stored.find((segment) => segment.name === name)?.bytes;
    if (bytes === undefined) return text(404, 'This segment is gone or has never been. The playlist says which ones are there.');
    this.#noteRequest();
    const contentType = name.endsWith('.mp4') ? 'video/mp4' : 'video/iso.segment';
    return { headers: { ...CORS_HEADERS, 'Content-Type': contentType, 'Cache-Control': 'public, max-age=60' }, body: bytes };
  }

  /** Frees everything and answers nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#endRun();
  }

  async #servePlaylist(): Promise<WebReply> {
    this.#noteRequest();
    await this.#ensureRun();
    if (this.#run?.primed === false && this.#run.cutter.fault === null) await this.#firstSegments();
    const fault = this.#run?.cutter.fault ?? null;
    if (fault !== null) return text(415, `${fault}; FLV players can watch it.`);
    const segments = this.#listed();
    if (segments.length === 0) return text(503, 'No media has come yet. Try again in a moment.', { 'Retry-After': '2' });
    const playlist = formatPlaylist({
      mediaSequence: this.#nextSequence - segments.length,
      discontinuitySequence: this.#breaksGone,
      targetDurationMs: Math.max(this.#longestMs, this.#segmentMs),
      segments,
    });
    return { headers: { ...CORS_HEADERS, 'Content-Type': 'application/vnd.apple.mpegurl', 'Cache-Control': 'no-cache' }, body: playlist };
  }

  #listed(): readonly Stored[] {
    return this.#stored.slice(-this.#segmentsMax);
  }

  #noteRequest(): void {
    if (this.#stopped) return;
    this.#lastRequestMs = performance.now();
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => this.#endRun(), this.#idleMs);
  }

  #ensureRun(): Promise<void> {
    if (this.#run !== undefined || this.#stopped) return Promise.resolve();
    this.#starting ??= this.#begin().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #begin(): Promise<void> {
    this.#bunny ??= await import('mediabunny');
    if (this.#stopped) return;
    const cutter = new SegmentCutter(this.#segmentMs);
    const drafts: SegmentDraft[] = [];
    for (const tag of this.#feed.history()) {
      const draft = cutter.push(tag);
      if (draft !== null) drafts.push(draft);
    }
    const unsubscribe = this.#feed.subscribe({
      onTag: (tag) => this.#take(tag),
      onDiscontinuity: () => this.#queue(cutter.discontinuity()),
      onEnd: () => this.#queue(cutter.discontinuity()),
    });
    const run: Run = { cutter, unsubscribe, drafts: [], broken: true, muxing: false, primed: false, stopped: false, initName: '' };
    this.#run = run;
    for (const draft of drafts.slice(-this.#segmentsMax)) this.#queue(draft);
  }

  #endRun(): void {
    clearTimeout(this.#idleTimer);
    this.#run?.unsubscribe();
    if (this.#run !== undefined) this.#run.stopped = true;
    this.#run = undefined;
    this.#breaksGone += this.#listed().filter((segment) => segment.discontinuity).length;
    this.#stored = [];
    this.#inits.clear();
    this.#wake();
  }

  #take(tag: FeedTag): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#queue(run.cutter.push(tag));
    if (run.cutter.fault !== null) this.#wake();
  }

  #queue(draft: SegmentDraft | null): void {
    const run = this.#run;
    if (run === undefined || draft === null) return;
    run.drafts.push(draft);
    // Muxing is far faster than media; a queue means that the machine is stuck, and old media is of no use then.
    if (run.drafts.length > this.#segmentsMax) {
      run.drafts.shift();
      run.broken = true;
    }
    if (!run.muxing) void this.#drain(run);
  }

  async #drain(run: Run): Promise<void> {
    run.muxing = true;
    for (let draft = run.drafts.shift(); draft !== undefined && !run.stopped; draft = run.drafts.shift()) {
      await this.#add(run, draft);
    }
    run.muxing = false;
    if (this.#stored.length === 0) return;
    run.primed = true;
    this.#wake();
  }

  /** Bytes of a publisher may be anything: what the muxer does not take is left out, and players are told of the break. */
  async #add(run: Run, draft: SegmentDraft): Promise<void> {
    const anew = draft.discontinuity || run.broken;
    try {
      const { init, media } = await this.#mux(draft);
      if (run.stopped) return;
      numberFragment(media, this.#nextSequence + 1);
      if (anew) run.initName = this.#storeInit(init);
      run.broken = false;
      this.#store({ bytes: media, initName: run.initName, durationMs: draft.durationMs, discontinuity: anew && this.#nextSequence > 0 });
    } catch (error) {
      run.broken = true;
      this.#log.warn('HLS segment left out', { reason: error instanceof Error ? error.message : String(error), startMs: draft.startMs });
    }
  }

  #storeInit(bytes: Uint8Array): string {
    const name = `init-${this.#nextInit++}.mp4`;
    this.#inits.set(name, bytes);
    return name;
  }

  #store(segment: Omit<Stored, 'name'>): void {
    this.#stored.push({ ...segment, name: `segment-${this.#nextSequence++}.m4s` });
    this.#longestMs = Math.max(this.#longestMs, segment.durationMs);
    const leaving = this.#stored.at(-this.#segmentsMax - 1);
    if (leaving?.discontinuity === true) this.#breaksGone += 1;
    if (this.#stored.length > this.#segmentsMax * 1.5) this.#stored.shift();
    const used = new Set(this.#stored.map(({ initName }) => initName));
    for (const name of this.#inits.keys()) if (!used.has(name)) this.#inits.delete(name);
  }

  /** Until the run is primed, or never will be, or the patience of a player ends. */
  #firstSegments(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, this.#firstSegmentMs);
      this.#waiting.add(done);
    });
  }

  #wake(): void {
    for (const done of this.#waiting) done();
  }

  async #mux(draft: SegmentDraft): Promise<{ init: Uint8Array; media: Uint8Array }> {
    const bunny = this.#bunny as Mediabunny;
    const target = new bunny.BufferTarget();
    const initTarget = new bunny.BufferTarget();
    const output = new bunny.Output({ format: new bunny.CmafOutputFormat(), target, initTarget });
    try {
      const addVideo = addVideoTrack(bunny, output, draft);
      const addAudio = addAudioTrack(bunny, output, draft);
      await output.start();
      await addVideo();
      await addAudio();
      await output.finalize();
    } catch (error) {
      await output.cancel().catch(() => undefined);
      throw error;
    }
    return { init: bytesOf(initTarget), media: bytesOf(target) };
  }
}

/** Makes the track, and returns what fills it once the output has started. */
function addVideoTrack(bunny: Mediabunny, output: Output, { video, width, height }: SegmentDraft): () => Promise<void> {
  const codec = video === null ? undefined : VIDEO_CODECS[video.config.fourCc];
  if (video === null || codec === undefined) return () => Promise.resolve();
  const decoderConfig = {
    codec: video.config.codecString,
    description: video.config.description,
    codedWidth: wholePixels(width) ?? DEFAULT_WIDTH,
    codedHeight: wholePixels(height) ?? DEFAULT_HEIGHT,
  };
  const source = new bunny.EncodedVideoPacketSource(codec);
  output.addVideoTrack(source, { decoderConfig });
  return async () => {
    for (const frame of video.frames) await source.add(packet(bunny, frame), { decoderConfig });
    source.close();
  };
}

function addAudioTrack(bunny: Mediabunny, output: Output, { audio }: SegmentDraft): () => Promise<void> {
  const codec = audio === null ? undefined : AUDIO_CODECS[audio.config.fourCc];
  if (audio === null || codec === undefined) return () => Promise.resolve();
  const { codecString, sampleRate, channelCount, description } = audio.config;
  const decoderConfig = { codec: codecString, sampleRate, numberOfChannels: channelCount, ...(description && { description }) };
  const source = new bunny.EncodedAudioPacketSource(codec);
  output.addAudioTrack(source, { decoderConfig });
  return async () => {
    for (const frame of audio.frames) await source.add(packet(bunny, frame), { decoderConfig });
    source.close();
  };
}

function packet(bunny: Mediabunny, frame: SegmentFrame): EncodedPacket {
  return new bunny.EncodedPacket(frame.data, frame.key ? 'key' : 'delta', frame.presentationMs / 1000, frame.durationMs / 1000);
}

function bytesOf(target: InstanceType<Mediabunny['BufferTarget']>): Uint8Array {
  return target.buffer === null ? new Uint8Array(0) : new Uint8Array(target.buffer);
}

/**
 * Writes the fragment's number, which must grow from segment to segment (ISO/IEC 14496-12, 8.8.5; VLC complains otherwise): every
 * segment is an output of its own to the muxer, and says 1. `mfhd` is the first box in `moof`, and `moof` a top-level box.
 */
function numberFragment(bytes: Uint8Array, sequence: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 24 <= bytes.length; ) {
    const sizeBytes = view.getUint32(at);
    if (view.getUint32(at + 4) === MOOF && view.getUint32(at + 12) === MFHD) return view.setUint32(at + 20, sequence >>> 0);
    if (sizeBytes < 8) return;
    at += sizeBytes;
  }
}

function wholePixels(value: number | undefined): number | undefined {
  return value !== undefined && value >= 1 && value <= 16_384 ? Math.round(value) : undefined;
}

function text(status: number, sentence: string, headers: Readonly<Record<string, string>> = {}): WebReply {
  const body = `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}\n`;
  return { status, headers: { ...CORS_HEADERS, 'Content-Type': 'text/plain; charset=utf-8', ...headers }, body };
}

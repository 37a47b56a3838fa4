/**
 * The ordered tags of one channel for the players of this machine: one subscription to the swarm, any number of players.
 *
 * It promises every player a stream it can decode: metadata and effective codec headers first, media from a key frame on, times
 * that never go backwards within a track, whatever the publisher does. It holds the last seconds, so that a joiner has a picture at
 * once and HLS a playlist. Memory is bounded by `historyBytes` plus the headers.
 */
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { AUDIO, classifyTag, type FlvTag, SCRIPT, type TagClass } from '../../media/flv.js';
import { FeedTimeline, TIMELINE_END_MS } from './feed-timeline.js';

/** A tag as it goes to players: sorted once, its time already on the feed's timeline. */
export interface FeedTag {
  readonly tag: FlvTag;
  readonly kind: TagClass['kind'];
  readonly key: boolean;
  readonly codec: string;
}

/** Called in order and at once, from inside `push`. A listener may unsubscribe at any time. */
export interface FeedListener {
  onTag(tag: FeedTag): void;
  /** What follows comes from another timeline; its times go on, and it starts at a key frame. */
  onDiscontinuity?(): void;
  /** Nothing more comes on this timeline: the channel is gone, or it has run for 2^31 ms and starts again at 0. */
  onEnd?(): void;
}

/** Tracks that carry media now, with the short codec names of `classifyTag`. */
export interface FeedTracks {
  readonly audio: boolean;
  readonly video: boolean;
  readonly audioCodec: string | null;
  readonly videoCodec: string | null;
}

export interface TagFeedOptions {
  /** Media kept for joiners. Default 20 s: what an HLS player needs to start with three segments at once. */
  readonly historyMs?: Milliseconds;
  /** Default 32 MiB: 20 s at 12 Mbit/s. A group of pictures beyond it is not kept, and joiners wait for the next one. */
  readonly historyBytes?: Bytes;
}

/** A place where a decoder can start. */
interface EntryPoint {
  /** Absolute number of the first tag behind the headers. */
  readonly position: number;
  readonly timestampMs: Milliseconds;
  /** Metadata, and the headers in effect stamped with the time of the first frame. */
  readonly headers: readonly FeedTag[];
}

interface Track {
  codec: string | null;
  /** Frames arrive; false again after ten silent seconds, so that new players are not told to wait for it. */
  active: boolean;
  /** Output time of its last frame or, before its first, of the other track's first; null before either. */
  quietSinceMs: Milliseconds | null;
  /** By slot, in order of arrival: Enhanced RTMP has several kinds of header, and one per track of a multitrack stream. */
  readonly headers: Map<string, FeedTag>;
}

const HISTORY_MS: Milliseconds = 20_000;
const HISTORY_BYTES: Bytes = 32 * 1024 * 1024;
/** What a held tag costs beyond its body, roughly; keeps a flood of one-byte tags inside the bound. */
const TAG_COST_BYTES: Bytes = 200;
/** A track without frames for this long, in the other track's time, is not waited for. As long as the largest forward jump. */
const TRACK_SILENCE_MS: Milliseconds = 10_000;
/** Without video any frame is an entry point; one in half a second is enough. */
const AUDIO_ENTRY_STEP_MS: Milliseconds = 500;
/** How much of an audio-only channel a joiner is given at once. */
const AUDIO_PRELUDE_MS: Milliseconds = 1_000;
/** Metadata beyond this is not metadata (protocols sheet 6.4, row 25). */
const METADATA_BYTES_MAX: Bytes = 64 * 1024;
/** Headers per track; more come only from a fault, and the oldest goes. */
const HEADERS_MAX = 8;
/** AMF0 string "@setDataFrame", which publishers put before the name that players look for. */
const SET_DATA_FRAME = Uint8Array.of(2, 0, 13, 0x40, 0x73, 0x65, 0x74, 0x44, 0x61, 0x74, 0x61, 0x46, 0x72, 0x61, 0x6d, 0x65);
/** Codecs that explain themselves in every frame. All others need their configuration first. */
const HEADERLESS_CODECS: ReadonlySet<string> = new Set(['.mp3', 'spex', 'Opus', 'ac-3', 'ec-3', 'vp08', 'vp09']);

export class TagFeed {
  readonly #historyMs: Milliseconds;
  readonly #historyBytes: Bytes;
  readonly #listeners = new Set<FeedListener>();
  readonly #timeline = new FeedTimeline();
  readonly #audio: Track = { codec: null, active: false, quietSinceMs: null, headers: new Map() };
  readonly #video: Track = { codec: null, active: false, quietSinceMs: null, headers: new Map() };
  #metadata: FeedTag | null = null;
  /** Video frames are dropped until a key frame. */
  #awaitingKey = true;
  /** The other track waits with it, so that the output starts at that key frame. */
  #holdingAudio = true;
  #firstDroppedMs: Milliseconds | null = null;
  #held: FeedTag[] = [];
  #heldBytes: Bytes = 0;
  #heldFrom = 0;
  #entries: EntryPoint[] = [];
  #frameCount = 0;
  #mediaBytes: Bytes = 0;

  constructor(options: TagFeedOptions = {}) {
    this.#historyMs = options.historyMs ?? HISTORY_MS;
    this.#historyBytes = options.historyBytes ?? HISTORY_BYTES;
  }

  get tracks(): FeedTracks {
    return {
      audio: this.#audio.active,
      video: this.#video.active,
      audioCodec: this.#audio.active ? this.#audio.codec : null,
      videoCodec: this.#video.active ? this.#video.codec : null,
    };
  }

  /** Newest time handed out; 0 before the first frame. */
  get lastTagMs(): Milliseconds {
    return this.#timeline.newestMs;
  }

  /** How much media `history` holds, in time. */
  get heldMs(): Milliseconds {
    const oldest = this.#entries[0];
    return oldest === undefined ? 0 : this.#timeline.newestMs - oldest.timestampMs;
  }

  /** Frames handed out since the start. */
  get frameCount(): number {
    return this.#frameCount;
  }

  /** Bytes of frame bodies handed out since the start. */
  get mediaBytes(): Bytes {
    return this.#mediaBytes;
  }

  subscribe(listener: FeedListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes the next tag in order. Tags without use to a player (empty ones, commands, end of sequence) are dropped. */
  push(tag: FlvTag): void {
    const sorted = classifyTag(tag);
    if (tag.type === SCRIPT) this.#pushMetadata(tag);
    else if (sorted.kind === 'header') this.#pushHeader({ tag, ...sorted });
    else if (sorted.kind === 'frame' || sorted.kind === 'metadata') this.#pushFrame({ tag, ...sorted });
  }

  /** Says that what follows is another timeline: the publisher restarted, or windows were jumped over. */
  discontinuity(): void {
    this.#timeline.restart();
    this.#awaitKey();
    for (const listener of this.#listeners) listener.onDiscontinuity?.();
  }

  /**
   * Says that something is missing here. The picture stands still until the next key frame, because browsers give up at one whose references are
   * missing (Chromium 14x: PIPELINE_ERROR_DECODE); the sound goes on.
   */
  loss(): void {
    this.#awaitingKey = true;
  }

  /** Says that nothing more comes; the players are sent away. */
  end(): void {
    for (const listener of this.#listeners) listener.onEnd?.();
  }

  /**
   * What a joiner gets first: metadata, headers, then everything from the newest key frame on, or from about a second ago without
   * video. Without frames when there is no such place: the joiner then waits for the next key frame.
   */
  prelude(): readonly FeedTag[] {
    const entry = this.#joinEntry();
    if (entry === undefined) return this.#currentHeaders(this.#timeline.newestMs);
    return [...entry.headers, ...this.#held.slice(entry.position - this.#heldFrom)];
  }

  /** Everything held, headers first, from the oldest key frame on. */
  history(): readonly FeedTag[] {
    const entry = this.#entries[0];
    return entry === undefined ? this.prelude() : [...entry.headers, ...this.#held.slice(entry.position - this.#heldFrom)];
  }

  #joinEntry(): EntryPoint | undefined {
    if (this.#video.active) return this.#entries.at(-1);
    const beforeMs = this.#timeline.newestMs - AUDIO_PRELUDE_MS;
    return this.#entries.findLast((entry) => entry.timestampMs <= beforeMs) ?? this.#entries[0];
  }

  #pushMetadata(tag: FlvTag): void {
    if (tag.body.length > METADATA_BYTES_MAX) return;
    const body = startsWith(tag.body, SET_DATA_FRAME) ? tag.body.subarray(SET_DATA_FRAME.length) : tag.body;
    if (this.#metadata !== null && sameBytes(this.#metadata.tag.body, body)) return;
    // Always at time 0: ffmpeg takes metadata at any other time for a text track.
    this.#metadata = { tag: this.#stamp({ ...tag, body }, 0), kind: 'metadata', key: false, codec: '' };
    this.#emit(this.#metadata);
  }

  #pushHeader(arrived: FeedTag): void {
    const track = this.#track(arrived.tag);
    const slot = headerSlot(arrived.tag);
    const known = track.headers.get(slot);
    if (known !== undefined && known.codec === arrived.codec && sameBytes(known.tag.body, arrived.tag.body)) return;
    if (track.codec !== arrived.codec) track.headers.clear();
    const header = { ...arrived, tag: this.#stamp(arrived.tag, this.#timeline.newestMs) };
    track.codec = arrived.codec;
    track.headers.set(slot, header);
    if (track.headers.size > HEADERS_MAX) track.headers.delete(track.headers.keys().next().value ?? slot);
    this.#activate(track);
    // Frames made for the old configuration are of no use to a decoder with the new one.
    if (track === this.#video) this.#awaitingKey = true;
    this.#emit(header);
  }

  #pushFrame(arrived: FeedTag): void {
    const track = this.#track(arrived.tag);
    if (track.headers.size === 0 && !isHeaderless(arrived.codec)) return;
    if (this.#timeline.isJump(arrived.tag.timestampMs)) this.discontinuity();
    if (!this.#admits(track, arrived) || this.#timeline.precedesStart(arrived.tag.timestampMs)) return;
    const timestampMs = this.#timeline.map(arrived.tag.type, arrived.tag.timestampMs);
    if (timestampMs >= TIMELINE_END_MS) return this.#startOver(arrived.tag);
    this.#noteFrame(track, arrived, timestampMs);
    const frame = { ...arrived, tag: this.#stamp(arrived.tag, timestampMs) };
    this.#markEntry(frame);
    this.#emit(frame);
    this.#trim();
  }

  /** Holds everything back until the next key frame where one is due, but waits for no video that does not come. */
  #admits(track: Track, frame: FeedTag): boolean {
    if (track === this.#video) {
      if (!this.#awaitingKey) return true;
      this.#firstDroppedMs = null;
      if (frame.key) {
        this.#awaitingKey = false;
        this.#holdingAudio = false;
      }
      return frame.key;
    }
    if (!this.#holdingAudio || !this.#video.active) return true;
    this.#firstDroppedMs ??= frame.tag.timestampMs;
    if (frame.tag.timestampMs - this.#firstDroppedMs < TRACK_SILENCE_MS) return false;
    this.#silence(this.#video);
    return true;
  }

  #noteFrame(track: Track, frame: FeedTag, timestampMs: Milliseconds): void {
    if (track.headers.size === 0) track.codec = frame.codec;
    this.#activate(track);
    track.quietSinceMs = timestampMs;
    const other = track === this.#video ? this.#audio : this.#video;
    other.quietSinceMs ??= timestampMs;
    if (other.active && timestampMs - other.quietSinceMs > TRACK_SILENCE_MS) this.#silence(other);
    this.#frameCount += 1;
    this.#mediaBytes += frame.tag.body.length;
  }

  #activate(track: Track): void {
    if (track.active) return;
    track.active = true;
    track.quietSinceMs = null;
    // Entry points made without video would give joiners a start without a picture.
    if (track === this.#video) this.#forgetHistory();
  }

  #silence(track: Track): void {
    track.active = false;
    if (track !== this.#video) return;
    this.#awaitKey();
    this.#forgetHistory();
  }

  #awaitKey(): void {
    this.#awaitingKey = true;
    this.#holdingAudio = true;
    this.#firstDroppedMs = null;
  }

  #markEntry(frame: FeedTag): void {
    const newest = this.#entries.at(-1);
    const { timestampMs } = frame.tag;
    const due = this.#video.active ? frame.key : newest === undefined || timestampMs - newest.timestampMs >= AUDIO_ENTRY_STEP_MS;
    if (!due) return;
    this.#entries.push({ position: this.#heldFrom + this.#held.length, timestampMs, headers: this.#currentHeaders(timestampMs) });
  }

  #currentHeaders(timestampMs: Milliseconds): readonly FeedTag[] {
    const headers: FeedTag[] = [];
    if (this.#video.active) headers.push(...this.#video.headers.values());
    if (this.#audio.active) headers.push(...this.#audio.headers.values());
    const stamped = headers.map((header) => ({ ...header, tag: this.#stamp(header.tag, timestampMs) }));
    return this.#metadata === null ? stamped : [this.#metadata, ...stamped];
  }

  #emit(tag: FeedTag): void {
    if (this.#entries.length > 0) {
      this.#held.push(tag);
      this.#heldBytes += tag.tag.body.length + TAG_COST_BYTES;
    }
    for (const listener of this.#listeners) listener.onTag(tag);
  }

  /** Drops whole groups of pictures from the old end, and the only one left when it alone is too large. */
  #trim(): void {
    while (this.#entries.length > 1 && (this.#heldBytes > this.#historyBytes || this.#outlivesHistory())) {
      this.#entries.shift();
      this.#dropBefore(this.#entries[0]?.position ?? this.#heldFrom);
    }
    if (this.#heldBytes > this.#historyBytes) this.#forgetHistory();
  }

  #outlivesHistory(): boolean {
    const second = this.#entries[1];
    return second !== undefined && this.#timeline.newestMs - second.timestampMs >= this.#historyMs;
  }

  #dropBefore(position: number): void {
    const dropped = this.#held.splice(0, position - this.#heldFrom);
    for (const { tag } of dropped) this.#heldBytes -= tag.body.length + TAG_COST_BYTES;
    this.#heldFrom = position;
  }

  #forgetHistory(): void {
    this.#heldFrom += this.#held.length;
    this.#held = [];
    this.#heldBytes = 0;
    this.#entries = [];
  }

  /** After 2^31 ms the output would no longer fit a player's signed number: send the players away and begin at 0. */
  #startOver(tag: FlvTag): void {
    this.#timeline.reset();
    this.#forgetHistory();
    this.#awaitKey();
    this.#audio.quietSinceMs = null;
    this.#video.quietSinceMs = null;
    this.end();
    this.push(tag);
  }

  #track(tag: FlvTag): Track {
    return tag.type === AUDIO ? this.#audio : this.#video;
  }

  #stamp(tag: FlvTag, timestampMs: Milliseconds): FlvTag {
    return tag.timestampMs === timestampMs ? tag : { ...tag, timestampMs };
  }
}

function isHeaderless(codec: string): boolean {
  return HEADERLESS_CODECS.has(codec) || codec.startsWith('flv-');
}

/** Headers in one slot replace each other. Enhanced ones are told apart by packet type, multitrack ones by track id as well. */
function headerSlot({ type, body }: FlvTag): string {
  const first = body[0] ?? 0;
  const enhanced = type === AUDIO ? first >> 4 === 9 : (first & 0x80) !== 0;
  if (!enhanced) return 'plain';
  const packetType = first & 0x0f;
  const multitrack = packetType === (type === AUDIO ? 5 : 6);
  return multitrack ? body.subarray(0, 7).join('.') : `packet-${packetType}`;
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return bytes.length >= prefix.length && prefix.every((byte, index) => bytes[index] === byte);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/**
 * Cuts one FLV source into windows: from its tags alone, never from the wall clock or the moment we joined.
 *
 * Window n holds the tags whose time lies in [n·W, (n+1)·W) of the source's timeline, plus a constant that only changes at a
 * discontinuity. Two publishers of one source therefore make byte-identical windows with equal numbers, from the first window that
 * both saw whole. The rules are those of the protocols sheet, 4.6 B, with three measured departures (docs/decisions/0002-windows.md):
 *
 * - Cuts lie on a time grid instead of at key frames, because a window must not be as long as the encoder's GOP (ffmpeg's default
 *   is 10 s) if the delay is to stay under it; key frames are marked inside the window instead.
 * - A tag belongs to the window of the *latest* time its track has reached. So a step back inside a track moves no tag into a window that
 *   another publisher has closed already, and a window can close as soon as every track has passed its end, without a second of waiting.
 * - A track that falls 2 s of the other track's time behind is not waited for; what it delivers late for a closed window is dropped.
 *
 * Canonical bytes of a window: the video header, then the audio header in force, at the time of the first tag; then the tags by
 * time, video before audio at equal times, each track in its own order. A header that changes inside the window stands before the first tag
 * it governs (video: a key frame). Left out: script data, end of sequence, commands, empty tags, repeated headers.
 */
import type { Bytes, Milliseconds, WindowNumber } from '../kernel/units.js';
import { AUDIO, classifyTag, encodedTagBytes, type FlvTag, type TagClass, VIDEO, writeTag } from '../media/flv.js';
import { SourceClock } from './source-clock.js';

/** Where a decoder can start: the offset of a key frame's tag in the window's bytes, and its time after the window's start. */
export interface KeyMark {
  readonly offsetBytes: Bytes;
  readonly afterStartMs: Milliseconds;
}

/** One finished window, ready to be hashed and signed. */
export interface CutWindow {
  readonly number: WindowNumber;
  /** The number of the window before it, or null for the first of a run. Numbers between the two hold no media and do not exist. */
  readonly previous: WindowNumber | null;
  /** The timeline before this window has no continuation: players must be told. */
  readonly discontinuity: boolean;
  /** Source time of the window's grid line, unwrapped. */
  readonly startMs: Milliseconds;
  readonly durationMs: Milliseconds;
  readonly bytes: Uint8Array;
  readonly keyMarks: readonly KeyMark[];
}

/** Where the numbering goes on after a restart of the station: the highest number ever used for the channel. */
export interface WindowCutterOptions {
  /** Length of the grid, ms. */
  readonly windowMs: Milliseconds;
  /** No window gets a number below this one. */
  readonly firstNumber?: WindowNumber;
}

/** A track this far behind the other is not waited for (rule 3: counted in tags, never in wall time). */
const TRACK_LAG_MS = 2_000;
/** More key frames than this in one window are not marked; an all-intra source needs no more to start at. */
export const KEY_MARKS_MAX = 32;
/** A window beyond this is no live stream for a peer-to-peer swarm (134 Mbit/s at 500 ms); its rest is dropped and counted. */
export const WINDOW_BYTES_MAX: Bytes = 8 * 1024 * 1024;

interface Entry {
  readonly tag: FlvTag;
  readonly timeMs: Milliseconds;
  /** 0 video, 1 audio: the order at equal times. */
  readonly trackOrder: 0 | 1;
  readonly key: boolean;
  readonly header: boolean;
}

/** What is known of one track: its clock, the latest time it reached, and its codec header. */
class Track {
  clock = new SourceClock();
  /** Fell `TRACK_LAG_MS` behind the other track and is not waited for until it comes back. */
  absent = false;
  latestMs: Milliseconds | undefined;
  /** In force for the frames that came last. */
  header: FlvTag | undefined;
  /** Arrived, but not yet in force: video waits for a key frame. */
  pendingHeader: FlvTag | undefined;
  /** HDR metadata that stands directly before a key frame stays (rule: left out otherwise). */
  pendingMetadata: FlvTag | undefined;
}

class OpenWindow {
  readonly entries: Entry[] = [];
  sizeBytes: Bytes = 0;
  /** The headers in force when the window opened, by track order. */
  readonly headers: [FlvTag | undefined, FlvTag | undefined];

  constructor(headers: [FlvTag | undefined, FlvTag | undefined]) {
    this.headers = headers;
  }
}

export class WindowCutter {
  readonly #windowMs: Milliseconds;
  #tracks: { video: Track; audio: Track } = { video: new Track(), audio: new Track() };
  #open = new Map<number, OpenWindow>();
  /** Grid number of the next window that may still receive tags. */
  #nextGrid: number | undefined;
  /** Window number = grid number + base. */
  #base: number | undefined;
  #lowestNumber: WindowNumber;
  #previous: WindowNumber | null = null;
  #broken = false;
  #droppedTags = 0;

  constructor(options: WindowCutterOptions) {
    this.#windowMs = options.windowMs;
    this.#lowestNumber = options.firstNumber ?? 0;
  }

  /** Tags that fitted no window: late for a closed one, or beyond the size limit. */
  get droppedTags(): number {
    return this.#droppedTags;
  }

  /** Takes one tag in arrival order and returns the windows it completed, in order. */
  push(tag: FlvTag): readonly CutWindow[] {
    if (tag.type !== VIDEO && tag.type !== AUDIO) return [];
    const sort = classifyTag(tag);
    const track = tag.type === VIDEO ? this.#tracks.video : this.#tracks.audio;
    if (sort.kind === 'header') {
      // Headers carry arbitrary times (0, or the moment a player joined): only their bytes count.
      if (!sameBytes(track.pendingHeader ?? track.header, tag)) track.pendingHeader = tag;
      return [];
    }
    if (sort.kind === 'metadata') {
      track.pendingMetadata = tag;
      return [];
    }
    if (sort.kind !== 'frame') return [];
    return this.#frame(tag, sort, track);
  }

  /** The source said that it ends here: what is open is whole. */
  flush(): readonly CutWindow[] {
    const done: CutWindow[] = [];
    for (const grid of [...this.#open.keys()].sort((a, b) => a - b)) done.push(...this.#close(grid));
    this.#startOver();
    return done;
  }

  /** The publisher is gone or replaced: unfinished windows are dropped, headers forgotten, and what comes next starts a new run. */
  discontinuity(): void {
    this.#startOver();
    this.#tracks = { video: new Track(), audio: new Track() };
  }

  #frame(tag: FlvTag, sort: TagClass, track: Track): readonly CutWindow[] {
    const other = track === this.#tracks.video ? this.#tracks.audio : this.#tracks.video;
    if (!track.clock.started && !track.clock.join(other.clock, tag.timestampMs)) {
      // Left over from a timeline that the other track has left already.
      this.#droppedTags += 1;
      return [];
    }
    const timeMs = track.clock.read(tag.timestampMs);
    if (timeMs === undefined) {
      this.#startOver();
      return this.push(tag);
    }
    if (this.#nextGrid === undefined) {
      if (!this.#startAt(sort, timeMs, tag)) return [];
      // The track that starts the run sets the timeline; the other one has to fit it.
      other.clock = new SourceClock();
    }
    track.latestMs = Math.max(track.latestMs ?? timeMs, timeMs);
    this.#place(tag, sort, track, track.latestMs);
    this.#noteAbsence(track, other);
    return this.#closePassed();
  }

  #noteAbsence(track: Track, other: Track): void {
    const lagMs = (track.latestMs ?? 0) - (other.latestMs ?? Number.NEGATIVE_INFINITY);
    if (lagMs >= TRACK_LAG_MS && lagMs !== Number.POSITIVE_INFINITY) other.absent = true;
    if (lagMs > -TRACK_LAG_MS) track.absent = false;
  }

  /** A run starts at a key frame, or at the first audio frame of a source that has announced no video. */
  #startAt(sort: TagClass, timeMs: Milliseconds, tag: FlvTag): boolean {
    const hasVideo = this.#tracks.video.pendingHeader !== undefined || this.#tracks.video.header !== undefined;
    if (tag.type === VIDEO ? !sort.key : hasVideo) return false;
    const grid = Math.floor(timeMs / this.#windowMs);
    this.#base = Math.max(this.#base ?? 0, this.#lowestNumber - grid);
    this.#nextGrid = grid;
    return true;
  }

  #place(tag: FlvTag, sort: TagClass, track: Track, timeMs: Milliseconds): void {
    const grid = Math.floor(timeMs / this.#windowMs);
    if (grid < (this.#nextGrid ?? 0)) {
      this.#droppedTags += 1;
      return;
    }
    const window = this.#windowAt(grid);
    const trackOrder = tag.type === VIDEO ? 0 : 1;
    if (tag.type === AUDIO || sort.key) this.#applyPending(track, window, timeMs, trackOrder, tag);
    track.pendingMetadata = undefined;
    this.#add(window, { tag, timeMs, trackOrder, key: sort.key, header: false });
  }

  #windowAt(grid: number): OpenWindow {
    const found = this.#open.get(grid);
    if (found) return found;
    const made = new OpenWindow([this.#tracks.video.header, this.#tracks.audio.header]);
    this.#open.set(grid, made);
    return made;
  }

  /** A changed header comes into force here; HDR metadata directly before a key frame stays with it. */
  #applyPending(track: Track, window: OpenWindow, timeMs: Milliseconds, trackOrder: 0 | 1, frame: FlvTag): void {
    if (track.pendingHeader) {
      track.header = track.pendingHeader;
      track.pendingHeader = undefined;
      const tag = { ...track.header, timestampMs: frame.timestampMs };
      this.#add(window, { tag, timeMs, trackOrder, key: false, header: true });
    }
    if (track.pendingMetadata && trackOrder === 0) {
      this.#add(window, { tag: { ...track.pendingMetadata, timestampMs: frame.timestampMs }, timeMs, trackOrder, key: false, header: false });
    }
  }

  #add(window: OpenWindow, entry: Entry): void {
    const sizeBytes = encodedTagBytes(entry.tag);
    if (window.sizeBytes + sizeBytes > WINDOW_BYTES_MAX) {
      this.#droppedTags += 1;
      return;
    }
    window.sizeBytes += sizeBytes;
    window.entries.push(entry);
  }

  /** Closes every window that all tracks have passed. */
  #closePassed(): readonly CutWindow[] {
    const passedMs = this.#passedMs();
    const done: CutWindow[] = [];
    for (const grid of [...this.#open.keys()].sort((a, b) => a - b)) {
      if ((grid + 1) * this.#windowMs > passedMs) break;
      done.push(...this.#close(grid));
    }
    return done;
  }

  /** The time that every track we wait for has reached. */
  #passedMs(): Milliseconds {
    const tracks = [this.#tracks.video, this.#tracks.audio];
    const firstMs = Math.max(...tracks.map((track) => track.latestMs ?? Number.NEGATIVE_INFINITY));
    const waitedFor = tracks.filter((track) => {
      // A track that is announced but has not sent a frame yet is waited for like a lagging one.
      const announced = track.header !== undefined || track.pendingHeader !== undefined;
      return !track.absent && (track.latestMs !== undefined || announced);
    });
    const slowestMs = Math.min(...waitedFor.map((track) => track.latestMs ?? Number.NEGATIVE_INFINITY));
    return Math.max(Math.min(slowestMs, firstMs), firstMs - TRACK_LAG_MS);
  }

  #close(grid: number): readonly CutWindow[] {
    const open = this.#open.get(grid);
    this.#open.delete(grid);
    this.#nextGrid = Math.max(this.#nextGrid ?? 0, grid + 1);
    if (!open || open.entries.every((entry) => entry.header)) return [];
    const number = grid + (this.#base ?? 0);
    const startMs = grid * this.#windowMs;
    const { bytes, keyMarks } = canonicalBytes(open, startMs);
    const window = {
      number,
      previous: this.#previous,
      discontinuity: this.#broken || this.#previous === null,
      startMs,
      durationMs: this.#windowMs,
      bytes,
      keyMarks,
    };
    this.#previous = number;
    this.#broken = false;
    this.#lowestNumber = number + 1;
    return [window];
  }

  #startOver(): void {
    const { video, audio } = this.#tracks;
    this.#tracks = { video: new Track(), audio: new Track() };
    // A source that jumps in time without new headers still uses the old ones.
    this.#tracks.video.pendingHeader = video.pendingHeader ?? video.header;
    this.#tracks.audio.pendingHeader = audio.pendingHeader ?? audio.header;
    this.#open.clear();
    this.#nextGrid = undefined;
    this.#base = undefined;
    this.#broken = true;
  }
}

/** Sorts and writes a window; see the file header for the order. */
function canonicalBytes(open: OpenWindow, startMs: Milliseconds): { bytes: Uint8Array; keyMarks: readonly KeyMark[] } {
  const entries = sorted(open.entries);
  const firstMs = entries.find((entry) => !entry.header)?.tag.timestampMs ?? 0;
  const heads = headTags(open, entries, firstMs);
  const body = entries.filter((entry) => !heads.consumed.has(entry));
  const bytes = new Uint8Array([...heads.tags, ...body.map((entry) => entry.tag)].reduce((sum, tag) => sum + encodedTagBytes(tag), 0));
  const keyMarks: KeyMark[] = [];
  const audioOnly = body.every((entry) => entry.trackOrder === 1);
  let offset = 0;
  for (const tag of heads.tags) offset = writeTag(tag, bytes, offset);
  for (const [index, entry] of body.entries()) {
    const startable = entry.key || (audioOnly && open.headers[0] === undefined && index === 0);
    if (startable && keyMarks.length < KEY_MARKS_MAX) keyMarks.push({ offsetBytes: offset, afterStartMs: Math.max(0, entry.timeMs - startMs) });
    offset = writeTag(entry.tag, bytes, offset);
  }
  return { bytes, keyMarks };
}

function sorted(entries: readonly Entry[]): Entry[] {
  return entries
    .map((entry, arrival) => ({ entry, arrival }))
    .sort((a, b) => a.entry.timeMs - b.entry.timeMs || a.entry.trackOrder - b.entry.trackOrder || a.arrival - b.arrival)
    .map(({ entry }) => entry);
}

/** The headers at the head: those in force at the start, unless the track's first entry already brings a newer one. */
function headTags(open: OpenWindow, entries: readonly Entry[], firstMs: Milliseconds): { tags: FlvTag[]; consumed: Set<Entry> } {
  const tags: FlvTag[] = [];
  const consumed = new Set<Entry>();
  for (const trackOrder of [0, 1] as const) {
    const first = entries.find((entry) => entry.trackOrder === trackOrder);
    if (first?.header) consumed.add(first);
    const header = first?.header ? first.tag : open.headers[trackOrder];
    if (header) tags.push({ ...header, timestampMs: firstMs });
  }
  return { tags, consumed };
}

function sameBytes(known: FlvTag | undefined, tag: FlvTag): boolean {
  if (!known || known.body.length !== tag.body.length) return false;
  return known.body.every((byte, index) => byte === tag.body[index]);
}

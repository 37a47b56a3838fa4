/**
 * Cuts one FLV source into windows: from its tags alone, never from the wall clock or the moment we joined.
 *
 * Window n holds the tags whose time lies in [n·W, (n+1)·W) of the channel's timeline, plus a constant that only changes at a
 * discontinuity. Two publishers of one source therefore make byte-identical windows with equal numbers, from the first window that
 * both saw whole. The rules are those of the protocols sheet, 4.6 B, with measured departures (docs/decisions/0002-windows.md and 0009-redundancy.md):
 *
 * - Cuts lie on a time grid instead of at key frames, because a window must not be as long as the encoder's GOP (ffmpeg's default
 *   is 10 s) if the delay is to stay under it; key frames are marked inside the window instead.
 * - A tag belongs to the window of the *latest* time its track has reached. So a step back inside a track moves no tag into a window that
 *   another publisher has closed already, and a window can close as soon as every track has passed its end, without a second of waiting.
 * - A track that falls 2 s of the other track's time behind is waited for no longer; what it delivers late for a closed window is dropped. So
 *   tracks may be interleaved in any way that keeps them less than 2 s apart: the windows are the same. A track that stops costs those 2 s.
 * - Tags carry their time on the channel's timeline, modulo 2^32. A source's own timestamps are that time until its first wrap; a publisher whose
 *   server counts from another zero is told by an anchor where its times lie (`timeline-aligner.ts`). So neither the server's zero nor the
 *   modulus of its wraps shows in a window.
 *
 * Canonical bytes of a window: the video header, then the audio header in force, at the time of the first tag; then the tags by
 * time, video before audio at equal times, each track in its own order. A header that changes inside the window stands before the first tag
 * it governs (video: a key frame). Left out: script data, end of sequence, commands, empty tags, repeated headers.
 *
 * **Runs.** A stretch of source without a break is a run. A run ends where a track's times jump (rule 8), or where headers follow an end of
 * sequence (rule 9: the encoder came back, and its server spliced it on). Everybody who watches the source sees the same tags up to there, so what is
 * open is whole. The next run begins at a key frame. Its times are the source's own: if they go on where the last run stopped, so do the numbers, and what
 * falls into the last window of the old run opens the first one of the new; otherwise numbers are raised by the smallest multiple of 16 that lets them
 * grow. All of that follows from the tags, so publishers that watched name the new run alike without talking.
 *
 * Memory is bounded by the windows that are open at once, 2 s and one more, each at most `WINDOW_BYTES_MAX` and `ENTRIES_MAX` tags.
 */
import { sameBytes } from '../kernel/bytes.js';
import type { Bytes, Milliseconds, WindowNumber } from '../kernel/units.js';
import { AUDIO, classifyTag, encodedTagBytes, type FlvTag, type TagClass, VIDEO, writeTag } from '../media/flv.js';
import { BACKWARD_JUMP_MS, SourceClock } from './source-clock.js';

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
  /** Time of the window's grid line on the channel's timeline. */
  readonly startMs: Milliseconds;
  readonly durationMs: Milliseconds;
  readonly bytes: Uint8Array;
  readonly keyMarks: readonly KeyMark[];
}

/** Where a connection's timestamps lie on the channel's timeline, which another publisher, or we ourselves, have begun. */
export interface TimelineAnchor {
  /** A timestamp of this connection, as it stands in a tag. */
  readonly rawMs: Milliseconds;
  /** The time of such a tag on the channel's timeline. */
  readonly timeMs: Milliseconds;
  /** Window number minus grid number, while this timeline lasts. */
  readonly base: number;
  /** Others have windows right up to ours: there is no break before our first one. */
  readonly unbroken: boolean;
}

/** How a connection to the source begins. */
export interface CutterStart {
  /**
   * `start`: the source begins with us, and the first window is whole however little is in it. `middle`: it was on the air before, and
   * windows that we may not have seen whole are left out, one to two seconds of media.
   */
  readonly joined: 'start' | 'middle';
  /** Left out for a timeline of our own. */
  readonly anchor?: TimelineAnchor | undefined;
}

export interface WindowCutterOptions {
  /** Length of the grid, ms. */
  readonly windowMs: Milliseconds;
  /** No window of a timeline of our own gets a number below this one. */
  readonly firstNumber?: WindowNumber;
  /** As in `CutterStart`, for the first connection; `start` if left out. */
  readonly joined?: 'start' | 'middle';
}

/** A track this far behind the other is not waited for (rule 3: counted in tags, never in wall time). */
const TRACK_LAG_MS = 2_000;
/** More key frames than this in one window are not marked; an all-intra source needs no more to start at. */
export const KEY_MARKS_MAX = 32;
/** A window beyond this is no live stream for a peer-to-peer swarm (134 Mbit/s at 500 ms); its rest is dropped and counted. */
export const WINDOW_BYTES_MAX: Bytes = 8 * 1024 * 1024;

/** More tags than this in one window are dropped and counted; audio and video together have about a hundred a second. */
const ENTRIES_MAX = 20_000;

/**
 * Bases are multiples of this, so that two publishers that watched the same break, and closed a window more or less before it, mostly go on
 * with the same numbers.
 */
const BASE_STEP_WINDOWS = 16;
/** What an FLV tag can say of a time. */
const TIMESTAMPS = 0x1_0000_0000;

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
  readonly clock = new SourceClock();
  /** Of the first frame of this run. */
  firstMs: Milliseconds | undefined;
  latestMs: Milliseconds | undefined;
  /** In force for the frames that came last. */
  header: FlvTag | undefined;
  /** The first one in force in this run. */
  firstHeader: FlvTag | undefined;
  /** Arrived, but not yet in force: video waits for a key frame. */
  pendingHeader: FlvTag | undefined;
  /** HDR metadata that stands directly before a key frame stays (rule: left out otherwise). */
  pendingMetadata: FlvTag | undefined;
  /** The encoder said that this track ends. */
  ended = false;
}

/** Codec headers by track order, video first. */
type Headers = readonly [video: FlvTag | undefined, audio: FlvTag | undefined];

class OpenWindow {
  readonly entries: Entry[] = [];
  sizeBytes: Bytes = 0;
  /** The last header of each track that came into force in this window. */
  readonly changed: [FlvTag | undefined, FlvTag | undefined] = [undefined, undefined];
}

export class WindowCutter {
  readonly #windowMs: Milliseconds;
  #joined: 'start' | 'middle';
  #anchor: TimelineAnchor | undefined;
  /** Without an anchor: what this connection's timestamps were moved by before a break. Its server counts from the same zero behind it. */
  #movedMs: Milliseconds = 0;
  #tracks: { video: Track; audio: Track } = { video: new Track(), audio: new Track() };
  #open = new Map<number, OpenWindow>();
  /** Grid number of the next window that may still receive tags. */
  #nextGrid: number | undefined;
  /** Windows of this run below this one are folded into it: it follows the last run without a gap in the numbers. */
  #firstGrid = 0;
  /** Window number = grid number + base. */
  #base = 0;
  #lowestNumber: WindowNumber;
  /** Of the last window that was made here. */
  #lastNumber: WindowNumber = -1;
  #runStartMs: Milliseconds = 0;
  /** In force at the end of the last closed window. */
  #headers: Headers = [undefined, undefined];
  #previous: WindowNumber | null = null;
  #broken = true;
  #droppedTags = 0;

  constructor(options: WindowCutterOptions) {
    this.#windowMs = options.windowMs;
    this.#joined = options.joined ?? 'start';
    this.#lowestNumber = options.firstNumber ?? 0;
  }

  /** Tags that fitted no window: late for a closed one, or beyond the size limit. */
  get droppedTags(): number {
    return this.#droppedTags;
  }

  /** Window number minus grid number in the run under way. */
  get base(): number {
    return this.#base;
  }

  /** No run of our own gets a number below this one: those before it are used up, or reached by a run that ended. */
  get lowestNumber(): WindowNumber {
    return this.#lowestNumber;
  }

  /** A timestamp of the connection and its time on the channel's timeline; undefined before the first frame of a run. */
  get position(): { readonly rawMs: Milliseconds; readonly timeMs: Milliseconds } | undefined {
    return this.#tracks.video.clock.position ?? this.#tracks.audio.clock.position;
  }

  /** Takes one tag in arrival order and returns the windows it completed, in order. */
  push(tag: FlvTag): readonly CutWindow[] {
    if (tag.type !== VIDEO && tag.type !== AUDIO) return [];
    const sort = classifyTag(tag);
    const track = tag.type === VIDEO ? this.#tracks.video : this.#tracks.audio;
    switch (sort.kind) {
      case 'header':
        return this.#header(tag, track);
      case 'metadata':
        track.pendingMetadata = tag;
        return [];
      case 'end':
        track.ended = true;
        return [];
      case 'frame':
        return this.#frame(tag, sort, track);
      default:
        return [];
    }
  }

  /** The source said that it ends here: what is open is whole. */
  flush(): readonly CutWindow[] {
    const done = [...this.#open.keys()].sort((a, b) => a - b).flatMap((grid) => this.#close(grid));
    this.#skipReached();
    this.#startOver();
    return done;
  }

  /** A new connection to the source, or a new place on the timeline: unfinished windows are dropped, headers forgotten. */
  begin(start: CutterStart): void {
    if (!start.anchor) this.#skipReached();
    this.#startOver();
    this.#tracks = { video: new Track(), audio: new Track() };
    this.#joined = start.joined;
    this.#anchor = start.anchor;
    this.#movedMs = 0;
  }

  /** Takes a number for used, by this publisher or by another. */
  skipTo(number: WindowNumber): void {
    this.#lowestNumber = Math.max(this.#lowestNumber, number);
  }

  /** Headers carry arbitrary times (0, or the moment a player joined): only their bytes count. */
  #header(tag: FlvTag, track: Track): readonly CutWindow[] {
    const spliced = track.ended && track === this.#tracks.video && this.#nextGrid !== undefined;
    const done = spliced ? this.#splice() : [];
    const into = tag.type === VIDEO ? this.#tracks.video : this.#tracks.audio;
    const known = into.pendingHeader ?? into.header;
    if (!known || !sameBytes(known.body, tag.body)) into.pendingHeader = tag;
    return done;
  }

  /** An encoder came back behind its own end, on the same times: another run, which all who watch see begin here. */
  #splice(): readonly CutWindow[] {
    const { video, audio } = this.#tracks;
    const done = this.flush();
    this.#firstGrid = this.#lowestNumber - this.#base;
    this.#joined = 'start';
    this.#anchor = undefined;
    for (const [from, to] of [
      [video, this.#tracks.video],
      [audio, this.#tracks.audio],
    ] as const) {
      to.clock.takeOver(from.clock);
    }
    return done;
  }

  #frame(tag: FlvTag, sort: TagClass, track: Track): readonly CutWindow[] {
    const other = track === this.#tracks.video ? this.#tracks.audio : this.#tracks.video;
    if (!track.clock.started && !this.#startClock(track, other, tag.timestampMs)) {
      // Left over from a timeline that the other track has left already.
      this.#droppedTags += 1;
      return [];
    }
    const timeMs = this.#timeOf(tag, track, other);
    if (timeMs === undefined) {
      this.#jump();
      return this.push(tag);
    }
    if (this.#nextGrid === undefined) {
      if (!this.#startAt(sort, timeMs, tag)) return [];
      // The track that starts the run sets the timeline; the other one has to fit it.
      if (!this.#anchor) other.clock.stop();
    }
    track.firstMs ??= timeMs;
    track.latestMs = Math.max(track.latestMs ?? timeMs, timeMs);
    this.#place({ ...tag, timestampMs: timestampOf(timeMs) }, sort, track, track.latestMs);
    return this.#closePassed();
  }

  /** On the channel's timeline if we know where that is, else beside the other track. */
  #startClock(track: Track, other: Track, rawMs: Milliseconds): boolean {
    if (!this.#anchor && !other.clock.started) track.clock.set(rawMs, timestampOf(rawMs + this.#movedMs));
    if (!this.#anchor || other.clock.started) return track.clock.join(other.clock, rawMs);
    const anchored = new SourceClock();
    anchored.set(this.#anchor.rawMs, this.#anchor.timeMs);
    return track.clock.join(anchored, rawMs, Number.POSITIVE_INFINITY);
  }

  /** Undefined when the tag belongs to another timeline. A track that comes back after a long pause, beside the other, belongs to this one. */
  #timeOf(tag: FlvTag, track: Track, other: Track): Milliseconds | undefined {
    const timeMs = track.clock.read(tag.timestampMs);
    if (timeMs !== undefined || !other.clock.started) return timeMs;
    return track.clock.join(other.clock, tag.timestampMs, TRACK_LAG_MS) ? track.clock.read(tag.timestampMs) : undefined;
  }

  /** A break that everybody who watches the source sees: what follows is seen from its beginning, on the source's own times. */
  #jump(): void {
    const { position } = this;
    if (position) this.#movedMs = timestampOf(position.timeMs - position.rawMs);
    this.#skipReached();
    this.#startOver();
    this.#joined = 'start';
    this.#anchor = undefined;
  }

  /** A run starts at a key frame, or at the first audio frame of a source that has announced no video. */
  #startAt(sort: TagClass, timeMs: Milliseconds, tag: FlvTag): boolean {
    const hasVideo = this.#tracks.video.pendingHeader !== undefined || this.#tracks.video.header !== undefined;
    if (tag.type === VIDEO ? !sort.key : hasVideo) return false;
    const grid = Math.floor(timeMs / this.#windowMs);
    // On behind a splice, where numbers go on with the times.
    const foldedWindows = Math.ceil(BACKWARD_JUMP_MS / this.#windowMs) + 1;
    const goesOn = this.#firstGrid > 0 && grid + this.#base + foldedWindows >= this.#lowestNumber;
    if (this.#anchor) this.#base = this.#anchor.base;
    else if (!goesOn) this.#base = baseFor(grid, this.#lowestNumber);
    this.#firstGrid = goesOn ? Math.max(grid, this.#firstGrid) : grid;
    this.#nextGrid = this.#firstGrid;
    this.#runStartMs = timeMs;
    return true;
  }

  #place(tag: FlvTag, sort: TagClass, track: Track, timeMs: Milliseconds): void {
    const grid = Math.max(this.#firstGrid, Math.floor(timeMs / this.#windowMs));
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
    const made = new OpenWindow();
    this.#open.set(grid, made);
    return made;
  }

  /** A changed header comes into force here; HDR metadata directly before a key frame stays with it. */
  #applyPending(track: Track, window: OpenWindow, timeMs: Milliseconds, trackOrder: 0 | 1, frame: FlvTag): void {
    if (track.pendingHeader) {
      track.header = track.pendingHeader;
      track.pendingHeader = undefined;
      track.firstHeader ??= track.header;
      window.changed[trackOrder] = track.header;
      const tag = { ...track.header, timestampMs: frame.timestampMs };
      this.#add(window, { tag, timeMs, trackOrder, key: false, header: true });
    }
    if (track.pendingMetadata && trackOrder === 0) {
      this.#add(window, {
        tag: { ...track.pendingMetadata, timestampMs: frame.timestampMs },
        timeMs,
        trackOrder,
        key: false,
        header: false,
      });
    }
  }

  #add(window: OpenWindow, entry: Entry): void {
    const sizeBytes = encodedTagBytes(entry.tag);
    if (window.sizeBytes + sizeBytes > WINDOW_BYTES_MAX || window.entries.length === ENTRIES_MAX) {
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
      // A track that is announced but has not sent a frame yet is waited for like a lagging one. One that joins in the middle may miss the announcement.
      const announced = track.header !== undefined || track.pendingHeader !== undefined || this.#isYoung(firstMs);
      return track.latestMs !== undefined || announced;
    });
    const slowestMs = Math.min(...waitedFor.map((track) => track.latestMs ?? Number.NEGATIVE_INFINITY));
    return Math.max(Math.min(slowestMs, firstMs), firstMs - TRACK_LAG_MS);
  }

  /** A run that was joined in the middle, and in which a track may still turn up that was there before. */
  #isYoung(latestMs: Milliseconds): boolean {
    return this.#joined === 'middle' && latestMs - this.#runStartMs < TRACK_LAG_MS;
  }

  /**
   * Whether every tag of this window has come by here. Of a run joined in the middle, the windows of each track's first tags have not, nor those
   * that a step back of the source may still have reached. A track that turns up later than that has only just begun.
   */
  #isWhole(grid: number): boolean {
    if (this.#joined === 'start') return true;
    return [this.#tracks.video.firstMs, this.#tracks.audio.firstMs].every((firstMs) => {
      const sinceJoining = firstMs !== undefined && firstMs - this.#runStartMs < TRACK_LAG_MS;
      return !sinceJoining || grid > Math.floor((firstMs + BACKWARD_JUMP_MS) / this.#windowMs);
    });
  }

  /** At the end of the last closed window. A track that has not begun yet, or had ended when we joined, has the first header we know of it. */
  #headersInForce(): Headers {
    const { video, audio } = this.#tracks;
    const [first, second] = [video, audio].map((track, order) => this.#headers[order] ?? track.firstHeader ?? track.pendingHeader);
    return [first, second];
  }

  #close(grid: number): readonly CutWindow[] {
    const open = this.#open.get(grid);
    this.#open.delete(grid);
    this.#nextGrid = Math.max(this.#nextGrid ?? 0, grid + 1);
    if (!open) return [];
    const headers = this.#headersInForce();
    this.#headers = [open.changed[0] ?? this.#headers[0], open.changed[1] ?? this.#headers[1]];
    if (open.entries.every((entry) => entry.header)) return [];
    const number = grid + this.#base;
    const unbroken = this.#anchor?.unbroken === true;
    // On a timeline that is there already a number belongs to its content, whoever has used it before us; but ours only grow.
    const floor = this.#anchor ? this.#lastNumber + 1 : this.#lowestNumber;
    if (!this.#isWhole(grid) || number < floor) {
      if (unbroken && number >= 0) this.#previous = number;
      return [];
    }
    const startMs = grid * this.#windowMs;
    const { bytes, keyMarks } = canonicalBytes(open.entries, headers, startMs);
    const first = this.#broken;
    // Of a run that others have begun, the window before our first one exists, though we have not seen it.
    const before = this.#previous ?? (unbroken && number > 0 ? number - 1 : null);
    const window = {
      number,
      previous: first && !unbroken ? null : before,
      discontinuity: first && !unbroken,
      startMs,
      durationMs: this.#windowMs,
      bytes,
      keyMarks,
    };
    this.#previous = number;
    this.#broken = false;
    this.#lastNumber = number;
    this.skipTo(number + 1);
    return [window];
  }

  /** Another publisher may have closed the windows that we only began. */
  #skipReached(): void {
    const { video, audio } = this.#tracks;
    const latestMs = Math.max(video.latestMs ?? Number.NEGATIVE_INFINITY, audio.latestMs ?? Number.NEGATIVE_INFINITY);
    if (this.#nextGrid === undefined || !Number.isFinite(latestMs)) return;
    this.skipTo(Math.max(this.#firstGrid, Math.floor(latestMs / this.#windowMs)) + this.#base + 1);
  }

  #startOver(): void {
    const { video, audio } = this.#tracks;
    this.#tracks = { video: new Track(), audio: new Track() };
    // A source that jumps in time without new headers still uses the old ones.
    this.#tracks.video.pendingHeader = video.pendingHeader ?? video.header;
    this.#tracks.audio.pendingHeader = audio.pendingHeader ?? audio.header;
    this.#open.clear();
    this.#headers = [undefined, undefined];
    this.#nextGrid = undefined;
    this.#firstGrid = 0;
    this.#previous = null;
    this.#broken = true;
  }
}

/** The smallest base of its step that gives a grid number a window number of `lowest` or more. */
export function baseFor(grid: number, lowest: WindowNumber): number {
  return Math.max(0, Math.ceil((lowest - grid) / BASE_STEP_WINDOWS) * BASE_STEP_WINDOWS);
}

function timestampOf(timeMs: Milliseconds): Milliseconds {
  return ((timeMs % TIMESTAMPS) + TIMESTAMPS) % TIMESTAMPS;
}

/** Sorts and writes a window; see the file header for the order. */
function canonicalBytes(
  unsorted: readonly Entry[],
  headers: Headers,
  startMs: Milliseconds,
): { bytes: Uint8Array; keyMarks: readonly KeyMark[] } {
  const entries = sorted(unsorted);
  const firstMs = entries.find((entry) => !entry.header)?.tag.timestampMs ?? 0;
  const heads = headTags(headers, entries, firstMs);
  const body = entries.filter((entry) => !heads.consumed.has(entry));
  const bytes = new Uint8Array([...heads.tags, ...body.map((entry) => entry.tag)].reduce((sum, tag) => sum + encodedTagBytes(tag), 0));
  const keyMarks: KeyMark[] = [];
  const audioOnly = body.every((entry) => entry.trackOrder === 1);
  let offset = 0;
  for (const tag of heads.tags) offset = writeTag(tag, bytes, offset);
  for (const [index, entry] of body.entries()) {
    const startable = entry.key || (audioOnly && headers[0] === undefined && index === 0);
    if (startable && keyMarks.length < KEY_MARKS_MAX)
      keyMarks.push({ offsetBytes: offset, afterStartMs: Math.max(0, entry.timeMs - startMs) });
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
function headTags(headers: Headers, entries: readonly Entry[], firstMs: Milliseconds): { tags: FlvTag[]; consumed: Set<Entry> } {
  const tags: FlvTag[] = [];
  const consumed = new Set<Entry>();
  for (const trackOrder of [0, 1] as const) {
    const first = entries.find((entry) => entry.trackOrder === trackOrder);
    if (first?.header) consumed.add(first);
    const header = first?.header ? first.tag : headers[trackOrder];
    if (header) tags.push({ ...header, timestampMs: firstMs });
  }
  return { tags, consumed };
}

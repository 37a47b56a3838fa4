/**
 * Cuts one MMS source into windows: from its packet numbers alone, never from times, the wall clock or the moment we joined.
 *
 * Window k of an epoch holds LocationIds kN … kN + N − 1, and N comes from header fields only. LocationIds are shared by all clients of a
 * server and packets pass as received, so two publishers of one source make byte-identical windows. The rules are those of the protocols
 * sheet, 4.6 A, with N after the channel's window length instead of 2 s, for the delay's sake.
 *
 * **Numbers.** A window's number is k + base. The base is 0 for the first epoch. After a break it is the smallest multiple of 16 (0 included)
 * that would let numbers grow even from the beginning of the run of 256 windows in which it goes on: publishers that watched the same break mostly
 * agree, also if they lost a different window or two over it or are back at different times. Where they might not, `adopt` takes over the base
 * of a publisher that is on the air already; a station that was restarted goes on with the one that it saved.
 *
 * **Previous.** Two publishers should say the same of the same window, so what is said follows from k and not from what this
 * publisher happened to see: for k > 0 the window before exists in the source, and `previous` is number − 1, even if it was incomplete here
 * (another publisher may have it; to a viewer, a `previous` that nobody has is a hole to skip). Null, with `discontinuity`, stands for
 * k = 0, and for the first window after a break that this publisher watched: nobody is likelier to have an earlier one, and a
 * viewer should not wait for it.
 *
 * **Breaks.** Another header, a LocationId more than 16·N ahead or behind, or other bytes for a known number begin a new epoch. A server that
 * sends again what it has sent (a burst after reconnecting) does not: the last 16·N packets are known by length and hash.
 *
 * Times are informational: a window starts at the send time of its first packet, or 1 ms after the window before if that goes back a little
 * (VLC does, by up to 840 ms). A step beyond 10 s, the wrap after 49.7 days included, is taken as it is and flagged, so that every publisher goes on with
 * equal times. A duration is extrapolated from the window's own packets, because waiting for the next packet would cost 0.5 s of delay at 64 kbit/s.
 * Memory is bounded by one window, at most 1 MiB, and 192 KiB of fingerprints.
 */
import { sameBytes } from '../kernel/bytes.js';
import { Malformed } from '../kernel/errors.js';
import type { Hasher } from '../kernel/ports.js';
import type { Bytes, Milliseconds, WindowNumber } from '../kernel/units.js';
import { type AsfHeader, canonicalAsfHeader, parseAsfHeader } from '../media/asf-header.js';
import { AsfKeyDetector } from '../media/asf-key-detector.js';
import { parseAsfPacket } from '../media/asf-packet.js';
import { type AsfRecord, EPOCH_ID_BYTES, encodeAsfWindow, RECORD_HEAD_BYTES } from '../media/asf-window.js';
import { type CutWindow, KEY_MARKS_MAX, type KeyMark } from './window-cutter.js';

/** Where a run of windows stands in the channel's numbers: window k of this epoch has the number k + base. */
export interface AsfNumbering {
  /** 8 bytes, as at the head of every window. */
  readonly epochId: Uint8Array;
  readonly base: number;
}

export interface AsfCutterOptions {
  /** Length of a window at the header's maximum bit rate; 100 to 10000, from the channel's descriptor. */
  readonly windowMs: Milliseconds;
  readonly hasher: Pick<Hasher, 'sha256'>;
  /** No window gets a number below this one, unless `numbering` or `adopt` says that the numbers go on. */
  readonly firstNumber?: WindowNumber;
  /** What `numbering` gave before a restart. */
  readonly numbering?: AsfNumbering;
  /** `numbering` holds only if numbers stay above this one: a source may begin again under the same header. Default: none. */
  readonly numberingAbove?: WindowNumber;
}

/** A new epoch: the caller publishes `header` again, for windows behind it are of no use without. */
export interface AsfEpoch {
  readonly id: Uint8Array;
  /** Equal for all publishers; heal it with `servableAsfHeader` before players get it. */
  readonly canonicalHeader: Uint8Array;
  readonly header: AsfHeader;
  readonly packetsPerWindow: number;
  readonly reason: 'first' | 'header' | 'backward' | 'jump' | 'conflict';
}

export interface AsfCut {
  readonly windows: readonly CutWindow[];
  readonly epoch?: AsfEpoch;
}

interface OpenWindow {
  readonly index: number;
  readonly packetCount: number;
  readonly startMs: Milliseconds;
  readonly jumpCount: number;
  readonly records: AsfRecord[];
  readonly keyMarks: KeyMark[];
  sizeBytes: Bytes;
  lastMs: Milliseconds;
  broken: boolean;
}

/** The header in force and what follows from it. */
interface Source {
  readonly id: Uint8Array;
  readonly canonical: Uint8Array;
  readonly header: AsfHeader;
  readonly packetsPerWindow: number;
  readonly detector: AsfKeyDetector;
  readonly seen: SeenPackets;
}

/** Below this a header's maximum bit rate says nothing: VLC's remuxer claims 1 bit/s. An ordinary stream's rate is taken instead. */
const BITRATE_CREDIBLE = 16_000;
const BITRATE_ASSUMED = 1_000_000;
const PACKETS_MIN = 4;
const PACKETS_MAX = 1024;
const WINDOW_BYTES_MAX: Bytes = 1024 * 1024;
/** A step of more windows than this is not a gap but another numbering (rule 5). */
const JUMP_WINDOWS = 16;
/** Bases after a break are multiples of this, so that publishers agree on them most of the time. */
const BASE_STEP = 16;
/** Publishers that return to a source within the same run of so many windows choose the same base: 128 s at 0.5 s, twice the longest back-off. */
const RETURN_WINDOWS = 256;
const LOCATIONS = 0x1_0000_0000;
const NUMBER_MAX = 0xffff_ffff;
const TIME_JUMP_MS: Milliseconds = 10_000;
/** A duration beyond this is a jump inside the window. */
const DURATION_MAX_MS: Milliseconds = 60_000;
/** Numberings remembered; a source that changes epochs faster than this has nobody to agree with. */
const NUMBERINGS_MAX = 8;
const NOTHING: AsfCut = { windows: [] };

/** How many packets make a window: from header fields only (rule 3). */
export function packetsPerWindow(header: AsfHeader, windowMs: Milliseconds): number {
  const bitsPerSecond = header.maxBitrate < BITRATE_CREDIBLE ? BITRATE_ASSUMED : header.maxBitrate;
  const wanted = Math.round(((windowMs / 1000) * bitsPerSecond) / 8 / header.packetBytes);
  const limit = Math.min(PACKETS_MAX, Math.floor(WINDOW_BYTES_MAX / header.packetBytes));
  return Math.min(limit, Math.max(PACKETS_MIN, wanted));
}

/** The name of an epoch: the first 8 bytes of the canonical header's SHA-256. */
export function epochIdOf(canonicalHeader: Uint8Array, hasher: Pick<Hasher, 'sha256'>): Uint8Array {
  return new Uint8Array(hasher.sha256(canonicalHeader).subarray(0, EPOCH_ID_BYTES));
}

export class AsfCutter {
  readonly #options: AsfCutterOptions;
  readonly #numberings = new Map<string, number>();
  #source: Source | undefined;
  #open: OpenWindow | undefined;
  /** Number of the newest packet, counted on over the wrap at 2^32. */
  #location: number | undefined;
  #base: number | undefined;
  /** The window that `flush` closed early; the rest of its packets come too late. */
  #flushedIndex = -1;
  #lastNumber: WindowNumber = -1;
  /** The next window starts a run of its own. */
  #fresh = false;
  #epochCount = 0;
  #oldPackets = 0;
  #lastSendMs: Milliseconds | undefined;
  #lowestStartMs: Milliseconds = 0;
  #jumpCount = 0;
  #jumpsTold = 0;
  #droppedPackets = 0;
  #droppedWindows = 0;

  constructor(options: AsfCutterOptions) {
    this.#options = options;
    if (options.numbering) this.#remember(options.numbering);
  }

  /** What a window is to last; one of a source below its own maximum rate lasts longer. */
  get windowMs(): Milliseconds {
    return this.#options.windowMs;
  }

  /** Packets that went into no window: without a header, too long, or behind their window's end. Repeated ones do not count. */
  get droppedPackets(): number {
    return this.#droppedPackets;
  }

  /** Windows that were not seen whole. */
  get droppedWindows(): number {
    return this.#droppedWindows;
  }

  /** To be saved with the station's state, and told to other publishers; undefined before the first packet. */
  get numbering(): AsfNumbering | undefined {
    return this.#source === undefined || this.#base === undefined ? undefined : { epochId: this.#source.id, base: this.#base };
  }

  /** Which window of the epoch a packet belongs to, on the same turn of the counter as the newest one. */
  indexOf(locationId: number): number {
    const source = this.#source;
    return source === undefined ? 0 : placeOf(this.#unwrap(locationId), source.packetsPerWindow).index;
  }

  /** Takes the numbering of another publisher of this source, as its windows show it: number − floor(first LocationId / N). Numbers still only grow. */
  adopt(numbering: AsfNumbering): void {
    this.#remember(numbering);
    const source = this.#source;
    if (source === undefined || this.#location === undefined || !sameBytes(numbering.epochId, source.id)) return;
    const base = this.#numberings.get(keyOf(source.id));
    const next = this.#open?.index ?? placeOf(this.#location, source.packetsPerWindow).index + 1;
    if (base === undefined || base === this.#base || next + base <= this.#lastNumber) return;
    this.#base = base;
    this.#fresh = false;
  }

  /** The source's header, at every connect and change. One that is canonically equal changes nothing, and packets may go on as if nothing had happened. */
  pushHeader(bytes: Uint8Array): AsfCut | Malformed {
    // What is read of it stays: not to be changed by a caller that uses its buffer again.
    const header = parseAsfHeader(new Uint8Array(bytes));
    if (header instanceof Malformed) return header;
    const canonical = canonicalAsfHeader(bytes, header);
    if (this.#source && sameBytes(this.#source.canonical, canonical)) return NOTHING;
    const count = packetsPerWindow(header, this.#options.windowMs);
    this.#source = {
      id: epochIdOf(canonical, this.#options.hasher),
      canonical,
      header,
      packetsPerWindow: count,
      detector: new AsfKeyDetector(header),
      seen: new SeenPackets(count * JUMP_WINDOWS),
    };
    return { windows: [], epoch: this.#startEpoch(this.#source, this.#epochCount === 0 ? 'first' : 'header') };
  }

  /** Takes a packet in the order of arrival; `locationId` is 0 to 2^32 − 1. The payload is copied. */
  pushPacket(locationId: number, payload: Uint8Array): AsfCut {
    const source = this.#source;
    if (source === undefined || payload.length > source.header.packetBytes) return this.#drop();
    const location = this.#unwrap(locationId);
    const reason = this.#judge(source, location, payload);
    if (reason === 'repeated') return NOTHING;
    if (reason === 'late') return this.#drop();
    const epoch = reason === 'next' ? undefined : this.#startEpoch(source, reason);
    const windows = this.#accept(source, epoch === undefined ? location : locationId, payload);
    return epoch === undefined ? { windows } : { windows, epoch };
  }

  /** The source said that it ends here: what is open is whole, if it was seen from its beginning. */
  flush(): AsfCut {
    const open = this.#open;
    if (open === undefined) return NOTHING;
    this.#flushedIndex = open.index;
    return { windows: this.#close(open) };
  }

  /** What this packet is to the numbering; see the file header, "Breaks". */
  #judge(source: Source, location: number, payload: Uint8Array): 'next' | 'repeated' | 'late' | 'backward' | 'jump' | 'conflict' {
    if (this.#location === undefined) return 'next';
    const reach = source.packetsPerWindow * JUMP_WINDOWS;
    const step = location - this.#location;
    if (step > reach) return 'jump';
    if (step > 0) return 'next';
    const known = source.seen.compare(location, payload);
    if (known !== undefined) return known ? 'repeated' : 'conflict';
    this.#oldPackets += 1;
    return step < -reach || this.#oldPackets > reach ? 'backward' : 'late';
  }

  #startEpoch(source: Source, reason: AsfEpoch['reason']): AsfEpoch {
    if (this.#open) this.#droppedWindows += 1;
    this.#open = undefined;
    this.#location = undefined;
    this.#base = undefined;
    this.#flushedIndex = -1;
    this.#fresh = this.#epochCount > 0;
    this.#epochCount += 1;
    this.#lastSendMs = undefined;
    this.#lowestStartMs = 0;
    source.seen.clear();
    const { id, canonical, header, packetsPerWindow } = source;
    return { id, canonicalHeader: canonical, header, packetsPerWindow, reason };
  }

  #accept(source: Source, location: number, payload: Uint8Array): readonly CutWindow[] {
    this.#location = location;
    this.#oldPackets = 0;
    source.seen.note(location, payload);
    const packet = parseAsfPacket(payload, source.header.packetBytes);
    const understood = packet instanceof Malformed ? undefined : packet;
    const sendMs = this.#noteTime(understood?.sendMs);
    const isKey = understood !== undefined && source.detector.isKey(understood);
    const { index, place, packetCount } = placeOf(location, source.packetsPerWindow);
    this.#base ??= this.#chooseBase(source, index);
    if (index === this.#flushedIndex) return this.#drop().windows;
    const open = this.#open?.index === index ? this.#open : this.#openAt(index, packetCount, sendMs);
    if (open.records.length !== place) open.broken = true;
    if (open.broken) return [];
    this.#add(open, { locationId: location % LOCATIONS, payload: new Uint8Array(payload) }, sendMs, isKey);
    return open.records.length === packetCount ? this.#close(open) : [];
  }

  #openAt(index: number, packetCount: number, sendMs: Milliseconds): OpenWindow {
    if (this.#open) this.#droppedWindows += 1;
    const startMs = Math.max(sendMs, this.#lowestStartMs);
    const jumpCount = this.#jumpCount;
    this.#open = {
      index,
      packetCount,
      startMs,
      jumpCount,
      records: [],
      keyMarks: [],
      sizeBytes: EPOCH_ID_BYTES,
      lastMs: sendMs,
      broken: false,
    };
    return this.#open;
  }

  #add(open: OpenWindow, record: AsfRecord, sendMs: Milliseconds, isKey: boolean): void {
    if (isKey && open.keyMarks.length < KEY_MARKS_MAX) {
      open.keyMarks.push({ offsetBytes: open.sizeBytes, afterStartMs: afterStart(sendMs, open.startMs) });
    }
    open.records.push(record);
    open.sizeBytes += RECORD_HEAD_BYTES + record.payload.length;
    open.lastMs = sendMs;
  }

  #close(open: OpenWindow): readonly CutWindow[] {
    this.#open = undefined;
    const source = this.#source;
    const number = open.index + (this.#base ?? 0);
    if (source === undefined || open.broken || number > NUMBER_MAX) {
      this.#droppedWindows += 1;
      return [];
    }
    const first = this.#fresh || open.index === 0;
    const window: CutWindow = {
      number,
      previous: first ? null : number - 1,
      discontinuity: first || open.jumpCount > this.#jumpsTold,
      startMs: open.startMs,
      durationMs: this.#durationOf(open),
      bytes: encodeAsfWindow({ epochId: source.id, records: open.records }),
      // Without means to tell key frames apart the first packet is as good a start as any.
      keyMarks: source.detector.usable ? open.keyMarks : [{ offsetBytes: EPOCH_ID_BYTES, afterStartMs: 0 }],
    };
    this.#lastNumber = number;
    this.#fresh = false;
    this.#jumpsTold = open.jumpCount;
    this.#lowestStartMs = open.startMs + 1;
    return [window];
  }

  #durationOf({ records, startMs, lastMs }: OpenWindow): Milliseconds {
    const count = records.length;
    const durationMs = Math.round(((lastMs - startMs) * count) / Math.max(1, count - 1));
    return durationMs > 0 && durationMs <= DURATION_MAX_MS ? durationMs : this.#options.windowMs;
  }

  /** The packet's send time; the one before where it shows none. */
  #noteTime(sendMs: Milliseconds | undefined): Milliseconds {
    const lastMs = this.#lastSendMs ?? sendMs ?? 0;
    const nowMs = sendMs ?? lastMs;
    if (Math.abs(nowMs - lastMs) > TIME_JUMP_MS) {
      this.#jumpCount += 1;
      this.#lowestStartMs = 0;
    }
    this.#lastSendMs = nowMs;
    return nowMs;
  }

  #chooseBase(source: Source, index: number): number {
    const known = this.#numberings.get(keyOf(source.id));
    const goesOn = known !== undefined && index + known > Math.max(this.#lastNumber, this.#options.numberingAbove ?? -1);
    const lowest = Math.max(this.#lastNumber + 1, this.#options.firstNumber ?? 0);
    // Two that watched the same break may be back behind it at different windows.
    const from = this.#epochCount > 1 ? index - (index % RETURN_WINDOWS) : index;
    const base = goesOn ? known : Math.max(0, Math.ceil((lowest - from) / BASE_STEP) * BASE_STEP);
    if (!goesOn && base > 0) this.#fresh = true;
    this.#remember({ epochId: source.id, base });
    return base;
  }

  #remember({ epochId, base }: AsfNumbering): void {
    if (!Number.isSafeInteger(base) || base < 0 || base > NUMBER_MAX) return;
    const key = keyOf(epochId);
    this.#numberings.delete(key);
    this.#numberings.set(key, base);
    for (const oldest of this.#numberings.keys()) {
      if (this.#numberings.size <= NUMBERINGS_MAX) break;
      this.#numberings.delete(oldest);
    }
  }

  /** The count nearest to the newest one among all that wrap to `locationId` (rule 7). */
  #unwrap(locationId: number): number {
    if (this.#location === undefined) return locationId;
    const near = locationId + Math.round((this.#location - locationId) / LOCATIONS) * LOCATIONS;
    return near < 0 ? locationId : near;
  }

  #drop(): AsfCut {
    this.#droppedPackets += 1;
    return NOTHING;
  }
}

/** Which window a packet belongs to, and where in it. The last window before the wrap is as short as 2^32 leaves it. */
function placeOf(location: number, count: number): { index: number; place: number; packetCount: number } {
  const windowsPerCycle = Math.ceil(LOCATIONS / count);
  const locationId = location % LOCATIONS;
  const indexInCycle = Math.floor(locationId / count);
  const index = Math.floor(location / LOCATIONS) * windowsPerCycle + indexInCycle;
  return { index, place: locationId % count, packetCount: Math.min(count, LOCATIONS - indexInCycle * count) };
}

function afterStart(timeMs: Milliseconds, startMs: Milliseconds): Milliseconds {
  return Math.min(DURATION_MAX_MS, Math.max(0, timeMs - startMs));
}

function keyOf(epochId: Uint8Array): string {
  return epochId.join('.');
}

/** The newest packets by number, length and hash; a ring. */
class SeenPackets {
  readonly #locations: Float64Array;
  readonly #hashes: Uint32Array;

  constructor(capacity: number) {
    this.#locations = new Float64Array(capacity).fill(-1);
    this.#hashes = new Uint32Array(capacity);
  }

  note(location: number, payload: Uint8Array): void {
    const slot = location % this.#locations.length;
    this.#locations[slot] = location;
    this.#hashes[slot] = hashOf(payload);
  }

  /** Whether the packet of that number had these bytes; undefined when it was never seen, or long ago. */
  compare(location: number, payload: Uint8Array): boolean | undefined {
    const slot = location % this.#locations.length;
    return this.#locations[slot] === location ? this.#hashes[slot] === hashOf(payload) : undefined;
  }

  clear(): void {
    this.#locations.fill(-1);
  }
}

/** FNV-1a over the length and the bytes: tells a repetition from another packet, and nothing depends on more. */
function hashOf(payload: Uint8Array): number {
  let hash = (0x811c9dc5 ^ payload.length) >>> 0;
  for (const byte of payload) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

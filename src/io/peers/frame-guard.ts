/**
 * Stands between a socket and the BitTorrent wire: turns a byte stream into whole, bounded, expected frames.
 *
 * The wire package caps nothing: a huge length prefix makes it buffer (and copy, again and again) for ever, a negative one makes
 * it lose its place in the stream. The guard reads lengths as unsigned, refuses one above the cap before a byte of it is kept,
 * refuses message ids and lengths the swarm has no use for, and hands on complete frames only. Memory held is at most four
 * times what the peer has really sent of one message (and 16 KiB); work is linear in the bytes received, however they are cut.
 * What is only tolerated is skipped without being kept. Which rules hold may depend on the handshake, as one port serves many swarms.
 *
 * | part      | layout                                                                      |
 * |-----------|-----------------------------------------------------------------------------|
 * | handshake | 1 byte 19, 19 bytes `BitTorrent protocol`, 8 reserved, 20 info hash, 20 peer id |
 * | message   | 4 bytes length (big-endian), then `length` bytes, the first being the id; length 0 is a keep-alive |
 *
 * Source: BEP 3, BEP 6, BEP 10; the cap of 1 MiB is libtorrent's.
 */
import { Malformed } from '../../kernel/errors.js';
import type { Bytes } from '../../kernel/units.js';
import { BLOCK_FRAME_BYTES, blockMemory } from '../block-memory.js';

/** What is allowed of one message id. Lengths count the id byte. */
export interface FrameRule {
  readonly leastBytes: Bytes;
  readonly mostBytes: Bytes;
  /** Tolerated from ordinary clients but of no use here: checked, counted, not handed on. */
  readonly swallow?: true;
  /** Goes to the swarm's owner as it is, past the wire package. */
  readonly direct?: true;
}

/** Allowed message ids; any other is `Malformed`, unless there is a rule for `ANY_OTHER_ID`. */
export type FrameRules = ReadonlyMap<number, FrameRule>;

/** Stands for all ids that have no rule of their own. */
export const ANY_OTHER_ID = -1;

/** The longest message: a live piece with its headers is well below, and libtorrent draws the same line. */
export const MESSAGE_BYTES_MAX: Bytes = 1_048_576;

/** Length of the handshake every connection starts with. */
export const HANDSHAKE_BYTES: Bytes = 68;

const LENGTH_PREFIX_BYTES: Bytes = 4;
const PROTOCOL_PREFIX = Uint8Array.from(`\u0013BitTorrent protocol`, (character) => character.charCodeAt(0));
/** Messages of ids without a rule of their own before the peer counts as flooding; ordinary clients send a handful. */
const OTHER_MESSAGES_MAX = 1024;
/** Length of a message with a block: its place is made at once, since nearly every message of this length is one. */
const BLOCK_LENGTH: Bytes = BLOCK_FRAME_BYTES - LENGTH_PREFIX_BYTES;
/** The first allocation for any other that arrives in parts; it grows fourfold, so copying stays linear and a bare prefix costs little. */
const ASSEMBLY_START_BYTES: Bytes = 4096;
const EXTENDED_ID = 20;

const exactly = (bytes: Bytes): FrameRule => ({ leastBytes: bytes, mostBytes: bytes });
const ignored = (bytes: Bytes): FrameRule => ({ ...exactly(bytes), swallow: true });

/**
 * What a live swarm speaks: choke to not-interested and extensions. Port and the fast extension's announcements are tolerated,
 * because ordinary clients send them unasked; requests, pieces and bitfields have no meaning here.
 */
export const LIVE_FRAME_RULES: FrameRules = new Map([
  [0, exactly(1)],
  [1, exactly(1)],
  [2, exactly(1)],
  [3, exactly(1)],
  [9, ignored(3)],
  [13, ignored(5)],
  [14, ignored(1)],
  [15, ignored(1)],
  [16, ignored(13)],
  [17, ignored(5)],
  [EXTENDED_ID, { leastBytes: 2, mostBytes: MESSAGE_BYTES_MAX }],
]);

/** A frame that is still arriving. */
interface Assembly {
  bytes: Uint8Array;
  filledBytes: Bytes;
  readonly totalBytes: Bytes;
}

/** One connection's guard. After it has returned `Malformed` it returns nothing else. */
export class FrameGuard {
  #rules: FrameRules;
  readonly #chooseRules: ((handshake: Uint8Array) => FrameRules) | undefined;
  readonly #messageBytesMax: Bytes;
  #handshakeDone = false;
  #assembly: Assembly | undefined;
  #prefix = new Uint8Array(LENGTH_PREFIX_BYTES);
  #prefixFilled = 0;
  /** Bytes still to come of a message that nobody wants. */
  #skipBytes: Bytes = 0;
  #otherCount = 0;
  #frameCount = 0;
  #fault: Malformed | undefined;

  /** @param rules what holds, or what names it once the 68 bytes of the handshake are there. */
  constructor(rules: FrameRules | ((handshake: Uint8Array) => FrameRules) = LIVE_FRAME_RULES, messageBytesMax: Bytes = MESSAGE_BYTES_MAX) {
    this.#rules = typeof rules === 'function' ? LIVE_FRAME_RULES : rules;
    this.#chooseRules = typeof rules === 'function' ? rules : undefined;
    this.#messageBytesMax = messageBytesMax;
  }

  /** Complete frames seen so far, the swallowed ones and keep-alives too: a sign of life that single bytes are not. */
  get frameCount(): number {
    return this.#frameCount;
  }

  /** True once the 68 bytes of the handshake have been handed on. */
  get handshakeDone(): boolean {
    return this.#handshakeDone;
  }

  /** The rules that hold now. */
  get rules(): FrameRules {
    return this.#rules;
  }

  /** Other rules hold from the next message on, because more is known of the swarm. */
  use(rules: FrameRules): void {
    this.#rules = rules;
  }

  /** Takes bytes as the socket gave them; returns the frames they complete, prefix included. A frame may share memory with `chunk`. */
  push(chunk: Uint8Array): Uint8Array[] | Malformed {
    if (this.#fault !== undefined) return this.#fault;
    const frames: Uint8Array[] = [];
    let offset = 0;
    while (offset < chunk.length) {
      const next = this.#step(chunk, offset, frames);
      if (next instanceof Malformed) return this.#fail(next);
      offset = next;
    }
    return frames;
  }

  #fail(fault: Malformed): Malformed {
    this.#fault = fault;
    this.#assembly = undefined;
    return fault;
  }

  /** Consumes some of `chunk` and returns the offset after it; each call moves on, or opens the handshake that the next one fills. */
  #step(chunk: Uint8Array, offset: number, frames: Uint8Array[]): number | Malformed {
    if (this.#skipBytes > 0) return this.#skip(chunk, offset);
    if (this.#assembly !== undefined) return this.#fill(this.#assembly, chunk, offset, frames);
    if (!this.#handshakeDone) {
      this.#assembly = { bytes: new Uint8Array(HANDSHAKE_BYTES), filledBytes: 0, totalBytes: HANDSHAKE_BYTES };
      return offset;
    }
    if (this.#prefixFilled > 0 || chunk.length - offset < LENGTH_PREFIX_BYTES) return this.#fillPrefix(chunk, offset);
    return this.#beginMessage(readLength(chunk, offset), chunk, offset, frames);
  }

  #fillPrefix(chunk: Uint8Array, offset: number): number | Malformed {
    const taken = Math.min(LENGTH_PREFIX_BYTES - this.#prefixFilled, chunk.length - offset);
    this.#prefix.set(chunk.subarray(offset, offset + taken), this.#prefixFilled);
    this.#prefixFilled += taken;
    if (this.#prefixFilled < LENGTH_PREFIX_BYTES) return offset + taken;
    this.#prefixFilled = 0;
    const length = readLength(this.#prefix, 0);
    const fault = this.#checkLength(length);
    if (fault !== undefined) return fault;
    if (length === 0) this.#frameCount++;
    else this.#assemble(length, this.#prefix);
    return offset + taken;
  }

  /** A message whose whole prefix lies in `chunk` at `offset`; handed on without a copy when all of it does. */
  #beginMessage(length: number, chunk: Uint8Array, offset: number, frames: Uint8Array[]): number | Malformed {
    const fault = this.#checkLength(length);
    if (fault !== undefined) return fault;
    const bodyOffset = offset + LENGTH_PREFIX_BYTES;
    if (length === 0) {
      this.#frameCount++;
      return bodyOffset;
    }
    // A block has memory of its own, so that it does not keep all of the chunk until it lies on the disk.
    if (chunk.length - bodyOffset < length || length === BLOCK_LENGTH) {
      this.#assemble(length, chunk.subarray(offset, bodyOffset));
      return bodyOffset;
    }
    const rule = this.#checkId(chunk[bodyOffset], length);
    if (rule instanceof Malformed) return rule;
    this.#frameCount++;
    if (rule.swallow !== true) frames.push(chunk.subarray(offset, bodyOffset + length));
    return bodyOffset + length;
  }

  #skip(chunk: Uint8Array, offset: number): number {
    const taken = Math.min(this.#skipBytes, chunk.length - offset);
    this.#skipBytes -= taken;
    if (this.#skipBytes === 0) this.#frameCount++;
    return offset + taken;
  }

  #assemble(length: number, prefix: Uint8Array): void {
    const totalBytes = LENGTH_PREFIX_BYTES + length;
    const bytes = length === BLOCK_LENGTH ? blockMemory.take() : new Uint8Array(Math.min(totalBytes, ASSEMBLY_START_BYTES));
    bytes.set(prefix);
    this.#assembly = { bytes, filledBytes: LENGTH_PREFIX_BYTES, totalBytes };
  }

  #fill(assembly: Assembly, chunk: Uint8Array, offset: number, frames: Uint8Array[]): number | Malformed {
    const taken = Math.min(assembly.totalBytes - assembly.filledBytes, chunk.length - offset);
    const filledBefore = assembly.filledBytes;
    reserve(assembly, filledBefore + taken);
    assembly.bytes.set(chunk.subarray(offset, offset + taken), filledBefore);
    assembly.filledBytes += taken;
    const fault = this.#handshakeDone ? this.#checkStart(assembly, filledBefore) : checkProtocol(assembly, filledBefore);
    if (fault !== undefined) return fault;
    if (assembly.filledBytes === assembly.totalBytes && this.#assembly !== undefined) {
      this.#assembly = undefined;
      this.#deliver(assembly.bytes, frames);
    }
    return offset + taken;
  }

  /** Judges the id as soon as it is there, before the body is waited for. */
  #checkStart(assembly: Assembly, filledBefore: number): Malformed | undefined {
    if (filledBefore > LENGTH_PREFIX_BYTES) return undefined;
    const rule = this.#checkId(assembly.bytes[LENGTH_PREFIX_BYTES], assembly.totalBytes - LENGTH_PREFIX_BYTES);
    if (rule instanceof Malformed) return rule;
    if (rule.swallow === true) this.#beginSkip(assembly);
    return undefined;
  }

  /** What was kept of the message is let go, and the rest will not be kept. */
  #beginSkip(assembly: Assembly): void {
    this.#assembly = undefined;
    this.#skipBytes = assembly.totalBytes - assembly.filledBytes;
    if (this.#skipBytes === 0) this.#frameCount++;
  }

  #checkLength(length: number): Malformed | undefined {
    return length > this.#messageBytesMax ? new Malformed(`message of ${length} bytes; the most is ${this.#messageBytesMax}`) : undefined;
  }

  #checkId(id: number | undefined, length: number): FrameRule | Malformed {
    const rule = this.#rules.get(id ?? ANY_OTHER_ID) ?? this.#otherRule();
    if (rule instanceof Malformed) return rule;
    if (rule === undefined || rule.mostBytes === 0) return new Malformed(`message id ${id} has no place in this swarm`);
    if (length >= rule.leastBytes && length <= rule.mostBytes) return rule;
    return new Malformed(`message id ${id} of ${length} bytes; expected ${rule.leastBytes} to ${rule.mostBytes}`);
  }

  #otherRule(): FrameRule | Malformed | undefined {
    const rule = this.#rules.get(ANY_OTHER_ID);
    if (rule !== undefined && ++this.#otherCount > OTHER_MESSAGES_MAX) return new Malformed('floods with messages of unknown ids');
    return rule;
  }

  #deliver(frame: Uint8Array, frames: Uint8Array[]): void {
    this.#frameCount++;
    if (!this.#handshakeDone) {
      this.#handshakeDone = true;
      if (this.#chooseRules !== undefined) this.#rules = this.#chooseRules(frame);
    }
    frames.push(frame);
  }
}

function readLength(bytes: Uint8Array, offset: number): number {
  const high = ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
  const low = ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0);
  return high * 0x1_0000 + low;
}

function reserve(assembly: Assembly, neededBytes: Bytes): void {
  if (assembly.bytes.length >= neededBytes) return;
  const grown = new Uint8Array(Math.min(assembly.totalBytes, Math.max(neededBytes, assembly.bytes.length * 4)));
  grown.set(assembly.bytes.subarray(0, assembly.filledBytes));
  assembly.bytes = grown;
}

/** Judges each byte of the protocol name as it comes, so that a stranger is turned away at the first wrong one. */
function checkProtocol(assembly: Assembly, filledBefore: number): Malformed | undefined {
  const end = Math.min(assembly.filledBytes, PROTOCOL_PREFIX.length);
  for (let i = filledBefore; i < end; i++) {
    if (assembly.bytes[i] !== PROTOCOL_PREFIX[i]) return new Malformed('does not speak the BitTorrent protocol');
  }
  return undefined;
}

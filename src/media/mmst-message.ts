/**
 * The framing of MMS over TCP: commands of both directions and ASF data packets, told apart by the signature at offset 4.
 *
 * Source: MS-MMSP 2.2; protocols sheet 3.1, 3.2 and 6.3. All integers are little-endian.
 *
 * | offset | size | command                                                            |
 * |--------|------|--------------------------------------------------------------------|
 * | 0      | 4    | 01 00 00 00                                                        |
 * | 4      | 4    | CE FA 0B B0                                                        |
 * | 8      | 4    | L: message bytes + 16, a multiple of 8                             |
 * | 12     | 4    | "MMS "                                                             |
 * | 16     | 4    | L / 8                                                              |
 * | 20     | 4    | sequence number                                                    |
 * | 24     | 8    | time sent; anything                                                |
 * | 32     | 4    | message length in 8 bytes, these 8 bytes and padding included      |
 * | 36     | 2    | command id                                                         |
 * | 38     | 2    | 3 from a client, 4 from a server                                   |
 * | 40     | …    | fields, zero padding                                               |
 *
 * | offset | size | data packet                                                        |
 * |--------|------|--------------------------------------------------------------------|
 * | 0      | 4    | LocationId                                                         |
 * | 4      | 1    | incarnation: that of ReadBlock (header) or StartPlaying (media)    |
 * | 5      | 1    | AFFlags: part flags of a header, a rolling counter of media        |
 * | 6      | 2    | size, these 8 bytes included                                       |
 * | 8      | …    | payload                                                            |
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes } from '../kernel/units.js';
import { ByteQueue } from './byte-queue.js';
import { u16At, u32At } from './mmst-fields.js';

export const FROM_CLIENT = 3;
export const FROM_SERVER = 4;

export interface MmstCommand {
  readonly kind: 'command';
  readonly id: number;
  /** `FROM_CLIENT`, `FROM_SERVER`, or whatever the sender wrote. */
  readonly direction: number;
  /** What stands at offset 40, padding included. Belongs to the receiver. */
  readonly fields: Uint8Array;
}

export interface MmstData {
  readonly kind: 'data';
  /** Media: the packet's number in the ASF file, as in MMSH. Header: 0, 1, 2… */
  readonly locationId: number;
  readonly incarnation: number;
  readonly afFlags: number;
  /** Belongs to the receiver. */
  readonly payload: Uint8Array;
}

export type MmstMessage = MmstCommand | MmstData;

/** What a data packet may carry at most: its 16-bit size counts 8 more. */
export const MMST_PAYLOAD_BYTES_MAX: Bytes = 65_527;
/** A data packet of this incarnation could look like a command; a server must not use it. */
export const AMBIGUOUS_INCARNATION = 0xce;

const SIGNATURE = 0xb00bface;
const MMS_WORD = 0x20534d4d;
const PREFIX_BYTES: Bytes = 32;
/** L counts from offset 16. */
const PREFIX_UNCOUNTED_BYTES: Bytes = 16;
const MESSAGE_HEAD_BYTES: Bytes = 8;
const COMMAND_BYTES_MAX: Bytes = 64 * 1024;
const DATA_HEAD_BYTES: Bytes = 8;

export function encodeMmstCommand(id: number, direction: number, fields: Uint8Array, sequence = 0): Uint8Array {
  const messageBytes = Math.ceil((MESSAGE_HEAD_BYTES + fields.length) / 8) * 8;
  const countedBytes = messageBytes + PREFIX_UNCOUNTED_BYTES;
  const out = new Uint8Array(PREFIX_BYTES + messageBytes);
  const view = new DataView(out.buffer);
  out[0] = 1;
  view.setUint32(4, SIGNATURE, true);
  view.setUint32(8, countedBytes, true);
  view.setUint32(12, MMS_WORD, true);
  view.setUint32(16, countedBytes / 8, true);
  view.setUint32(20, sequence, true);
  view.setUint32(32, messageBytes / 8, true);
  view.setUint16(36, id, true);
  view.setUint16(38, direction, true);
  out.set(fields, PREFIX_BYTES + MESSAGE_HEAD_BYTES);
  return out;
}

/** The payload must not be longer than `MMST_PAYLOAD_BYTES_MAX`. */
export function encodeMmstData(locationId: number, incarnation: number, afFlags: number, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(DATA_HEAD_BYTES + payload.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, locationId, true);
  out[4] = incarnation;
  out[5] = afFlags;
  view.setUint16(6, out.length, true);
  out.set(payload, DATA_HEAD_BYTES);
  return out;
}

export interface MmstReaderOptions {
  /** Whether the sender may send data packets: a server may, a client may not. */
  readonly acceptsData: boolean;
}

/**
 * Reads messages out of a byte stream. Holds at most one of them (64 KiB). After the first fault it stays silent and gives the same
 * fault again: there is no way to find the next message.
 */
export class MmstReader {
  /** Largest payload of a data packet: the packet size of the ASF file, once it is known. */
  payloadBytesMax: Bytes = MMST_PAYLOAD_BYTES_MAX;
  readonly #options: MmstReaderOptions;
  readonly #queue = new ByteQueue();
  #fault: Malformed | undefined;

  constructor(options: MmstReaderOptions) {
    this.#options = options;
  }

  /** Hands over every message that is complete, in order. */
  push(bytes: Uint8Array, onMessage: (message: MmstMessage) => void): Malformed | undefined {
    if (this.#fault !== undefined) return this.#fault;
    this.#queue.push(bytes);
    for (let step = this.#next(onMessage); step !== 'wait'; step = this.#next(onMessage)) {
      if (step instanceof Malformed) {
        this.#fault = step;
        this.#queue.takeAll();
        return step;
      }
    }
    return undefined;
  }

  #next(onMessage: (message: MmstMessage) => void): 'wait' | 'read' | Malformed {
    const head = this.#queue.peek(DATA_HEAD_BYTES);
    if (head === undefined) return 'wait';
    if (u32At(head, 4) === SIGNATURE) return this.#readCommands(onMessage);
    return this.#options.acceptsData ? this.#readData(head, onMessage) : new Malformed('no MMST signature where a command should begin');
  }

  #readData(head: Uint8Array, onMessage: (message: MmstMessage) => void): 'wait' | 'read' | Malformed {
    const sizeBytes = u16At(head, 6);
    if (sizeBytes < DATA_HEAD_BYTES || sizeBytes > DATA_HEAD_BYTES + this.payloadBytesMax) {
      return new Malformed(`MMST data packet of ${sizeBytes} bytes, expected 8 to ${DATA_HEAD_BYTES + this.payloadBytesMax}`);
    }
    const bytes = this.#queue.take(sizeBytes);
    if (bytes === undefined) return 'wait';
    const [incarnation = 0, afFlags = 0] = bytes.subarray(4);
    onMessage({ kind: 'data', locationId: u32At(bytes, 0), incarnation, afFlags, payload: bytes.subarray(DATA_HEAD_BYTES) });
    return 'read';
  }

  #readCommands(onMessage: (message: MmstMessage) => void): 'wait' | 'read' | Malformed {
    const prefix = this.#queue.peek(PREFIX_UNCOUNTED_BYTES);
    if (prefix === undefined) return 'wait';
    const countedBytes = u32At(prefix, 8);
    if (countedBytes < PREFIX_UNCOUNTED_BYTES || countedBytes % 8 !== 0 || countedBytes > COMMAND_BYTES_MAX) {
      return new Malformed(`MMST command with length ${countedBytes}, expected a multiple of 8 from 16 to ${COMMAND_BYTES_MAX}`);
    }
    if (u32At(prefix, 12) !== MMS_WORD) return new Malformed('MMST command without "MMS " at offset 12');
    const bytes = this.#queue.take(PREFIX_UNCOUNTED_BYTES + countedBytes);
    if (bytes === undefined) return 'wait';
    for (const message of splitMessages(bytes.subarray(PREFIX_BYTES))) onMessage(commandOf(message));
    return 'read';
  }
}

/** Several messages may share a prefix. An inner length that does not fit, or what follows and is none, belongs to the message before. */
function splitMessages(body: Uint8Array): Uint8Array[] {
  const messages: Uint8Array[] = [];
  let rest = body;
  while (rest.length >= MESSAGE_HEAD_BYTES) {
    const messageBytes = u32At(rest, 0) * 8;
    const fits = messageBytes >= MESSAGE_HEAD_BYTES && messageBytes < rest.length && startsLikeMessage(rest.subarray(messageBytes));
    messages.push(fits ? rest.subarray(0, messageBytes) : rest);
    rest = fits ? rest.subarray(messageBytes) : rest.subarray(rest.length);
  }
  return messages;
}

function startsLikeMessage(bytes: Uint8Array): boolean {
  const direction = u16At(bytes, 6);
  const lengthBytes = u32At(bytes, 0) * 8;
  return (direction === FROM_CLIENT || direction === FROM_SERVER) && lengthBytes >= MESSAGE_HEAD_BYTES && lengthBytes <= bytes.length;
}

function commandOf(message: Uint8Array): MmstCommand {
  return { kind: 'command', id: u16At(message, 4), direction: u16At(message, 6), fields: message.subarray(MESSAGE_HEAD_BYTES) };
}

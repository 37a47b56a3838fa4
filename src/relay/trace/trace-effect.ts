/**
 * One effect of a recorded core and its bytes, big-endian: all of it, but of long byte strings only length, beginning and digest. Two effects are equal when their
 * bytes are.
 *
 * | kind | effect     | body                                                                                                |
 * |------|------------|-----------------------------------------------------------------------------------------------------|
 * | 0    | send       | peer u32, size of the message u32, the message; of one above 256 bytes its first 32 and 16 of its SHA-256 |
 * | 1    | schedule   | delay f64 (ms), name of the timer to the end                                                        |
 * | 2    | cancel     | name of the timer to the end                                                                        |
 * | 3    | connect    | neighbours wanted u32                                                                               |
 * | 4    | disconnect | peer u32, kind and detail to the end                                                                |
 * | 5    | emit       | the event in words to the end                                                                       |
 */
import { ByteReader, ByteWriter } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { Hasher } from '../../kernel/ports.js';
import type { Bytes, ConnectionId } from '../../kernel/units.js';
import { liveCodec } from '../exchange/live-message.js';
import type { LiveEffect } from '../exchange/live-protocol.js';
import { connectionOf, type PeerNumber } from './trace-input.js';
import { hexOf, wordsOf, wordsOfMessage } from './trace-words.js';

const KINDS = ['send', 'schedule', 'cancel', 'connect', 'disconnect', 'emit'] as const;
/** Maps, requests and all that is small stand in a trace as they are. */
const WHOLE_BYTES: Bytes = 256;
const HEAD_BYTES: Bytes = 32;
const DIGEST_BYTES: Bytes = 16;
/** Of byte strings in events. */
const EVENT_DIGEST_BYTES: Bytes = 8;

export function encodeEffect(effect: LiveEffect, numberOf: (peer: ConnectionId) => PeerNumber, hasher: Hasher): Uint8Array {
  const writer = new ByteWriter(64).uint8(KINDS.indexOf(effect.kind));
  const text = (words: string): Uint8Array => writer.bytes(new TextEncoder().encode(words)).finish();
  switch (effect.kind) {
    case 'send': {
      const message = liveCodec.encode(effect.message);
      writer.uint32(numberOf(effect.to)).uint32(message.length);
      if (message.length <= WHOLE_BYTES) return writer.bytes(message).finish();
      return writer.bytes(message.subarray(0, HEAD_BYTES)).bytes(hasher.sha256(message).subarray(0, DIGEST_BYTES)).finish();
    }
    case 'schedule':
      writer.float64(effect.delayMs);
      return text(effect.timer);
    case 'cancel':
      return text(effect.timer);
    case 'connect':
      return writer.uint32(effect.want).finish();
    case 'disconnect':
      writer.uint32(numberOf(effect.peer));
      return text(`${effect.reason.kind}: ${effect.reason.detail}`);
    case 'emit':
      return text(wordsOf(effect.event, (bytes) => ` ${hexOf(hasher.sha256(bytes).subarray(0, EVENT_DIGEST_BYTES))}`));
  }
}

export function kindOfEffect(bytes: Uint8Array): LiveEffect['kind'] | 'unknown' {
  return KINDS[bytes[0] ?? KINDS.length] ?? 'unknown';
}

/** What an effect's bytes say, for people. */
export function wordsOfEffect(bytes: Uint8Array): string {
  const reader = new ByteReader(bytes);
  const kind = kindOfEffect(reader.bytes(1));
  const text = (): string => new TextDecoder().decode(reader.rest());
  switch (kind) {
    case 'send':
      return wordsOfSend(reader);
    case 'schedule': {
      const delayMs = reader.float64();
      return `schedule ${text()} in ${delayMs} ms`;
    }
    case 'connect':
      return `connect: ${reader.uint32()} wanted`;
    case 'disconnect': {
      const peer = connectionOf(reader.uint32());
      return `disconnect ${peer}: ${text()}`;
    }
    default:
      return `${kind} ${text()}`;
  }
}

function wordsOfSend(reader: ByteReader): string {
  const to = `send to ${connectionOf(reader.uint32())}:`;
  const sizeBytes = reader.uint32();
  if (sizeBytes <= WHOLE_BYTES) {
    const message = liveCodec.decode(reader.rest());
    return message instanceof Malformed ? `${to} ${message.reason}` : `${to} ${wordsOfMessage(message)}`;
  }
  const head = liveCodec.decode(reader.bytes(HEAD_BYTES));
  const digest = hexOf(reader.rest());
  const size = `${sizeBytes} bytes, SHA-256 ${digest}…`;
  return head instanceof Malformed ? `${to} message of ${size}` : `${to} ${size}, beginning ${wordsOfMessage(head)}`;
}

/**
 * One input of a recorded core and its bytes, big-endian. Messages are kept as they came over the wire, so that a replay decodes them again.
 *
 * | kind | input                                    | body                                    |
 * |------|------------------------------------------|-----------------------------------------|
 * | 0    | command: start, the only one of a viewer |                                         |
 * | 1    | timer                                    | its name, ASCII, to the end             |
 * | 2    | message                                  | peer u32, the message's bytes to the end |
 * | 3–6  | peer-up, -down, -blocked, -drained       | peer u32; of peer-up its block u32, if it has one |
 * | 7    | peer-up with a peer id                   | peer u32, peer id u32, its block u32, if it has one |
 *
 * Peers, their ids and their blocks of addresses are numbers by their first appearance; where they were is nowhere in a trace.
 */
import { ByteReader, ByteWriter } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { Input } from '../../kernel/protocol.js';
import type { ConnectionId } from '../../kernel/units.js';
import { type LiveMessage, liveCodec } from '../exchange/live-message.js';
import type { LiveCommand, LiveTimer } from '../exchange/live-protocol.js';
import { wordsOfMessage } from './trace-words.js';

export type LiveInput = Input<LiveMessage, LiveCommand, LiveTimer>;

/** The number of a connection within a trace. */
export type PeerNumber = number;

const START = 0;
const TIMER = 1;
const MESSAGE = 2;
const PEER_KINDS = ['peer-up', 'peer-down', 'peer-blocked', 'peer-drained'] as const;
const FIRST_PEER_KIND = 3;
const PEER_UP_WITH_ID = 7;
/** What the longest name of a timer is made of. */
const TIMER_NAME = /^[a-z][a-z-]{0,15}(?::\d{1,10}){0,2}$/;

/**
 * @param wire the bytes that a message was decoded from.
 * @returns undefined for what no viewer's core is told.
 */
export function encodeInput(
  input: LiveInput,
  numberOf: (name: ConnectionId) => PeerNumber,
  wire: Uint8Array | undefined,
): Uint8Array | undefined {
  switch (input.kind) {
    case 'command':
      return input.command.kind === 'start' ? new ByteWriter(1).uint8(START).finish() : undefined;
    case 'timer':
      return new ByteWriter(24).uint8(TIMER).bytes(new TextEncoder().encode(input.timer)).finish();
    case 'message': {
      const bytes = wire ?? liveCodec.encode(input.message);
      return new ByteWriter(5 + bytes.length).uint8(MESSAGE).uint32(numberOf(input.from)).bytes(bytes).finish();
    }
    case 'peer-up': {
      const { peer, peerId, addressBlock } = input;
      const writer = new ByteWriter(13).uint8(peerId === undefined ? FIRST_PEER_KIND : PEER_UP_WITH_ID).uint32(numberOf(peer));
      if (peerId !== undefined) writer.uint32(numberOf(`id ${peerId}`));
      if (addressBlock !== undefined) writer.uint32(numberOf(addressBlock));
      return writer.finish();
    }
    default:
      return new ByteWriter(5)
        .uint8(FIRST_PEER_KIND + PEER_KINDS.indexOf(input.kind))
        .uint32(numberOf(input.peer))
        .finish();
  }
}

export function decodeInput(bytes: Uint8Array): LiveInput | Malformed {
  const reader = new ByteReader(bytes);
  const kind = reader.uint8();
  if (kind === START) return { kind: 'command', command: { kind: 'start' } };
  if (kind === TIMER) return decodeTimer(reader.rest());
  const peer = connectionOf(reader.uint32());
  if (!reader.ok) return new Malformed(`an input of ${bytes.length} bytes is cut off`);
  if (kind === MESSAGE) {
    const message = liveCodec.decode(reader.rest());
    return message instanceof Malformed ? message : { kind: 'message', from: peer, message };
  }
  const peerKind = kind === PEER_UP_WITH_ID ? 'peer-up' : PEER_KINDS[kind - FIRST_PEER_KIND];
  if (peerKind === undefined) return new Malformed(`input of unknown kind ${kind}`);
  return peerKind === 'peer-up' ? decodePeerUp(reader, peer, kind === PEER_UP_WITH_ID) : { kind: peerKind, peer };
}

function decodePeerUp(reader: ByteReader, peer: ConnectionId, hasId: boolean): LiveInput | Malformed {
  const id = hasId ? { peerId: `peer ${reader.uint32()}` } : {};
  const block = reader.remainingBytes === 0 ? {} : { addressBlock: `block ${reader.uint32()}` };
  return reader.ok ? { kind: 'peer-up', peer, ...id, ...block } : new Malformed('a peer id or a block of addresses that is cut off');
}

export function wordsOfInput(input: LiveInput): string {
  switch (input.kind) {
    case 'command':
      return `command ${input.command.kind}`;
    case 'timer':
      return `timer ${input.timer}`;
    case 'message':
      return `from ${input.from}: ${wordsOfMessage(input.message)}`;
    case 'peer-up':
      return `peer-up ${input.peer}${input.addressBlock === undefined ? '' : ` of ${input.addressBlock}`}`;
    default:
      return `${input.kind} ${input.peer}`;
  }
}

/** The connection that a replayed core is told of. */
export function connectionOf(peer: PeerNumber): ConnectionId {
  return `c${peer}`;
}

function decodeTimer(bytes: Uint8Array): LiveInput | Malformed {
  const timer = new TextDecoder().decode(bytes.subarray(0, 64));
  return TIMER_NAME.test(timer) ? { kind: 'timer', timer: timer as LiveTimer } : new Malformed('a timer without a proper name');
}

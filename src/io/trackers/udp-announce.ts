/**
 * Datagrams to and from a UDP tracker, as a client writes and reads them.
 *
 * Source: BEP 15; BEP 41 for what stands behind the host in an address.
 */
import { ByteReader, ByteWriter } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { Bytes } from '../../kernel/units.js';
import { type Announce, type AnnounceResponse, wholeEntries } from './announce.js';

const PROTOCOL_ID = [0x417, 0x2710_1980] as const;
const ACTIONS = { connect: 0, announce: 1, error: 3 } as const;
const EVENTS = { completed: 1, started: 2, stopped: 3 } as const;
/** No option of BEP 41 is longer. */
const OPTION_BYTES_MAX: Bytes = 255;
const OPTION_URL_DATA = 2;
/** No real address has more behind its host. */
const URL_DATA_BYTES_MAX: Bytes = 4 * OPTION_BYTES_MAX;

/** `connectionId` are 8 bytes. */
export type UdpAnswer =
  | { readonly kind: 'connection'; readonly connectionId: Uint8Array }
  | { readonly kind: 'answer'; readonly response: AnnounceResponse }
  | { readonly kind: 'refusal'; readonly reason: string };

export function encodeConnect(transaction: number): Uint8Array {
  const [high, low] = PROTOCOL_ID;
  return new ByteWriter(16).uint32(high).uint32(low).uint32(ACTIONS.connect).uint32(transaction).finish();
}

/** @param path what stands behind the host in the tracker's address; it may hold the key of a private tracker. */
export function encodeAnnounce(connectionId: Uint8Array, transaction: number, announce: Announce, path: string): Uint8Array {
  const { infoHash, peerId, downloaded, left, uploaded, event, key, numwant, port } = announce;
  const writer = new ByteWriter(98 + path.length)
    .bytes(connectionId)
    .uint32(ACTIONS.announce)
    .uint32(transaction)
    .bytes(infoHash)
    .bytes(peerId);
  for (const amount of [downloaded, left, uploaded]) writer.uint32(Math.floor(amount / 2 ** 32)).uint32(amount % 2 ** 32);
  // Our address is what it sees.
  writer
    .uint32(event === undefined ? 0 : EVENTS[event])
    .uint32(0)
    .uint32(key)
    .uint32(numwant)
    .uint16(port);
  for (const part of urlDataOf(path)) writer.uint8(OPTION_URL_DATA).uint8(part.length).bytes(part);
  return writer.finish();
}

/**
 * Reads what came back. Undefined for what answers something else: anybody may send to our port.
 *
 * @param isIpv6 the tracker was asked over IPv6, so it names peers there.
 */
export function decodeUdpAnswer(bytes: Uint8Array, transaction: number, isIpv6: boolean): UdpAnswer | Malformed | undefined {
  const reader = new ByteReader(bytes);
  const action = reader.uint32();
  if (reader.uint32() !== transaction || !reader.ok) return undefined;
  if (action === ACTIONS.error) return { kind: 'refusal', reason: new TextDecoder().decode(reader.rest()) };
  if (action === ACTIONS.connect) {
    const connectionId = reader.bytes(8);
    return reader.ok ? { kind: 'connection', connectionId } : new Malformed(`a connection of ${bytes.length} bytes where 16 are right`);
  }
  if (action !== ACTIONS.announce) return new Malformed(`action ${action} where 0, 1 or 3 is right`);
  const intervalS = reader.uint32();
  // How many have some and how many have all is of no use here.
  reader.bytes(8);
  if (!reader.ok) return new Malformed(`an answer of ${bytes.length} bytes where 20 are the least`);
  const entries = reader.rest();
  const peers = isIpv6 ? { peers: new Uint8Array(0), peers6: wholeEntries(entries, 18) } : { peers: wholeEntries(entries, 6) };
  return { kind: 'answer', response: { ...(intervalS > 0 ? { intervalS } : {}), ...peers } };
}

/** A path that every tracker has says nothing. */
function urlDataOf(path: string): readonly Uint8Array[] {
  const bytes = ['', '/', '/announce'].includes(path) ? new Uint8Array(0) : Buffer.from(path, 'latin1').subarray(0, URL_DATA_BYTES_MAX);
  const count = Math.ceil(bytes.length / OPTION_BYTES_MAX);
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * OPTION_BYTES_MAX, (index + 1) * OPTION_BYTES_MAX));
}

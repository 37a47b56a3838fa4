/**
 * Peer exchange (BEP 11, `ut_pex`) with one peer: what to tell it, and what to believe of what it tells.
 *
 * Our own, because the npm package closes the wire when two messages come less than 60 s apart, which ordinary clients on a
 * 60-second timer do, and takes any number of addresses. This one is bounded both ways: at most 50 addresses a message, one
 * message a minute out, one per 30 s in beyond the first two, and a peer that keeps flooding is reported.
 *
 * | key                  | value                                                    |
 * |----------------------|----------------------------------------------------------|
 * | `added`, `added6`    | compact addresses of peers the sender has connected to   |
 * | `added.f`, `added6.f` | one flag byte each, see below                            |
 * | `dropped`, `dropped6` | compact addresses of peers it no longer has              |
 *
 * Flags told: 0x01 takes encrypted connections, 0x02 downloads nothing, 0x10 the sender could dial it. Of what others tell no flag is believed.
 */
import { type BencodeDictionary, decodeBencode, encodeBencode } from '../../kernel/bencode.js';
import { Malformed } from '../../kernel/errors.js';
import {
  type AddressFamily,
  addressScope,
  decodeCompact,
  encodeCompact,
  formatAddress,
  type PeerAddress,
} from '../../kernel/peer-address.js';
import type { Milliseconds } from '../../kernel/units.js';

/** BEP 11: no more than this many added and dropped per message. */
export const PEX_ADDRESSES_MAX = 50;
/** BEP 11: no more than one message a minute. */
export const PEX_SEND_INTERVAL_MS: Milliseconds = 60_000;
/** Half the interval of BEP 11, so that no honest peer suffers from jitter. */
export const PEX_ACCEPT_INTERVAL_MS: Milliseconds = 30_000;
/** Messages that come too early before the peer counts as flooding. */
const EARLY_MESSAGES_MAX = 32;
/** Addresses remembered as told; more than a swarm's connection limit, so the difference stays exact. */
const TOLD_MAX = 500;
/** Three lists of 50 addresses in both families with flags take 5 KiB. */
const LIMITS = { maxBytes: 16_384, maxDepth: 4, maxTokens: 64 } as const;
const ENCRYPTED_FLAG = 0x01;
const UPLOAD_ONLY_FLAG = 0x02;
const REACHABLE_FLAG = 0x10;

/** An address to tell, and whether we dialled it ourselves, which shows that it can be reached. */
export interface KnownPeer extends PeerAddress {
  readonly reachable: boolean;
  /** Whether our connection to it is encrypted. Default false. */
  readonly encrypted?: boolean;
  /** Whether it says that it downloads nothing. Default false. */
  readonly uploadOnly?: boolean;
}

/** The exchange with one peer. */
export class PeerExchange {
  readonly #senderHost: string;
  readonly #told = new Map<string, PeerAddress>();
  #sentMs: Milliseconds | undefined;
  #acceptedMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #receivedCount = 0;
  #earlyCount = 0;

  /** @param senderHost the remote peer's own host: strangers may not send us to addresses of our own machine or network. */
  constructor(senderHost: string) {
    this.#senderHost = senderHost;
  }

  /** Whether a message may be sent at all now. */
  isDue(nowMs: Milliseconds): boolean {
    return this.#sentMs === undefined || nowMs - this.#sentMs >= PEX_SEND_INTERVAL_MS;
  }

  /** The message due now, given everybody we are connected to but this peer; undefined when it is too early or there is no news. */
  next(connected: readonly KnownPeer[], nowMs: Milliseconds): Uint8Array | undefined {
    if (!this.isDue(nowMs)) return undefined;
    const present = new Map(connected.map((peer) => [formatAddress(peer), peer]));
    const added = [...present].filter(([key]) => !this.#told.has(key)).slice(0, Math.min(PEX_ADDRESSES_MAX, TOLD_MAX - this.#told.size));
    const dropped = [...this.#told].filter(([key]) => !present.has(key)).slice(0, PEX_ADDRESSES_MAX);
    if (added.length === 0 && dropped.length === 0) return undefined;
    for (const [key, { host, port }] of added) this.#told.set(key, { host, port });
    for (const [key] of dropped) this.#told.delete(key);
    this.#sentMs = nowMs;
    return encodeMessage(
      added.map(([, peer]) => peer),
      dropped.map(([, address]) => address),
    );
  }

  /** The addresses worth trying from a peer's message; none when it came too early. `Malformed` when the peer floods or sends nonsense. */
  accept(bytes: Uint8Array, nowMs: Milliseconds): readonly PeerAddress[] | Malformed {
    this.#receivedCount++;
    if (this.#receivedCount > 2 && nowMs - this.#acceptedMs < PEX_ACCEPT_INTERVAL_MS) {
      this.#earlyCount++;
      return this.#earlyCount > EARLY_MESSAGES_MAX ? new Malformed('floods with peer exchange messages') : [];
    }
    this.#acceptedMs = nowMs;
    const addresses = decodePexMessage(bytes);
    return addresses instanceof Malformed ? addresses : addresses.filter((address) => mayIntroduce(this.#senderHost, address.host));
  }
}

/** The added addresses of a message: both families, no duplicates, at most 50. */
export function decodePexMessage(bytes: Uint8Array): PeerAddress[] | Malformed {
  const decoded = decodeBencode(bytes, LIMITS);
  if (decoded instanceof Malformed) return decoded;
  if (!(decoded instanceof Map)) return new Malformed('a peer exchange message that is no dictionary');
  const v4 = compactField(decoded, 'added', 4);
  if (v4 instanceof Malformed) return v4;
  const v6 = compactField(decoded, 'added6', 6);
  if (v6 instanceof Malformed) return v6;
  const unique = new Map([...v4, ...v6].map((address) => [formatAddress(address), address]));
  return [...unique.values()].slice(0, PEX_ADDRESSES_MAX);
}

function compactField(message: BencodeDictionary, key: string, family: AddressFamily): PeerAddress[] | Malformed {
  const value = message.get(key);
  if (value === undefined) return [];
  return value instanceof Uint8Array ? decodeCompact(value, family) : new Malformed(`peer exchange: "${key}" is no byte string`);
}

/** A peer on this machine may name anybody; one on the same network, its neighbours; a stranger, public addresses only. */
function mayIntroduce(senderHost: string, host: string): boolean {
  const sender = addressScope(senderHost);
  const scope = addressScope(host);
  return scope === 'public' || sender === 'loopback' || (scope === 'private' && sender === 'private');
}

function flagsOf({ reachable, encrypted, uploadOnly }: KnownPeer): number {
  return (reachable ? REACHABLE_FLAG : 0) | (encrypted === true ? ENCRYPTED_FLAG : 0) | (uploadOnly === true ? UPLOAD_ONLY_FLAG : 0);
}

function encodeMessage(added: readonly KnownPeer[], dropped: readonly PeerAddress[]): Uint8Array {
  const flags = (family: AddressFamily): Uint8Array =>
    Uint8Array.from(
      added.filter((peer) => peer.host.includes(':') === (family === 6)),
      flagsOf,
    );
  return encodeBencode({
    added: encodeCompact(added, 4),
    'added.f': flags(4),
    added6: encodeCompact(added, 6),
    'added6.f': flags(6),
    dropped: encodeCompact(dropped, 4),
    dropped6: encodeCompact(dropped, 6),
  });
}

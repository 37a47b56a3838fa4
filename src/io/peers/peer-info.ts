/** What the owner of a swarm knows of a peer beside its connection. What the peer says of itself is unproven. */
import { addressGroup } from '../../kernel/peer-address.js';
import type { PeerWire } from './bittorrent-wire.js';
import type { ExtendedHandshake } from './extended-handshake.js';

export interface PeerInfo {
  /** host:port of the socket. */
  readonly address: string;
  /** The /24 of an IPv4 address, the /56 of an IPv6 address: what one party is likely to hold. */
  readonly addressGroup: string;
  readonly outgoing: boolean;
  /** Whether the bytes are encrypted or obfuscated (MSE). */
  readonly encrypted: boolean;
  /** The peer says that it publishes the channel; only signatures prove it. */
  readonly publisher: boolean;
  /** What the peer calls its program; printable, at most 64 characters, possibly empty. */
  readonly client: string;
  /** Both sides speak the fast extension (BEP 6). */
  readonly fast: boolean;
  /** Whether it speaks BEP 10 at all. */
  readonly extended: boolean;
  /** Requests it is willing to queue; 250 when it does not say (BEP 10). */
  readonly requestQueueCount: number;
  /** It says that it downloads nothing (BEP 21). */
  readonly uploadOnly: boolean;
  /** Of our own kind: it maps `shoal_title`. */
  readonly kin: boolean;
  readonly mapsDontHave: boolean;
  readonly mapsUploadOnly: boolean;
  /** Where it says that it listens. */
  readonly listenPort: number | undefined;
}

/** What BEP 10 lets assume of a peer that does not say. */
const REQUEST_QUEUE_COUNT_DEFAULT = 250;

/** What a peer has said so far. */
export interface PeerWords {
  readonly handshake: Omit<ExtendedHandshake, 'extensions'>;
  readonly extended: boolean;
  readonly fast: boolean;
}

export function peerInfo(wire: PeerWire, { handshake, extended, fast }: PeerWords): PeerInfo {
  return {
    address: wire.address,
    addressGroup: addressGroup(wire.host),
    outgoing: wire.outgoing,
    encrypted: wire.encrypted,
    publisher: handshake.publisher,
    client: handshake.client ?? '',
    fast,
    extended,
    requestQueueCount: handshake.requestQueueCount ?? REQUEST_QUEUE_COUNT_DEFAULT,
    uploadOnly: handshake.uploadOnly === true,
    kin: wire.supports('shoal_title'),
    mapsDontHave: wire.supports('lt_donthave'),
    mapsUploadOnly: wire.supports('upload_only'),
    listenPort: handshake.listenPort,
  };
}

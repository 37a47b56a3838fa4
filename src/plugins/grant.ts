/**
 * A grant: what the owner of a channel hands to another station so that it can publish too, as one line of text.
 *
 * `shoal-grant:` and base64url of a canonical bencoded dictionary. It holds no secret: a certificate is of use to nobody but the holder
 * of its key. A revocation travels the same way, as `shoal-revocation:` and base64url of the 20-byte channel id and the list.
 *
 * | key           | value                                                                        |
 * |---------------|------------------------------------------------------------------------------|
 * | `certificate` | 109 bytes                                                                    |
 * | `descriptor`  | the channel's descriptor, from which its id follows                          |
 * | `name`        | name for people                                                              |
 * | `peers`       | list of `host:port`: where the owner's station is                            |
 * | `revocations` | the owner's newest list of withdrawn keys; absent when there is none         |
 * | `shoal-grant` | 1: version of this dictionary                                                |
 * | `trackers`    | list of announce URLs                                                        |
 */
import { type ChannelDescriptor, channelId, DESCRIPTOR_BYTES_MAX, decodeDescriptor } from '../ingest/channel.js';
import { formatMagnet, parseLink } from '../ingest/channel-link.js';
import { nodeHasher } from '../io/crypto.js';
import { type BencodeValue, bencodeText, decodeBencode, encodeBencode } from '../kernel/bencode.js';
import { Malformed } from '../kernel/errors.js';
import type { Bytes, InfoHash } from '../kernel/units.js';
import { type Certificate, decodeCertificate } from '../relay/exchange/certificate.js';
import { decodeRevocationList, REVOCATION_LIST_BYTES_MAX, type RevocationList } from '../relay/exchange/revocation-list.js';

export interface Grant {
  /** The hash of the descriptor. */
  readonly id: InfoHash;
  readonly descriptor: ChannelDescriptor;
  /** As they were hashed. */
  readonly descriptorBytes: Uint8Array;
  readonly certificate: Certificate;
  /** For people; no control characters. */
  readonly name: string;
  readonly trackers: readonly string[];
  readonly peers: readonly string[];
  readonly revocations: RevocationList | null;
}

/** A list of withdrawn keys as a person passes it on. */
export interface RevocationNotice {
  readonly id: InfoHash;
  readonly list: RevocationList;
}

export const GRANT_PREFIX = 'shoal-grant:';
export const REVOCATION_PREFIX = 'shoal-revocation:';
const VERSION = 1;
/** A descriptor, a full list, and addresses of the longest kind there are. */
const GRANT_BYTES_MAX: Bytes = DESCRIPTOR_BYTES_MAX + REVOCATION_LIST_BYTES_MAX + 8192;
const TOKENS_MAX = 80;
const ID_BYTES: Bytes = 20;
const CUT = 'Was it copied whole?';

export function encodeGrant(grant: Omit<Grant, 'id' | 'descriptor'>): Uint8Array {
  return encodeBencode({
    certificate: grant.certificate.bytes,
    descriptor: grant.descriptorBytes,
    name: grant.name,
    peers: grant.peers,
    ...(grant.revocations ? { revocations: grant.revocations.bytes } : {}),
    'shoal-grant': VERSION,
    trackers: grant.trackers,
  });
}

export function formatGrant(grant: Omit<Grant, 'id' | 'descriptor'>): string {
  return GRANT_PREFIX + Buffer.from(encodeGrant(grant)).toString('base64url');
}

/** Reads what a person pasted. The reason of a `Malformed` is for that person. Signatures and dates are another question. */
export function parseGrant(text: string): Grant | Malformed {
  const bytes = bytesOf(text, GRANT_PREFIX);
  return bytes instanceof Malformed ? bytes : decodeGrant(bytes);
}

export function decodeGrant(bytes: Uint8Array): Grant | Malformed {
  const fields = decodeBencode(bytes, { maxBytes: GRANT_BYTES_MAX, maxDepth: 2, maxTokens: TOKENS_MAX, canonical: true });
  if (!(fields instanceof Map)) return new Malformed(`The grant cannot be read. ${CUT}`);
  if (fields.get('shoal-grant') !== VERSION) return new Malformed('The grant is of another version of this program; expected version 1.');
  const descriptorBytes = byteString(fields.get('descriptor'));
  const descriptor = decodeDescriptor(descriptorBytes);
  if (descriptor instanceof Malformed) return new Malformed(`The grant's channel cannot be read: ${descriptor.reason}.`);
  const certificate = decodeCertificate(byteString(fields.get('certificate')));
  if (certificate instanceof Malformed) return new Malformed(`The grant's certificate cannot be read: ${certificate.reason}.`);
  const revocations = fields.has('revocations') ? decodeRevocationList(byteString(fields.get('revocations'))) : null;
  if (revocations instanceof Malformed) return new Malformed(`The grant's list of withdrawn keys cannot be read: ${revocations.reason}.`);
  const id = channelId(descriptorBytes, nodeHasher);
  const name = bencodeText(fields.get('name')) ?? '';
  // A link's reader drops what is no address, and cleans the name.
  const link = parseLink(formatMagnet({ id, name, trackers: textsOf(fields.get('trackers')), peers: textsOf(fields.get('peers')) }));
  if (link instanceof Malformed) return new Malformed(`The grant's addresses cannot be read: ${link.reason}`);
  return { id, descriptor, descriptorBytes, certificate, revocations, name: link.name, trackers: link.trackers, peers: link.peers };
}

export function formatRevocation({ id, list }: RevocationNotice): string {
  return REVOCATION_PREFIX + Buffer.concat([Buffer.from(id, 'hex'), list.bytes]).toString('base64url');
}

/** Reads what a person pasted. The reason of a `Malformed` is for that person. The signature is another question. */
export function parseRevocation(text: string): RevocationNotice | Malformed {
  const bytes = bytesOf(text, REVOCATION_PREFIX);
  if (bytes instanceof Malformed) return bytes;
  const list = decodeRevocationList(bytes.slice(ID_BYTES));
  if (list instanceof Malformed) return new Malformed(`The revocation cannot be read (${list.reason}). ${CUT}`);
  return { id: Buffer.from(bytes.subarray(0, ID_BYTES)).toString('hex'), list };
}

function bytesOf(text: string, prefix: string): Uint8Array | Malformed {
  const trimmed = text.trim();
  if (!trimmed.startsWith(prefix)) return new Malformed(`The text does not begin with "${prefix}". ${CUT}`);
  const body = trimmed.slice(prefix.length);
  if (!/^[A-Za-z0-9_-]+$/.test(body) || body.length > GRANT_BYTES_MAX * 2)
    return new Malformed(`What follows "${prefix}" is not in its alphabet. ${CUT}`);
  return new Uint8Array(Buffer.from(body, 'base64url'));
}

function byteString(value: BencodeValue | undefined): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array();
}

/** The texts of a list; what is no text is left out. */
function textsOf(value: BencodeValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.flatMap((item: BencodeValue) => bencodeText(item) ?? []) : [];
}

/**
 * What a channel is: its descriptor, and the id that the descriptor hashes to.
 *
 * The descriptor is a canonical bencoded dictionary, so equal descriptors are equal bytes, and every publisher of one source that is
 * configured alike computes the same id and joins the same swarm. The id is the SHA-1 of those bytes and serves as the info hash, so
 * ordinary `ut_metadata` (BEP 9) carries the descriptor to whoever knows only the id.
 *
 * | key           | value                                                          |
 * |---------------|----------------------------------------------------------------|
 * | `container`   | `flv` or `asf`                                                 |
 * | `owner`       | 32 bytes: the Ed25519 public key that may sign windows; absent for an open channel |
 * | `piece-bytes` | size of a piece, 1024 to 262144                                |
 * | `shoal`       | 1: version of this dictionary, and what tells it from a torrent |
 * | `source`      | canonical source, 1 to 1024 bytes of UTF-8                     |
 * | `window-ms`   | length of a window, 100 to 10000                               |
 */
import { type BencodeDictionary, type BencodeValue, bencodeText, decodeBencode, encodeBencode } from '../kernel/bencode.js';
import { Malformed, ShoalError } from '../kernel/errors.js';
import type { Hasher } from '../kernel/ports.js';
import type { Bytes, InfoHash, Milliseconds } from '../kernel/units.js';

export interface ChannelDescriptor {
  readonly container: 'flv' | 'asf';
  /** As `canonicalSource` gives it. Public: everybody in the swarm reads it. */
  readonly source: string;
  /** 100 to 10000. */
  readonly windowMs: Milliseconds;
  /** 1024 to 262144. */
  readonly pieceBytes: Bytes;
  /** Ed25519 public key, 32 bytes; null for a channel that is declared open: everybody may publish it. */
  readonly owner: Uint8Array | null;
}

/** Longest descriptor: every field at its longest is about 1150 bytes. A receiver refuses to fetch more. */
export const DESCRIPTOR_BYTES_MAX: Bytes = 2048;

const VERSION = 1;
const FIELD_COUNT = 6;
const OWNER_BYTES = 32;
const SOURCE_BYTES_MAX = 1024;
const WINDOW_MS_RANGE = [100, 10_000] as const;
const PIECE_BYTES_RANGE = [1024, 262_144] as const;

/** The ports that a URL of the scheme means when it names none. */
const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ['rtmp', '1935'],
  ['rtmps', '443'],
  ['http', '80'],
  ['https', '443'],
  ['mms', '1755'],
  ['mmst', '1755'],
  ['mmsh', '80'],
]);

/**
 * The descriptor's only encoding.
 *
 * @throws ShoalError `DESCRIPTOR_MALFORMED` when a field is out of its range; the message names the field.
 */
export function encodeDescriptor(descriptor: ChannelDescriptor): Uint8Array {
  const fault = faultOf(descriptor);
  if (fault !== undefined) throw new ShoalError('DESCRIPTOR_MALFORMED', `Channel descriptor: ${fault}.`);
  return encodeBencode({
    container: descriptor.container,
    ...(descriptor.owner === null ? {} : { owner: descriptor.owner }),
    'piece-bytes': descriptor.pieceBytes,
    shoal: VERSION,
    source: descriptor.source,
    'window-ms': descriptor.windowMs,
  });
}

/** Reads a descriptor that came from a peer. Whatever is not byte for byte what `encodeDescriptor` writes is `Malformed`. */
export function decodeDescriptor(bytes: Uint8Array): ChannelDescriptor | Malformed {
  const fields = decodeBencode(bytes, { maxBytes: DESCRIPTOR_BYTES_MAX, maxDepth: 1, maxTokens: 2 * FIELD_COUNT + 1, canonical: true });
  if (fields instanceof Malformed) return new Malformed(`descriptor: ${fields.reason}`);
  if (!(fields instanceof Map)) return new Malformed('descriptor: no dictionary');
  const descriptor = readFields(fields);
  if (descriptor instanceof Malformed) return descriptor;
  const fault = faultOf(descriptor);
  return fault === undefined ? descriptor : new Malformed(`descriptor: ${fault}`);
}

/** The channel's id, which is the info hash of its swarm: SHA-1 of the descriptor's bytes. */
export function channelId(descriptorBytes: Uint8Array, hasher: Hasher): InfoHash {
  return Array.from(hasher.sha1(descriptorBytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * One spelling for one source, so that independent publishers of it agree.
 *
 * A URL (rtmp, rtmps, http, https, mms, mmsh, mmst) keeps path and query as they are; scheme and host become lower case, and the
 * scheme's own port, the fragment and the user information (a secret, and the descriptor is public) are dropped. Any other text is the
 * name of a pushed source and becomes `push:<name>`, in Unicode form NFC and with single spaces.
 */
export function canonicalSource(text: string): string | Malformed {
  const trimmed = text.trim();
  if (trimmed === '') return new Malformed('The source is empty; expected a URL or a name.');
  const canonical = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? canonicalUrl(trimmed) : canonicalName(trimmed);
  if (canonical instanceof Malformed || sizeOf(canonical) <= SOURCE_BYTES_MAX) return canonical;
  return new Malformed(`The source has ${sizeOf(canonical)} bytes; at most ${SOURCE_BYTES_MAX} are allowed.`);
}

function canonicalName(text: string): string | Malformed {
  const name = text
    .replace(/^push:/i, '')
    .replace(/\s+/gu, ' ')
    .trim()
    .normalize('NFC');
  if (name === '') return new Malformed('The source "push:" has no name; expected for example push:studio-1.');
  return /\p{Cc}|\p{Cs}/u.test(name)
    ? new Malformed('The source name holds a control character; use printable characters.')
    : `push:${name}`;
}

/** Taken apart by hand: the URL class would rewrite the path, and it lower-cases the host of the web's own schemes only. */
function canonicalUrl(text: string): string | Malformed {
  const parts = /^([^:]+):\/\/(?:[^/?#]*@)?(\[[^\]/?#]*\]|[^:/?#]*)(?::(\d*))?(\/[^?#]*)?(\?[^#]*)?(?:#.*)?$/su.exec(text);
  if (parts === null) return new Malformed('The source URL is malformed; expected scheme://host[:port]/path.');
  const [, schemeText = '', hostText = '', port = '', path = '/', query = ''] = parts;
  const scheme = schemeText.toLowerCase();
  const defaultPort = DEFAULT_PORTS.get(scheme);
  if (defaultPort === undefined) {
    return new Malformed(`The source scheme "${scheme}" is unknown; expected one of ${[...DEFAULT_PORTS.keys()].join(', ')}.`);
  }
  if (/\s|\p{Cc}|\p{Cs}/u.test(path + query)) return new Malformed('The source URL holds a space or control character; write it as %20.');
  const host = canonicalHost(hostText);
  if (host === undefined) return new Malformed(`The source URL has no usable host ("${hostText}").`);
  if (port !== '' && !(Number(port) >= 1 && Number(port) <= 65_535)) return new Malformed(`The source port ${port} is outside 1 to 65535.`);
  const portSuffix = port === '' || Number(port) === Number(defaultPort) ? '' : `:${Number(port)}`;
  return `${scheme}://${host}${portSuffix}${path}${query}`;
}

function canonicalHost(text: string): string | undefined {
  try {
    const { hostname } = new URL(`http://${text}/`);
    return hostname === '' ? undefined : hostname;
  } catch {
    return undefined;
  }
}

function readFields(fields: BencodeDictionary): ChannelDescriptor | Malformed {
  const version = fields.get('shoal');
  if (version !== VERSION) return new Malformed(`descriptor: "shoal" is ${show(version)}, expected version ${VERSION}`);
  const container = bencodeText(fields.get('container'));
  const source = bencodeText(fields.get('source'));
  const windowMs = fields.get('window-ms');
  const pieceBytes = fields.get('piece-bytes');
  const owner = fields.get('owner') ?? null;
  if (container !== 'flv' && container !== 'asf') return new Malformed('descriptor: "container" is neither flv nor asf');
  if (source === undefined) return new Malformed('descriptor: "source" is missing or no UTF-8');
  if (typeof windowMs !== 'number') return new Malformed('descriptor: "window-ms" is missing or no integer');
  if (typeof pieceBytes !== 'number') return new Malformed('descriptor: "piece-bytes" is missing or no integer');
  if (owner !== null && !(owner instanceof Uint8Array)) return new Malformed('descriptor: "owner" is no byte string');
  const expected = owner === null ? FIELD_COUNT - 1 : FIELD_COUNT;
  if (fields.size !== expected) return new Malformed(`descriptor: ${fields.size} keys, expected ${expected}`);
  return { container, source, windowMs, pieceBytes, owner };
}

/** What is wrong with the descriptor's values, for a person; undefined when nothing is. */
function faultOf(descriptor: ChannelDescriptor): string | undefined {
  const { container, source, windowMs, pieceBytes, owner } = descriptor;
  const sourceBytes = sizeOf(source);
  if (container !== 'flv' && container !== 'asf') return 'container is neither flv nor asf';
  if (sourceBytes < 1 || sourceBytes > SOURCE_BYTES_MAX) return `source has ${sourceBytes} bytes, expected 1 to ${SOURCE_BYTES_MAX}`;
  if (/\p{Cs}/u.test(source)) return 'source holds half a surrogate pair, which UTF-8 cannot carry';
  if (!isWithin(windowMs, WINDOW_MS_RANGE)) return `window-ms is ${windowMs}, expected ${WINDOW_MS_RANGE.join(' to ')}`;
  if (!isWithin(pieceBytes, PIECE_BYTES_RANGE)) return `piece-bytes is ${pieceBytes}, expected ${PIECE_BYTES_RANGE.join(' to ')}`;
  return owner === null || owner.length === OWNER_BYTES ? undefined : `owner has ${owner.length} bytes, expected ${OWNER_BYTES}`;
}

function isWithin(value: number, [min, max]: readonly [number, number]): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}

function sizeOf(text: string): Bytes {
  return new TextEncoder().encode(text).length;
}

function show(value: BencodeValue | undefined): string {
  if (value === undefined) return 'missing';
  return typeof value === 'number' ? String(value) : 'no integer';
}

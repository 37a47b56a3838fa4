/**
 * The extended handshake of BEP 10, read strictly and rewritten, so that the wire package decodes none but our own bytes.
 *
 * The package's decoder recurses, goes back on negative string lengths (`l-3:` never ends) and lets a key `__proto__` set a
 * prototype. So the bytes of a peer are decoded here, reduced to the few fields Shoal knows, and encoded afresh.
 *
 * | key               | value                                                               |
 * |-------------------|---------------------------------------------------------------------|
 * | `m`               | extension name -> message id, 1 to 255; 0 withdraws the extension   |
 * | `p`               | port the sender listens on                                          |
 * | `v`               | name and version of the sender's program                            |
 * | `reqq`            | requests the sender keeps queued                                    |
 * | `metadata_size`   | length of the sender's metadata (BEP 9)                             |
 * | `upload_only`     | 1 when the sender downloads nothing (BEP 21)                        |
 * | `shoal_publisher` | 1 when the sender publishes the channel                             |
 */
import {
  type BencodeDictionary,
  type BencodeInput,
  type BencodeValue,
  bencodeText,
  decodeBencode,
  encodeBencode,
} from '../../kernel/bencode.js';
import { Malformed } from '../../kernel/errors.js';
import type { Bytes } from '../../kernel/units.js';

/** What one extended handshake says. A later one of the same peer adds to it. */
export interface ExtendedHandshake {
  /** Extension name to the id the sender wants it under; 0 withdraws it. */
  readonly extensions: ReadonlyMap<string, number>;
  readonly listenPort?: number;
  /** At most 64 printable characters. */
  readonly client?: string;
  readonly metadataSizeBytes?: Bytes;
  readonly requestQueueCount?: number;
  readonly publisher: boolean;
  /** Whether it says that it only uploads; undefined when it says nothing of it. */
  readonly uploadOnly?: boolean;
}

/** An honest handshake has some 200 bytes; large clients stay below 1 KiB. */
const LIMITS = { maxBytes: 16_384, maxDepth: 8, maxTokens: 1024 } as const;
const CLIENT_CHARACTERS_MAX = 64;
const EXTENSIONS_MAX = 64;
const EXTENSION_NAME_CHARACTERS_MAX = 64;

/** Reads a peer's handshake. Fields of a wrong type or range count as absent, as BEP 10 asks; what is no dictionary is `Malformed`. */
export function decodeExtendedHandshake(bytes: Uint8Array): ExtendedHandshake | Malformed {
  const decoded = decodeBencode(bytes, LIMITS);
  if (decoded instanceof Malformed) return decoded;
  if (!(decoded instanceof Map)) return new Malformed('an extended handshake that is no dictionary');
  const fields: BencodeDictionary = decoded;
  const client = clientName(fields.get('v'));
  return {
    extensions: extensionIds(fields.get('m')),
    publisher: fields.get('shoal_publisher') === 1,
    ...optional('listenPort', wholeNumber(fields.get('p'), 1, 65_535)),
    ...optional('metadataSizeBytes', wholeNumber(fields.get('metadata_size'), 1, Number.MAX_SAFE_INTEGER)),
    ...optional('requestQueueCount', wholeNumber(fields.get('reqq'), 0, 65_535)),
    ...optional('uploadOnly', isOne(fields.get('upload_only'))),
    ...optional('client', client === '' ? undefined : client),
  };
}

/** The handshake's fields without `m`, by their keys on the wire. */
export function extendedHandshakeFields(handshake: Omit<ExtendedHandshake, 'extensions'>): Record<string, number | string> {
  return {
    ...optional('p', handshake.listenPort),
    ...optional('v', handshake.client),
    ...optional('reqq', handshake.requestQueueCount),
    ...optional('metadata_size', handshake.metadataSizeBytes),
    ...(handshake.uploadOnly === undefined ? {} : { upload_only: handshake.uploadOnly ? 1 : 0 }),
    ...(handshake.publisher ? { shoal_publisher: 1 } : {}),
  };
}

/** The canonical bytes of a handshake. */
export function encodeExtendedHandshake(handshake: ExtendedHandshake): Uint8Array {
  const fields = new Map<string, BencodeInput>(Object.entries(extendedHandshakeFields(handshake)));
  return encodeBencode(fields.set('m', handshake.extensions));
}

function extensionIds(value: BencodeValue | undefined): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  if (!(value instanceof Map)) return ids;
  for (const [name, id] of value as BencodeDictionary) {
    const number = wholeNumber(id, 0, 255);
    if (number === undefined || !isExtensionName(name) || ids.size >= EXTENSIONS_MAX) continue;
    ids.set(name, number);
  }
  return ids;
}

/** Names as extensions have them: ASCII, beginning with a letter; `__proto__` and its like are none. */
function isExtensionName(name: string): boolean {
  return name.length <= EXTENSION_NAME_CHARACTERS_MAX && /^[A-Za-z][A-Za-z0-9_.-]*$/.test(name);
}

function wholeNumber(value: BencodeValue | undefined, least: number, most: number): number | undefined {
  return typeof value === 'number' && value >= least && value <= most ? value : undefined;
}

function isOne(value: BencodeValue | undefined): boolean | undefined {
  return typeof value === 'number' ? value === 1 : undefined;
}

/** Printable ASCII only: the text goes to logs, terminals and a page. */
function clientName(value: BencodeValue | undefined): string | undefined {
  return bencodeText(value)
    ?.replace(/[^ -~]/g, '')
    .slice(0, CLIENT_CHARACTERS_MAX)
    .trim();
}

function optional<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]?: Value });
}

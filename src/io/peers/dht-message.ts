/**
 * One datagram of the DHT, read strictly and written afresh, so that the DHT package decodes none but our own bytes.
 *
 * The package calls methods of fields without looking at them: a token that is a number, or a target of three bytes, is an exception in a
 * socket's handler and the end of the process. So a datagram is reduced here to the fields of BEP 5, each of its right type and
 * length, and everything else is refused. `get` and `put` (BEP 44) are refused too: nobody here stores for strangers.
 *
 * | key | value                                                                                                        |
 * |-----|--------------------------------------------------------------------------------------------------------------|
 * | `t` | 1 to 32 bytes, the asker's own                                                                                |
 * | `y` | `q` query, `r` response, `e` error                                                                            |
 * | `q` | `ping`, `find_node`, `get_peers`, `announce_peer`                                                             |
 * | `a` | `id` (20 bytes); `target` or `info_hash` (20); of an announce `token`, `port`, `implied_port`                |
 * | `r` | `id` (20 bytes); `nodes` (26 each: id, IPv4, port); `values` (6 each); `token`                                |
 * | `e` | code and text                                                                                                 |
 *
 * Source: BEP 5.
 */
import { type BencodeDictionary, type BencodeInput, type BencodeValue, decodeBencode, encodeBencode } from '../../kernel/bencode.js';
import { Malformed } from '../../kernel/errors.js';
import type { Bytes } from '../../kernel/units.js';

export interface DhtMessage {
  readonly kind: 'query' | 'response' | 'error';
  /** The same message, canonical, known fields only. */
  readonly bytes: Uint8Array;
}

/** A datagram over one Ethernet frame. Replies with a hundred peers and eight nodes have some 1100 bytes. */
const LIMITS = { maxBytes: 1500, maxDepth: 4, maxTokens: 256 } as const;
const ID_BYTES: Bytes = 20;
const NODE_BYTES: Bytes = 26;
const PEER_BYTES: Bytes = 6;
const TOKEN_BYTES_MAX: Bytes = 64;
const TRANSACTION_BYTES_MAX: Bytes = 32;
const ERROR_TEXT_BYTES_MAX: Bytes = 200;

/** Which argument each query needs beside `id`. */
const QUERIES: ReadonlyMap<string, 'target' | 'info_hash' | undefined> = new Map([
  ['ping', undefined],
  ['find_node', 'target'],
  ['get_peers', 'info_hash'],
  ['announce_peer', 'info_hash'],
]);

export function rewriteDhtMessage(bytes: Uint8Array): DhtMessage | Malformed {
  const decoded = decodeBencode(bytes, LIMITS);
  if (decoded instanceof Malformed) return decoded;
  if (!(decoded instanceof Map)) return new Malformed('a DHT message that is no dictionary');
  const fields: BencodeDictionary = decoded;
  const transaction = bytesWithin(fields.get('t'), 1, TRANSACTION_BYTES_MAX);
  if (transaction === undefined) return new Malformed('a DHT message without a transaction');
  switch (asciiOf(fields.get('y'))) {
    case 'q':
      return query(fields, transaction);
    case 'r':
      return response(fields.get('r'), transaction);
    case 'e':
      return failure(fields.get('e'), transaction);
    default:
      return new Malformed('a DHT message of unknown kind');
  }
}

function query(fields: BencodeDictionary, transaction: Uint8Array): DhtMessage | Malformed {
  const name = asciiOf(fields.get('q'));
  const argument = fields.get('a');
  if (!QUERIES.has(name) || !(argument instanceof Map)) return new Malformed('a DHT query that is unknown here');
  const given: BencodeDictionary = argument;
  const id = bytesWithin(given.get('id'), ID_BYTES, ID_BYTES);
  if (id === undefined) return new Malformed('a DHT query without an id');
  const written = new Map<string, BencodeInput>([['id', id]]);
  const key = QUERIES.get(name);
  const subject = key === undefined ? id : bytesWithin(given.get(key), ID_BYTES, ID_BYTES);
  if (subject === undefined) return new Malformed(`a DHT query without a valid ${key}`);
  if (key !== undefined) written.set(key, subject);
  if (name === 'announce_peer' && !addAnnounce(given, written)) return new Malformed('a DHT announce without token or port');
  return { kind: 'query', bytes: encodeBencode({ a: written, q: name, t: transaction, y: 'q' }) };
}

function addAnnounce(given: BencodeDictionary, written: Map<string, BencodeInput>): boolean {
  const token = bytesWithin(given.get('token'), 1, TOKEN_BYTES_MAX);
  const isImplied = given.get('implied_port') === 1;
  const port = given.get('port');
  const isPort = typeof port === 'number' && port >= 1 && port <= 65_535;
  if (token === undefined || !(isImplied || isPort)) return false;
  written.set('token', token).set('port', isPort ? port : 0);
  if (isImplied) written.set('implied_port', 1);
  return true;
}

function response(value: BencodeValue | undefined, transaction: Uint8Array): DhtMessage | Malformed {
  if (!(value instanceof Map)) return new Malformed('a DHT response without content');
  const given: BencodeDictionary = value;
  const id = bytesWithin(given.get('id'), ID_BYTES, ID_BYTES);
  if (id === undefined) return new Malformed('a DHT response without an id');
  const nodes = bytesWithin(given.get('nodes') ?? new Uint8Array(0), 0, LIMITS.maxBytes);
  if (nodes === undefined || nodes.length % NODE_BYTES !== 0) return new Malformed('a DHT response with broken nodes');
  const values = peers(given.get('values'));
  if (values === undefined) return new Malformed('a DHT response with broken values');
  const token = bytesWithin(given.get('token'), 1, TOKEN_BYTES_MAX);
  const written = {
    id,
    ...(nodes.length === 0 ? {} : { nodes }),
    ...(values.length === 0 ? {} : { values }),
    ...(token === undefined ? {} : { token }),
  };
  return { kind: 'response', bytes: encodeBencode({ r: written, t: transaction, y: 'r' }) };
}

/** The IPv4 ones; some nodes put both families into one list. */
function peers(value: BencodeValue | undefined): Uint8Array[] | undefined {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return undefined;
  const list: readonly BencodeValue[] = value;
  const all = list.filter((one) => one instanceof Uint8Array);
  return all.length === list.length ? all.filter(({ length }) => length === PEER_BYTES) : undefined;
}

function failure(value: BencodeValue | undefined, transaction: Uint8Array): DhtMessage | Malformed {
  const [code, text] = Array.isArray(value) ? (value as readonly BencodeValue[]) : [];
  if (typeof code !== 'number' || !(text instanceof Uint8Array)) return new Malformed('a DHT error without code and text');
  const error = [code, text.subarray(0, ERROR_TEXT_BYTES_MAX)];
  return { kind: 'error', bytes: encodeBencode({ e: error, t: transaction, y: 'e' }) };
}

function bytesWithin(value: BencodeValue | undefined, least: Bytes, most: Bytes): Uint8Array | undefined {
  return value instanceof Uint8Array && value.length >= least && value.length <= most ? value : undefined;
}

function asciiOf(value: BencodeValue | undefined): string {
  return value instanceof Uint8Array && value.length <= ID_BYTES ? String.fromCharCode(...value) : '';
}

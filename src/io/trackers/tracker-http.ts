/**
 * One HTTP announce: fetch with a time limit and a size limit, strict bencode, and only the fields that are used.
 *
 * It stands in for the request of the npm package's HTTP tracker, which reads a body of any length, follows redirects anywhere (so a
 * link could make a viewer call hosts in its own network), decodes by recursion, and leaves a broken body as an unhandled
 * rejection, which would end the process.
 */
import { lookup } from 'node:dns/promises';
import { isIP, isIPv4 } from 'node:net';
import { type BencodeDictionary, type BencodeValue, bencodeText, decodeBencode } from '../../kernel/bencode.js';
import { Malformed } from '../../kernel/errors.js';
import { addressScope, normaliseHost } from '../../kernel/peer-address.js';
import type { Bytes } from '../../kernel/units.js';

/** What is read of a response, under the names the package's HTTP tracker knows. */
export interface AnnounceResponse {
  /** Seconds. */
  readonly interval?: number;
  /** Seconds. */
  readonly 'min interval'?: number;
  readonly 'tracker id'?: string;
  /** 6 bytes each (BEP 23). */
  readonly peers: Uint8Array;
  /** 18 bytes each (BEP 7). */
  readonly peers6?: Uint8Array;
}

/** libtorrent's `tracker_maximum_response_length`. */
const RESPONSE_BYTES_MAX: Bytes = 1_048_576;
/** Peers taken from one response; libtorrent asks for as many. */
export const PEERS_PER_RESPONSE_MAX_COUNT = 200;
const REASON_LENGTH_MAX = 200;

/**
 * Announces by GET.
 *
 * Rejects with an `Error` whose message continues the sentence "The tracker …".
 */
export async function announceByHttp(url: string, userAgent: string, signal: AbortSignal): Promise<AnnounceResponse> {
  if (await isOtherLocalService(new URL(url)))
    throw new Error('is on this machine, where only an address that begins with /announce is asked');
  const response = await fetch(url, { redirect: 'manual', signal, headers: { 'user-agent': userAgent } }).catch((error: unknown) => {
    throw new Error(describeFetchError(error, signal), { cause: error });
  });
  const body = await readBody(response).catch((error: unknown) => {
    throw new Error(describeFetchError(error, signal), { cause: error });
  });
  if (response.status >= 300 && response.status < 400) throw new Error('answers with a redirect, which is not followed');
  const decoded = decodeBencode(body, { maxBytes: RESPONSE_BYTES_MAX });
  const isAnswer = decoded instanceof Map;
  const failure = isAnswer ? bencodeText(decoded.get('failure reason')) : undefined;
  if (failure !== undefined) throw new Error(`refuses: "${printable(failure)}"`);
  if (response.status !== 200) throw new Error(`answers with HTTP status ${response.status}`);
  if (!isAnswer) {
    const fault = decoded instanceof Malformed ? decoded.reason : 'bencode: no dictionary';
    throw new Error(`answers with something that is no announce response (${fault})`);
  }
  return readResponse(decoded);
}

/** A link must not make us call what else runs on this machine; libtorrent draws the same line (`ssrf_mitigation`). */
async function isOtherLocalService({ hostname, pathname }: URL): Promise<boolean> {
  if (pathname.startsWith('/announce')) return false;
  const host = hostname.replace(/^\[|\]$/g, '');
  const addresses = isIP(host) === 0 ? await lookup(host, { all: true }).catch(() => []) : [{ address: host }];
  return addresses.some(({ address }) => ['loopback', 'unusable'].includes(addressScope(normaliseHost(address) ?? '')));
}

async function readBody(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.length;
    // Leaving the loop cancels the body, which closes the connection.
    if (sizeBytes > RESPONSE_BYTES_MAX) throw new Error(`answers with more than ${RESPONSE_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function readResponse(fields: BencodeDictionary): AnnounceResponse {
  const interval = fields.get('interval');
  const minInterval = fields.get('min interval');
  const trackerId = bencodeText(fields.get('tracker id'));
  const peers6 = fields.get('peers6');
  return {
    peers: compactPeers(fields.get('peers')),
    ...(typeof interval === 'number' && interval > 0 ? { interval } : {}),
    ...(typeof minInterval === 'number' && minInterval > 0 ? { 'min interval': minInterval } : {}),
    ...(trackerId !== undefined && /^[\x21-\x7e]{1,200}$/.test(trackerId) ? { 'tracker id': trackerId } : {}),
    ...(peers6 instanceof Uint8Array ? { peers6: wholeEntries(peers6, 18) } : {}),
  };
}

/** Six bytes per peer, from either form of the response; in the dictionary form only IPv4 literals are taken. */
function compactPeers(peers: BencodeValue | undefined): Uint8Array {
  if (peers instanceof Uint8Array) return wholeEntries(peers, 6);
  if (!Array.isArray(peers)) return new Uint8Array(0);
  return Uint8Array.from(peers.slice(0, PEERS_PER_RESPONSE_MAX_COUNT).flatMap(compactPeer));
}

function compactPeer(peer: BencodeValue): number[] {
  if (!(peer instanceof Map)) return [];
  const ip = bencodeText(peer.get('ip'));
  const port: unknown = peer.get('port');
  if (ip === undefined || !isIPv4(ip) || typeof port !== 'number' || port < 1 || port > 65_535) return [];
  return [...ip.split('.').map(Number), port >> 8, port & 0xff];
}

function wholeEntries(bytes: Uint8Array, entryBytes: Bytes): Uint8Array {
  const count = Math.min(PEERS_PER_RESPONSE_MAX_COUNT, Math.floor(bytes.length / entryBytes));
  return bytes.subarray(0, count * entryBytes);
}

function describeFetchError(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'does not answer in time';
  if (!(error instanceof Error)) return 'cannot be reached';
  if (error.message.startsWith('answers')) return error.message;
  const cause = error.cause;
  const code = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : error.message;
  return `cannot be reached (${code === '' ? 'no connection' : printable(code)})`;
}

/** A remote's words for a log line: one line, not long, nothing that moves a terminal's cursor. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, ' ').slice(0, REASON_LENGTH_MAX);
}

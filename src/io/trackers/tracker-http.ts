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
import { type Announce, type AnnounceResponse, PEERS_PER_RESPONSE_MAX_COUNT, printable, wholeEntries } from './announce.js';

/** libtorrent's `tracker_maximum_response_length`. */
const RESPONSE_BYTES_MAX: Bytes = 1_048_576;
const USER_AGENT = 'Shoal';

/**
 * Announces by GET.
 *
 * Rejects with an `Error` whose message continues the sentence "The tracker …".
 */
export async function announceByHttp(url: string, announce: Announce, signal: AbortSignal): Promise<AnnounceResponse> {
  if (await isOtherLocalService(new URL(url)))
    throw new Error('is on this machine, where only an address that begins with /announce is asked');
  const response = await fetch(withQuery(url, announce), { redirect: 'manual', signal, headers: { 'user-agent': USER_AGENT } }).catch(
    (error: unknown) => {
      throw new Error(describeFetchError(error, signal), { cause: error });
    },
  );
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

/** BEP 3: byte strings are percent-encoded byte by byte, not as UTF-8. */
function withQuery(url: string, { infoHash, peerId, port, uploaded, downloaded, left, numwant, event, key, trackerId }: Announce): string {
  const parameters = {
    uploaded,
    downloaded,
    left,
    numwant,
    ...(event === undefined ? {} : { event }),
    compact: 1,
    info_hash: latin1(infoHash),
    peer_id: latin1(peerId),
    port,
    ...(trackerId === undefined ? {} : { trackerid: trackerId }),
    key: key.toString(16).padStart(8, '0'),
  };
  const query = Object.entries(parameters).map(([name, value]) => `${name}=${escapeBytes(value)}`);
  const base = url.replace(/\/$/, '');
  return `${base}${base.includes('?') ? '&' : '?'}${query.join('&')}`;
}

function escapeBytes(value: string | number): string {
  return String(value).replace(/[^A-Za-z0-9._~-]/g, (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** One character per byte. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
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
    ...(typeof interval === 'number' && interval > 0 ? { intervalS: interval } : {}),
    ...(typeof minInterval === 'number' && minInterval > 0 ? { minIntervalS: minInterval } : {}),
    ...(trackerId !== undefined && /^[\x21-\x7e]{1,200}$/.test(trackerId) ? { trackerId } : {}),
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

function describeFetchError(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'does not answer in time';
  if (!(error instanceof Error)) return 'cannot be reached';
  if (error.message.startsWith('answers')) return error.message;
  const cause = error.cause;
  const code = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : error.message;
  return `cannot be reached (${code === '' ? 'no connection' : printable(code)})`;
}

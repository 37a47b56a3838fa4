/**
 * Fetches a `.torrent` file from the web, where a person named it.
 *
 * What is named may lie on this machine or network; no redirect leads there from a public address. An answer is at most as long as a torrent
 * may be, and comes within a minute. Sites that lead on to a magnet link are followed to it.
 *
 * Source: RFC 9110, sections 15.4 and 10.2.2.
 */
import { ShoalError } from '../../kernel/errors.js';
import type { Milliseconds } from '../../kernel/units.js';
import { TORRENT_BYTES_MAX } from '../../vod/metainfo.js';
import { redirectedPlace, type WebSeedPlace } from '../../vod/web-seed.js';
import { GuardedHttp, type GuardedResponse } from './guarded-http.js';

/** What an address turned out to hold. */
export type FoundTorrent = { readonly torrent: Uint8Array } | { readonly link: string };

const HEAD_MS: Milliseconds = 15_000;
const WHOLE_MS: Milliseconds = 60_000;
const REDIRECTS_MAX_COUNT = 5;

/** @throws ShoalError `TORRENT_UNREACHABLE`, with words for a person. */
export async function downloadTorrent(address: string): Promise<FoundTorrent> {
  const http = new GuardedHttp();
  const late = AbortSignal.timeout(WHOLE_MS);
  try {
    return await follow(http, address, late);
  } catch (error) {
    if (error instanceof ShoalError) throw error;
    const why = late.aborted ? `it took longer than ${WHOLE_MS / 1000} s` : reasonOf(error);
    throw unreachable(address, why, error);
  } finally {
    http.close();
  }
}

async function follow(http: GuardedHttp, address: string, late: AbortSignal): Promise<FoundTorrent> {
  let place: WebSeedPlace = { url: address, mayReachPrivate: true };
  for (let redirects = 0; redirects <= REDIRECTS_MAX_COUNT; redirects++) {
    const url = new URL(place.url);
    const headers = { Accept: 'application/x-bittorrent, */*;q=0.1', 'User-Agent': 'Shoal' };
    const response = await http.get({ url, headers, mayReachPrivate: place.mayReachPrivate, headWithinMs: HEAD_MS, signal: late });
    const { statusCode = 0, headers: answer } = response.message;
    if (statusCode < 300 || statusCode >= 400 || answer.location === undefined) return { torrent: await bodyOf(response, address, late) };
    response.message.destroy();
    if (/^magnet:/i.test(answer.location)) return { link: answer.location };
    const next = redirectedPlace(place, answer.location, response.isPrivate);
    if (typeof next === 'string') throw unreachable(address, next);
    place = next;
  }
  throw unreachable(address, `it redirects more than ${REDIRECTS_MAX_COUNT} times`);
}

async function bodyOf({ message }: GuardedResponse, address: string, late: AbortSignal): Promise<Uint8Array> {
  const abort = (): void => void message.destroy(new Error('late'));
  late.addEventListener('abort', abort, { once: true });
  try {
    if (message.statusCode !== 200)
      throw unreachable(address, `the server answers ${message.statusCode} ${message.statusMessage ?? ''}`.trim());
    const parts: Buffer[] = [];
    let lengthBytes = 0;
    for await (const part of message as AsyncIterable<Buffer>) {
      lengthBytes += part.length;
      if (lengthBytes > TORRENT_BYTES_MAX)
        throw unreachable(address, `it has more than ${TORRENT_BYTES_MAX} bytes, so it is no torrent file`);
      parts.push(part);
    }
    const body = Buffer.concat(parts);
    if (/^\s*</.test(body.subarray(0, 64).toString('latin1'))) throw unreachable(address, 'it is a web page, not a torrent file');
    return new Uint8Array(body);
  } finally {
    late.removeEventListener('abort', abort);
    message.destroy();
  }
}

function unreachable(address: string, why: string, cause?: unknown): ShoalError {
  const shown = address.length > 200 ? `${address.slice(0, 197)}...` : address;
  return new ShoalError('TORRENT_UNREACHABLE', `${shown} cannot be fetched: ${why}.`, { address }, { cause });
}

/** Node puts the tries of a connection together in an error without words. */
function reasonOf(error: unknown): string {
  const { message, code, errors } = error as NodeJS.ErrnoException & { readonly errors?: readonly Error[] };
  return errors?.[0]?.message || message || code || 'the connection failed';
}

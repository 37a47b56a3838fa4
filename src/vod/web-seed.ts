/**
 * What a web seed is asked and how its answer is judged: URLs of files, and the heads of HTTP responses.
 *
 * A web seed is a plain HTTP server, so it may answer a range with all of the file, with less of the range, or with something else. What is taken is
 * only what can be the bytes that were asked for; that they are the right ones shows when the piece is hashed.
 *
 * Source: BEP 19; RFC 9110, sections 10.2.3 (`Retry-After`), 14.4 (`Content-Range`) and 15.
 */
import type { Bytes, Milliseconds } from '../kernel/units.js';
import type { Metainfo, TitleFile } from './metainfo.js';

/** Bytes of one file, asked for in one request. */
export interface WebSeedRequest {
  /** 0-based, from the file's beginning. */
  readonly fromByte: Bytes;
  /** At least 1. */
  readonly lengthBytes: Bytes;
  readonly fileBytes: Bytes;
}

/** The head of a response, its header names in lower case. */
export interface WebSeedHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export type WebSeedVerdict =
  /** Leave out `skipBytes` of the body, take `lengthBytes`; what follows is not wanted. */
  | { readonly kind: 'take'; readonly skipBytes: Bytes; readonly lengthBytes: Bytes }
  | { readonly kind: 'redirect'; readonly location: string }
  /** `isOfFile`: it says nothing of the seed's other files. */
  | { readonly kind: 'refuse'; readonly reason: string; readonly retryMs: Milliseconds; readonly isOfFile: boolean };

/** Where a file is asked for, and how far that request may reach. */
export interface WebSeedPlace {
  readonly url: string;
  /** Whether private and loopback addresses may be dialled. */
  readonly mayReachPrivate: boolean;
}

/** What is read and thrown away when a server ignores ranges: a tenth of a second at 10 MB/s. */
export const SKIP_BYTES_MAX = 1_048_576;
/** After what may pass by itself: an overloaded server. */
const RETRY_SOON_MS: Milliseconds = 10_000;
/** After what will hardly change: no such file, no ranges, another file. */
const RETRY_LATE_MS: Milliseconds = 600_000;
/** The longest `Retry-After` that is obeyed. */
const RETRY_MAX_MS: Milliseconds = 3_600_000;

/**
 * Where a seed has a file: the seed's URL itself for a single file, unless it ends in a slash, else the names below it, percent-encoded.
 * Undefined when a name would lead elsewhere (`..`) or is empty. A query stays where it is.
 */
export function webSeedUrl(seed: string, metainfo: Pick<Metainfo, 'originalName' | 'isSingleFile'>, file: TitleFile): string | undefined {
  const url = new URL(seed);
  if (metainfo.isSingleFile && !url.pathname.endsWith('/')) return url.href;
  const names = metainfo.isSingleFile ? [metainfo.originalName] : [metainfo.originalName, ...file.originalPath];
  if (names.some((name) => name === '' || name === '.' || name === '..')) return undefined;
  const folder = url.pathname.endsWith('/') ? url.pathname : `${url.pathname}/`;
  url.pathname = folder + names.map(encodeName).join('/');
  return url.href;
}

/**
 * Where a seed is first asked: what a torrent names reaches public addresses only; what the user named may be on this machine or network, unless
 * its URL has a query, which could tell some other server there to do something.
 */
export function firstPlace(url: string, isUsersChoice: boolean): WebSeedPlace {
  return { url, mayReachPrivate: isUsersChoice && new URL(url).search === '' };
}

/**
 * Where a redirect leads; a sentence when it leads nowhere. It may lead to private addresses only from where such an address answered, and
 * not with a query: a server of the public network has no business to send us into ours.
 */
export function redirectedPlace(from: WebSeedPlace, location: string, isFromPrivate: boolean): WebSeedPlace | string {
  if (!URL.canParse(location, from.url)) return `it redirects to "${location.slice(0, 80)}", which is no address`;
  const url = new URL(location, from.url);
  if (!/^https?:$/.test(url.protocol)) return `it redirects to ${url.protocol}, expected http: or https:`;
  url.username = '';
  url.password = '';
  return { url: url.href, mayReachPrivate: from.mayReachPrivate && isFromPrivate && url.search === '' };
}

/** What to do with a response. `nowS` (seconds since 1970) is for dates in `Retry-After`. */
export function judgeResponse(head: WebSeedHead, request: WebSeedRequest, nowS: number): WebSeedVerdict {
  const { status } = head;
  const location = textOf(head, 'location');
  if ([301, 302, 303, 307, 308].includes(status) && location !== undefined) return { kind: 'redirect', location };
  const encoding = textOf(head, 'content-encoding') ?? 'identity';
  if (status < 300 && encoding.toLowerCase() !== 'identity')
    return refuse(`it answers in the encoding "${encoding.slice(0, 40)}"`, RETRY_LATE_MS);
  if (status === 206) return judgePart(head, request);
  if (status === 200) return judgeWhole(head, request);
  const retryMs = retryAfter(head, nowS) ?? (isPassing(status) ? RETRY_SOON_MS : RETRY_LATE_MS);
  return { kind: 'refuse', reason: `it answers ${status}`, retryMs, isOfFile: !isPassing(status) };
}

function judgePart(head: WebSeedHead, request: WebSeedRequest): WebSeedVerdict {
  const text = textOf(head, 'content-range') ?? '';
  const [, first = '', last = '', total = ''] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(text.trim()) ?? [];
  if (first === '') return refuse(`it answers a range with "Content-Range: ${text.slice(0, 60)}"`, RETRY_LATE_MS);
  if (total !== '*' && Number(total) !== request.fileBytes) return refuseLength(Number(total), request);
  const lengthBytes = Number(last) - Number(first) + 1;
  // Less than was asked for is allowed; the rest is asked for again.
  if (Number(first) !== request.fromByte || lengthBytes < 1 || lengthBytes > request.lengthBytes) {
    return refuse(`it answers bytes ${first}-${last} where ${lengthBytes < 1 ? 'some' : rangeText(request)} were asked for`, RETRY_LATE_MS);
  }
  return { kind: 'take', skipBytes: 0, lengthBytes };
}

function judgeWhole(head: WebSeedHead, request: WebSeedRequest): WebSeedVerdict {
  const lengthText = textOf(head, 'content-length');
  if (lengthText !== undefined && Number(lengthText) !== request.fileBytes) return refuseLength(Number(lengthText), request);
  if (request.fromByte > SKIP_BYTES_MAX) return refuse('it ignores ranges and sends whole files', RETRY_LATE_MS);
  return { kind: 'take', skipBytes: request.fromByte, lengthBytes: request.lengthBytes };
}

function refuseLength(sentBytes: number, { fileBytes }: WebSeedRequest): WebSeedVerdict {
  const reason = `its file has ${sentBytes} bytes, the title's ${fileBytes}`;
  return { kind: 'refuse', reason, retryMs: RETRY_LATE_MS, isOfFile: true };
}

function refuse(reason: string, retryMs: Milliseconds): WebSeedVerdict {
  return { kind: 'refuse', reason, retryMs, isOfFile: false };
}

function rangeText({ fromByte, lengthBytes }: WebSeedRequest): string {
  return `${fromByte}-${fromByte + lengthBytes - 1}`;
}

function isPassing(status: number): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429;
}

/** Seconds, or a date; held between one second and one hour. */
function retryAfter(head: WebSeedHead, nowS: number): Milliseconds | undefined {
  const text = textOf(head, 'retry-after')?.trim() ?? '';
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : secondsUntil(text, nowS);
  return seconds === undefined ? undefined : Math.min(RETRY_MAX_MS, Math.max(1000, seconds * 1000));
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** Until `Sun, 06 Nov 1994 08:49:37 GMT`; undefined for other text. */
function secondsUntil(text: string, nowS: number): number | undefined {
  const match = /^[a-z]{3}, (\d\d) ([a-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d) gmt$/i.exec(text);
  if (match === null) return undefined;
  const [day, , year, hour, minute, second] = match.slice(1).map(Number) as [number, number, number, number, number, number];
  const month = MONTHS.indexOf(String(match[2]).toLowerCase());
  if (month < 0) return undefined;
  return daysSince1970(year, month + 1, day) * 86_400 + hour * 3600 + minute * 60 + second - nowS;
}

/** Days from 1 January 1970 to a date of the Gregorian calendar; years begin in March here, so that leap days are at their ends. */
function daysSince1970(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  return 365 * shifted + Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400) + dayOfYear - 719_468;
}

function textOf(head: WebSeedHead, name: string): string | undefined {
  const value = head.headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

/** As `encodeURIComponent`, and the five characters that it leaves although RFC 3986 reserves them. Names come from UTF-8, so they are well formed. */
function encodeName(name: string): string {
  return encodeURIComponent(name).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

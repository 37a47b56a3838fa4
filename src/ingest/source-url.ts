/**
 * The address of a pulled MMS source: `mms://`, `mmst://`, `mmsh://` or `http://`, taken apart without rewriting the path.
 *
 * Addresses also come from servers (redirects, ASX files), so everything is bounded and control characters are refused: the path goes
 * into a request line.
 */
import { Malformed } from '../kernel/errors.js';
import { normaliseHost } from '../kernel/peer-address.js';

export type SourceScheme = 'mms' | 'mmst' | 'mmsh' | 'http';

export interface SourceUrl {
  readonly scheme: SourceScheme;
  readonly host: string;
  /** Undefined when the URL names none; it then depends on the protocol: 1755 for MMST, 80 for MMSH. */
  readonly port: number | undefined;
  /** Path and query as written, beginning with a slash. */
  readonly path: string;
  /** `name:password` with percent forms decoded; a secret. */
  readonly credentials: string | undefined;
}

export const MMST_PORT = 1755;
export const MMSH_PORT = 80;

const SCHEMES: readonly string[] = ['mms', 'mmst', 'mmsh', 'http'];
const URL_CHARACTERS_MAX = 2048;
const PATTERN = /^([a-z][a-z0-9+.-]*):\/\/(?:([^/?#@]*)@)?(\[[^\]/?#]*\]|[^:/?#]*)(?::(\d{1,5}))?([/?][^#]*)?(?:#.*)?$/i;

export function parseSourceUrl(text: string): SourceUrl | Malformed {
  if (text.length > URL_CHARACTERS_MAX)
    return new Malformed(`The source URL has ${text.length} characters; at most ${URL_CHARACTERS_MAX} are allowed.`);
  if (/[\s\p{Cc}\p{Cs}]/u.test(text)) return new Malformed('The source URL holds a space or control character; write it as %20.');
  const parts = PATTERN.exec(text);
  if (parts === null) return new Malformed('The source URL is malformed; expected scheme://host[:port]/path.');
  const [, schemeText = '', user, hostText = '', portText, path = '/'] = parts;
  const scheme = schemeText.toLowerCase();
  if (!isScheme(scheme)) return new Malformed(`The source scheme "${scheme}" is not possible here; expected mms, mmst, mmsh or http.`);
  const host = normaliseHost(hostText);
  if (host === undefined) return new Malformed(`The source URL has no usable host ("${hostText}").`);
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && (port < 1 || port > 65_535)) return new Malformed(`The source port ${port} is outside 1 to 65535.`);
  return { scheme, host, port, path: path.startsWith('/') ? path : `/${path}`, credentials: decodePercent(user) };
}

/** What a `Location` or reference means beside the address it came from: whole URLs, and paths on the same host. */
export function resolveSourceUrl(reference: string, from: SourceUrl): SourceUrl | Malformed {
  if (!reference.startsWith('/') || reference.startsWith('//')) return parseSourceUrl(reference);
  const host = from.host.includes(':') ? `[${from.host}]` : from.host;
  return parseSourceUrl(`${from.scheme}://${host}${from.port === undefined ? '' : `:${from.port}`}${reference}`);
}

function isScheme(text: string): text is SourceScheme {
  return SCHEMES.includes(text);
}

function decodePercent(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Credentials as HTTP Basic and MMST want them: base64 of their UTF-8. */
export function basicCredentials(credentials: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(credentials)));
}

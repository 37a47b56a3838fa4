/**
 * The address of a pulled source (MMS, RTMP or HTTP-FLV), taken apart without rewriting the path.
 *
 * Addresses also come from servers (redirects, ASX files), so everything is bounded and control characters are refused: the path goes
 * into a request line. What a source is made of follows from its address, so that it is known before anybody has connected.
 *
 * | scheme              | container                                             | default port        |
 * |---------------------|-------------------------------------------------------|---------------------|
 * | `mms` `mmst` `mmsh` | ASF                                                   | 1755; MMSH 80       |
 * | `rtmp` `rtmps`      | FLV                                                   | 1935, 443           |
 * | `http` `https`      | FLV when the path ends in `.flv`, else ASF (MMSH, ASX) | 80, 443             |
 */
import { Malformed } from '../kernel/errors.js';
import { normaliseHost } from '../kernel/peer-address.js';

export type SourceScheme = 'mms' | 'mmst' | 'mmsh' | 'http' | 'https' | 'rtmp' | 'rtmps';

/** What a source's packets are. */
export type SourceContainer = 'flv' | 'asf';

export interface SourceUrl {
  readonly scheme: SourceScheme;
  readonly host: string;
  /** Undefined when the URL names none; it then depends on the protocol: `mms` is asked at 1755 by MMST and at 80 by MMSH. */
  readonly port: number | undefined;
  /** Path and query as written, beginning with a slash. */
  readonly path: string;
  /** `name:password` with percent forms decoded; a secret. */
  readonly credentials: string | undefined;
}

export const MMST_PORT = 1755;
export const MMSH_PORT = 80;
export const HTTP_PORT = 80;
export const HTTPS_PORT = 443;
export const RTMP_PORT = 1935;
export const RTMPS_PORT = 443;

const CONTAINERS: Readonly<Record<SourceScheme, readonly SourceContainer[]>> = {
  mms: ['asf'],
  mmst: ['asf'],
  mmsh: ['asf'],
  http: ['asf', 'flv'],
  https: ['asf', 'flv'],
  rtmp: ['flv'],
  rtmps: ['flv'],
};
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
  if (!isScheme(scheme))
    return new Malformed(`The source scheme "${scheme}" is not possible here; expected one of ${Object.keys(CONTAINERS).join(', ')}.`);
  const host = normaliseHost(hostText);
  if (host === undefined) return new Malformed(`The source URL has no usable host ("${hostText}").`);
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && (port < 1 || port > 65_535)) return new Malformed(`The source port ${port} is outside 1 to 65535.`);
  return { scheme, host, port, path: path.startsWith('/') ? path : `/${path}`, credentials: decodePercent(user) };
}

/** What a `Location` or reference means beside the address it came from: whole URLs, and paths on the same host. */
export function resolveSourceUrl(reference: string, from: SourceUrl): SourceUrl | Malformed {
  if (!reference.startsWith('/') || reference.startsWith('//')) return parseSourceUrl(reference);
  return parseSourceUrl(`${from.scheme}://${hostAndPort(from)}${reference}`);
}

/** As it stands in a URL: IPv6 in brackets, and the port where one was named. */
export function hostAndPort({ host, port }: SourceUrl): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === undefined ? name : `${name}:${port}`;
}

/** The address as text, without credentials. */
export function formatSourceUrl(url: SourceUrl): string {
  return `${url.scheme}://${hostAndPort(url)}${url.path}`;
}

/** What the source at an address is made of when nobody says otherwise. */
export function containerOf({ scheme, path }: SourceUrl): SourceContainer {
  const [container = 'asf'] = CONTAINERS[scheme];
  const isFlvPath = /\.flv$/i.test(path.split('?', 1)[0] ?? '');
  return isFlvPath && canBe(scheme, 'flv') ? 'flv' : container;
}

/** Whether an address of this scheme can give that container at all. */
export function canBe(scheme: SourceScheme, container: SourceContainer): boolean {
  return CONTAINERS[scheme].includes(container);
}

export function isSecure(scheme: SourceScheme): boolean {
  return scheme === 'https' || scheme === 'rtmps';
}

/** The address without what may be secret: name and password, and the query. For messages and logs. */
export function withoutSecrets(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1').replace(/[?#].*$/s, '?…');
}

function isScheme(text: string): text is SourceScheme {
  return Object.hasOwn(CONTAINERS, text);
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

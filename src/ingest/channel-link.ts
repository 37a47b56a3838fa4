/**
 * The link to a channel: what a person copies, a QR code holds and `shoal watch` takes.
 *
 * Two forms are written: a magnet link (BEP 9: `xt`, `dn`, `tr`, `x.pe`) and `shoal:<id>?dn=…`, which an operating system can hand to
 * the program. Read are both, `shoal://<id>`, and a bare id, in hexadecimal or base32. A link is untrusted text: trackers of other
 * schemes, unusable peers and parameters that mean nothing here are left out, numbers and lengths are capped.
 */
import { Malformed } from '../kernel/errors.js';
import type { InfoHash } from '../kernel/units.js';

export interface ChannelLink {
  /** 40 lower-case hex digits. */
  readonly id: InfoHash;
  /** For people; at most 200 characters, no control characters; may be empty. */
  readonly name: string;
  /** http, https and udp URLs; at most 16. */
  readonly trackers: readonly string[];
  /** `host:port` or `[IPv6]:port`; at most 16. */
  readonly peers: readonly string[];
}

/** Longest link that is looked at, in characters. */
const TEXT_LENGTH_MAX = 8192;
const TRACKERS_MAX_COUNT = 16;
const PEERS_MAX_COUNT = 16;
const NAME_LENGTH_MAX = 200;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const EXPECTED = 'expected magnet:?xt=urn:btih:<id>, shoal:<id> or the 40 hex digits of a channel id';

/** `magnet:?xt=urn:btih:<hex>&dn=..&tr=..&x.pe=..` */
export function formatMagnet(link: ChannelLink): string {
  return `magnet:?${[`xt=urn:btih:${link.id}`, ...formatParameters(link)].join('&')}`;
}

/** `shoal:<hex>?dn=..&tr=..&x.pe=..` */
export function formatShoalLink(link: ChannelLink): string {
  const parameters = formatParameters(link);
  return parameters.length === 0 ? `shoal:${link.id}` : `shoal:${link.id}?${parameters.join('&')}`;
}

/** Reads any form of link. The reason of a `Malformed` is a sentence for the person who pasted it. */
export function parseLink(text: string): ChannelLink | Malformed {
  if (text.length > TEXT_LENGTH_MAX) {
    return new Malformed(`The link has ${text.length} characters; at most ${TEXT_LENGTH_MAX} are read. Was a whole page pasted?`);
  }
  const trimmed = text.trim().replace(/^<(.*)>$/su, '$1');
  if (trimmed === '') return new Malformed(`The link is empty; ${EXPECTED}.`);
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(trimmed)?.[1]?.toLowerCase();
  if (scheme === 'magnet') return parseMagnet(trimmed.slice('magnet:'.length));
  if (scheme === 'shoal') return parseShoal(trimmed.slice('shoal:'.length));
  if (scheme !== undefined) return new Malformed(`The link starts with "${scheme}:"; ${EXPECTED}.`);
  return parseShoal(trimmed);
}

function formatParameters(link: ChannelLink): string[] {
  return [
    ...(cleanName(link.name) === '' ? [] : [`dn=${encodeURIComponent(cleanName(link.name))}`]),
    ...link.trackers.map((tracker) => `tr=${encodeURIComponent(tracker)}`),
    // Brackets and colons are legal in a query, and not every BitTorrent client decodes x.pe.
    ...link.peers.map((peer) => `x.pe=${encodeURIComponent(peer).replace(/%3A/g, ':').replace(/%5B/g, '[').replace(/%5D/g, ']')}`),
  ];
}

function parseMagnet(rest: string): ChannelLink | Malformed {
  if (!rest.startsWith('?')) return new Malformed('The magnet link has no "?" after "magnet:"; expected magnet:?xt=urn:btih:<id>.');
  const parameters = parseParameters(rest.slice(1));
  if (parameters instanceof Malformed) return parameters;
  const topics = valuesOf(parameters, 'xt');
  const topic = topics.find((value) => /^urn:btih:/i.test(value));
  if (topic !== undefined) return assemble(topic.slice('urn:btih:'.length), parameters);
  if (topics.length === 0) return new Malformed('The magnet link has no "xt"; expected xt=urn:btih:<id>.');
  const isVersion2 = topics.some((value) => /^urn:btmh:/i.test(value));
  return new Malformed(
    isVersion2
      ? 'The magnet link names a BitTorrent v2 hash (urn:btmh); a channel has urn:btih:<id>.'
      : `The magnet link's "xt" is "${shorten(topics[0] ?? '')}"; expected urn:btih:<id>.`,
  );
}

function parseShoal(rest: string): ChannelLink | Malformed {
  const [idText = '', ...queries] = rest.replace(/^\/\//, '').split('?');
  const parameters = parseParameters(queries.join('?'));
  return parameters instanceof Malformed ? parameters : assemble(idText.replace(/\/$/, ''), parameters);
}

function assemble(idText: string, parameters: Parameters): ChannelLink | Malformed {
  const id = parseId(idText);
  if (id instanceof Malformed) return id;
  return {
    id,
    name: cleanName(valuesOf(parameters, 'dn')[0] ?? ''),
    trackers: distinct(valuesOf(parameters, 'tr').map(cleanTracker)).slice(0, TRACKERS_MAX_COUNT),
    peers: distinct(valuesOf(parameters, 'x.pe').map(cleanPeer)).slice(0, PEERS_MAX_COUNT),
  };
}

function parseId(text: string): InfoHash | Malformed {
  const id = text.toLowerCase();
  if (/^[0-9a-f]{40}$/.test(id)) return id;
  if (/^[a-z2-7]{32}$/.test(id)) return hexOfBase32(id);
  if (id === '') return new Malformed('The link has no channel id; expected 40 hex digits.');
  const strangerIndex = id.search(/[^0-9a-f]/);
  if (strangerIndex === -1) return new Malformed(`The channel id has ${id.length} hex digits; expected 40. Was the link cut short?`);
  return new Malformed(
    `The channel id "${shorten(text)}" is no id: character ${strangerIndex + 1} is ${JSON.stringify([...id.slice(strangerIndex)][0])}; ` +
      'expected 40 hex digits (0-9, a-f) or 32 base32 characters (a-z, 2-7).',
  );
}

function hexOfBase32(text: string): InfoHash {
  let bits = '';
  for (const character of text) bits += BASE32.indexOf(character).toString(2).padStart(5, '0');
  return bits.replace(/[01]{4}/g, (nibble) => Number.parseInt(nibble, 2).toString(16));
}

type Parameters = readonly (readonly [key: string, value: string])[];

function parseParameters(query: string): Parameters | Malformed {
  const parameters: [string, string][] = [];
  for (const part of query.replace(/#.*$/s, '').split('&')) {
    const [key = '', ...values] = part.split('=');
    try {
      parameters.push([key.toLowerCase(), decodeURIComponent(values.join('=').replace(/\+/g, ' '))]);
    } catch {
      return new Malformed(`The link's "${shorten(key)}" holds a broken percent sign; expected % and two hex digits, of UTF-8 text.`);
    }
  }
  return parameters;
}

/** Magnet links may number a key that comes often: `tr.1`, `tr.2`. */
function valuesOf(parameters: Parameters, key: string): string[] {
  const isNumbered = (name: string): boolean => name.startsWith(`${key}.`) && /^\d+$/.test(name.slice(key.length + 1));
  return parameters.filter(([name]) => name === key || isNumbered(name)).map(([, value]) => value);
}

/** Control characters, and those that turn the direction of writing and so disguise a name, are dropped. */
function cleanName(text: string): string {
  const clean = text.replace(/[\p{Cc}\p{Cs}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '').trim();
  return [...clean].slice(0, NAME_LENGTH_MAX).join('').trim();
}

function cleanTracker(text: string): string | undefined {
  try {
    const url = new URL(text.trim());
    const isUsable = /^(https?|udp):$/.test(url.protocol) && url.hostname !== '' && url.port !== '0' && url.username + url.password === '';
    // A udp URL has no default port: without one there is nowhere to send to.
    if (!isUsable || (url.protocol === 'udp:' && url.port === '')) return undefined;
    url.hash = '';
    return url.href;
  } catch {
    return undefined;
  }
}

function cleanPeer(text: string): string | undefined {
  const parts = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]{1,253}):(\d{1,5})$/.exec(text.trim().toLowerCase());
  const [, host = '', portText = ''] = parts ?? [];
  const port = Number(portText);
  if (parts === null || port < 1 || port > 65_535 || !URL.canParse(`http://${host}:${port}/`)) return undefined;
  return `${host}:${port}`;
}

function distinct(values: readonly (string | undefined)[]): string[] {
  return [...new Set(values.filter((value) => value !== undefined))];
}

function shorten(text: string): string {
  return text.length <= 48 ? text : `${text.slice(0, 45)}...`;
}

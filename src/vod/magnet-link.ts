/**
 * Magnet links to titles, both ways.
 *
 * | key             | meaning                                                                    | at most  |
 * |-----------------|----------------------------------------------------------------------------|----------|
 * | `xt`            | `urn:btih:` and the info hash, 40 hex digits or 32 of base32               | first    |
 * | `dn`            | name for people                                                            | first    |
 * | `tr`, `tr.1` …  | tracker                                                                    | 64       |
 * | `ws`, `as`      | web seed                                                                   | 32       |
 * | `x.pe`          | peer: `host:port` or `[IPv6]:port`                                         | 64       |
 * | `so`            | files to fetch: `0,2,4-7`                                                  | 100 000  |
 *
 * `xl` (the length) is read by nobody who checks it and therefore not kept. A link is untrusted text: parameters that mean nothing here
 * are left out, and only a missing or broken info hash refuses the link. The reason of a `Malformed` is a sentence for whoever pasted it.
 *
 * Source: BEP 9, BEP 53 (`so`).
 */
import { Malformed } from '../kernel/errors.js';
import { formatAddress, type PeerAddress, parseAddress } from '../kernel/peer-address.js';
import type { InfoHash } from '../kernel/units.js';
import { cleanTracker, cleanWebSeed } from './source-address.js';

export interface MagnetLink {
  readonly infoHash: InfoHash;
  /** No control characters; at most 255 characters. */
  readonly name: string | undefined;
  readonly trackers: readonly string[];
  readonly webSeeds: readonly string[];
  readonly peers: readonly PeerAddress[];
  /** Indices of files, ascending; undefined where the link chooses none, which means all. */
  readonly selectOnly: readonly number[] | undefined;
}

/** Longest link that is read, in characters; the longest seen, with a hundred trackers, has some 5000. */
const LINK_LENGTH_MAX = 32_768;
const PARAMETERS_MAX_COUNT = 1024;
const TRACKERS_MAX_COUNT = 64;
const WEB_SEEDS_MAX_COUNT = 32;
const PEERS_MAX_COUNT = 64;
/** `so` beyond this index names no file that a torrent may have here. */
const SELECTED_MAX_COUNT = 100_000;
const NAME_LENGTH_MAX = 255;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const EXPECTED = 'expected magnet:?xt=urn:btih:<info hash>';

type Parameters = readonly (readonly [key: string, value: string])[];

const lenientUtf8 = new TextDecoder();

/** Reads a link. */
export function parseMagnet(text: string): MagnetLink | Malformed {
  if (text.length > LINK_LENGTH_MAX) {
    return new Malformed(`The magnet link has ${text.length} characters; at most ${LINK_LENGTH_MAX} are read. Was a whole page pasted?`);
  }
  const trimmed = text.trim().replace(/^<(.*)>$/su, '$1');
  if (trimmed === '') return new Malformed(`The magnet link is empty; ${EXPECTED}.`);
  const start = /^magnet:\/?\??/i.exec(trimmed)?.[0];
  if (start === undefined) return new Malformed(`The link starts with "${shorten(trimmed, 16)}"; ${EXPECTED}.`);
  if (!start.endsWith('?')) return new Malformed(`The magnet link has no "?" after "magnet:"; ${EXPECTED}.`);
  const parameters = readParameters(trimmed.slice(start.length));
  if (parameters instanceof Malformed) return parameters;
  const infoHash = readInfoHash(parameters);
  return infoHash instanceof Malformed ? infoHash : assemble(infoHash, parameters);
}

/** `magnet:?xt=urn:btih:<hex>&dn=..&tr=..&ws=..&x.pe=..&so=..` */
export function formatMagnet(link: MagnetLink): string {
  const parameters = [
    `xt=urn:btih:${link.infoHash}`,
    ...(link.name === undefined ? [] : [`dn=${encodeURIComponent(link.name)}`]),
    ...link.trackers.map((tracker) => `tr=${encodeURIComponent(tracker)}`),
    ...link.webSeeds.map((seed) => `ws=${encodeURIComponent(seed)}`),
    // Brackets and colons are legal in a query, and not every client decodes x.pe.
    ...link.peers.map((peer) => `x.pe=${formatAddress(peer)}`),
    ...(link.selectOnly === undefined ? [] : [`so=${formatSelection(link.selectOnly)}`]),
  ];
  return `magnet:?${parameters.join('&')}`;
}

function assemble(infoHash: InfoHash, parameters: Parameters): MagnetLink {
  const name = cleanName(valuesOf(parameters, 'dn')[0] ?? '');
  return {
    infoHash,
    name: name === '' ? undefined : name,
    trackers: distinct(valuesOf(parameters, 'tr').map(cleanTracker)).slice(0, TRACKERS_MAX_COUNT),
    webSeeds: distinct([...valuesOf(parameters, 'ws'), ...valuesOf(parameters, 'as')].map(cleanWebSeed)).slice(0, WEB_SEEDS_MAX_COUNT),
    peers: readPeers(valuesOf(parameters, 'x.pe')),
    selectOnly: readSelection(valuesOf(parameters, 'so')),
  };
}

function readInfoHash(parameters: Parameters): InfoHash | Malformed {
  const topics = valuesOf(parameters, 'xt');
  const topic = topics.find((value) => /^urn:btih:/i.test(value));
  if (topic !== undefined) return hashOf(topic.slice('urn:btih:'.length));
  if (topics.length === 0) return new Malformed(`The magnet link has no "xt"; ${EXPECTED}.`);
  return new Malformed(
    topics.some((value) => /^urn:btmh:/i.test(value))
      ? 'The magnet link names a BitTorrent version 2 hash only (urn:btmh); expected urn:btih:<info hash>, which hybrid torrents have too.'
      : `The magnet link's "xt" is "${shorten(topics[0] ?? '', 48)}"; expected urn:btih:<info hash>.`,
  );
}

function hashOf(text: string): InfoHash | Malformed {
  const hash = text.trim().toLowerCase();
  if (/^[0-9a-f]{40}$/.test(hash)) return hash;
  if (/^[a-z2-7]{32}$/.test(hash)) return hexOfBase32(hash);
  return new Malformed(
    `The magnet link's info hash "${shorten(text, 48)}" has ${hash.length} characters; expected 40 hex digits (0-9, a-f) or 32 of base32 (a-z, 2-7).`,
  );
}

function hexOfBase32(text: string): InfoHash {
  let bits = '';
  for (const character of text) bits += BASE32.indexOf(character).toString(2).padStart(5, '0');
  return bits.replace(/[01]{4}/g, (nibble) => Number.parseInt(nibble, 2).toString(16));
}

function readParameters(query: string): Parameters | Malformed {
  const parts = query.replace(/#.*$/s, '').split('&');
  if (parts.length > PARAMETERS_MAX_COUNT) {
    return new Malformed(`The magnet link has ${parts.length} parameters; at most ${PARAMETERS_MAX_COUNT} are read.`);
  }
  return parts.map((part) => {
    const equals = part.indexOf('=');
    const key = equals === -1 ? part : part.slice(0, equals);
    return [key.toLowerCase(), percentDecoded(equals === -1 ? '' : part.slice(equals + 1))] as const;
  });
}

/** Unlike `decodeURIComponent` it takes what old programs write: a lone percent sign stays one, bytes that are no UTF-8 become U+FFFD. */
function percentDecoded(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) =>
    lenientUtf8.decode(Uint8Array.from(run.slice(1).split('%'), (digits) => Number.parseInt(digits, 16))),
  );
}

/** A key that comes often may be numbered: `tr.1`, `tr.2`. */
function valuesOf(parameters: Parameters, key: string): string[] {
  return parameters
    .filter(([name]) => name === key || (name.startsWith(`${key}.`) && /^\d+$/.test(name.slice(key.length + 1))))
    .map(([, value]) => value);
}

/** Control characters, and those that turn the direction of writing and so disguise a name, are dropped; `+` is an old way to write a space. */
function cleanName(text: string): string {
  const clean = text
    .replace(/\+/g, ' ')
    .replace(/[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, '')
    .trim();
  return [...clean].slice(0, NAME_LENGTH_MAX).join('').trim();
}

function readPeers(values: readonly string[]): readonly PeerAddress[] {
  const peers = new Map<string, PeerAddress>();
  for (const value of values) {
    const address = parseAddress(value);
    if (address !== undefined && peers.size < PEERS_MAX_COUNT) peers.set(formatAddress(address), address);
  }
  return [...peers.values()];
}

/** `0,2,4-7`; parts that are no index and no ascending range are left out. Ranges may overlap, so they are put in order before they are counted out. */
function readSelection(values: readonly string[]): readonly number[] | undefined {
  const ranges = values
    .join(',')
    .split(',')
    .flatMap((part) => {
      const [, first, last = first] = /^\s*(\d{1,15})(?:-(\d{1,15}))?\s*$/.exec(part) ?? [];
      return first === undefined ? [] : [{ first: Number(first), last: Math.min(Number(last), SELECTED_MAX_COUNT - 1) }];
    })
    .sort((a, b) => a.first - b.first);
  const selected: number[] = [];
  for (const { first, last } of ranges) {
    for (let index = Math.max(first, (selected.at(-1) ?? -1) + 1); index <= last; index++) selected.push(index);
  }
  return selected.length === 0 ? undefined : selected;
}

function formatSelection(indices: readonly number[]): string {
  const parts: string[] = [];
  for (let start = 0; start < indices.length; ) {
    let end = start;
    while (indices[end + 1] === (indices[end] ?? 0) + 1) end++;
    parts.push(end === start ? `${indices[start]}` : `${indices[start]}-${indices[end]}`);
    start = end + 1;
  }
  return parts.join(',');
}

function distinct(values: readonly (string | undefined)[]): string[] {
  return [...new Set(values.filter((value) => value !== undefined))];
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 3)}...`;
}

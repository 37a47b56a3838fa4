/**
 * Redirect files of Windows Media: ASX (XML, loosely) and `[Reference]` (INI) texts, read for the addresses they name.
 *
 * Servers send them in place of a stream to players they do not know. Only addresses of schemes that a source can have are given, in order,
 * at most 16; how many such hops are followed is the caller's business (three). Source: protocols sheet 2.2.
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes } from '../kernel/units.js';
import { canBe, parseSourceUrl } from './source-url.js';

/** A longer text is no redirect file. */
export const ASX_BYTES_MAX: Bytes = 64 * 1024;

const REFERENCE_COUNT_MAX = 16;
const ENTITIES: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&apos;': "'" };

/** Never empty: a text without a usable address is `Malformed`. */
export function parseAsx(bytes: Uint8Array): readonly string[] | Malformed {
  const text = new TextDecoder().decode(bytes.subarray(0, ASX_BYTES_MAX));
  const named = /^\s*\ufeff?\s*\[reference\]/i.test(text) ? referencesOf(text) : /<asx[\s>]/i.test(text) ? hrefsOf(text) : undefined;
  if (named === undefined) return new Malformed('the server answered with a page, not with a stream or a redirect file');
  const usable = named.map(asSourceUrl).filter(isUsable);
  return usable.length > 0 ? usable : new Malformed('the redirect file names no mms, mmst, mmsh or http address');
}

function isUsable(text: string): boolean {
  const url = parseSourceUrl(text);
  return !(url instanceof Malformed) && canBe(url.scheme, 'asf');
}

function referencesOf(text: string): string[] {
  const matches = text.matchAll(/^[ \t]*ref\d{1,3}[ \t]*=[ \t]*([^\s]{1,2048})/gim);
  return Array.from(takeFirst(matches), ([, url = '']) => url);
}

function hrefsOf(text: string): string[] {
  const matches = text.matchAll(/<(?:ref|entryref)\s[^<>]{0,200}?href\s{0,9}=\s{0,9}["']([^"'<>]{1,2048})["']/gi);
  return Array.from(takeFirst(matches), ([, url = '']) =>
    url.trim().replace(/&(?:amp|lt|gt|quot|apos);/g, (entity) => ENTITIES[entity] ?? entity),
  );
}

function* takeFirst<Item>(items: Iterable<Item>): Generator<Item> {
  let count = 0;
  for (const item of items) {
    if (count++ === REFERENCE_COUNT_MAX) return;
    yield item;
  }
}

/** `http://…?MSWMExt=.asf` means "this address, by MMS over HTTP"; the parameter only chose the player. */
function asSourceUrl(url: string): string {
  return url.replace(/[?&]MSWMExt=\.asf$/i, '');
}

/**
 * What of a tracker's address may be seen in a log and on a page: private trackers know their users by names in it.
 */
import { printable } from './announce.js';

/** Shorter parts of an address are words. */
const SECRET_LENGTH_MIN = 6;

/** Without what may be a secret: a query, a password, and the names in paths by which private trackers know their users. */
export function shownUrl(url: string): string {
  const bare = url.replace(/[?#].*$/s, '').replace(/\/\/[^/@]*@/, '//');
  const [, place = bare, path = ''] = /^([a-z]+:\/\/[^/]*)(.*)$/is.exec(bare) ?? [];
  return printable(place + path.replace(/[^/]+/g, (name) => (isTelling(name) ? '…' : name)));
}

/** What stands in every tracker's address tells nothing. */
function isTelling(name: string): boolean {
  return !/^(announce(\.php)?|tracker|udp)?$/i.test(name);
}

/** A tracker's words, without what its address may hold of a secret: many repeat it. */
export function withoutSecrets(text: string, url: string): string {
  const [, rest = ''] = /^[a-z]+:\/\/[^/]*(.*)$/is.exec(url) ?? [];
  const secrets = rest.split(/[/?&=#]/).filter((part) => part.length >= SECRET_LENGTH_MIN && isTelling(part));
  return secrets.reduce((words, secret) => words.replaceAll(secret, '…'), text);
}

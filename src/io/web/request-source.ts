/**
 * Where a request comes from: a page of our own, a program, or somebody else's web page that uses a visitor's browser.
 *
 * A browser lets any page send simple requests anywhere and only keeps the answer from it, so a request that changes something must be
 * looked at before it is obeyed. Browsers name the page in `Origin` (RFC 6454) and its relation in `Sec-Fetch-Site` (W3C Fetch Metadata);
 * a page can neither forge nor omit them on a request that is not GET. Programs send neither.
 */
import type { IncomingHttpHeaders } from 'node:http';

/** What a form can send without asking (the simple types of the Fetch standard). */
const FORM_TYPES = ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'];
/** A proxy in front of us adds these; its own address says nothing of who asks. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip'];

/** Whether a page that is not ours sent it. `Host` has been checked before. */
export function isFromForeignPage(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin') return true;
  return headers.origin !== undefined && hostOf(headers.origin) !== headers.host?.toLowerCase();
}

/** The media type in lower case, without parameters; empty when there is none. */
export function contentTypeOf(headers: IncomingHttpHeaders): string {
  return (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

export function isFormType(contentType: string): boolean {
  return FORM_TYPES.includes(contentType);
}

/** Whether it was sent from this machine, and by nobody through a proxy. */
export function isFromThisMachine(headers: IncomingHttpHeaders, remoteAddress: string | undefined): boolean {
  const address = (remoteAddress ?? '').replace(/^::ffff:/, '');
  const isLoopback = address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address);
  return isLoopback && FORWARDED.every((name) => headers[name] === undefined);
}

function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/i.exec(origin)?.[1]?.toLowerCase();
}

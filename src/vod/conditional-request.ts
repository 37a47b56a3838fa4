/**
 * Conditional requests: whether a client needs the file at all, and whether its `Range` still speaks of the same file (RFC 9110, section 13).
 *
 * A file of a title never changes under its address, because the info hash is in the entity tag: the tag is strong, and a player that comes
 * back after days goes on where it was.
 */
import { formatHttpDate, parseHttpDate } from './http-date.js';

export interface Validators {
  /** With its quotes; strong. */
  readonly entityTag: string;
  /** Seconds since 1970; undefined when nobody honestly knows. */
  readonly modifiedS?: number | undefined;
}

/** The fields that make a request conditional, as they came. */
export interface ConditionalFields {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly ifModifiedSince?: string | undefined;
  readonly ifUnmodifiedSince?: string | undefined;
  readonly ifRange?: string | undefined;
}

/** `proceed`, or 304, or 412. */
export type Verdict = 'proceed' | 'not-modified' | 'precondition-failed';

const ENTITY_TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

/** The tag of one file of a title: `"<info hash>-<file index>"`. */
export function entityTagOf(infoHash: string, fileIndex: number): string {
  return `"${infoHash}-${fileIndex}"`;
}

/** In the order of RFC 9110, section 13.2.2, for GET and HEAD. */
export function judgeConditions(fields: ConditionalFields, validators: Validators): Verdict {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = fields;
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, validators.entityTag, false)) return 'precondition-failed';
  } else if (ifUnmodifiedSince !== undefined && isNewer(validators, ifUnmodifiedSince) === true) return 'precondition-failed';
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, validators.entityTag, true) ? 'not-modified' : 'proceed';
  if (ifModifiedSince !== undefined && isNewer(validators, ifModifiedSince) === false) return 'not-modified';
  return 'proceed';
}

/** Whether `Range` is to be honoured: without `If-Range` it is; with it, only for the very same file. */
export function rangeApplies(ifRange: string | undefined, { entityTag, modifiedS }: Validators): boolean {
  if (ifRange === undefined) return true;
  if (ifRange.endsWith('"')) return ifRange === entityTag;
  return modifiedS !== undefined && ifRange === formatHttpDate(modifiedS);
}

/** A weak tag compares only where the content is not asked for in parts. */
function matches(list: string, entityTag: string, weakly: boolean): boolean {
  if (list.trim() === '*') return true;
  return (list.match(ENTITY_TAG) ?? []).some((tag) => tag === entityTag || (weakly && tag === `W/${entityTag}`));
}

/** Undefined when either side is not known. */
function isNewer({ modifiedS }: Validators, date: string): boolean | undefined {
  const sinceS = parseHttpDate(date);
  return sinceS === undefined || modifiedS === undefined ? undefined : modifiedS > sinceS;
}

/**
 * Byte ranges of an HTTP request: which parts of a file its `Range` field asks for (RFC 9110, section 14).
 *
 * Where the RFC leaves the choice ("MAY ignore or reject"), the answer is that of nginx, which players are tested against: a field that
 * is malformed is unsatisfiable, and ranges that are many or add up to more than the file are ignored. A unit other than bytes is
 * ignored, as the RFC demands. Works in time proportional to the field, and never returns more than `RANGES_MAX` ranges.
 */
import type { Bytes } from '../kernel/units.js';

/** Bytes from `fromByte` up to but not including `toByte`; never empty. */
export interface ByteRange {
  readonly fromByte: Bytes;
  readonly toByte: Bytes;
}

/** `whole`: answer 200 as if nothing had been asked. `unsatisfiable`: answer 416 and the file's length. Else the ranges in the order asked. */
export type RangeAnswer = 'whole' | 'unsatisfiable' | readonly ByteRange[];

/** No player asks for more than two at once; beyond this it is an attack (RFC 9110, 17.15), and each range costs a part of the answer. */
export const RANGES_MAX = 16;

/** Unsatisfiable and empty elements count here too. */
const ELEMENTS_MAX = 4 * RANGES_MAX;

/** A list of nothing asks for nothing. */
const UNIT = /^bytes=./i;
/** One element of the list; empty ones are allowed and mean nothing (RFC 9110, 5.6.1). */
const ELEMENT = /^[ \t]*(?:(?:(\d+)[ \t]*-[ \t]*(\d*))|(?:-[ \t]*(\d+)))?[ \t]*$/;

/** What a request with this `Range` field gets of a file of this length. */
export function resolveRange(field: string | undefined, lengthBytes: Bytes): RangeAnswer {
  if (field === undefined || !UNIT.test(field)) return 'whole';
  const elements = field.slice('bytes='.length).split(',');
  if (elements.length > ELEMENTS_MAX) return 'whole';
  const ranges: ByteRange[] = [];
  for (const element of elements) {
    const range = resolveElement(element, lengthBytes);
    if (range === 'malformed') return 'unsatisfiable';
    if (range === 'whole') return 'whole';
    if (range !== 'nothing') ranges.push(range);
  }
  if (ranges.length === 0) return 'unsatisfiable';
  if (ranges.length > RANGES_MAX || asked(ranges) > lengthBytes) return 'whole';
  return ranges;
}

/** The value of `Content-Range` for one part: `bytes 0-499/1234`. */
export function formatContentRange({ fromByte, toByte }: ByteRange, lengthBytes: Bytes): string {
  return `bytes ${fromByte}-${toByte - 1}/${lengthBytes}`;
}

/** The value of `Content-Range` that goes with 416. */
export function formatUnsatisfied(lengthBytes: Bytes): string {
  return `bytes */${lengthBytes}`;
}

function resolveElement(element: string, lengthBytes: Bytes): ByteRange | 'nothing' | 'malformed' | 'whole' {
  const match = ELEMENT.exec(element);
  if (match === null) return 'malformed';
  const [, first, last, suffix] = match;
  if (suffix !== undefined) return within(Math.max(0, lengthBytes - Number(suffix)), lengthBytes, lengthBytes);
  if (first === undefined) return 'nothing';
  const fromByte = Number(first);
  const toByte = last === '' ? Number.POSITIVE_INFINITY : Number(last) + 1;
  if (toByte <= fromByte) return 'malformed';
  return within(fromByte, Math.min(toByte, lengthBytes), lengthBytes);
}

/** An empty file has no byte to give, but whoever asks for it from its start asks for all of it. */
function within(fromByte: Bytes, toByte: Bytes, lengthBytes: Bytes): ByteRange | 'nothing' | 'whole' {
  if (fromByte === 0 && lengthBytes === 0) return 'whole';
  return fromByte < toByte ? { fromByte, toByte } : 'nothing';
}

function asked(ranges: readonly ByteRange[]): Bytes {
  return ranges.reduce((sum, { fromByte, toByte }) => sum + toByte - fromByte, 0);
}

/**
 * Subtitles for a browser: SubRip files, in whatever encoding they were saved, as WebVTT in UTF-8.
 *
 * SubRip has no standard; this takes what players take: any line ends, missing numbers, a comma or a point before the milliseconds, text
 * in UTF-8, UTF-16 or one byte per character. Of markup, bold, italic and underline stay; everything else becomes text or goes. A
 * file that is WebVTT already keeps its content. Bounded by `SUBTITLE_BYTES_MAX` and `CUES_MAX`; never throws.
 *
 * WebVTT: W3C Candidate Recommendation, section 4.
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes } from '../kernel/units.js';

/** A film has about 2000 cues of 60 bytes; this is thirty times that. */
export const SUBTITLE_BYTES_MAX: Bytes = 4 * 1024 * 1024;
const CUES_MAX = 50_000;
const CUE_CHARACTERS_MAX = 4_000;
/** How much of the beginning shows whether there are two bytes to a character. */
const SAMPLE_BYTES: Bytes = 1024;

const WESTERN = 'windows-1252';
/** Codes 0x80 to 0x9f of that encoding, which decoders of some runtimes leave as control characters. */
const WESTERN_CHARACTERS = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';
const CONTROL = /[\x80-\x9f]/g;

interface Cue {
  readonly startMs: number;
  readonly endMs: number;
  readonly text: string;
}

const TIMING = /^\s*(\d{1,4}):(\d{1,2}):(\d{1,2})(?:[,.](\d{1,3}))?\s*-->\s*(\d{1,4}):(\d{1,2}):(\d{1,2})(?:[,.](\d{1,3}))?/;
const KEPT_TAG = /&lt;(\/?[biu])&gt;/gi;
/** `<font …>`, `<c.x>`, and the braces that SubRip borrowed from SSA: `{\an8}`. */
const DROPPED_TAG = /<\/?(?:font|span|c|s|v|ruby|rt)\b[^<>\n]{0,200}>|\{\\[^{}\n]{0,200}\}/gi;

/** The WebVTT text. Malformed when the file is too long, or holds no cue. */
export function toWebVtt(bytes: Uint8Array): string | Malformed {
  if (bytes.length > SUBTITLE_BYTES_MAX) return new Malformed(`a subtitle file of ${bytes.length} bytes; ${SUBTITLE_BYTES_MAX} are taken.`);
  const text = decodeText(bytes).replace(/\r\n?/g, '\n').replaceAll('\0', '');
  if (/^WEBVTT(?:[ \t\n]|$)/.test(text)) return text;
  const cues = parseCues(text.split('\n'));
  if (cues.length === 0) return new Malformed('no line of the form "00:00:01,000 --> 00:00:02,000", so this is no SubRip file.');
  return formatCues(cues);
}

/** By its mark, by its zeros, or by whether it is UTF-8; otherwise one byte per character as on Western Windows. */
export function decodeText(bytes: Uint8Array): string {
  const encoding = encodingOf(bytes);
  const text = new TextDecoder(encoding).decode(bytes);
  return encoding === WESTERN
    ? text.replace(CONTROL, (character) => WESTERN_CHARACTERS[character.charCodeAt(0) - 0x80] ?? character)
    : text;
}

function encodingOf(bytes: Uint8Array): string {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  const zeros = [0, 0];
  for (let index = 0; index < Math.min(bytes.length, SAMPLE_BYTES); index++)
    if (bytes[index] === 0) zeros[index % 2] = (zeros[index % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = zeros;
  const few = Math.min(bytes.length, SAMPLE_BYTES) / 8;
  if (odd > few && odd > even * 4) return 'utf-16le';
  if (even > few && even > odd * 4) return 'utf-16be';
  return isUtf8(bytes) ? 'utf-8' : WESTERN;
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** A cue is a timing line and what follows up to an empty line or the next cue. */
function parseCues(lines: readonly string[]): readonly Cue[] {
  const cues: Cue[] = [];
  for (let index = 0; index < lines.length && cues.length < CUES_MAX; index++) {
    const timing = TIMING.exec(lines[index] ?? '');
    if (timing === null) continue;
    const end = endOfCue(lines, index + 1);
    const cue = makeCue(timing, lines.slice(index + 1, end));
    if (cue !== undefined) cues.push(cue);
    index = end - 1;
  }
  return cues.sort((one, other) => one.startMs - other.startMs);
}

function endOfCue(lines: readonly string[], from: number): number {
  let end = from;
  while (end < lines.length && lines[end]?.trim() !== '' && !TIMING.test(lines[end] ?? '')) end++;
  // The number of a cue that follows without an empty line is no text.
  const runsOn = end < lines.length && TIMING.test(lines[end] ?? '') && /^\s*\d+\s*$/.test(lines[end - 1] ?? '');
  return runsOn && end > from ? end - 1 : end;
}

function makeCue(timing: RegExpExecArray, lines: readonly string[]): Cue | undefined {
  const startMs = milliseconds(timing.slice(1, 5));
  const endMs = milliseconds(timing.slice(5, 9));
  const text = lines.join('\n').slice(0, CUE_CHARACTERS_MAX).trim();
  return endMs > startMs && text !== '' ? { startMs, endMs, text } : undefined;
}

/** `5` after the comma is 5 ms when written `005`, and 500 ms when written `5`. */
function milliseconds([hours = '0', minutes = '0', seconds = '0', fraction]: readonly (string | undefined)[]): number {
  return (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000 + Number((fraction ?? '').padEnd(3, '0'));
}

function formatCues(cues: readonly Cue[]): string {
  const blocks = cues.map(({ startMs, endMs, text }) => `${formatTime(startMs)} --> ${formatTime(endMs)}\n${escapeText(text)}`);
  return `WEBVTT\n\n${blocks.join('\n\n')}\n`;
}

function formatTime(timeMs: number): string {
  const [hours, minutes, seconds] = [timeMs / 3_600_000, (timeMs / 60_000) % 60, (timeMs / 1000) % 60].map(Math.floor);
  return `${[hours, minutes, seconds].map((part) => String(part).padStart(2, '0')).join(':')}.${String(timeMs % 1000).padStart(3, '0')}`;
}

function escapeText(text: string): string {
  const escaped = text.replace(DROPPED_TAG, '').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  // A text that was nothing but markup leaves no empty line behind: that would end the cue.
  return escaped
    .replace(KEPT_TAG, (_tag, name: string) => `<${name.toLowerCase()}>`)
    .split('\n')
    .map((line) => line.trim() || '\u00a0')
    .join('\n');
}

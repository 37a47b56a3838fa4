/**
 * Inputs and effects of a live exchange as a person reads them: short, on one line, every field in it, byte strings by their length and beginning.
 */
import { Bitfield } from '../../kernel/bitfield.js';
import type { LiveMessage } from '../exchange/live-message.js';

/** So many bytes of a byte string are shown. */
const SHOWN_BYTES = 8;

export function wordsOfMessage(message: LiveMessage): string {
  const { kind, ...fields } = message;
  return `${kind} ${wordsOf(fields)}`;
}

/** @param digest says what the bytes are beyond what is shown of them; without it, length and beginning have to do. */
export function wordsOf(value: unknown, digest: (bytes: Uint8Array) => string = () => ''): string {
  if (value instanceof Uint8Array) return `<${value.length} bytes ${hexOf(value.subarray(0, SHOWN_BYTES))}${digest(value)}>`;
  if (value instanceof Bitfield) return `<${value.count} of ${value.length}: ${hexOf(value.bytes)}>`;
  if (Array.isArray(value)) return `[${value.map((inner) => wordsOf(inner, digest)).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return typeof value === 'string' ? JSON.stringify(value) : String(value);
  const fields = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return `{${fields.map(([name, inner]) => `${name}: ${wordsOf(inner, digest)}`).join(', ')}}`;
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

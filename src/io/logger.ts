/**
 * The log: one event per line, JSON for machines or pretty for a terminal, always on standard error. The only importer of pino.
 *
 * Two promises: no secret ever reaches a line (fields named like one, and `?key=` in any text, are blanked), and no text from outside can
 * steer a terminal or begin a line of its own (control characters are blanked). Writing is synchronous, so the last line before an exit is there.
 */
import { createRequire } from 'node:module';
import { isatty } from 'node:tty';
import { type DestinationStream, type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';
import type Pretty from 'pino-pretty';
import type { Log } from '../kernel/ports.js';

type Fields = Readonly<Record<string, unknown>>;

export interface LoggerOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** `auto` is pretty when `destination` is a terminal. */
  readonly format: 'auto' | 'pretty' | 'json';
  /** File descriptor; 2 is standard error. Standard output belongs to people's instructions and to `--json`. */
  readonly destination?: number;
}

const require = createRequire(import.meta.url);
const BLANKED = '[redacted]';
/** Names of fields that hold secrets. `publicKey` is none. */
const SECRET_NAME = /^(stream|private|secret)?_?key$|secret|token|passw|seed$|^authorization$/i;
/** Secrets in addresses: a query parameter, or the password before the host. */
const SECRET_PARAMETER = /([?&;](?:stream_?key|key|secret|token|passw?o?r?d?|sign)=)[^&;#\s"'<>]*/gi;
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]{0,15}:\/\/[^\s/:@]*:)[^\s/@]+@/gi;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;
const DEPTH_MAX = 5;
const ITEMS_MAX = 100;
const CHARACTERS_MAX = 4000;

/** A log that writes to `destination`. */
export function createLogger({ level, format, destination = 2 }: LoggerOptions): Log {
  const isPretty = format === 'pretty' || (format === 'auto' && isatty(destination));
  const options = { level, base: null, timestamp: stdTimeFunctions.isoTime, formatters: { level: (label: string) => ({ level: label }) } };
  return new Logger(pino(options, isPretty ? prettyStream(destination) : pino.destination({ dest: destination, sync: true })));
}

function prettyStream(destination: number): DestinationStream {
  // Loaded only here: machines read JSON.
  const pretty = require('pino-pretty') as typeof Pretty;
  return pretty({ destination, sync: true, singleLine: true, colorize: isatty(destination), translateTime: 'SYS:HH:MM:ss.l' });
}

class Logger implements Log {
  readonly #pino: PinoLogger;

  constructor(inner: PinoLogger) {
    this.#pino = inner;
  }

  debug(message: string, fields: Fields = {}): void {
    if (this.#pino.isLevelEnabled('debug')) this.#pino.debug(safeFields(fields), safeText(message));
  }

  info(message: string, fields: Fields = {}): void {
    if (this.#pino.isLevelEnabled('info')) this.#pino.info(safeFields(fields), safeText(message));
  }

  warn(message: string, fields: Fields = {}): void {
    if (this.#pino.isLevelEnabled('warn')) this.#pino.warn(safeFields(fields), safeText(message));
  }

  error(message: string, fields: Fields = {}): void {
    if (this.#pino.isLevelEnabled('error')) this.#pino.error(safeFields(fields), safeText(message));
  }

  child(fields: Fields): Log {
    return new Logger(this.#pino.child(safeFields(fields)));
  }
}

/** Text without secrets and without control characters, and not longer than a screen. Also for what is printed past the log. */
export function safeText(text: string): string {
  const short = text.length > CHARACTERS_MAX ? `${text.slice(0, CHARACTERS_MAX)}…` : text;
  return short.replace(SECRET_PARAMETER, `$1${BLANKED}`).replace(URL_PASSWORD, `$1${BLANKED}@`).replace(CONTROL, ' ');
}

function safeFields(fields: Fields): Record<string, unknown> {
  return safeRecord(Object.entries(fields), 0);
}

function safeRecord(entries: readonly [string, unknown][], depth: number): Record<string, unknown> {
  const safe = entries
    .slice(0, ITEMS_MAX)
    .map(([name, value]) => [safeText(name), SECRET_NAME.test(name) ? BLANKED : safeValue(value, depth)]);
  return Object.fromEntries(safe);
}

function safeValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return safeText(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return safeError(value, depth);
  if (value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (depth >= DEPTH_MAX) return '…';
  if (Array.isArray(value)) return value.slice(0, ITEMS_MAX).map((item) => safeValue(item, depth + 1));
  if (value instanceof Map)
    return safeRecord(
      [...value].map(([name, inner]) => [String(name), inner]),
      depth + 1,
    );
  if (value instanceof Set) return safeValue([...value], depth);
  return safeRecord(Object.entries(value), depth + 1);
}

/** What a person needs of an error, its own fields (`code`, `data`) and its causes included. */
function safeError(error: Error, depth: number): unknown {
  const stack = (error.stack ?? '')
    .split('\n')
    .slice(1)
    .map((line) => safeText(line.trim()));
  const own = depth >= DEPTH_MAX ? {} : safeRecord(Object.entries(error), depth + 1);
  const cause = error.cause === undefined || depth >= DEPTH_MAX ? {} : { cause: safeValue(error.cause, depth + 1) };
  return { ...own, name: safeText(error.name), message: safeText(error.message), stack, ...cause };
}

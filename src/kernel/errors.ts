/**
 * The catalogue of everything that can go wrong, with one stable code each (`AREA_WHAT`).
 *
 * Three kinds of wrong, three ways (style guide, section 4): our own bug throws `INVARIANT`; a remote's fault is a value
 * (`Malformed`) and never a throw; the world's fault (a port taken, a file unreadable) rejects with a `ShoalError`.
 * A retired code is never used again.
 */
export type ErrorCode =
  | 'INVARIANT'
  | 'CONFIG_UNREADABLE'
  | 'CONFIG_SYNTAX'
  | 'CONFIG_UNKNOWN_KEY'
  | 'CONFIG_RANGE'
  | 'CHANNEL_UNKNOWN'
  | 'CHANNEL_EXISTS'
  | 'CHANNEL_NAME'
  | 'LINK_MALFORMED'
  | 'DESCRIPTOR_MALFORMED'
  | 'DATA_DIR_UNUSABLE'
  | 'KEYS_UNREADABLE'
  | 'KEYS_MODE'
  | 'DELEGATION_REFUSED'
  | 'GRANT_REFUSED'
  | 'PORT_TAKEN'
  | 'ADDRESS_UNUSABLE'
  | 'FFMPEG_MISSING'
  | 'FFMPEG_FAILED'
  | 'PLAYER_MISSING'
  | 'TITLE_FILE_UNKNOWN'
  | 'TITLE_UNREADABLE'
  | 'TITLE_EMPTY'
  | 'TITLE_CHANGED'
  | 'TITLE_NAME'
  | 'WEB_SEED_FAILED'
  | 'TITLE_UNKNOWN'
  | 'METADATA_UNKNOWN'
  | 'TITLE_GONE'
  | 'TORRENT_MALFORMED'
  | 'TORRENT_UNREACHABLE'
  | 'TORRENT_UNWRITABLE'
  | 'TITLES_LOCKED'
  | 'HOST_RUNNING'
  | 'HOST_PATH_TAKEN'
  | 'TITLE_COLLISION'
  | 'TITLE_DISK_FULL'
  | 'TITLE_DISK_READ_ONLY'
  | 'TITLE_DISK_FAILED'
  | 'TITLE_FILES_EXHAUSTED'
  | 'TITLE_DATA_MISSING'
  | 'TITLE_STORE_BUSY'
  | 'TITLE_STORE_CLOSED'
  | 'SCENARIO_UNKNOWN'
  | 'SCENARIO_BASELINE'
  | 'SCENARIO_UNWRITABLE'
  | 'TRACE_UNWRITABLE'
  | 'TRACE_MALFORMED';

/** An error that a person reads: what is wrong, where, and what would be right. */
export class ShoalError extends Error {
  readonly code: ErrorCode;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, data: Readonly<Record<string, unknown>> = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ShoalError';
    this.code = code;
    this.data = data;
  }
}

/** What a decoder returns for bytes that no honest peer sends. `reason` goes to the log, never back to the peer. */
export class Malformed {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** Holds a sentence about our own code true; a false one is our bug, and the process may die of it. */
export function invariant(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new ShoalError('INVARIANT', sentence);
}

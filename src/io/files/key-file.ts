/**
 * The secrets of a station, in one file that nobody else can read: `keys.json`, mode 0600, in the data folder.
 *
 * Holds the owner's seed (whoever has it can sign for every channel of this station), the stream keys, and the channels made with
 * `shoal channel create`. Every change reads the file again first, so that a second process on the same folder loses nothing, and is
 * written atomically. A file that cannot be understood is never overwritten.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ShoalError } from '../../kernel/errors.js';
import type { Bytes } from '../../kernel/units.js';
import { writeFileAtomically } from './atomic-file.js';

/** A channel that was made on the command line rather than in the configuration. */
export interface StoredChannel {
  /** Names the channel in addresses and files; unique in the station. */
  readonly slug: string;
  readonly name: string;
  readonly source: string;
  readonly container: 'flv' | 'asf';
  /** Where the source is really fetched; may hold a token. */
  readonly pull?: string | undefined;
  /** Everybody may publish it. */
  readonly open?: boolean | undefined;
}

interface Content {
  readonly ownerSeed: string | undefined;
  readonly streamKeys: ReadonlyMap<string, string>;
  readonly channels: readonly StoredChannel[];
}

const FILE_NAME = 'keys.json';
const SEED_BYTES: Bytes = 32;
/** 144 random bits: nobody guesses it, and it still fits the key field of every encoder (24 characters). */
const STREAM_KEY_BYTES: Bytes = 18;
const EMPTY: Content = { ownerSeed: undefined, streamKeys: new Map(), channels: [] };

export class KeyFile {
  readonly path: string;
  readonly #generateSeed: () => Uint8Array;

  private constructor(path: string, generateSeed: () => Uint8Array) {
    this.path = path;
    this.#generateSeed = generateSeed;
  }

  /**
   * Opens the file, or makes ready to create it at the first secret.
   *
   * @param generateSeed gives 32 random bytes for a new owner.
   * @throws ShoalError `KEYS_MODE` when others can read the file or change the folder (the message has the command that cures it),
   * `KEYS_UNREADABLE` when the content is not ours. So do all methods, since each looks at the file anew.
   */
  static open(dataDir: string, generateSeed: () => Uint8Array): KeyFile {
    const file = new KeyFile(join(dataDir, FILE_NAME), generateSeed);
    file.#read();
    return file;
  }

  /** 32 bytes; made on first use. */
  get ownerSeed(): Uint8Array {
    const content = this.#read();
    if (content.ownerSeed !== undefined) return fromBase64Url(content.ownerSeed);
    const seed = this.#generateSeed();
    this.#write({ ...content, ownerSeed: toBase64Url(seed) });
    return seed;
  }

  /** The key that publishes to the channel: 24 URL-safe characters, made on first use. */
  streamKey(slug: string): string {
    const content = this.#read();
    const known = content.streamKeys.get(slug);
    if (known !== undefined) return known;
    const key = toBase64Url(randomBytes(STREAM_KEY_BYTES));
    this.#write({ ...content, streamKeys: new Map([...content.streamKeys, [slug, key]]) });
    return key;
  }

  /** In the order they were made. */
  channels(): readonly StoredChannel[] {
    return this.#read().channels;
  }

  /** Forgets a channel and its stream key. Does nothing for an unknown slug. */
  removeChannel(slug: string): void {
    const content = this.#read();
    const channels = content.channels.filter((channel) => channel.slug !== slug);
    this.#write({ ...content, channels, streamKeys: new Map([...content.streamKeys].filter(([known]) => known !== slug)) });
  }

  /** @throws ShoalError `CHANNEL_EXISTS` when the slug is taken. */
  addChannel(channel: StoredChannel): void {
    const content = this.#read();
    if (content.channels.some(({ slug }) => slug === channel.slug)) {
      throw new ShoalError('CHANNEL_EXISTS', `there is a channel "${channel.slug}" already; choose another name`, { slug: channel.slug });
    }
    this.#write({ ...content, channels: [...content.channels, channel] });
  }

  #read(): Content {
    if (!existsSync(this.path)) return EMPTY;
    this.#checkMode(this.path, 0o077, 'others can read it', '600');
    this.#checkMode(dirname(this.path), 0o022, 'others can change it', '700');
    try {
      return contentOf(JSON.parse(readFileSync(this.path, 'utf8')));
    } catch (cause) {
      throw new ShoalError(
        'KEYS_UNREADABLE',
        `${this.path}: not a keys file of this program (${reasonOf(cause)}). Nothing was changed. Put a copy back, or move the file away to ` +
          'start with new keys: channels of the old owner then get new links',
        // No `cause`: a parser's message quotes the text, which is secret.
        { path: this.path },
      );
    }
  }

  #write(content: Content): void {
    const value = { version: 1, ...content, streamKeys: Object.fromEntries(content.streamKeys) };
    writeFileAtomically(this.path, `${JSON.stringify(value, null, 2)}\n`);
    // A folder that was there before and is open to others shows now rather than at the next start.
    this.#checkMode(dirname(this.path), 0o022, 'others can change it', '700');
  }

  #checkMode(path: string, forbiddenBits: number, problem: string, right: string): void {
    if (process.platform === 'win32' || (statSync(path).mode & forbiddenBits) === 0) return;
    const mode = (statSync(path).mode & 0o777).toString(8);
    throw new ShoalError('KEYS_MODE', `${path}: ${problem} (mode ${mode}), and secrets lie there. Run: chmod ${right} '${path}'`, {
      path,
      mode,
    });
  }
}

/** @throws Error with a reason that quotes nothing. */
function contentOf(value: unknown): Content {
  const { version, ownerSeed, streamKeys, channels } = record(value, 'the file');
  if (version !== 1) throw new Refusal('"version" is not 1');
  if (ownerSeed !== undefined && (typeof ownerSeed !== 'string' || fromBase64Url(ownerSeed).length !== SEED_BYTES)) {
    throw new Refusal('"ownerSeed" is not 32 bytes');
  }
  const keys = Object.entries(record(streamKeys, '"streamKeys"'));
  if (!keys.every((entry): entry is [string, string] => typeof entry[1] === 'string')) throw new Refusal('a stream key is not text');
  if (!Array.isArray(channels) || !channels.every(isStoredChannel)) throw new Refusal('"channels" is not a list of channels');
  return { ownerSeed, streamKeys: new Map(keys), channels };
}

function isStoredChannel(value: unknown): value is StoredChannel {
  if (typeof value !== 'object' || value === null) return false;
  const { slug, name, source, container, pull, open } = value as Readonly<Record<string, unknown>>;
  if (open !== undefined && typeof open !== 'boolean') return false;
  if (pull !== undefined && typeof pull !== 'string') return false;
  return typeof slug === 'string' && typeof name === 'string' && typeof source === 'string' && (container === 'flv' || container === 'asf');
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Refusal(`${what} is not an object`);
  return value as Readonly<Record<string, unknown>>;
}

class Refusal extends Error {}

/** Only our own words: a parser's message may quote a secret. */
function reasonOf(cause: unknown): string {
  if (cause instanceof Refusal) return cause.message;
  if (cause instanceof SyntaxError) return 'it is not JSON';
  return (cause as NodeJS.ErrnoException).code ?? 'it cannot be read';
}

function toBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

function fromBase64Url(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'));
}

/**
 * The secrets of a station, in one file that nobody else can read: `keys.json`, mode 0600, in the data folder.
 *
 * Holds the owner's seed (whoever has it can sign for every channel of this station), the stream keys, the channels made with
 * `shoal channel create` or taken over with `shoal channel accept`, and who may publish what: grants that were accepted here, publishers
 * that were delegated here, and the newest list of withdrawn keys of each channel. Version 1 of the file lacks these. Every change reads the file again first, so that a second process on the same folder loses nothing, and is
 * written atomically. A file that cannot be understood is never overwritten.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Malformed, ShoalError } from '../../kernel/errors.js';
import type { Bytes, InfoHash } from '../../kernel/units.js';
import { decodeRevocationList } from '../../relay/exchange/revocation-list.js';
import { writeFileAtomically } from './atomic-file.js';
import { checkFileMode, checkFolderMode } from './file-mode.js';

/** A channel that was made on the command line rather than in the configuration. */
export interface StoredChannel {
  /** Names the channel in addresses and files; unique in the station. */
  readonly slug: string;
  readonly name: string;
  readonly source: string;
  readonly container: 'flv' | 'asf';
  /** Everybody may publish it. */
  readonly open?: boolean | undefined;
  /** Somebody else's channel, which this station may publish by a grant: its id. */
  readonly granted?: InfoHash | undefined;
}

/** A publisher key that the owner, this station, has delegated. */
export interface StoredDelegation {
  /** Public key, 64 hex digits. */
  readonly key: string;
  /** What the owner calls it; may be empty. */
  readonly label: string;
  /** The newest certificate of the key, base64url. */
  readonly certificate: string;
}

/** Who may publish what, by channel id. */
export interface StoredAuthority {
  /** Grants accepted here, as text. */
  readonly grants: ReadonlyMap<InfoHash, string>;
  /** Publishers delegated here, in the order they were first delegated. */
  readonly delegations: ReadonlyMap<InfoHash, readonly StoredDelegation[]>;
  /** The newest revocation list known, base64url. */
  readonly revocations: ReadonlyMap<InfoHash, string>;
}

interface Content extends StoredAuthority {
  readonly ownerSeed: string | undefined;
  readonly streamKeys: ReadonlyMap<string, string>;
  readonly channels: readonly StoredChannel[];
}

const FILE_NAME = 'keys.json';
const SEED_BYTES: Bytes = 32;
/** 144 random bits: nobody guesses it, and it still fits the key field of every encoder (24 characters). */
const STREAM_KEY_BYTES: Bytes = 18;
const VERSION = 2;
const VERSIONS_READ: readonly unknown[] = [1, VERSION];
const NO_AUTHORITY: StoredAuthority = { grants: new Map(), delegations: new Map(), revocations: new Map() };
const EMPTY: Content = { ownerSeed: undefined, streamKeys: new Map(), channels: [], ...NO_AUTHORITY };

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
    const granted = content.channels.find((channel) => channel.slug === slug)?.granted;
    const grants = new Map([...content.grants].filter(([id]) => id !== granted));
    this.#write({ ...content, channels, grants, streamKeys: new Map([...content.streamKeys].filter(([known]) => known !== slug)) });
  }

  /** @throws ShoalError `CHANNEL_EXISTS` when the slug is taken. */
  addChannel(channel: StoredChannel): void {
    const content = this.#read();
    if (content.channels.some(({ slug }) => slug === channel.slug)) {
      throw new ShoalError('CHANNEL_EXISTS', `there is a channel "${channel.slug}" already; choose another name`, { slug: channel.slug });
    }
    this.#write({ ...content, channels: [...content.channels, channel] });
  }

  authority(): StoredAuthority {
    return this.#read();
  }

  /** Keeps a grant in place of an earlier one of the same channel. */
  keepGrant(id: InfoHash, grant: string): void {
    const content = this.#read();
    this.#write({ ...content, grants: new Map([...content.grants, [id, grant]]) });
  }

  /** Keeps a delegation in place of an earlier one of the same key. */
  keepDelegation(id: InfoHash, delegation: StoredDelegation): void {
    const content = this.#read();
    const known = content.delegations.get(id) ?? [];
    const isKnown = known.some(({ key }) => key === delegation.key);
    const delegations = isKnown ? known.map((one) => (one.key === delegation.key ? delegation : one)) : [...known, delegation];
    this.#write({ ...content, delegations: new Map([...content.delegations, [id, delegations]]) });
  }

  /** The newest revocation list that was kept for the channel. */
  revocations(id: InfoHash): Uint8Array | undefined {
    const text = this.#read().revocations.get(id);
    return text === undefined ? undefined : fromBase64Url(text);
  }

  /** Keeps a revocation list whose signature has been checked, if it is newer than the known one. @returns whether it was. */
  keepRevocations(id: InfoHash, bytes: Uint8Array): boolean {
    const content = this.#read();
    const known = content.revocations.get(id);
    if (known !== undefined && serialOf(fromBase64Url(known)) >= serialOf(bytes)) return false;
    this.#write({ ...content, revocations: new Map([...content.revocations, [id, toBase64Url(bytes)]]) });
    return true;
  }

  #read(): Content {
    if (!existsSync(this.path)) return EMPTY;
    checkFileMode(this.path);
    checkFolderMode(this.path);
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
    const { ownerSeed, channels } = content;
    const value = {
      version: VERSION,
      ownerSeed,
      streamKeys: Object.fromEntries(content.streamKeys),
      channels,
      grants: Object.fromEntries(content.grants),
      delegations: Object.fromEntries(content.delegations),
      revocations: Object.fromEntries(content.revocations),
    };
    writeFileAtomically(this.path, `${JSON.stringify(value, null, 2)}\n`);
    // A folder that was there before and is open to others shows now rather than at the next start.
    checkFolderMode(this.path);
  }
}

/** Of a list that cannot be read: less than any. */
function serialOf(bytes: Uint8Array): number {
  const list = decodeRevocationList(bytes);
  return list instanceof Malformed ? -1 : list.serial;
}

/** @throws Error with a reason that quotes nothing. */
function contentOf(value: unknown): Content {
  const { version, ownerSeed, streamKeys, channels, grants, delegations, revocations } = record(value, 'the file');
  if (!VERSIONS_READ.includes(version)) throw new Refusal(`"version" is neither ${VERSIONS_READ.join(' nor ')}`);
  if (ownerSeed !== undefined && (typeof ownerSeed !== 'string' || fromBase64Url(ownerSeed).length !== SEED_BYTES)) {
    throw new Refusal('"ownerSeed" is not 32 bytes');
  }
  const keys = texts(streamKeys, '"streamKeys"');
  if (!Array.isArray(channels) || !channels.every(isStoredChannel)) throw new Refusal('"channels" is not a list of channels');
  const lists = Object.entries(record(delegations ?? {}, '"delegations"'));
  if (!lists.every((entry): entry is [string, StoredDelegation[]] => Array.isArray(entry[1]) && entry[1].every(isStoredDelegation))) {
    throw new Refusal('"delegations" does not hold lists of delegations');
  }
  return {
    ownerSeed,
    streamKeys: keys,
    channels,
    grants: texts(grants ?? {}, '"grants"'),
    delegations: new Map(lists),
    revocations: texts(revocations ?? {}, '"revocations"'),
  };
}

function texts(value: unknown, what: string): ReadonlyMap<string, string> {
  const entries = Object.entries(record(value, what));
  if (!entries.every((entry): entry is [string, string] => typeof entry[1] === 'string'))
    throw new Refusal(`${what} holds what is no text`);
  return new Map(entries);
}

function isStoredDelegation(value: unknown): value is StoredDelegation {
  if (typeof value !== 'object' || value === null) return false;
  const { key, label, certificate } = value as Readonly<Record<string, unknown>>;
  return typeof key === 'string' && typeof label === 'string' && typeof certificate === 'string';
}

function isStoredChannel(value: unknown): value is StoredChannel {
  if (typeof value !== 'object' || value === null) return false;
  const { slug, name, source, container, open, granted } = value as Readonly<Record<string, unknown>>;
  if (open !== undefined && typeof open !== 'boolean') return false;
  if (granted !== undefined && typeof granted !== 'string') return false;
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

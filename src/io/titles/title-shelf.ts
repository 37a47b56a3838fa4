/**
 * What outlives the process of the library of titles: one folder per title, with what the user decided and the torrent itself.
 *
 * | file            | content                                                                |
 * |-----------------|------------------------------------------------------------------------|
 * | `entry.json`    | the entry, written atomically                                        |
 * | `title.torrent` | once the metadata is known                                             |
 * | `share/`        | the torrent of what is published here, as it may be handed on          |
 *
 * An entry that cannot be understood is set aside as `.corrupt`; the title's own files are never touched here.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../kernel/ports.js';
import type { InfoHash } from '../../kernel/units.js';
import { makeFolder, writeFileAtomically } from '../files/atomic-file.js';

/** What every entry has. */
interface ShelvedEntry {
  readonly id: InfoHash;
  readonly addedAt: string;
}

export class TitleShelf<Entry extends ShelvedEntry> {
  /** Where the records of what is on the disk lie. */
  readonly recordFolder: string;
  readonly #folder: string;
  readonly #parse: (value: unknown) => Entry;
  readonly #log: Log;

  /**
   * @param parse throws on what is no entry.
   * @throws ShoalError `DATA_DIR_UNUSABLE`.
   */
  constructor(dataDir: string, parse: (value: unknown) => Entry, log: Log) {
    this.#parse = parse;
    this.#folder = join(dataDir, 'titles');
    this.recordFolder = join(this.#folder, 'records');
    this.#log = log;
    makeFolder(this.#folder);
  }

  /** Every title that was kept, the oldest first. */
  entries(): Entry[] {
    const ids = readdirSync(this.#folder).filter((name) => /^[0-9a-f]{40}$/.test(name));
    return ids.flatMap((id) => this.entry(id) ?? []).sort((a, b) => a.addedAt.localeCompare(b.addedAt) || a.id.localeCompare(b.id));
  }

  entry(id: InfoHash): Entry | undefined {
    const path = join(this.#folder, id, 'entry.json');
    if (!existsSync(path)) return undefined;
    try {
      const parsed = this.#parse(JSON.parse(readFileSync(path, 'utf8')));
      if (parsed.id === id) return parsed;
      throw new TypeError('it names another title');
    } catch (error) {
      this.#log.warn('the entry of a title cannot be read: set aside', { path: `${path}.corrupt`, reason: String(error) });
      renameSync(path, `${path}.corrupt`);
      return undefined;
    }
  }

  /** @throws the system's error; what was kept before then still stands. */
  keep(entry: Entry): void {
    writeFileAtomically(join(this.#folder, entry.id, 'entry.json'), `${JSON.stringify(entry, null, 2)}\n`);
  }

  torrent(id: InfoHash): Uint8Array | undefined {
    const path = join(this.#folder, id, 'title.torrent');
    return existsSync(path) ? new Uint8Array(readFileSync(path)) : undefined;
  }

  keepTorrent(id: InfoHash, bytes: Uint8Array): void {
    const folder = join(this.#folder, id);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const temporary = join(folder, '.title.torrent.tmp');
    writeFileSync(temporary, bytes, { mode: 0o600 });
    renameSync(temporary, join(folder, 'title.torrent'));
  }

  /** A file of this title for what is worth keeping and not worth losing sleep over: a picture. */
  pathOf(id: InfoHash, name: string): string {
    return join(this.#folder, id, name);
  }

  /** Where the title's `.torrent` file lies for people to take, under a name that they understand; the folder is made. */
  sharedPath(id: InfoHash, name: string): string {
    const folder = join(this.#folder, id, 'share');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return join(folder, name);
  }

  forget(id: InfoHash): void {
    rmSync(join(this.#folder, id), { recursive: true, force: true });
  }
}

/**
 * The super node: whatever lies in one folder is a title, published as long as it lies there.
 *
 * A `.torrent` file in it is a title as well: its data are looked for beside it, and fetched from the swarm if they are not there. What is taken
 * out of the folder is not given any more, what has changed is published anew, and what has not is not hashed again after a restart. What
 * cannot be published is said once and tried again. Nothing in the folder is ever deleted or changed.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { FolderWatch, type RestingState } from '../../io/titles/folder-watch.js';
import { makeTorrent } from '../../io/titles/torrent-maker.js';
import { ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import type { Bytes, InfoHash, Milliseconds } from '../../kernel/units.js';
import { TORRENT_BYTES_MAX } from '../../vod/metainfo.js';
import type { Title } from './title.js';
import type { TitleLibrary } from './title-library.js';

export interface SuperNodeOptions {
  readonly folder: string;
  readonly library: TitleLibrary;
  readonly log: Log;
  /** Whether other machines may fetch the files by HTTP. */
  readonly publicSeed: boolean;
  /** Trackers that go into every torrent; none by default. */
  readonly trackers?: readonly string[];
  readonly onPublished?: (id: InfoHash, path: string) => void;
  readonly onWithdrawn?: (id: InfoHash, path: string) => void;
  readonly onProgress?: (path: string, doneBytes: Bytes, totalBytes: Bytes) => void;
  /** How often the folder is looked at, and how long a file has to be left alone before it is published. Default 2 s and 4 s. */
  readonly everyMs?: Milliseconds;
  readonly restMs?: Milliseconds;
}

/** What could not be published is tried again so often: rights change without a trace in the folder. */
const RETRY_MS: Milliseconds = 60_000;

export class SuperNode {
  readonly #options: SuperNodeOptions;
  readonly #folder: string;
  readonly #watch: FolderWatch;
  readonly #published = new Map<string, InfoHash>();
  /** What was said of what could not be published. */
  readonly #complaints = new Map<string, string>();
  readonly #retries = new Set<NodeJS.Timeout>();
  readonly #stopping = new AbortController();
  /** One title is hashed at a time: two would only fight for the disk. */
  #queue: Promise<void> = Promise.resolve();

  constructor(options: SuperNodeOptions) {
    this.#options = options;
    const { log, everyMs, restMs } = options;
    this.#folder = resolve(options.folder);
    const folder = this.#folder;
    this.#watch = new FolderWatch({
      folder,
      known: this.#recall(),
      onTitle: (path, state) => this.#enqueue(() => this.#publish(path, state)),
      onGone: (path) => this.#enqueue(() => this.#onGone(path)),
      onUnreadable: (reason) => log.warn('the folder of titles cannot be read; it is looked at again and again', { folder, reason }),
      ...(everyMs === undefined ? {} : { everyMs }),
      ...(restMs === undefined ? {} : { restMs }),
    });
  }

  start(): void {
    this.#watch.start();
  }

  async stop(): Promise<void> {
    this.#watch.stop();
    this.#stopping.abort();
    for (const retry of this.#retries) clearTimeout(retry);
    await this.#queue;
  }

  /** What this folder had in an earlier life of the process. */
  #recall(): ReadonlyMap<string, RestingState> {
    const known = new Map<string, RestingState>();
    const { library, publicSeed } = this.#options;
    for (const title of library.all) {
      const { infoHash, entry } = title;
      const { watched } = entry;
      if (watched === null || dirname(watched.path) !== this.#folder) continue;
      title.offerHttp(publicSeed && entry.published);
      known.set(watched.path, watched);
      this.#published.set(watched.path, infoHash);
    }
    return known;
  }

  #enqueue(task: () => Promise<void>): void {
    this.#queue = this.#queue.then(async () => {
      if (!this.#stopping.signal.aborted) await task();
    });
  }

  async #publish(path: string, state: RestingState): Promise<void> {
    const { log, onPublished } = this.#options;
    if (this.#isFetched(path)) return;
    try {
      // What has changed is not what the swarm was told: it is given no longer, whatever comes of it now.
      await this.#withdraw(path);
      const watched = { path, ...state };
      const id = path.endsWith('.torrent') ? await this.#add(path, watched) : await this.#make(path, watched);
      this.#published.set(path, id);
      this.#complaints.delete(path);
      log.info('a title of the folder is published', { path, title: id });
      onPublished?.(id, path);
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#complain(path, error instanceof Error ? error.message : String(error));
    }
  }

  /** What a torrent of the folder fetches lies in the folder too, and is that torrent's title. */
  #isFetched(path: string): boolean {
    return this.#options.library.all.some((title) => !title.entry.published && this.#placeOf(title) === path);
  }

  #placeOf({ entry, name }: Title): string {
    return join(entry.folder, entry.diskName ?? name);
  }

  #complain(path: string, reason: string): void {
    if (this.#complaints.get(path) !== reason) this.#options.log.warn('this cannot be published; it is tried again', { path, reason });
    this.#complaints.set(path, reason);
    const retry = setTimeout(() => {
      this.#retries.delete(retry);
      this.#watch.again(path);
    }, RETRY_MS).unref();
    this.#retries.add(retry);
  }

  async #make(source: string, watched: RestingState & { readonly path: string }): Promise<InfoHash> {
    const { library, publicSeed, trackers = [], onProgress } = this.#options;
    const { metainfo, torrentBytes, folder, diskName } = await makeTorrent({
      source,
      trackerTiers: trackers.map((url) => [url]),
      signal: this.#stopping.signal,
      onProgress: (doneBytes, totalBytes) => onProgress?.(source, doneBytes, totalBytes),
    });
    await library.publish({ metainfo, torrent: torrentBytes, folder, diskName, publicSeed, watched });
    return metainfo.infoHash;
  }

  async #add(path: string, watched: RestingState & { readonly path: string }): Promise<InfoHash> {
    const { library } = this.#options;
    if (watched.sizeBytes > TORRENT_BYTES_MAX)
      throw new ShoalError('TORRENT_MALFORMED', `it has ${watched.sizeBytes} bytes; a torrent file has at most ${TORRENT_BYTES_MAX}`);
    const torrent = new Uint8Array(await readFile(path));
    const { id } = await library.add({ torrent }, { folder: this.#folder, watched });
    library.register(id);
    return id;
  }

  async #onGone(path: string): Promise<void> {
    this.#complaints.delete(path);
    await this.#withdraw(path);
  }

  async #withdraw(path: string): Promise<void> {
    const { library, log, onWithdrawn } = this.#options;
    const id = this.#published.get(path);
    const title = id === undefined ? undefined : library.title(id);
    this.#published.delete(path);
    // It may have been removed by hand, or be given from another place by now.
    if (id === undefined || title?.entry.watched?.path !== path) return;
    try {
      await library.remove(id, { withData: false });
    } catch (error) {
      log.debug('a title of the folder was not removed cleanly', { path, title: id, reason: String(error) });
    }
    log.info('a title is not in the folder any more, and not given any more', { path, title: id });
    onWithdrawn?.(id, path);
    // What a torrent fetched stays, as a title of its own.
    if (!title.entry.published) this.#watch.again(this.#placeOf(title));
    // What has the same content under the same name takes its place.
    for (const [other, otherId] of this.#published) if (otherId === id) this.#watch.again(other);
  }
}

/**
 * All titles of this process: added by link or torrent, published from files of this machine, kept over restarts, removed.
 *
 * Adding what is there already finds it. A title that fails says why and disturbs no other. The list on the disk is the truth: entries that
 * another process puts there (`shoal publish` beside a running station) are taken up within seconds.
 */
import { join, resolve } from 'node:path';
import { nodeHasher } from '../../io/crypto.js';
import { systemClock } from '../../io/system-clock.js';
import { downloadTorrent } from '../../io/titles/torrent-download.js';
import { Malformed, ShoalError } from '../../kernel/errors.js';
import type { PeerAddress } from '../../kernel/peer-address.js';
import type { InfoHash, Milliseconds } from '../../kernel/units.js';
import { formatMagnet, type MagnetLink, parseMagnet } from '../../vod/magnet-link.js';
import { type Metainfo, parseTorrent } from '../../vod/metainfo.js';
import type { PlayableLibrary } from './playable.js';
import { Title, type TitleOverseer } from './title.js';
import { TitleBudget } from './title-budget.js';
import type { TitleEntry } from './title-entry.js';
import type { CachingView, TitleDetail, TitleLibraryPort, TitleSource, TitleView } from './title-view.js';
import type { TitleViews } from './title-views.js';
import type { TitlesContext } from './titles-context.js';

export interface ListOptions {
  readonly withFiles?: boolean;
  readonly filesMax?: number;
}

/** How a title comes in beside what its link says. */
export interface Addition {
  /** Where its data lie or shall lie. Default: the configured folder. */
  readonly folder?: string;
  /** Watched, not kept. */
  readonly cached?: boolean;
  /** What the super node found. */
  readonly watched?: TitleEntry['watched'];
  /** Asked beside those that the link names. */
  readonly peers?: readonly PeerAddress[];
}

/** A title made from files of this machine. */
export interface Publication {
  readonly metainfo: Metainfo;
  readonly torrent: Uint8Array;
  /** The folder that holds its file or folder, links resolved. */
  readonly folder: string;
  /** What its file or folder is called there. Default: the title's name. */
  readonly diskName?: string;
  readonly publicSeed: boolean;
  /** What the super node found. */
  readonly watched?: TitleEntry['watched'];
}

/** How often the shelf is looked at for entries of other processes, and statistics are kept. */
const LOOK_MS: Milliseconds = 2_000;
const KEEP_MS: Milliseconds = 30_000;
/** How often line and disk are shared out anew. */
const BUDGET_MS: Milliseconds = 1_000;

export class TitleLibrary implements TitleLibraryPort {
  readonly #context: TitlesContext;
  readonly #titles = new Map<InfoHash, Title>();
  /** Titles that are being removed, until nothing is left of them. */
  readonly #removals = new Map<InfoHash, Promise<void>>();
  readonly #views: TitleViews;
  readonly #budget: TitleBudget;
  readonly #overseer: TitleOverseer = {
    observe: (observation, isFirst) => this.#budget.observe(observation, isFirst),
    changed: () => this.#budget.review(this.all, systemClock.nowMs()),
  };
  #timers: NodeJS.Timeout[] = [];

  constructor(context: TitlesContext, views: TitleViews) {
    this.#context = context;
    this.#views = views;
    this.#budget = new TitleBudget(context.config.titles, context.log);
  }

  /** Takes up every title that was kept. Resolves when all have begun; none is waited for. */
  start(): void {
    this.#takeUp();
    this.#timers = [
      setInterval(() => this.#takeUp(), LOOK_MS),
      setInterval(() => this.#keepAll(), KEEP_MS),
      setInterval(() => this.#overseer.changed(), BUDGET_MS),
    ];
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#keepAll();
    await Promise.all([...this.#titles.values()].map((title) => title.stop()));
    this.#keepAll();
  }

  title(id: string): Title | undefined {
    return this.#titles.get(id.toLowerCase());
  }

  get all(): readonly Title[] {
    return [...this.#titles.values()];
  }

  /** As playback sees it. */
  get playable(): PlayableLibrary {
    return { title: (id) => this.title(id), list: () => this.all };
  }

  get count(): number {
    return this.#titles.size;
  }

  /** `filesMax`: titles of more files come without them, for what is told again and again. */
  list({ withFiles = true, filesMax = Number.POSITIVE_INFINITY }: ListOptions = {}): readonly TitleView[] {
    return this.all.map((title) => this.#views.view(title, withFiles && title.files.length <= filesMax));
  }

  /** What caching several titles is worth to whoever watches. */
  get caching(): CachingView {
    return this.#budget.figures;
  }

  detail(id: InfoHash, { withFiles = true }: { readonly withFiles?: boolean } = {}): TitleDetail | undefined {
    const title = this.title(id);
    return title && this.#views.detail(title, withFiles);
  }

  async add(source: TitleSource, addition: Addition = {}): Promise<TitleView> {
    const found = await this.#read(source);
    await this.#removals.get(found.link.infoHash);
    const known = this.#titles.get(found.link.infoHash);
    if (known) return this.#views.view(await this.#wanted(known, found.torrent));
    const { shelf } = this.#context;
    if (found.torrent) shelf.keepTorrent(found.link.infoHash, found.torrent);
    const { peers = [], ...rest } = addition;
    const link = { ...found.link, peers: [...found.link.peers, ...peers] };
    // Whoever says where it goes means to have it.
    const kept = addition.folder === undefined ? {} : { cached: false };
    return this.#views.view(this.#enter({ ...this.#newEntry(link), ...kept, ...rest }));
  }

  /** Whoever adds it again wants it: a pause ends, and what was a bare link until now need not wait for peers to describe it. */
  async #wanted(title: Title, torrent: Uint8Array | undefined): Promise<Title> {
    if (title.entry.paused) void this.resume(title.infoHash);
    if (torrent === undefined || title.metainfo !== undefined) return title;
    await title.stop();
    const now = this.title(title.infoHash);
    if (now !== title || title.metainfo !== undefined) return now ?? title;
    this.#context.shelf.keepTorrent(title.infoHash, torrent);
    return this.#enter(title.entry);
  }

  /** What was published or fetched before becomes what is said now: its trackers, web seeds and place may be others. Figures stay. */
  async publish(publication: Publication): Promise<Title> {
    const { metainfo, torrent } = publication;
    await this.#removals.get(metainfo.infoHash);
    const known = this.#titles.get(metainfo.infoHash);
    await known?.stop();
    await this.#replace(publication);
    this.#context.shelf.keepTorrent(metainfo.infoHash, torrent);
    const entry = publishedEntry(publication);
    if (known === undefined) return this.#enter(entry);
    const { addedAt, uploadedBytes, downloadedBytes } = known.entry;
    return this.#enter({ ...entry, addedAt, uploadedBytes, downloadedBytes });
  }

  /** What was published of the same file or folder and does not stand any more, since it has changed. */
  async #replace({ metainfo, folder, diskName }: Publication): Promise<void> {
    const { log } = this.#context;
    for (const { infoHash, state, entry, name } of this.all) {
      const isSamePlace = entry.published && entry.folder === folder && (entry.diskName ?? name) === (diskName ?? metainfo.name);
      if (!isSamePlace || state !== 'failed' || infoHash === metainfo.infoHash) continue;
      log.info('a title is given up: its file has changed and is published anew', { title: infoHash, name });
      await this.remove(infoHash, { withData: false });
    }
  }

  /** The tracker of this process tells of this title too, although it was not made here. */
  register(id: InfoHash): void {
    this.#context.onTitle(id);
  }

  async remove(id: InfoHash, options: { readonly withData: boolean }): Promise<void> {
    const title = this.#known(id);
    this.#titles.delete(id);
    const removal = this.#forget(title, options);
    // Its entry stands until its files are gone, and must be taken for no other process's meanwhile.
    this.#removals.set(
      id,
      removal.catch(() => undefined),
    );
    await removal.finally(() => this.#removals.delete(id));
  }

  async #forget(title: Title, options: { readonly withData: boolean }): Promise<void> {
    try {
      await title.remove(options);
    } finally {
      // A removed title must not come back because its files could not be deleted.
      this.#context.shelf.forget(title.infoHash);
      this.#views.forget(title.infoHash);
    }
  }

  async pause(id: InfoHash): Promise<void> {
    await this.#known(id).pause();
    this.#keep(this.#known(id));
  }

  async resume(id: InfoHash): Promise<void> {
    const title = this.#known(id);
    await title.resume();
    this.#keep(title);
  }

  /** Begins, and does not wait for the end: the title's state tells of it. */
  async recheck(id: InfoHash): Promise<void> {
    const title = this.#known(id);
    const checked = title.recheck();
    if (title.state === 'checking')
      void checked.catch((error) => this.#context.log.warn('a title could not be checked', { reason: String(error) }));
    else await checked;
  }

  /** A pinned title never gives way to what is watched. */
  pin(id: InfoHash, isPinned: boolean): void {
    const title = this.#known(id);
    title.pin(isPinned);
    this.#keep(title);
  }

  picture(id: InfoHash): Promise<Uint8Array | null> {
    const title = this.title(id);
    return title ? this.#views.picture(title) : Promise.resolve(null);
  }

  async torrent(id: InfoHash): Promise<Uint8Array | null> {
    return this.title(id)?.torrent() ?? null;
  }

  #known(id: InfoHash): Title {
    const title = this.title(id);
    if (!title) throw new ShoalError('TITLE_UNKNOWN', `There is no title ${id.slice(0, 40)} here.`);
    return title;
  }

  #enter(entry: TitleEntry): Title {
    const title = new Title(this.#context, entry, this.#overseer);
    this.#context.shelf.keep(entry);
    this.#titles.set(entry.id, title);
    if (!entry.paused) void title.start();
    return title;
  }

  #takeUp(): void {
    for (const entry of this.#context.shelf.entries()) {
      if (this.#titles.has(entry.id) || this.#removals.has(entry.id)) continue;
      try {
        const title = new Title(this.#context, entry, this.#overseer);
        this.#titles.set(entry.id, title);
        void (entry.paused ? title.look() : title.start());
      } catch (error) {
        this.#context.log.warn('a title could not be taken up', { title: entry.id, reason: String(error) });
      }
    }
  }

  #keepAll(): void {
    for (const title of this.#titles.values()) this.#keep(title);
  }

  /** One that was removed meanwhile stays removed. */
  #keep(title: Title): void {
    if (this.#titles.get(title.infoHash) !== title) return;
    try {
      this.#context.shelf.keep(title.entry);
    } catch (error) {
      this.#context.log.warn('what is known of a title could not be kept', { title: title.infoHash, reason: String(error) });
    }
  }

  #newEntry(link: MagnetLink): TitleEntry {
    const { config } = this.#context;
    const folder = config.titles.folder === '' ? join(config.dataDir, 'titles', 'files') : config.titles.folder;
    // Without a limit there is no reason to keep pieces apart: files lie there as they are.
    return { ...blankEntry(link.infoHash, formatMagnet(link)), folder: resolve(folder), cached: config.titles.quotaBytes > 0 };
  }

  /** A link may also be the address of a torrent file on the web. */
  async #read(source: TitleSource): Promise<{ readonly link: MagnetLink; readonly torrent?: Uint8Array }> {
    const isWeb = 'link' in source && /^\s*https?:/i.test(source.link);
    const found = isWeb ? await downloadTorrent(source.link.trim()) : source;
    return 'link' in found ? this.#readLink(found.link) : this.#readTorrent(found.torrent);
  }

  #readLink(text: string): { readonly link: MagnetLink; readonly torrent?: Uint8Array } {
    const link = parseMagnet(text);
    if (link instanceof Malformed) throw new ShoalError('LINK_MALFORMED', `This link cannot be used: ${link.reason}`);
    return { link };
  }

  #readTorrent(torrent: Uint8Array): { readonly link: MagnetLink; readonly torrent: Uint8Array } {
    const metainfo = parseTorrent(torrent, nodeHasher);
    if (metainfo instanceof Malformed) throw new ShoalError('TORRENT_MALFORMED', `This torrent cannot be used: ${metainfo.reason}`);
    return { link: linkOf(metainfo), torrent };
  }
}

/** The entry of a title that was made from files here. */
export function publishedEntry({ metainfo, folder, diskName, publicSeed, watched }: Publication): TitleEntry {
  return {
    ...blankEntry(metainfo.infoHash, formatMagnet(linkOf(metainfo))),
    folder,
    diskName: diskName === undefined || diskName === metainfo.name ? null : diskName,
    published: true,
    publicSeed,
    watched: watched ?? null,
  };
}

function linkOf({ infoHash, name }: Metainfo): MagnetLink {
  return { infoHash, name, trackers: [], webSeeds: [], peers: [], selectOnly: undefined };
}

function blankEntry(id: InfoHash, link: string): TitleEntry {
  const now = new Date().toISOString();
  return {
    version: 1,
    id,
    link,
    folder: '.',
    diskName: null,
    watched: null,
    published: false,
    publicSeed: false,
    cached: false,
    pinned: false,
    paused: false,
    addedAt: now,
    usedAt: now,
    uploadedBytes: 0,
    downloadedBytes: 0,
    seededMs: 0,
    seedsOn: false,
  };
}

/**
 * The commands about titles: `shoal publish`, `shoal get` and `shoal play`.
 *
 * Each works alone, or beside a process that keeps the titles of the same data folder already (a station): then that one does the work, and the
 * command only brings it the title and tells how it goes.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { nodeHasher } from './io/crypto.js';
import { type LockHolder, ProcessLock } from './io/files/process-lock.js';
import { findPlayer, type PlayerName, playInPlayer, type TitleShow } from './io/programs/player.js';
import type { Terminal } from './io/terminal.js';
import { TitleShelf } from './io/titles/title-shelf.js';
import { listSource } from './io/titles/title-source.js';
import { type MadeTorrent, makeTorrent } from './io/titles/torrent-maker.js';
import { Malformed, ShoalError } from './kernel/errors.js';
import type { PeerAddress } from './kernel/peer-address.js';
import type { Bytes, InfoHash, Milliseconds } from './kernel/units.js';
import { RemoteLibrary } from './plugins/titles/remote-library.js';
import type { Title } from './plugins/titles/title.js';
import { chooseFile, listFiles } from './plugins/titles/title-choice.js';
import { parseTitleEntry } from './plugins/titles/title-entry.js';
import { type Addition, type Publication, publishedEntry, type TitleLibrary } from './plugins/titles/title-library.js';
import type { TitleSource, TitleView } from './plugins/titles/title-view.js';
import {
  FILES_TOLD_MAX,
  missingText,
  progressOf,
  publishedLines,
  sizeText,
  statusText,
  torrentFileName,
} from './plugins/titles/title-words.js';
import { type RunningTitles, type ShoalOptions, startTitles } from './shoal.js';
import { parseMagnet } from './vod/magnet-link.js';
import { parseTorrent, TORRENT_BYTES_MAX } from './vod/metainfo.js';

/** How the commands run: what main.ts gives them. */
export interface CommandContext {
  readonly shoal: ShoalOptions;
  readonly terminal: Terminal;
  readonly json: boolean;
  /** Stops it when the process ends. */
  readonly carry: (stoppable: { stop(): Promise<void> }) => void;
  /** Aborted when the process is to end. */
  readonly signal: AbortSignal;
  /** Says what is not done when a signal ends the process; the exit code is then 1. */
  readonly whenStopped: (unfinished: () => string | undefined) => void;
  /** Ends the process with this code after a clean stop. */
  readonly finish: (code: number) => void;
}

export interface PublishOptions {
  readonly tracker: readonly string[];
  readonly webSeed: readonly string[];
  readonly private?: boolean;
  readonly comment?: string;
  readonly name?: string;
  readonly pieceLength?: Bytes;
  /** Where to write the `.torrent`: a file, or a folder for several. */
  readonly torrent?: string;
  readonly http?: boolean;
  readonly watch?: boolean;
}

export interface GetOptions {
  readonly folder?: string;
  readonly seed?: boolean;
  /** Asked beside those that the link names. */
  readonly peer: readonly PeerAddress[];
}

export interface PlayOptions {
  readonly player?: PlayerName;
  /** Number, path or part of the path of the file to play. */
  readonly file?: string;
  readonly folder?: string;
  /** Asked beside those that the link names. */
  readonly peer: readonly PeerAddress[];
}

const STATUS_MS = 1_000;
/** Of a station's API. */
const POLL_MS = 300;
/** Of this process's own library: a look costs nothing, and a player waits for it. */
const LOOK_MS = 20;
/** How often progress is told on a terminal, and where every line stays. */
const PROGRESS_MS = 200;
const PLAIN_PROGRESS_MS = 5_000;

/** Makes torrents of files and folders, and gives them to whoever asks. */
export async function publish(paths: readonly string[], options: PublishOptions, context: CommandContext): Promise<void> {
  const publishing = new Publishing(options, context);
  await publishing.check(paths);
  const holder = lockHolder(context);
  if (holder && options.watch) throw watchedElsewhere(holder);
  if (holder) return publishing.bring(await publishing.make(paths), holder);
  const shoal = await startTitles(context.shoal, { withTracker: true });
  context.carry(shoal);
  if (options.watch) publishing.watch(paths, shoal);
  else await publishing.give(await publishing.make(paths), shoal);
}

/** Downloads titles, and ends when they are here; with `seed` goes on giving. */
export async function get(sources: readonly string[], options: GetOptions, context: CommandContext): Promise<void> {
  const wanted = sources.map(readSource);
  const holder = lockHolder(context);
  if (holder) return getRemotely(wanted, options, holder, context);
  const shoal = await startTitles(context.shoal, { withTracker: false });
  context.carry(shoal);
  const { library } = shoal.titles;
  const ids: string[] = [];
  for (const source of wanted) ids.push((await library.add(source, { cached: false, ...additionOf(options) })).id);
  const mine = (): readonly TitleView[] => library.list({ withFiles: false }).filter(({ id }) => ids.includes(id));
  warnOfLoneliness(mine(), context);
  context.whenStopped(() => missingText(mine()));
  report(shoal, context, (titles) => titles.filter(({ id }) => ids.includes(id)));
  whenSettled(library, ids, (titles) => {
    const isFailed = tellFailure(titles);
    if (!isFailed) tellComplete(titles, context, (id) => placeOf(library.title(id)));
    if (isFailed || !options.seed) context.finish(isFailed ? 1 : 0);
  });
}

/** Plays a title while it downloads. */
export async function play(source: string, options: PlayOptions, context: CommandContext): Promise<void> {
  const wanted = readSource(source);
  if (options.player) findPlayer(options.player);
  const holder = lockHolder(context);
  if (holder) return playRemotely(wanted, options, holder, context);
  const shoal = await startTitles(context.shoal, { withTracker: false });
  context.carry(shoal);
  const { library } = shoal.titles;
  const { id } = await library.add(wanted, additionOf(options));
  const mine = (titles: readonly TitleView[]): readonly TitleView[] => titles.filter((title) => title.id === id);
  warnOfLoneliness(mine(library.list({ withFiles: false })), context);
  report(shoal, context, mine);
  const title = await playable(async () => library.detail(id), LOOK_MS, context);
  if (title === undefined) return;
  if (open(title, shoal.ready.page, options, context) === 'failed') return;
  whenSettled(library, [id], (titles) => tellComplete(titles, context, () => placeOf(library.title(id))));
}

async function getRemotely(
  wanted: readonly TitleSource[],
  options: GetOptions,
  holder: LockHolder,
  context: CommandContext,
): Promise<void> {
  const remote = remoteFor(options, holder);
  const ids: InfoHash[] = [];
  for (const source of wanted) ids.push((await remote.add(source)).id);
  const look = (): Promise<TitleView[]> => Promise.all(ids.map((id) => remote.read(id)));
  for (;;) {
    const titles = await look();
    const [first] = titles;
    if (context.json) context.terminal.json({ event: 'status', titles });
    else if (first) context.terminal.progress(statusText(first, titles.length));
    if (tellFailure(titles)) return context.finish(1);
    if (titles.every(({ state }) => state === 'seeding' || state === 'idle')) {
      tellComplete(titles, context, () => undefined);
      return context.finish(0);
    }
    await new Promise((done) => setTimeout(done, STATUS_MS));
    if (context.signal.aborted) return;
  }
}

async function playRemotely(wanted: TitleSource, options: PlayOptions, holder: LockHolder, context: CommandContext): Promise<void> {
  const remote = remoteFor(options, holder);
  const { id } = await remote.add(wanted);
  const title = await playable(() => remote.read(id), POLL_MS, context);
  if (title === undefined) return;
  if (open(title, remote.page, options, context) === 'told') context.finish(0);
}

/** @throws ShoalError when something was asked for that a station decides itself. */
function remoteFor({ folder, peer }: GetOptions | PlayOptions, holder: LockHolder): RemoteLibrary {
  if (folder === undefined && peer.length === 0) return new RemoteLibrary(holder.page);
  const word = folder === undefined ? '--peer' : '--folder';
  const text = `The station (${holder.pid}, ${holder.page}) that runs on this data folder fetches titles for it, and takes no ${word}. Leave it out, or use --data DIR for another data folder.`;
  throw new ShoalError('TITLES_LOCKED', text);
}

function additionOf({ folder, peer }: GetOptions | PlayOptions): Addition {
  return { ...(folder === undefined ? {} : { folder: resolve(folder) }), peers: peer };
}

/** Calls once, when every title is here or one of them has failed. */
function whenSettled(library: TitleLibrary, ids: readonly string[], settled: (titles: readonly TitleView[]) => void): void {
  const timer = setInterval(() => {
    const states = ids.map((id) => library.title(id)?.state);
    if (!states.includes('failed') && !states.every((state) => state === 'seeding' || state === 'idle')) return;
    clearInterval(timer);
    settled(library.list().filter(({ id }) => ids.includes(id)));
  }, LOOK_MS);
}

/** A link that names nobody finds nobody, unless there is another way. */
function warnOfLoneliness(titles: readonly TitleView[], { shoal }: CommandContext): void {
  const { dht, localDiscovery } = shoal.config.titles;
  for (const { link, name, id } of titles) {
    const named = parseMagnet(link);
    if (dht || localDiscovery || named instanceof Malformed || named.trackers.length + named.peers.length + named.webSeeds.length > 0)
      continue;
    shoal.log.warn('the link names no tracker, no peer and no web seed, so nobody can be found; use the whole link, or --peer HOST:PORT', {
      title: name || id,
    });
  }
}

/** Says why the first of them failed, if one has. */
function tellFailure(titles: readonly TitleView[]): boolean {
  const failed = titles.find(({ state }) => state === 'failed');
  if (failed) process.stderr.write(`shoal: ${failed.name || failed.id}: ${failed.error}\n`);
  return failed !== undefined;
}

function tellComplete(titles: readonly TitleView[], { terminal, json }: CommandContext, where: (id: InfoHash) => string | undefined): void {
  if (json) return terminal.json({ event: 'complete', titles });
  for (const { id, name } of titles) {
    const place = where(id);
    terminal.line(`"${name}" is here${place === undefined ? '' : `: ${place}`}.`);
  }
}

/** The path of its file or folder; undefined when it lies in pieces. */
function placeOf(title: Title | undefined): string | undefined {
  if (title === undefined || title.entry.cached) return undefined;
  return join(title.entry.folder, title.entry.diskName ?? title.name);
}

/** Tells where the title can be played, and plays it if a player is named; the command then ends when the player does. */
function open(title: TitleView, page: string, { player, file }: PlayOptions, context: CommandContext): 'told' | 'playing' | 'failed' {
  const show = showOf(title, file, page, context);
  if (show === undefined) return 'failed';
  tellAddress(title, show, page, context);
  if (player === undefined) return 'told';
  void playUntilEnd(player, show, context);
  return 'playing';
}

/** Undefined when there is no such file, which has been said by then. */
function showOf(title: TitleView, wanted: string | undefined, page: string, { finish }: CommandContext): TitleShow | undefined {
  const addressOf = (path: string): string => new URL(path, page).href;
  try {
    const choice = chooseFile(title.files, wanted);
    if (choice.kind === 'playlist') return { url: addressOf(title.playlist ?? ''), name: title.name, subtitles: [] };
    const { file, subtitles } = choice;
    return { url: addressOf(file.play), name: file.path, subtitles: subtitles.map(({ play: path }) => addressOf(path)) };
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    process.stderr.write(`shoal: ${error.message}\n`);
    finish(1);
    return undefined;
  }
}

function tellAddress(title: TitleView, { url, name, subtitles }: TitleShow, page: string, { json, terminal }: CommandContext): void {
  const playlist = title.playlist && new URL(title.playlist, page).href;
  if (json) {
    const files = title.files.map(({ play: path }) => new URL(path, page).href);
    return terminal.json({ event: 'playable', id: title.id, address: url, subtitles, playlist, files });
  }
  terminal.line(`Play "${name}": ${url}`);
  for (const subtitle of subtitles) terminal.line(`  Subtitles: ${subtitle}`);
  if (url !== playlist) return;
  terminal.line('  It has several files; --file NUMBER plays one of them:');
  for (const line of listFiles(title.files)) terminal.line(`  ${line}`);
}

async function playUntilEnd(player: PlayerName, show: TitleShow, context: CommandContext): Promise<void> {
  const { json, terminal, signal, finish } = context;
  let code: number | null = null;
  try {
    code = await playInPlayer(player, show, signal).ended;
    if (code) process.stderr.write(`shoal: ${player} ended with exit code ${code}.\n`);
  } catch (error) {
    process.stderr.write(`shoal: ${player} could not be started: ${error instanceof Error ? error.message : String(error)}\n`);
    code = 1;
  }
  if (json) terminal.json({ event: 'player-ended', player, code });
  finish(code ? 1 : 0);
}

/** Waits until the metadata is known; undefined when the title failed, which has been said by then. */
async function playable(
  look: () => Promise<TitleView | undefined>,
  periodMs: Milliseconds,
  context: CommandContext,
): Promise<TitleView | undefined> {
  while (!context.signal.aborted) {
    const title = await look();
    if (title && tellFailure([title])) {
      context.finish(1);
      return undefined;
    }
    if (title && title.files.length > 0) return title;
    await new Promise((done) => setTimeout(done, periodMs));
  }
  return undefined;
}

interface Made {
  readonly path: string;
  readonly torrent: MadeTorrent;
}

/** One run of `shoal publish`. */
class Publishing {
  readonly #options: PublishOptions;
  readonly #context: CommandContext;
  /** What to say when it is broken off now. */
  #unfinished: string | undefined;

  constructor(options: PublishOptions, context: CommandContext) {
    this.#options = options;
    this.#context = context;
    context.whenStopped(() => this.#unfinished);
  }

  /** What can be seen to be wrong before anything is hashed. */
  async check(paths: readonly string[]): Promise<void> {
    const { name, torrent, watch } = this.#options;
    if (name !== undefined && (watch || paths.length > 1))
      throw new ShoalError('TITLE_NAME', '--name goes with one path: several titles cannot have one name.');
    if (torrent !== undefined && !watch) checkTorrentPath(torrent, paths.length);
    for (const path of paths) {
      if (!watch) await listSource(path, this.#context.signal);
      else if (!statSync(path, { throwIfNoEntry: false })?.isDirectory())
        throw new ShoalError('TITLE_UNREADABLE', `--watch takes folders, and ${path} is none.`, { path });
    }
  }

  async make(paths: readonly string[]): Promise<readonly Made[]> {
    const made: Made[] = [];
    const { signal } = this.#context;
    try {
      for (const path of paths) made.push({ path, torrent: await this.#makeOne(path) });
    } catch (error) {
      // What it was to say has been said by then.
      if (signal.aborted) return [];
      throw error;
    }
    return made;
  }

  /** Gives them in this process. */
  async give(made: readonly Made[], shoal: RunningTitles): Promise<void> {
    const { context, library } = { context: this.#context, library: shoal.titles.library };
    if (context.signal.aborted) return;
    this.#unfinished = undefined;
    const ids = made.map(({ torrent }) => torrent.metainfo.infoHash);
    for (const { torrent } of made) await library.publish(this.#publicationOf(torrent));
    const others = library.count - ids.length;
    const news = (): readonly TitleView[] => library.list().filter(({ id }) => ids.includes(id));
    const isNew = ({ id }: TitleView): boolean => ids.includes(id);
    report(shoal, context, (titles) => [...titles.filter(isNew), ...titles.filter((title) => !isNew(title))]);
    for (const title of news()) await this.#tell(title, await library.torrent(title.id), shoal.titles.torrentPath(title.id));
    if (others > 0 && !context.json)
      context.terminal.line(`${others} ${others === 1 ? 'title' : 'titles'} of before ${others === 1 ? 'is' : 'are'} kept here too.`);
    this.#warnOfHttp(shoal);
  }

  /** Gives whatever lies in the folders. */
  watch(folders: readonly string[], shoal: RunningTitles): void {
    const { terminal, json } = this.#context;
    const { tracker: trackers } = this.#options;
    const { library } = shoal.titles;
    report(shoal, this.#context, (titles) => titles);
    const onPublished = (id: InfoHash): void => {
      const title = library.detail(id);
      if (title) void library.torrent(id).then((torrent) => this.#tell(title, torrent, shoal.titles.torrentPath(id)));
    };
    const onWithdrawn = (id: InfoHash, path: string): void => {
      if (json) terminal.json({ event: 'withdrawn', id, path });
      else terminal.line(`${path} has changed or is gone, and is not given any more.`);
    };
    for (const { infoHash, entry } of library.all) if (entry.watched && existsSync(entry.watched.path)) onPublished(infoHash);
    for (const folder of folders) shoal.titles.watch(folder, this.#isPublicSeed, { trackers, onPublished, onWithdrawn });
    if (!json) terminal.line(`Whatever lies in ${folders.join(', ')} is published as soon as nothing writes to it any more.`);
    this.#warnOfHttp(shoal);
  }

  /** The process that keeps the titles finds them on the shelf. */
  async bring(made: readonly Made[], holder: LockHolder): Promise<void> {
    const { shoal, terminal, json, signal, finish } = this.#context;
    if (signal.aborted) return;
    this.#unfinished = undefined;
    const shelf = new TitleShelf(shoal.config.dataDir, parseTitleEntry, shoal.log);
    const remote = new RemoteLibrary(holder.page);
    for (const { torrent } of made) {
      const { infoHash, name } = torrent.metainfo;
      const known = await remote.find(infoHash);
      if (known === undefined) {
        shelf.keepTorrent(infoHash, torrent.torrentBytes);
        shelf.keep(publishedEntry(this.#publicationOf(torrent)));
      } else if (!json) terminal.line(`The station has "${name}" already. Remove it there first if its trackers or place are to change.`);
      const title = known ?? (await remote.whenThere(infoHash));
      await this.#tell(title, await remote.torrent(infoHash), shelf.sharedPath(infoHash, torrentFileName(title.name)));
    }
    if (!json) terminal.line(`The station that runs on this data folder gives it from now on: ${holder.page}`);
    finish(0);
  }

  get #isPublicSeed(): boolean {
    return this.#options.http ?? this.#context.shoal.config.titles.publicHttp;
  }

  #publicationOf({ metainfo, torrentBytes, folder, diskName }: MadeTorrent): Publication {
    return { metainfo, torrent: torrentBytes, folder, diskName, publicSeed: this.#isPublicSeed };
  }

  async #makeOne(path: string): Promise<MadeTorrent> {
    const { tracker, webSeed, private: isPrivate, comment, pieceLength, name } = this.#options;
    this.#unfinished = `Stopped: ${path} is not published, for it was still being hashed.`;
    const progress = new HashingProgress(path, this.#context);
    const torrent = await makeTorrent({
      source: path,
      trackerTiers: tracker.map((url) => [url]),
      webSeeds: webSeed,
      ...(name === undefined ? {} : { name }),
      ...(isPrivate ? { isPrivate: true } : {}),
      ...(comment === undefined ? {} : { comment }),
      ...(pieceLength === undefined ? {} : { pieceLengthBytes: pieceLength }),
      onProgress: (doneBytes, totalBytes) => progress.tell(doneBytes, totalBytes),
      signal: this.#context.signal,
    });
    progress.end(torrent.metainfo.totalBytes);
    for (const { path: skipped, why } of torrent.skipped)
      process.stderr.write(`shoal: left out of the title: ${skipped} (${SKIPPED[why]})\n`);
    return torrent;
  }

  /** Writes the torrent, and says that others may have the title now. */
  async #tell(title: TitleView, torrent: Uint8Array | null | undefined, ownPath: string): Promise<void> {
    const { terminal, json } = this.#context;
    const path = this.#options.torrent === undefined ? ownPath : torrentPath(this.#options.torrent, title);
    if (torrent) {
      await writeFile(path, torrent).catch((error: NodeJS.ErrnoException) => {
        const text = `The torrent cannot be written to ${path} (${error.code}). Name a file in a folder that is there: --torrent FILE.torrent`;
        throw new ShoalError('TORRENT_UNWRITABLE', text, { path }, { cause: error });
      });
    }
    if (json) terminal.json({ event: 'published', torrent: path, ...title });
    else for (const line of publishedLines(title, path)) terminal.line(line);
  }

  #warnOfHttp({ titles }: RunningTitles): void {
    if (!this.#isPublicSeed || titles.seedBase !== null) return;
    process.stderr.write(
      'shoal: other machines cannot reach the web server, so the files are given by BitTorrent alone. For HTTP too: --set relay.http.host=0.0.0.0\n',
    );
  }
}

const SKIPPED = { hidden: 'hidden', system: 'the system made it', link: 'a link', special: 'neither file nor folder' } as const;

/** The hashing of one path, as it is told. */
class HashingProgress {
  readonly #path: string;
  readonly #context: CommandContext;
  readonly #startedMs = performance.now();
  #toldMs = performance.now();

  constructor(path: string, context: CommandContext) {
    this.#path = path;
    this.#context = context;
  }

  tell(doneBytes: Bytes, totalBytes: Bytes): void {
    const { terminal, json } = this.#context;
    const nowMs = performance.now();
    if (json || nowMs - this.#toldMs < (terminal.isInteractive ? PROGRESS_MS : PLAIN_PROGRESS_MS)) return;
    this.#toldMs = nowMs;
    const text = `hashing ${this.#path}  ${progressOf(doneBytes, totalBytes)}  ${sizeText(doneBytes)} of ${sizeText(totalBytes)}`;
    if (terminal.isInteractive) terminal.progress(text);
    else terminal.line(text);
  }

  end(totalBytes: Bytes): void {
    const tookMs = performance.now() - this.#startedMs;
    if (!this.#context.json)
      this.#context.terminal.line(`hashed ${this.#path}: ${sizeText(totalBytes)} in ${(tookMs / 1000).toFixed(1)} s`);
  }
}

function checkTorrentPath(given: string, count: number): void {
  if (statSync(given, { throwIfNoEntry: false })?.isDirectory()) return;
  if (count > 1) throw new ShoalError('TORRENT_UNWRITABLE', `--torrent takes a folder for several titles, and ${given} is none.`);
  if (!given.endsWith('.torrent') || !statSync(dirname(given), { throwIfNoEntry: false })?.isDirectory())
    throw new ShoalError(
      'TORRENT_UNWRITABLE',
      `--torrent takes a folder that is there, or the name of a file in one that ends in .torrent; ${given} is neither.`,
    );
}

function torrentPath(given: string, title: TitleView): string {
  return statSync(given, { throwIfNoEntry: false })?.isDirectory() ? join(given, torrentFileName(title.name)) : given;
}

/** Says that all is up, and once a second how it goes. */
function report(
  shoal: RunningTitles,
  { terminal, json }: CommandContext,
  choose: (titles: readonly TitleView[]) => readonly TitleView[],
): void {
  const { library } = shoal.titles;
  if (json) terminal.json({ ...shoal.ready, titles: choose(library.list()) });
  else terminal.line(`The page is at ${shoal.ready.page}`);
  setInterval(() => {
    const titles = choose(library.list({ filesMax: FILES_TOLD_MAX }));
    const [first] = titles;
    if (json) terminal.json({ event: 'status', titles });
    else if (first) terminal.progress(statusText(first, titles.length));
  }, STATUS_MS);
}

/** A magnet link, the address of a torrent on the web, or a file with one. */
function readSource(text: string): TitleSource {
  if (/^https?:/i.test(text.trim())) return { link: text.trim() };
  if (/^magnet:/i.test(text.trim())) return { link: readable(text, parseMagnet(text.trim()), text.trim()) };
  if (/^(?:[0-9a-f]{40}|[a-z2-7]{32})$/i.test(text)) return { link: `magnet:?xt=urn:btih:${text}` };
  if (/^shoal:/i.test(text)) throw unreadable(text, 'is the link of a live channel: shoal watch "LINK"');
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(text)?.[1];
  if (scheme !== undefined) throw unreadable(text, `begins with "${scheme}:"; expected magnet:, http: or https:, or a .torrent file`);
  try {
    const status = statSync(text);
    if (status.isDirectory()) throw unreadable(text, 'is a folder; expected a .torrent file');
    if (status.size > TORRENT_BYTES_MAX)
      throw unreadable(text, `has ${sizeText(status.size)}, so it is no torrent file; a torrent has at most 10 MB`);
    const torrent = new Uint8Array(readFileSync(text));
    return { torrent: readable(text, parseTorrent(torrent, nodeHasher), torrent) };
  } catch (error) {
    if (error instanceof ShoalError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : `the file cannot be read: ${code}`;
    throw unreadable(text, `is neither a magnet link nor a torrent file (${why})`);
  }
}

/** The value, unless what was read of it is malformed: nothing is begun when one of several is wrong. */
function readable<Value>(text: string, read: object, value: Value): Value {
  if (read instanceof Malformed) throw unreadable(text, `cannot be used. ${read.reason}`);
  return value;
}

function unreadable(text: string, why: string): ShoalError {
  const sentence = why.endsWith('.') ? why : `${why}.`;
  return new ShoalError('LINK_MALFORMED', `"${text.length > 100 ? `${text.slice(0, 97)}...` : text}" ${sentence}`);
}

function lockHolder({ shoal }: CommandContext): LockHolder | undefined {
  return ProcessLock.holder(`${shoal.config.dataDir}/titles/lock.json`);
}

function watchedElsewhere({ pid, page }: LockHolder): ShoalError {
  const text = `Another process (${pid}, ${page}) keeps the titles of this data folder. Start that one with --set titles.watchFolder=FOLDER, or use --data DIR for another data folder.`;
  return new ShoalError('TITLES_LOCKED', text);
}

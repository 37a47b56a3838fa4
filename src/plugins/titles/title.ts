/**
 * One title of the library, from its link or torrent to its last byte: metadata, check of what is on the disk, exchange, playback.
 *
 * Its life: `metadata` (a bare link, asking peers) → `checking` (what lies on the disk) → `downloading` → `seeding` → `idle`; `paused` and `failed`
 * from anywhere. A failure says what is wrong and what helps, and `resume` tries again.
 */
import { join } from 'node:path';
import { nodeHasher } from '../../io/crypto.js';
import type { PeerInfo } from '../../io/peers/peer-info.js';
import type { Swarm } from '../../io/peers/swarm.js';
import type { TorrentShape } from '../../io/peers/torrent-dialect.js';
import { systemClock } from '../../io/system-clock.js';
import { TitleStore } from '../../io/titles/title-store.js';
import { Bitfield } from '../../kernel/bitfield.js';
import type { Connection } from '../../kernel/connection.js';
import { Malformed, ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import type { Bytes, BytesPerSecond, InfoHash, Milliseconds, PieceIndex } from '../../kernel/units.js';
import { piecesOfFile } from '../../vod/file-layout.js';
import { type MagnetLink, parseMagnet } from '../../vod/magnet-link.js';
import { type Metainfo, parseInfo, parseTorrent, pieceSpanBytes, type TitleFile } from '../../vod/metainfo.js';
import { numberedComponent } from '../../vod/safe-path.js';
import type { TitleEvent } from '../../vod/title-protocol.js';
import { encodeTorrent } from '../../vod/torrent-draft.js';
import { linkTo, type OwnSources, ownSources, torrentTo, unique } from './own-sources.js';
import { PieceWaiters } from './piece-waiters.js';
import type { FileReading, PlayableFile, PlayableTitle } from './playable.js';
import { type SoughtTitle, TitleDiscovery } from './title-discovery.js';
import type { TitleEntry } from './title-entry.js';
import { TitleReaders } from './title-readers.js';
import { type ReadableTitle, type ReadingObservation, TitleReading } from './title-reading.js';
import { TitleTransfer } from './title-transfer.js';
import type { TitleState } from './title-view.js';
import type { TitlesContext } from './titles-context.js';

/** Who looks after all titles together. */
export interface TitleOverseer {
  /** Something happened to a player. `isFirst`: it is one that came when nobody had read for a while. */
  observe(observation: ReadingObservation, isFirst: boolean): void;
  /** The title begins to exchange, or a player comes: what each may take changes now. */
  changed(): void;
}

/** While the disk is checked it is shown this often how far that has come. */
const CHECK_SHOWN_MS: Milliseconds = 500;
/** Names tried for a title whose own is taken. */
const NAMES_MAX_COUNT = 100;
/** How the store puts it that nothing of a title can lie there. */
const NOWHERE_CODES: readonly string[] = ['TITLE_COLLISION', 'TITLE_DISK_FAILED'];
/** How the store puts it that a file is not what it was. */
const GONE_CODES: readonly string[] = ['TITLE_DATA_MISSING', 'TITLE_COLLISION'];

interface OpeningOptions {
  /** Everything on the disk is checked. */
  readonly isThorough?: boolean;
  /** Whether it stays out of the swarm, as a title that has given enough; asked when the check is over. */
  readonly rests?: () => boolean;
}

export class Title implements PlayableTitle {
  readonly infoHash: InfoHash;
  readonly #context: TitlesContext;
  readonly #log: Log;
  readonly #link: MagnetLink;
  /** Files that the link wants, when it does not want all. */
  #selection: ReadonlySet<number> | undefined;
  readonly #waiters = new PieceWaiters();
  readonly #early: { readonly connection: Connection; readonly info: PeerInfo }[] = [];
  readonly #readers = new TitleReaders(() => systemClock.nowMs());
  readonly #overseer: TitleOverseer | undefined;
  #entry: TitleEntry;
  #state: TitleState = 'paused';
  #error: string | null = null;
  #metainfo: Metainfo | undefined;
  #files: readonly PlayableFile[] = [];
  #store: TitleStore | undefined;
  #have: Bitfield | undefined;
  #transfer: TitleTransfer | undefined;
  #swarm: Swarm | undefined;
  #discovery: TitleDiscovery | undefined;
  #opening: AbortController | undefined;
  #looking: Promise<void> | undefined;
  #isComplete = false;
  /** All that is wanted of it is here, as far as the transfer knows. */
  #wantsNothing = false;
  /** Its process goes, or has another in its place: nothing comes of it any more. */
  #isStopped = false;
  /** Something was missing when the exchange began. */
  #isDownload = false;
  #hasGivenEnough = false;

  constructor(context: TitlesContext, entry: TitleEntry, overseer?: TitleOverseer) {
    this.#overseer = overseer;
    const link = parseMagnet(entry.link);
    if (link instanceof Malformed) throw new ShoalError('LINK_MALFORMED', `This link cannot be used: ${link.reason}`);
    this.infoHash = entry.id;
    this.#context = context;
    this.#link = link;
    this.#selection = link.selectOnly && new Set(link.selectOnly);
    this.#entry = entry;
    this.#log = context.log.child({ title: entry.id });
    this.#learn();
  }

  get name(): string {
    return this.#metainfo?.name ?? this.#link.name ?? '';
  }

  get files(): readonly PlayableFile[] {
    return this.#files;
  }

  get createdS(): number | undefined {
    return this.#metainfo?.createdS;
  }

  get isPublicSeed(): boolean {
    return this.#entry.publicSeed;
  }

  get entry(): TitleEntry {
    const figures = this.#transfer?.session.figures();
    if (figures === undefined) return this.#entry;
    const { uploadedBytes, downloadedBytes, seededMs } = this.#entry;
    return {
      ...this.#entry,
      uploadedBytes: uploadedBytes + figures.upBytes,
      downloadedBytes: downloadedBytes + figures.downBytes,
      seededMs: seededMs + figures.seededMs,
    };
  }

  get state(): TitleState {
    return this.#state;
  }

  /** What is wrong, in words. */
  get error(): string | null {
    return this.#error ?? this.#transfer?.error ?? null;
  }

  get metainfo(): Metainfo | undefined {
    return this.#metainfo;
  }

  get transfer(): TitleTransfer | undefined {
    return this.#transfer;
  }

  get swarm(): Swarm | undefined {
    return this.#swarm;
  }

  get discovery(): TitleDiscovery | undefined {
    return this.#discovery;
  }

  /** Whether other machines may fetch its files by HTTP from now on. */
  offerHttp(isPublicSeed: boolean): void {
    this.#entry = { ...this.#entry, publicSeed: isPublicSeed };
  }

  /** Verified pieces; undefined before the disk has been looked at. */
  get have(): Bitfield | undefined {
    return this.#have;
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Whether the link wants this file (BEP 53). */
  isWanted(file: number): boolean {
    return this.#selection?.has(file) ?? true;
  }

  /** Players that read it now. */
  get readerCount(): number {
    return this.#readers.count;
  }

  /** The link that brings others here: the torrent's trackers, this process's own, and its address. */
  get link(): string {
    return linkTo(this.#own, this.#link, this.#metainfo);
  }

  /** Bytes that are here and verified, of one file or of all. */
  haveBytes(file?: TitleFile): Bytes {
    const metainfo = this.#metainfo;
    const have = this.#have;
    if (!metainfo || !have) return 0;
    const run = file ? piecesOfFile(metainfo, file) : { firstPiece: 0, lastPiece: metainfo.pieceCount - 1 };
    if (run === undefined) return 0;
    const [fromByte, toByte] = file ? [file.offsetBytes, file.offsetBytes + file.lengthBytes] : [0, metainfo.totalBytes];
    let bytes = 0;
    for (let piece = run.firstPiece; piece <= run.lastPiece; piece++) {
      if (!have.has(piece)) continue;
      const start = piece * metainfo.pieceLengthBytes;
      bytes += Math.min(toByte, start + pieceSpanBytes(metainfo, piece)) - Math.max(fromByte, start);
    }
    return bytes;
  }

  /** The `.torrent` file as it may be handed on: of what is published here it names our own trackers and web seed too. Undefined before the metadata is known. */
  torrent(): Uint8Array | undefined {
    const kept = this.#context.shelf.torrent(this.infoHash);
    const metainfo = this.#metainfo;
    if (kept === undefined || metainfo === undefined || !this.#entry.published) return kept;
    return torrentTo(this.#own, metainfo);
  }

  /** Goes to work. Resolves when it is under way; failures are in `state` and `error`. */
  async start(): Promise<void> {
    // A check that is under way goes on, and the title after it.
    this.#entry = { ...this.#entry, paused: false };
    if (this.#state !== 'paused' && this.#state !== 'failed') return;
    this.#error = null;
    if (this.#metainfo) return this.#open(this.#metainfo);
    this.#state = 'metadata';
    this.#join(null);
  }

  /** For a title that was paused when the process ended: what is on the disk is known and can be played, without joining the swarm. */
  async look(): Promise<void> {
    const metainfo = this.#metainfo;
    if (this.#state !== 'paused' || metainfo === undefined || this.#store !== undefined) return;
    const opening = new AbortController();
    this.#opening = opening;
    this.#looking = this.#settledStore(metainfo, opening.signal)
      .then(() => {
        this.#recount();
        this.#waiters.wakeAll();
      })
      // Whoever resumes it is told.
      .catch((error) => this.#log.debug('a paused title cannot be looked at', { reason: String(error) }))
      .finally(() => {
        this.#looking = undefined;
      });
    await this.#looking;
  }

  /** Leaves the swarm; what is on the disk stays, and can be played. */
  async pause(): Promise<void> {
    const left = this.#leave();
    // At once: whoever resumes it while peers are being told means the pause.
    this.#entry = { ...this.#entry, paused: true };
    this.#state = 'paused';
    await left;
  }

  /** Leaves the swarm and closes the files. */
  async stop(): Promise<void> {
    const entry = this.entry;
    this.#isStopped = true;
    await this.#leave();
    this.#entry = entry;
    this.#readers.closeAll();
    this.#waiters.wakeAll();
    await this.#store?.close();
    this.#store = undefined;
  }

  async remove(options: { readonly withData: boolean }): Promise<void> {
    const left = this.#leave();
    this.#context.onTitleGone(this.infoHash);
    this.#state = 'failed';
    this.#error = 'The title has been removed.';
    // Players hear of it at once, whatever time trackers take for a goodbye.
    this.#readers.closeAll();
    this.#waiters.wakeAll();
    await left;
    const store = this.#store;
    this.#store = undefined;
    // What was published is the user's own file.
    await store?.remove({ withData: options.withData && !this.#entry.published });
    if (store === undefined && options.withData && !this.#entry.published && this.#metainfo) await this.#removeClosed(this.#metainfo);
  }

  /**
   * Checks all that lies on the disk, whatever is known of it: out of the swarm meanwhile, then on as before, with what was damaged still to come. Resolves when that
   * is over; ended early by a pause, it leaves doubt, and what has not been looked at is checked when the title goes on.
   *
   * @throws ShoalError `METADATA_UNKNOWN` while nobody knows what belongs on the disk.
   */
  async recheck(): Promise<void> {
    const metainfo = this.#metainfo;
    if (metainfo === undefined)
      throw new ShoalError('METADATA_UNKNOWN', 'There is nothing to check yet: peers have still to tell what this title is.');
    const before = this.#state;
    if (before === 'checking') return;
    const wasComplete = this.#isComplete;
    const left = this.#leave();
    this.#state = 'checking';
    this.#error = null;
    const opening = new AbortController();
    this.#opening = opening;
    this.#entry = { ...this.#entry, paused: before === 'paused' };
    await left;
    if (opening.signal.aborted) return;
    // What had given enough gives no more; but what was damaged of it, or somebody waits for, is fetched.
    const rests = (): boolean => before === 'idle' && (this.#isComplete || (!wasComplete && this.#readers.count === 0));
    await this.#open(metainfo, { isThorough: true, rests });
  }

  open(file: TitleFile, fromByte: Bytes, toByte: Bytes): FileReading {
    const readable = this.#readable(this.#readers.isQuiet);
    const reading = this.#readers.open(readable, file, fromByte, toByte, () => {
      if (this.#hasGivenEnough && this.#readers.count === 0 && this.#transfer) this.#rest();
    });
    this.#entry = { ...this.#entry, usedAt: new Date().toISOString() };
    // What was given up to make room comes back only from the swarm.
    if (this.#state === 'idle' && !this.isComplete) void this.resume();
    this.#overseer?.changed();
    return reading;
  }

  /** How its players do, for the budget over all titles. */
  get playing(): { readonly bytesPerSecond: BytesPerSecond; readonly bufferMs: Milliseconds } {
    return this.#readers.playing;
  }

  /** Pieces that nobody here waits for, the most dispensable first. */
  dispensable(count: number): readonly PieceIndex[] {
    if (this.#transfer) return this.#transfer.session.dispensable(count);
    const pieces: PieceIndex[] = [];
    if (this.#readers.count > 0 || this.#state === 'checking') return pieces;
    for (let piece = 0; piece < (this.#metainfo?.pieceCount ?? 0) && pieces.length < count; piece++)
      if (this.#have?.has(piece)) pieces.push(piece);
    return pieces;
  }

  /** Gives pieces up: off the disk first, then the swarm is told, so that what comes back is never taken for what leaves. */
  async evict(pieces: readonly PieceIndex[]): Promise<void> {
    for (const piece of pieces) await this.#store?.removePiece(piece);
    this.#recount();
    this.#transfer?.command({ kind: 'evict', pieces });
  }

  /** Whether its owner keeps it, whatever the disk has room for. */
  pin(isPinned: boolean): void {
    this.#entry = { ...this.#entry, pinned: isPinned };
  }

  /** Goes on: from a pause, after a failure; a title that has given enough gives on, from then on without end. */
  async resume(): Promise<void> {
    if (this.#state !== 'idle') return this.start();
    this.#entry = { ...this.#entry, seedsOn: this.#isComplete };
    this.#state = 'paused';
    await this.start();
  }

  /** Reads what is here and asks the swarm for nothing: `next` rejects where bytes are missing. */
  openHere(file: number, fromByte: Bytes, toByte: Bytes): FileReading {
    const offsetBytes = this.#metainfo?.files[file]?.offsetBytes ?? 0;
    const missing = new ShoalError('TITLE_DATA_MISSING', 'This part of the title is not here yet.');
    const silence = { need: () => undefined, needGone: () => undefined, observe: () => undefined };
    const here = { ...this.#readable(false), ...silence, whenPiece: () => Promise.reject(missing) };
    return new TitleReading(here, offsetBytes + fromByte, offsetBytes + toByte);
  }

  /** Where the run of verified bytes of a file that begins at `fromByte` ends; `fromByte` itself when nothing is there. */
  hereUntil(file: number, fromByte: Bytes): Bytes {
    const info = this.#metainfo?.files[file];
    if (!this.#store || !info) return fromByte;
    return this.#store.verifiedUntil(info.offsetBytes + fromByte, info.offsetBytes + info.lengthBytes) - info.offsetBytes;
  }

  #readable(isFirst: boolean): ReadableTitle {
    const pieceLengthBytes = this.#metainfo?.pieceLengthBytes ?? 1;
    return {
      pieceLengthBytes,
      read: async (fromByte, toByte) => (await this.#store?.readVerified(fromByte, toByte)) ?? new Uint8Array(0),
      verifiedUntil: (fromByte, toByte) => this.#store?.verifiedUntil(fromByte, toByte) ?? fromByte,
      whenPiece: (piece, signal) => this.#whenPiece(piece, signal),
      need: (reader, fromByte, toByte, bytesPerSecond, isIdle) =>
        this.#transfer?.command({ kind: 'need', reader, fromByte, toByte, bytesPerSecond, isIdle }),
      needGone: (reader) => this.#transfer?.command({ kind: 'need-gone', reader }),
      nowMs: () => systemClock.nowMs(),
      observe: (observation) => this.#overseer?.observe(observation, isFirst),
    };
  }

  #whenPiece(piece: PieceIndex, signal: AbortSignal): Promise<void> {
    if (this.#state === 'failed' || this.#isStopped)
      return Promise.reject(new ShoalError('TITLE_GONE', this.error ?? 'The title cannot be read.'));
    return this.#waiters.wait(piece, signal);
  }

  /** The torrent as it was kept. */
  #learn(): void {
    const bytes = this.#context.shelf.torrent(this.infoHash);
    const metainfo = bytes && parseTorrent(bytes, nodeHasher);
    if (metainfo === undefined || metainfo instanceof Malformed || metainfo.infoHash !== this.infoHash) return;
    this.#adopt(metainfo);
  }

  #adopt(metainfo: Metainfo): void {
    this.#metainfo = metainfo;
    // A selection of files that are not there would be a title that never does anything.
    if (!metainfo.files.some(({ index }) => this.isWanted(index))) this.#selection = undefined;
    this.#files = metainfo.files.filter(({ isPad }) => !isPad).map((file) => this.#playable(metainfo, file));
  }

  #playable(metainfo: Metainfo, file: TitleFile): PlayableFile {
    const { index, lengthBytes } = file;
    return {
      index,
      path: metainfo.isSingleFile ? [metainfo.name] : file.path,
      lengthBytes,
      isComplete: () => this.haveBytes(file) === lengthBytes,
      open: (fromByte, toByte) => this.open(file, fromByte, toByte),
    };
  }

  /** A title that is paused by then does not join the swarm. */
  async #open(metainfo: Metainfo, { isThorough = false, rests = () => false }: OpeningOptions = {}): Promise<void> {
    this.#state = 'checking';
    this.#opening?.abort();
    const opening = new AbortController();
    this.#opening = opening;
    try {
      await this.#looking;
      const store = await this.#settledStore(metainfo, opening.signal);
      if (isThorough) await store.recheck({ signal: opening.signal, onProgress: this.#showProgress() });
      // A check that was ended leaves doubt.
      this.#recount();
      if (opening.signal.aborted) return;
      const isResting = rests();
      if (!this.#entry.paused && !isResting) return this.#begin(metainfo, store);
      this.#state = this.#entry.paused ? 'paused' : 'idle';
      this.#waiters.wakeAll();
    } catch (error) {
      if (opening.signal.aborted) return;
      const isGone = this.#entry.published && error instanceof ShoalError && GONE_CODES.includes(error.code);
      this.#fail(isGone ? this.#changed() : error);
    }
  }

  /** Where another title, or somebody's file, has the name, a new title takes the next one that is free. */
  async #settledStore(metainfo: Metainfo, signal: AbortSignal): Promise<TitleStore> {
    for (let number = 2; ; number++) {
      try {
        this.#store ??= await this.#openStore(metainfo);
        await this.#store.settle({ signal, onProgress: this.#showProgress() });
        return this.#store;
      } catch (error) {
        const { published, cached, downloadedBytes } = this.#entry;
        const isTaken = error instanceof ShoalError && error.code === 'TITLE_COLLISION';
        if (!isTaken || signal.aborted || published || cached || downloadedBytes > 0 || number > NAMES_MAX_COUNT) throw error;
        await this.#store?.close();
        this.#store = undefined;
        this.#rename(numberedComponent(metainfo.name, number));
      }
    }
  }

  /** What has been found right so far can be seen, and played. */
  #showProgress(): () => void {
    let shownMs = systemClock.nowMs();
    return () => {
      if (systemClock.nowMs() - shownMs < CHECK_SHOWN_MS) return;
      this.#recount();
      this.#waiters.wakeAll();
      shownMs = systemClock.nowMs();
    };
  }

  /** Kept at once: after a crash the data must be found where they are. */
  #rename(diskName: string): void {
    this.#log.info('the name of a title is taken on the disk: it gets another one', { diskName });
    this.#entry = { ...this.#entry, diskName };
    this.#context.shelf.keep(this.#entry);
  }

  #openStore(metainfo: Metainfo): Promise<TitleStore> {
    const { folder, diskName, published, cached } = this.#entry;
    return TitleStore.open({
      metainfo: diskName === null ? metainfo : { ...metainfo, name: diskName },
      folder,
      recordFolder: this.#context.shelf.recordFolder,
      log: this.#log,
      layout: cached ? 'pieces' : 'files',
      isComplete: published,
      isReadOnly: published,
      onLost: (pieces) => this.#onLost(pieces),
    });
  }

  /** What others would send is not what the user has there now: his own files are never written over. */
  #changed(): ShoalError {
    const place = join(this.#entry.folder, this.#entry.diskName ?? this.name);
    return new ShoalError(
      'TITLE_CHANGED',
      `${place} has changed since it was published, or is gone. Bring it back and resume, or publish it again.`,
    );
  }

  #onLost(pieces: readonly PieceIndex[]): void {
    this.#recount();
    if (this.#entry.published) return this.#fail(this.#changed());
    for (const piece of pieces) this.#transfer?.command({ kind: 'piece-lost', piece });
  }

  #begin(metainfo: Metainfo, store: TitleStore): void {
    const { rng, uplink, downlink, line } = this.#context;
    this.#recount();
    if (this.#entry.published && !this.#isComplete) throw this.#changed();
    this.#isDownload = !this.#isComplete;
    this.#hasGivenEnough = false;
    this.#state = this.#isComplete ? 'seeding' : 'downloading';
    this.#swarm?.setUploadOnly(this.#isComplete);
    this.#transfer = new TitleTransfer({
      metainfo,
      store,
      rng: rng.fork(),
      uplink,
      downlink,
      line,
      webSeeds: unique([...this.#link.webSeeds, ...metainfo.webSeeds]),
      webSeedTrust: 'user',
      log: this.#log,
      onWant: (count) => this.#swarm?.want(count),
      onPiece: (piece) => this.#onPiece(piece),
      onEvent: (event) => this.#onEvent(event),
      onHopeless: (error) => this.#fail(error),
    });
    if (this.#swarm === undefined) this.#join(metainfo);
    this.#transfer.start();
    this.#overseer?.changed();
    if (this.#entry.published) this.#context.onTitle(this.infoHash);
    for (const { connection, info } of this.#early.splice(0)) this.#transfer.add(connection, info);
    this.#select(metainfo);
    this.#readers.tellAgain();
    this.#waiters.wakeAll();
    this.#limitSeeding();
  }

  /** What is published here is given for as long as it is published. */
  #limitSeeding(): void {
    const { seedingRatio, seedingMinutes } = this.#context.config.titles;
    const { published, seedsOn, uploadedBytes, seededMs } = this.#entry;
    if (published || seedsOn) return;
    this.#transfer?.command({
      kind: 'seed',
      policy: {
        ratio: seedingRatio === 0 ? null : seedingRatio / 100,
        durationMs: seedingMinutes === 0 ? null : seedingMinutes * 60_000,
      },
      before: { upBytes: uploadedBytes, seededMs },
    });
  }

  /** What the link wants of the files (BEP 53). */
  #select(metainfo: Metainfo): void {
    if (this.#selection === undefined) return;
    const ranges = metainfo.files
      .filter(({ index }) => this.isWanted(index))
      .flatMap((file) => piecesOfFile(metainfo, file) ?? [])
      .map(({ firstPiece, lastPiece }) => ({ firstPiece, lastPiece, priority: 2 as const }));
    this.#transfer?.command({ kind: 'select', ranges });
    // Files that are empty come with no piece.
    if (ranges.length === 0) this.#onEvent({ kind: 'wanted-complete' });
  }

  #join(metainfo: Metainfo | null): void {
    const { network, config } = this.#context;
    const { maxConnections } = config.titles;
    this.#swarm = network.join({
      kind: 'torrent',
      infoHash: this.infoHash,
      metadata: metainfo?.infoBytes ?? null,
      isPrivate: metainfo?.isPrivate ?? false,
      pieceCount: metainfo?.pieceCount ?? null,
      uploadOnly: this.#isComplete,
      maxConnections,
      targetConnections: Math.ceil(maxConnections / 2),
      onConnection: (connection, info) => this.#onConnection(connection, info),
      onMetadata: (bytes) => this.#onMetadata(bytes),
    });
    this.#discovery = new TitleDiscovery(this.#context, this.#sought(), metainfo);
  }

  #sought(): SoughtTitle {
    return {
      infoHash: this.infoHash,
      link: this.#link,
      log: this.#log,
      ownTrackers: this.#own.trackers,
      transferred: () => this.entry,
      leftBytes: () => (this.#metainfo && this.#have ? this.#metainfo.totalBytes - this.haveBytes() : undefined),
      wantsPeers: () => !this.#isComplete && (this.#swarm?.connectionCount ?? 0) < 4,
      onPeer: (host, port, source) => this.#swarm?.addCandidate(host, port, source),
      onTrackerSwitch: () => this.#swarm?.dismiss('another tracker of a private title'),
    };
  }

  get #own(): OwnSources {
    return ownSources(this.#context, this.#entry, this.#metainfo);
  }

  #onConnection(connection: Connection, info: PeerInfo): void {
    if (this.#transfer) this.#transfer.add(connection, info);
    else this.#early.push({ connection, info });
  }

  #onMetadata(bytes: Uint8Array): TorrentShape | Malformed {
    const metainfo = parseInfo(bytes, nodeHasher);
    if (metainfo instanceof Malformed) {
      this.#fail(new ShoalError('TORRENT_MALFORMED', `What peers have under this link cannot be used: ${metainfo.reason}`));
      return metainfo;
    }
    this.#context.shelf.keepTorrent(
      this.infoHash,
      encodeTorrent({ ...metainfo, trackerTiers: this.#link.trackers.map((url) => [url]), webSeeds: this.#link.webSeeds }),
    );
    this.#log.debug('the metadata has come', { name: metainfo.name });
    this.#adopt(metainfo);
    this.#discovery?.learn(metainfo);
    void this.#open(metainfo);
    return { pieceCount: metainfo.pieceCount, isPrivate: metainfo.isPrivate };
  }

  #onPiece(piece: PieceIndex): void {
    this.#have?.add(piece);
    this.#waiters.wake(piece);
  }

  #onEvent(event: TitleEvent): void {
    if (event.kind === 'wanted-complete') void this.#onWantedComplete();
    if (event.kind === 'wanted-again') this.#onWantedAgain();
    if (event.kind === 'seeding-done') {
      this.#hasGivenEnough = true;
      // A player may yet want what had to give way.
      if (this.#isComplete || this.#readers.count === 0) this.#rest();
    }
  }

  /** All has come; unless somebody took files away meanwhile, it is here. */
  async #onWantedComplete(): Promise<void> {
    const transfer = this.#transfer;
    this.#wantsNothing = true;
    if (!(await this.#store?.lookAgain()) || transfer !== this.#transfer || !this.#wantsNothing) return;
    this.#recount();
    if (this.#state === 'downloading') this.#state = 'seeding';
    // Who has all it wants downloads nothing, whether that is the whole title or not (BEP 21).
    this.#swarm?.setUploadOnly(true);
    if (this.#isComplete && this.#isDownload) this.#discovery?.complete();
  }

  /** A player asks for what was not wanted so far, or something was lost. Those who have it were let go, or have let us go. */
  #onWantedAgain(): void {
    this.#wantsNothing = false;
    if (this.#state === 'seeding' && !this.#isComplete) this.#state = 'downloading';
    this.#swarm?.setUploadOnly(false);
    this.#swarm?.recall();
  }

  /** Enough has been given. */
  #rest(): void {
    this.#state = 'idle';
    void this.#leave();
  }

  #recount(): void {
    const metainfo = this.#metainfo;
    if (!metainfo || !this.#store) return;
    this.#have = new Bitfield(metainfo.pieceCount, this.#store.have);
    this.#isComplete = this.#have.full;
  }

  #fail(error: unknown): void {
    this.#state = 'failed';
    this.#error = error instanceof Error ? error.message : String(error);
    this.#log.warn('a title cannot go on', { reason: this.#error });
    this.#waiters.wakeAll();
    void this.#leave();
    // Resumed, it looks at the files as they are then.
    if (this.#entry.published) {
      void this.#store?.close();
      this.#store = undefined;
    }
  }

  async #leave(): Promise<void> {
    this.#opening?.abort();
    const entry = this.entry;
    this.#transfer?.stop();
    this.#transfer = undefined;
    this.#entry = entry;
    for (const { connection } of this.#early.splice(0)) connection.close({ kind: 'leaving', detail: 'stopped' });
    const [swarm, discovery] = [this.#swarm, this.#discovery];
    this.#swarm = undefined;
    this.#discovery = undefined;
    await Promise.all([this.#looking, discovery?.stop(), swarm?.leave()]);
  }

  async #removeClosed(metainfo: Metainfo): Promise<void> {
    const store = await this.#openStore(metainfo).catch((error: unknown) => {
      if (!(error instanceof ShoalError) || !NOWHERE_CODES.includes(error.code)) throw error;
      this.#log.debug('a title leaves nothing behind', { reason: String(error) });
    });
    await store?.remove({ withData: true });
  }
}

/**
 * Files that browsers cannot play, as HLS of fragmented MP4 made on demand: the playlist names all segments at once, and a segment is
 * made when it is asked for, from the part of the file it needs.
 *
 * Streams that a browser takes are copied, others encoded (`vod/conversion-plan`). Each viewer has a run of ffmpeg of its own, told apart by
 * `session` in the addresses; ffmpeg reads the file from this process at an address that nobody can guess and that ends with the run. At most
 * `conversionsMax` run at once; one ends when whoever waits for it leaves, or after `IDLE_MS` without a request. What goes wrong is
 * said in words: 415 for a file that cannot be converted, 503 when ffmpeg is missing or all runs are taken, 500 when it failed.
 */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { probeMedia } from '../../io/programs/ffprobe.js';
import type { WebRequest } from '../../io/web/http-server.js';
import { goneSignal, sayInWords } from '../../io/web/ranged-response.js';
import { Malformed, ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { type ConversionPlan, isSegmentable, type MediaDescription, planConversion } from '../../vod/conversion-plan.js';
import { cuesLengthBytes, locateCues, MATROSKA_HEAD_BYTES, parseCues } from '../../vod/matroska-cues.js';
import { formatSegmentPlaylist } from '../../vod/playlist.js';
import { ConversionRun } from './conversion-run.js';
import type { LentFiles } from './lent-files.js';
import type { PlayableFile, PlayableTitle } from './playable.js';
import type { ConversionTarget } from './playback-address.js';
import { readPart } from './whole-file.js';

export interface ConversionsOptions {
  readonly files: LentFiles;
  readonly log: Log;
  /** Default 2. */
  readonly conversionsMax?: number;
}

/** What `media.json` answers: enough for a page to choose how to play. */
interface MediaView extends MediaDescription {
  /** Browsers play the file's own address. */
  readonly isDirect: boolean;
  readonly conversion: { readonly video: string; readonly audio: string };
}

/** What is known of one file; kept because asking costs a program and a few reads. */
interface Known {
  readonly media: MediaDescription;
  readonly plan: ConversionPlan | Malformed;
  /** Initialisation section, once a run has made it; equal for every run. */
  init: Uint8Array | undefined;
}

interface Viewing {
  readonly fileKey: string;
  readonly run: ConversionRun;
  readonly endInput: () => void;
  idleTimer: NodeJS.Timeout | undefined;
  usedMs: Milliseconds;
}

const CONVERSIONS_MAX = 2;
const PROBES_MAX = 4;
/** A player that is paused longer than this finds its run gone, and a new one begun at its next segment. */
const IDLE_MS: Milliseconds = 20_000;
/** A run that nobody asked anything of for so long gives its place to another viewer. */
const YIELD_MS: Milliseconds = 8_000;
const KNOWN_MAX = 64;
const CUES_HEADER_BYTES: Bytes = 12;
const SESSION = /^[A-Za-z0-9_-]{1,32}$/;
const PLAYLIST_TYPE = 'application/vnd.apple.mpegurl';

/** Answers with a status of its own. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, sentence: string) {
    super(sentence);
    this.status = status;
  }
}

export class Conversions {
  readonly #options: ConversionsOptions;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Promise<Known>>();
  readonly #viewings = new Map<string, Viewing>();

  constructor(options: ConversionsOptions) {
    this.#options = options;
  }

  /** Runs of ffmpeg right now. */
  get running(): number {
    return [...this.#viewings.values()].filter(({ run }) => !run.isOver).length;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#viewings.keys()].map((key) => this.#end(key)));
  }

  /** Answers for `media.json` and everything below `hls/`. GET and HEAD only; HEAD starts nothing. */
  answer(request: WebRequest, response: ServerResponse, title: PlayableTitle, target: ConversionTarget, token: string): void {
    if (request.method === 'HEAD') return void response.writeHead(200, { 'Content-Type': typeOf(target) }).end();
    const signal = goneSignal(response);
    this.#make(request, title, target, token, signal).then(
      (body) => {
        if (!signal.aborted)
          response.writeHead(200, { 'Content-Type': typeOf(target), 'Content-Length': body.length, 'Cache-Control': 'no-store' }).end(body);
      },
      (error) => {
        if (!signal.aborted) this.#refuse(request, response, error);
      },
    );
  }

  async #make(
    request: WebRequest,
    { infoHash }: PlayableTitle,
    target: ConversionTarget,
    token: string,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const { file } = target;
    const fileKey = `${infoHash}/${file.index}`;
    const known = await this.#ask(fileKey, file, signal);
    if (target.kind === 'media') return Buffer.from(JSON.stringify(viewOf(known)));
    const { plan } = known;
    if (plan instanceof Malformed) throw new Refusal(415, plan.reason);
    const session = sessionOf(request);
    if (target.part === 'index.m3u8') return Buffer.from(playlistOf(plan, token, session));
    if (target.part === 'init.mp4') return known.init ?? this.#init(known, `${fileKey}/${session}`, file, plan, signal);
    const index = Number(/^(\d{1,6})\.m4s$/.exec(target.part)?.[1] ?? Number.NaN);
    if (!(index < plan.boundariesS.length - 1)) throw new Refusal(404, 'There is no such segment.');
    return this.#segment(`${fileKey}/${session}`, file, known, plan, index, signal);
  }

  /** The first viewer's first run makes it, from the beginning, where most viewers begin. */
  async #init(known: Known, key: string, file: PlayableFile, plan: ConversionPlan, signal: AbortSignal): Promise<Uint8Array> {
    await this.#segment(key, file, known, plan, 0, signal);
    if (known.init === undefined) throw new Refusal(500, 'The conversion made nothing.');
    return known.init;
  }

  async #segment(
    key: string,
    file: PlayableFile,
    known: Known,
    plan: ConversionPlan,
    index: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    let viewing = this.#viewings.get(key);
    if (viewing?.run.reaches(index) !== true) {
      if (viewing !== undefined) void this.#end(key);
      viewing = this.#begin(key, file, known, plan, index);
    }
    const { run } = viewing;
    this.#noteUse(key, viewing);
    // Whoever leaves while waiting has gone to another place, or for good.
    const leave = (): void => {
      if (!run.isWaitedFor && this.#viewings.get(key)?.run === run) void this.#end(key);
    };
    try {
      return await run.segment(index, signal);
    } catch (error) {
      if (signal.aborted) leave();
      throw error;
    }
  }

  #begin(key: string, file: PlayableFile, known: Known, plan: ConversionPlan, firstIndex: number): Viewing {
    const fileKey = key.slice(0, key.lastIndexOf('/'));
    this.#makeRoom(fileKey);
    const input = this.#options.files.lend(file);
    const run: ConversionRun = new ConversionRun({
      input: input.url,
      plan,
      firstIndex,
      log: this.#options.log,
      onInit: (bytes) => {
        known.init ??= bytes;
      },
      onEnd: input.end,
    });
    const viewing = { fileKey, run, endInput: input.end, idleTimer: undefined, usedMs: performance.now() };
    this.#viewings.set(key, viewing);
    return viewing;
  }

  #noteUse(key: string, viewing: Viewing): void {
    viewing.usedMs = performance.now();
    clearTimeout(viewing.idleTimer);
    viewing.idleTimer = setTimeout(() => {
      if (viewing.run.isWaitedFor) this.#noteUse(key, viewing);
      else void this.#end(key);
    }, IDLE_MS);
  }

  /** An idle run gives way to another viewer of its file at once, who most likely is the same one in a new window; else after a while. */
  #makeRoom(fileKey: string): void {
    if (this.running < (this.#options.conversionsMax ?? CONVERSIONS_MAX)) return;
    const nowMs = performance.now();
    const mayYield = ({ run, usedMs, fileKey: own }: Viewing): boolean =>
      !run.isOver && !run.isWaitedFor && (own === fileKey || nowMs - usedMs > YIELD_MS);
    const [longest] = [...this.#viewings]
      .filter(([, viewing]) => mayYield(viewing))
      .sort(([, one], [, other]) => one.usedMs - other.usedMs);
    if (longest === undefined)
      throw new Refusal(503, 'As many files are converted as this machine may at once. Close another one, or try again.');
    void this.#end(longest[0]);
  }

  async #end(key: string): Promise<void> {
    const viewing = this.#viewings.get(key);
    if (viewing === undefined) return;
    this.#viewings.delete(key);
    clearTimeout(viewing.idleTimer);
    viewing.endInput();
    await viewing.run.stop();
  }

  /** One question per file at a time; an answer is kept, a failure is not. */
  #ask(fileKey: string, file: PlayableFile, signal: AbortSignal): Promise<Known> {
    const known = this.#known.get(fileKey);
    if (known !== undefined) return Promise.resolve(known);
    const asking = this.#asking.get(fileKey);
    // Whoever began may leave: then the next one asks anew.
    if (asking !== undefined)
      return asking.catch((error) => (signal.aborted || !isAbort(error) ? Promise.reject(error) : this.#ask(fileKey, file, signal)));
    if (this.#asking.size >= PROBES_MAX)
      return Promise.reject(new Refusal(503, 'Too many files are being looked at. Try again in a moment.'));
    const question = this.#examine(file, signal)
      .then((answer) => this.#remember(fileKey, answer))
      .finally(() => this.#asking.delete(fileKey));
    this.#asking.set(fileKey, question);
    return question;
  }

  #remember(fileKey: string, known: Known): Known {
    this.#known.set(fileKey, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest);
    return known;
  }

  async #examine(file: PlayableFile, signal: AbortSignal): Promise<Known> {
    const input = this.#options.files.lend(file);
    try {
      const media = await probeMedia(input.url, signal);
      const keyTimesS = media.container.includes('matroska') && isSegmentable(media.video) ? await keyTimesOf(file, signal) : [];
      return { media, plan: planConversion(media, keyTimesS), init: undefined };
    } finally {
      input.end();
    }
  }

  #refuse(request: WebRequest, response: ServerResponse, error: unknown): void {
    const status = error instanceof Refusal ? error.status : error instanceof ShoalError && error.code === 'FFMPEG_MISSING' ? 503 : 500;
    if (status === 503) response.setHeader('Retry-After', '5');
    sayInWords(request, response, status, error instanceof Error ? capitalised(error.message) : 'The conversion has failed.');
  }
}

/** Key frames that the file's own index names; none when it has no index that can be read. */
async function keyTimesOf(file: PlayableFile, signal: AbortSignal): Promise<readonly number[]> {
  const location = locateCues(await readPart(file, 0, MATROSKA_HEAD_BYTES, signal));
  if (location instanceof Malformed || location.offsetBytes >= file.lengthBytes) return [];
  const { offsetBytes } = location;
  const lengthBytes = cuesLengthBytes(await readPart(file, offsetBytes, offsetBytes + CUES_HEADER_BYTES, signal));
  if (lengthBytes instanceof Malformed) return [];
  const times = parseCues(await readPart(file, offsetBytes, offsetBytes + lengthBytes, signal), location);
  return times instanceof Malformed ? [] : times;
}

function viewOf({ media, plan }: Known): MediaView {
  const isPlan = !(plan instanceof Malformed);
  return {
    ...media,
    isDirect: isPlan && plan.isDirect,
    conversion: isPlan ? { video: plan.video, audio: plan.audio } : { video: 'none', audio: 'none' },
  };
}

function playlistOf(plan: ConversionPlan, token: string, session: string): string {
  const query = `?token=${token}&session=${session}`;
  return formatSegmentPlaylist(plan.boundariesS, `init.mp4${query}`, (index) => `${index}.m4s${query}`);
}

/** A page may name itself, so that it finds its run again when it is loaded anew; otherwise each reading of the playlist is a viewer. */
function sessionOf({ query }: WebRequest): string {
  const session = query.get('session') ?? '';
  return SESSION.test(session) ? session : randomBytes(9).toString('base64url');
}

function typeOf(target: ConversionTarget): string {
  if (target.kind !== 'conversion') return 'application/json; charset=utf-8';
  if (target.part.endsWith('.m3u8')) return PLAYLIST_TYPE;
  return target.part.endsWith('.mp4') ? 'video/mp4' : 'video/iso.segment';
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || (error.cause instanceof Error && error.cause.name === 'AbortError'));
}

/** Names of programs stay as they are. */
function capitalised(sentence: string): string {
  return sentence.startsWith('ff') ? sentence : sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

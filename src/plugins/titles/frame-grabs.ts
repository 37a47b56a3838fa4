/**
 * Pictures of titles: a frame of the film, or the cover of the sound, made once there are bytes enough for it and kept on the disk.
 *
 * A picture never makes anything download: only verified bytes are read, and where one is missing the attempt fails. A first picture is tried
 * for as soon as a run of bytes is there, and after each failure only when there is a third more of the film; when it is
 * complete, a picture from a fifth of its length takes its place. One program runs at a time, at low priority, for a bounded time
 * (`frame-grabber`), and whatever comes of it, a title gets at most `ATTEMPTS_MAX` of them.
 */
import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { probeMedia } from '../../io/programs/ffprobe.js';
import { grabFrame } from '../../io/programs/frame-grabber.js';
import { ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import type { Bytes, InfoHash } from '../../kernel/units.js';
import { mediaKindOf } from '../../vod/content-type.js';
import type { LentFiles } from './lent-files.js';
import type { FileReading, PlayableFile, PlayableTitle } from './playable.js';

/** What pictures need of a title. Files are named by their index. */
export interface GrabbableTitle extends PlayableTitle {
  /** Reads what is here; `next` rejects where bytes are missing. */
  openHere(file: number, fromByte: Bytes, toByte: Bytes): FileReading;
  /** Where the run of verified bytes that begins at `fromByte` ends; `fromByte` itself when nothing is there. */
  hereUntil(file: number, fromByte: Bytes): Bytes;
}

export interface FrameGrabsOptions {
  readonly files: LentFiles;
  readonly log: Log;
  /** Where a file of a title is kept; its folder is there. */
  readonly pathOf: (id: InfoHash, name: string) => string;
}

type Quality = 'early' | 'final';

interface Grab {
  quality: Quality | undefined;
  attempts: number;
  /** No early attempt before so many of the places looked at are here. */
  neededPlaces: number;
}

/** Something to try: a file, and where in it, as a share of its length. */
interface Attempt {
  readonly file: PlayableFile;
  readonly share: number;
  readonly quality: Quality;
}

const FILE_NAMES: Readonly<{ [Name in Quality]: string }> = { early: 'picture-early.jpg', final: 'picture.jpg' };
const ATTEMPTS_MAX = 12;
/** A second of a small film; larger ones need another attempt or two. */
const RUN_BYTES_MIN: Bytes = 256 * 1024;
/** After a failure, so much more must be here for the next attempt: a dozen of them on the way to the whole. */
const GROWTH = 1.3;
/** What a container says of itself in front. */
const HEAD_BYTES: Bytes = 64 * 1024;
/** Past titles and credits, before the plot. */
const FINAL_SHARE = 0.2;
/** A run is used well behind its beginning, because the key frame lies somewhere before. */
const RUN_SHARE = 0.6;
/** Places of a file that are looked at. */
const PLACES = 64;

export class FrameGrabs {
  readonly #options: FrameGrabsOptions;
  readonly #records = new Map<InfoHash, Grab>();
  #running: { readonly id: InfoHash; readonly control: AbortController } | undefined;
  #isMissing = false;

  constructor(options: FrameGrabsOptions) {
    this.#options = options;
  }

  /** Whether an attempt is under way. */
  get isBusy(): boolean {
    return this.#running !== undefined;
  }

  /** Another one for each picture of a title; null while there is none. */
  markOf(id: InfoHash): string | null {
    return this.#recordOf(id).quality ?? null;
  }

  async picture(id: InfoHash): Promise<Uint8Array | null> {
    const { quality } = this.#recordOf(id);
    return quality === undefined ? null : readFile(this.#options.pathOf(id, FILE_NAMES[quality])).catch(() => null);
  }

  /** Looks for something to do. Call once a second; costs little when there is nothing. */
  consider(titles: readonly GrabbableTitle[]): void {
    if (this.#running !== undefined || this.#isMissing) return;
    for (const title of titles) {
      const attempt = this.#attemptOf(title);
      if (attempt === undefined) continue;
      void this.#try(title, attempt);
      return;
    }
  }

  /** The title is gone, and its folder with it. */
  forget(id: InfoHash): void {
    if (this.#running?.id === id) this.#running.control.abort();
    this.#records.delete(id);
  }

  stop(): void {
    this.#isMissing = true;
    this.#running?.control.abort();
  }

  #recordOf(id: InfoHash): Grab {
    const known = this.#records.get(id);
    if (known) return known;
    const { pathOf } = this.#options;
    const quality = (['final', 'early'] as const).find((candidate) => existsSync(pathOf(id, FILE_NAMES[candidate])));
    const record = { quality, attempts: 0, neededPlaces: 1 };
    this.#records.set(id, record);
    return record;
  }

  #attemptOf(title: GrabbableTitle): Attempt | undefined {
    const record = this.#recordOf(title.infoHash);
    if (record.quality === 'final' || record.attempts >= ATTEMPTS_MAX) return undefined;
    const file = pictureFile(title.files);
    if (file === undefined) return undefined;
    if (title.hereUntil(file.index, 0) >= file.lengthBytes) return { file, share: FINAL_SHARE, quality: 'final' };
    if (record.quality === 'early' || mediaKindOf(file.path.at(-1) ?? '') !== 'video') return undefined;
    return this.#earlyAttempt(title, file, record);
  }

  #earlyAttempt(title: GrabbableTitle, file: PlayableFile, record: Grab): Attempt | undefined {
    if (title.hereUntil(file.index, 0) < Math.min(HEAD_BYTES, file.lengthBytes)) return undefined;
    const run = longestRun(title, file);
    if (run.lengthBytes < Math.min(RUN_BYTES_MIN, file.lengthBytes) || run.placesHere < record.neededPlaces) return undefined;
    record.neededPlaces = Math.ceil(run.placesHere * GROWTH + 1);
    return { file, share: (run.fromByte + RUN_SHARE * run.lengthBytes) / file.lengthBytes, quality: 'early' };
  }

  async #try(title: GrabbableTitle, attempt: Attempt): Promise<void> {
    const { infoHash } = title;
    const control = new AbortController();
    const record = this.#recordOf(infoHash);
    this.#running = { id: infoHash, control };
    record.attempts += 1;
    try {
      const bytes = await this.#grab(title, attempt, control.signal);
      await this.#keep(infoHash, attempt.quality, bytes);
      record.quality = attempt.quality;
    } catch (error) {
      if (error instanceof ShoalError && error.code === 'FFMPEG_MISSING') this.#giveUp(error);
      // A complete file will not become better.
      else if (attempt.quality === 'final') record.attempts = ATTEMPTS_MAX;
      this.#options.log.debug('no picture of a title', { title: infoHash, quality: attempt.quality, reason: String(error) });
    } finally {
      this.#running = undefined;
    }
  }

  async #grab(title: GrabbableTitle, { file, share, quality }: Attempt, signal: AbortSignal): Promise<Uint8Array> {
    const { index, lengthBytes } = file;
    const lent = this.#options.files.lend({ lengthBytes, open: (fromByte, toByte) => title.openHere(index, fromByte, toByte) });
    try {
      const { durationS } = await probeMedia(lent.url, signal);
      const atS = Number.isFinite(durationS) ? durationS * share : 0;
      return await grabFrame(lent.url, atS, signal).catch((error) => {
        // A cover has no time, and some films cannot be sought in.
        if (quality === 'early' || atS === 0 || signal.aborted) throw error;
        return grabFrame(lent.url, 0, signal);
      });
    } finally {
      lent.end();
    }
  }

  async #keep(id: InfoHash, quality: Quality, bytes: Uint8Array): Promise<void> {
    const path = this.#options.pathOf(id, FILE_NAMES[quality]);
    await writeFile(`${path}.tmp`, bytes, { mode: 0o600 });
    await rename(`${path}.tmp`, path);
  }

  #giveUp(error: ShoalError): void {
    this.#isMissing = true;
    this.#options.log.info('titles have no pictures', { reason: error.message });
  }
}

/** The largest film; where there is none, the largest file of sound, which may have a cover. */
function pictureFile(files: readonly PlayableFile[]): PlayableFile | undefined {
  for (const wanted of ['video', 'audio'] as const) {
    let largest: PlayableFile | undefined;
    for (const file of files)
      if (file.lengthBytes > (largest?.lengthBytes ?? 0) && mediaKindOf(file.path.at(-1) ?? '') === wanted) largest = file;
    if (largest) return largest;
  }
  return undefined;
}

interface Run {
  readonly fromByte: Bytes;
  readonly lengthBytes: Bytes;
  /** Of all places that were looked at, in this run or another. */
  readonly placesHere: number;
}

function longestRun(title: GrabbableTitle, { index, lengthBytes }: PlayableFile): Run {
  let longest = { fromByte: 0, lengthBytes: 0 };
  let endByte = -1;
  let placesHere = 0;
  for (let place = 0; place < PLACES; place++) {
    const fromByte = Math.floor((place / PLACES) * lengthBytes);
    const isWithin = fromByte < endByte;
    if (!isWithin) endByte = title.hereUntil(index, fromByte);
    if (isWithin || endByte > fromByte) placesHere += 1;
    if (!isWithin && endByte - fromByte > longest.lengthBytes) longest = { fromByte, lengthBytes: endByte - fromByte };
  }
  return { ...longest, placesHere };
}

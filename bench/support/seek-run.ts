/**
 * How long a player waits for the first byte after a seek, and at the start, while the whole title comes in the background over a slow line.
 *
 * A seeder (libtorrent) behind a `ShapedLink`; the client under test is told the line's address alone, begins to download all, and is asked over HTTP by a
 * player of ours for ranges. Nothing here knows what the client is: it needs a driver that `canDial` and `canServe`.
 */
import { mkdirSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { Rng } from '../../src/kernel/rng.js';
import type { ForeignClient, RunningClient } from '../../test/support/foreign/foreign-client.js';
import { libtorrent } from '../../test/support/foreign/libtorrent.js';
import { writeTorrent } from '../../test/support/title-fixture.js';
import { ShapedLink } from './shaped-link.js';
import type { TransferTitle } from './transfer-run.js';

export interface SeekFigures {
  /** From the call of `download` to the first byte of the file: with the start of its process, where it is one of its own. */
  readonly startUpMs: number;
  /** The first byte of every seek, in order; NaN for one that was late. */
  readonly seekMs: readonly number[];
  /** That came over the line during the seeks, for each second: whether it was busy. */
  readonly lineBytesPerSecond: number;
}

export interface SeekOptions {
  readonly client: ForeignClient;
  readonly title: TransferTitle;
  readonly scratch: string;
  readonly from: 'torrent' | 'magnet';
  readonly seeks: number;
  readonly lineBytesPerSecond: number;
  readonly delayMs: number;
}

/** Before the first seek, so that the background is at full speed. */
const WARM_UP_MS = 4_000;
/** A player reads on for a while. */
const PLAYED_BYTES = 262_144;
const PAUSE_MS = 400;
const FIRST_BYTE_MS = 20_000;
/** The first part of the title is left to the background, so that seeks go to where nothing is yet. */
const SEEK_FROM_RATIO = 0.3;

export async function runSeeks(options: SeekOptions): Promise<SeekFigures> {
  const { client, title, scratch } = options;
  const seeder = await libtorrent.seed(writeTorrent(scratch, 'seed', title.torrent.file()), title.folder);
  const link = await ShapedLink.start({
    targetPort: seeder.port,
    bytesPerSecond: options.lineBytesPerSecond,
    delayMs: options.delayMs,
  });
  let running: RunningClient | undefined;
  try {
    const peers = [`${link.host}:${link.port}`];
    const source = options.from === 'magnet' ? title.torrent.magnet({ peers }) : join(scratch, 'seed.torrent');
    const folder = join(scratch, 'out');
    mkdirSync(folder, { recursive: true });
    const beganMs = performance.now();
    running = await client.download(source, folder, { peers, http: true });
    const { httpUrl } = running;
    if (httpUrl === undefined) throw new Error(`${client.name} gave no address to play at`);
    const first = await play(httpUrl, 0);
    const startUpMs = performance.now() - first.sinceFirstByteMs - beganMs;
    if (options.seeks > 0) await pause(WARM_UP_MS);
    return { startUpMs, ...(await seekAround(httpUrl, link, options)) };
  } finally {
    await running?.stop();
    await link.stop();
    await seeder.stop();
  }
}

async function seekAround(url: string, link: ShapedLink, options: SeekOptions): Promise<Omit<SeekFigures, 'startUpMs'>> {
  const rng = new Rng(7);
  const { totalBytes } = options.title.torrent;
  const seekMs: number[] = [];
  const had = link.givenBytes;
  const beganMs = performance.now();
  while (seekMs.length < options.seeks) {
    const from = Math.floor(totalBytes * SEEK_FROM_RATIO) + rng.below(Math.floor(totalBytes * (1 - SEEK_FROM_RATIO)) - PLAYED_BYTES);
    seekMs.push((await play(url, from)).firstByteMs);
    await pause(PAUSE_MS);
  }
  return { seekMs, lineBytesPerSecond: ((link.givenBytes - had) * 1000) / (performance.now() - beganMs) };
}

interface Played {
  /** From the request to the first byte of the file. */
  readonly firstByteMs: number;
  /** From that byte to the end of this call. */
  readonly sinceFirstByteMs: number;
}

/** Asks from `fromByte` to the end, as players do, reads a little and hangs up. */
function play(url: string, fromByte: number): Promise<Played> {
  const beganMs = performance.now();
  let firstMs = Number.NaN;
  let playedBytes = 0;
  return new Promise((resolve) => {
    const request = get(url, { agent: false, headers: { range: `bytes=${fromByte}-` } });
    const end = (): void => {
      clearTimeout(timer);
      request.destroy();
      resolve({ firstByteMs: firstMs - beganMs, sinceFirstByteMs: performance.now() - firstMs });
    };
    const timer = setTimeout(end, FIRST_BYTE_MS);
    request.on('error', end);
    request.on('response', (response) => {
      response.on('data', (bytes: Buffer) => {
        if (Number.isNaN(firstMs)) firstMs = performance.now();
        playedBytes += bytes.length;
        if (playedBytes >= PLAYED_BYTES) end();
      });
      response.on('error', end).on('end', end);
    });
  });
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}

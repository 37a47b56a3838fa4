/**
 * One title from one process to another over loopback: how fast, and what it costs both.
 *
 * A tracker of our own brings them together; there is no encryption, no DHT and no PEX. Rates in 10^6 bytes a second: `wall` from the start of the leecher's
 * process, `transfer` from its first block on the disk, both to the moment when it says that all is there and checked. Bytes are compared afterwards.
 */
import { statSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import type { ForeignClient, RunningClient } from '../../test/support/foreign/foreign-client.js';
import type { TestTracker } from '../../test/support/foreign/test-tracker.js';
import { differences, writeTorrent } from '../../test/support/title-fixture.js';
import type { TestTorrent } from '../../test/support/torrent-fixture.js';
import { peakResidentMb, treeCpuSeconds } from './process-usage.js';

export interface TransferTitle {
  readonly torrent: TestTorrent;
  /** Holds the title's file or folder. */
  readonly folder: string;
}

export interface TransferFigures {
  readonly wallMbPerSecond: number;
  readonly transferMbPerSecond: number;
  /** Processor time, children included, for 10^9 bytes. */
  readonly leecherCpuSecondsPerGb: number;
  readonly seederCpuSecondsPerGb: number;
  readonly leecherPeakMb: number;
  readonly seederPeakMb: number;
  /** Of the last minute, when the run began. */
  readonly loadAverage: number;
}

export interface TransferOptions {
  readonly seeder: ForeignClient;
  readonly leecher: ForeignClient;
  readonly title: TransferTitle;
  readonly tracker: TestTracker;
  /** For what the run writes; emptied afterwards. */
  readonly scratch: string;
  readonly limitMs: number;
}

const FIRST_BLOCK_POLL_MS = 2;
const MB = 1e6;
const GB = 1e9;

/** @throws when the leecher is late, fails or has other bytes. */
export async function runTransfer(options: TransferOptions): Promise<TransferFigures> {
  const { seeder, leecher, title, tracker, scratch } = options;
  const loadAverage = loadavg()[0] ?? Number.NaN;
  const torrentPath = writeTorrent(scratch, 'title', title.torrent.file({ trackers: [tracker.url] }));
  const target = join(scratch, 'out');
  await mkdir(target, { recursive: true });
  const running: RunningClient[] = [];
  try {
    const from = await seeder.seed(torrentPath, title.folder);
    running.push(from);
    const seederBeganSeconds = await treeCpuSeconds(from.pid);
    const startedMs = performance.now();
    const firstBlock = watchFirstBlock(join(target, title.torrent.name));
    const to = await leecher.download(torrentPath, target);
    running.push(to);
    await within(to.completed, options.limitMs, () => `${seeder.name} to ${leecher.name}: ${from.said()} ${to.said()}`);
    const endedMs = performance.now();
    firstBlock.stop();
    const costs = {
      leecherCpuSecondsPerGb: ((await treeCpuSeconds(to.pid)) / title.torrent.totalBytes) * GB,
      seederCpuSecondsPerGb: (((await treeCpuSeconds(from.pid)) - seederBeganSeconds) / title.torrent.totalBytes) * GB,
      leecherPeakMb: await peakResidentMb(to.pid),
      seederPeakMb: await peakResidentMb(from.pid),
    };
    const rate = (sinceMs: number): number => title.torrent.totalBytes / MB / ((endedMs - sinceMs) / 1000);
    await Promise.all(running.splice(0).map((client) => client.stop()));
    const wrong = differences(join(title.folder, title.torrent.name), join(target, title.torrent.name));
    if (wrong.length > 0) throw new Error(`${seeder.name} to ${leecher.name}: ${wrong.join('; ')}`);
    return { wallMbPerSecond: rate(startedMs), transferMbPerSecond: rate(firstBlock.atMs), ...costs, loadAverage };
  } finally {
    await Promise.all(running.map((client) => client.stop()));
    await rm(target, { recursive: true, force: true });
  }
}

/** Looks again and again until the file has a block on the disk (or in its cache). */
function watchFirstBlock(path: string): { readonly atMs: number; stop(): void } {
  let atMs = Number.NaN;
  const timer = setInterval(() => {
    if ((statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) === 0) return;
    atMs = performance.now();
    clearInterval(timer);
  }, FIRST_BLOCK_POLL_MS);
  return {
    get atMs() {
      return atMs;
    },
    stop: () => clearInterval(timer),
  };
}

async function within(promise: Promise<void>, limitMs: number, describe: () => string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${limitMs / 1000} s: ${describe()}`)), limitMs);
  });
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * One title played from its beginning to its end at constant bit rate, out of ten seeders of which three stand still for half a minute and one spoils what it
 * sends. Every seeder (libtorrent) is a process of its own behind a `ShapedLink`; the client under test is told the links' addresses alone, and seeders call
 * nobody, so that nothing goes past the links.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ForeignClient, RunningClient } from '../../test/support/foreign/foreign-client.js';
import { libtorrent } from '../../test/support/foreign/libtorrent.js';
import { writeTorrent } from '../../test/support/title-fixture.js';
import { Line, ShapedLink } from './shaped-link.js';
import { type PlayedFigures, SteadyPlayer } from './steady-player.js';
import type { TransferTitle } from './transfer-run.js';

export interface StallFigures extends PlayedFigures {
  /** What the nine good links gave beyond the title, by its size: copies, and a little for heads of messages. */
  readonly surplusRatio: number;
  /** What came from the one that spoils, by the size of the title. */
  readonly spoiledRatio: number;
}

export interface StallOptions {
  readonly client: ForeignClient;
  readonly title: TransferTitle;
  readonly scratch: string;
  readonly bytesPerSecond: number;
  /** Of one seeder's line. */
  readonly seederBytesPerSecond: number;
  /** Of the viewer's line; undefined: no limit. */
  readonly lineBytesPerSecond: number | undefined;
  /** Media time at which three stand still. */
  readonly freezeAtMs: number;
  readonly freezeForMs: number;
  readonly startBufferMs: number;
}

const SEEDERS = 10;
const FROZEN = 3;
const DELAY_MS = 15;
/** A machine that is busy must not make a slow line slower. */
const BURST_MS = 100;
const READ_AHEAD_MS = 10_000;
const POLL_MS = 50;

export async function runStalls(options: StallOptions): Promise<StallFigures> {
  const { client, title, scratch } = options;
  const torrentPath = writeTorrent(scratch, 'title', title.torrent.file());
  const seeders: RunningClient[] = [];
  const links: ShapedLink[] = [];
  let running: RunningClient | undefined;
  let player: SteadyPlayer | undefined;
  try {
    const line = options.lineBytesPerSecond === undefined ? {} : { line: new Line(options.lineBytesPerSecond, BURST_MS) };
    for (let index = 0; index < SEEDERS; index++) {
      const seeder = await libtorrent.seed(torrentPath, title.folder, { dials: false });
      seeders.push(seeder);
      links.push(
        await ShapedLink.start({
          host: `127.0.2.${index + 1}`,
          targetPort: seeder.port,
          totalBytesPerSecond: options.seederBytesPerSecond,
          delayMs: DELAY_MS,
          burstMs: BURST_MS,
          queueBytes: 65_536,
          ...line,
        }),
      );
    }
    const bad = links[0] as ShapedLink;
    bad.corruptRatio = 1;
    const folder = join(scratch, 'out');
    mkdirSync(folder, { recursive: true });
    running = await client.download(torrentPath, folder, { peers: links.map(({ host, port }) => `${host}:${port}`), http: true });
    if (running.httpUrl === undefined) throw new Error(`${client.name} gave no address to play at`);
    const { totalBytes, name } = title.torrent;
    player = new SteadyPlayer({
      url: running.httpUrl,
      path: join(title.folder, name),
      totalBytes,
      bytesPerSecond: options.bytesPerSecond,
      startBufferMs: options.startBufferMs,
      readAheadMs: READ_AHEAD_MS,
    });
    freezeInTime(player, links.slice(-FROZEN), options);
    const played = await player.done;
    const given = links.map(({ givenBytes }) => givenBytes);
    const goodBytes = given.slice(1).reduce((sum, bytes) => sum + bytes, 0);
    return { ...played, surplusRatio: goodBytes / totalBytes - 1, spoiledRatio: (given[0] ?? 0) / totalBytes };
  } finally {
    await running?.stop();
    await Promise.all(links.map((link) => link.stop()));
    await Promise.all(seeders.map((seeder) => seeder.stop()));
  }
}

function freezeInTime(player: SteadyPlayer, links: readonly ShapedLink[], { freezeAtMs, freezeForMs }: StallOptions): void {
  const timer = setInterval(() => {
    if (player.shownMs < freezeAtMs) return;
    clearInterval(timer);
    for (const link of links) link.isFrozen = true;
    setTimeout(() => {
      for (const link of links) link.isFrozen = false;
    }, freezeForMs).unref();
  }, POLL_MS);
  timer.unref();
}

/** A film that one Shoal gives no faster than told and another one plays: the real program at both ends, and the address for players. */
import { join } from 'node:path';
import type { TitleView } from '../../src/plugins/titles/title-view.js';
import { temporaryFolder } from './program.js';
import { ShoalProcess, type ShoalProcessOptions } from './shoal-process.js';
import { until } from './until.js';

export interface Publisher {
  readonly shoal: ShoalProcess;
  readonly id: string;
  readonly link: string;
  readonly torrentPath: string;
  stop(): Promise<void>;
}

export interface PlayingTitle {
  readonly id: string;
  readonly shoal: ShoalProcess;
  /** What a player is given: a file, or the playlist. */
  readonly address: string;
  readonly playlist: string;
  readonly subtitles: readonly string[];
  /** The title's files, as addresses for players. */
  readonly files: readonly string[];
  /** Newest account of the title. */
  readonly view: TitleView | undefined;
  stop(): Promise<void>;
}

interface TitlesLine {
  readonly event: string;
  readonly id?: string;
  readonly titles?: readonly TitleView[];
  readonly address?: string;
  readonly playlist?: string;
  readonly subtitles?: readonly string[];
  readonly files?: readonly string[];
}

/** Nothing of these tests leaves the machine. */
const QUIET = { 'titles.dht': false, 'titles.localDiscovery': false };
const READY_MS = 30_000;

/** Publishes files or a folder. With `uploadBytesPerSecond` it gives no more than that. */
export async function publishTitle(path: string, uploadBytesPerSecond = 0, options: ShoalProcessOptions = {}): Promise<Publisher> {
  const torrentPath = join(temporaryFolder('published'), 'title.torrent');
  const settings = { ...QUIET, 'swarm.uploadBytesPerSecond': Math.round(uploadBytesPerSecond), ...options.settings };
  const shoal = new ShoalProcess(['publish', path, '--json', '--torrent', torrentPath], { ...options, settings });
  const isSeeding = (): boolean => linesOf(shoal).some(({ titles }) => titles?.[0]?.state === 'seeding');
  await until('the title is published', () => isSeeding() || shoal.program.exit !== undefined, READY_MS);
  const view = viewOf(shoal);
  if (view === undefined) throw new Error(`shoal publish: ${shoal.program.errors}`);
  return { shoal, id: view.id, link: view.link, torrentPath, stop: () => shoal.stop() };
}

/** Plays a link or a torrent. Resolves when the addresses for players are known. */
export async function playTitle(source: string, words: readonly string[] = [], options: ShoalProcessOptions = {}): Promise<PlayingTitle> {
  const shoal = new ShoalProcess(['play', source, '--json', ...words], { ...options, settings: { ...QUIET, ...options.settings } });
  const playable = (): TitlesLine | undefined => linesOf(shoal).find(({ event }) => event === 'playable');
  await until('the title is playable', () => playable() !== undefined || shoal.program.exit !== undefined, READY_MS);
  const { id = '', address = '', playlist = '', subtitles = [], files = [] } = playable() ?? {};
  if (files.length === 0) throw new Error(`shoal play: ${shoal.program.errors}`);
  return {
    id,
    shoal,
    address,
    playlist,
    subtitles,
    files,
    get view() {
      return viewOf(shoal);
    },
    stop: () => shoal.stop(),
  };
}

function linesOf({ lines }: ShoalProcess): readonly TitlesLine[] {
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as TitlesLine);
}

function viewOf(shoal: ShoalProcess): TitleView | undefined {
  return linesOf(shoal).findLast(({ titles }) => titles !== undefined)?.titles?.[0];
}

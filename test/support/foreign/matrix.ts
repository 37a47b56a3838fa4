/**
 * The matrix: one client, Shoal or one in its place, against each other one, up and down, by each way of meeting, plain and encrypted; bytes are compared.
 *
 * "up" is from the client under test to the other, "down" the other way round. Who is told what: `tracker`: both have the torrent with the tracker in it;
 * `magnet`: who downloads has a magnet with the tracker and takes the metadata from the peer (BEP 9); `dht`: a magnet with nothing, and a DHT of three nodes;
 * `pex`: who downloads knows the introducer alone, which gives 2 kB/s, so that the title can come only from the seeder of which the introducer told it;
 * there the client under test introduces ("up") or is introduced ("down") to libtorrent, by or through the other; `web seed`: no peer at all.
 */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../program.js';
import { serveFolder } from '../range-file-server.js';
import { differences, writeFolderTitle, writeRandomFile, writeTorrent } from '../title-fixture.js';
import { type Hints, makeTorrent, type TestTorrent } from '../torrent-fixture.js';
import { until } from '../until.js';
import type { Encryption, ForeignClient, RunningClient, RunOptions } from './foreign-client.js';
import { libtorrent } from './libtorrent.js';
import { startTracker, type TestTracker } from './test-tracker.js';

export type Way = 'tracker' | 'magnet' | 'pex' | 'web seed' | 'dht';
export type Direction = 'up' | 'down';
/** `demanded`: the other takes nothing but encrypted connections, the client under test takes both. */
export type CellEncryption = 'plain' | 'encrypted' | 'demanded';
/** What is given: a folder of awkward names, or one file; `folder` without more has pieces of 256 KiB. */
export type Shape = keyof typeof SHAPES;

interface ShapeOptions {
  readonly isFolder: boolean;
  readonly pieceLengthBytes: number;
}

const KIBIBYTE = 1024;
/** Pieces of one block, and one piece that is longer than the whole title or ends in its middle. */
const SHAPES = {
  folder: { isFolder: true, pieceLengthBytes: 256 * KIBIBYTE },
  'folder 16 KiB': { isFolder: true, pieceLengthBytes: 16 * KIBIBYTE },
  'folder 4 MiB': { isFolder: true, pieceLengthBytes: 4096 * KIBIBYTE },
  'file 16 KiB': { isFolder: false, pieceLengthBytes: 16 * KIBIBYTE },
  'file 4 MiB': { isFolder: false, pieceLengthBytes: 4096 * KIBIBYTE },
} as const satisfies Readonly<Record<string, ShapeOptions>>;

export interface Cell {
  readonly other: string;
  readonly direction: Direction;
  readonly way: Way;
  readonly encryption: CellEncryption;
  readonly shape: Shape;
}

export interface CellResult extends Cell {
  /** `skipped` with the reason why the other client can't do it. */
  readonly outcome: 'equal' | 'failed' | 'skipped';
  readonly detail: string;
  readonly seconds: number;
}

export interface MatrixOptions {
  /** The client under test. */
  readonly client: ForeignClient;
  readonly others: readonly ForeignClient[];
  readonly ways?: readonly Way[];
  readonly encryptions?: readonly CellEncryption[];
  readonly directions?: readonly Direction[];
  /** Default the folder alone. */
  readonly shapes?: readonly Shape[];
  /** For one cell. Transmission needs up to 40 s, PEX up to a minute more. Default 100 s. */
  readonly limitMs?: number;
  /** Cells at the same time. Default 4: most of the time they wait for timers of the clients. */
  readonly concurrency?: number;
  readonly onResult?: (result: CellResult) => void;
}

const WAYS: readonly Way[] = ['tracker', 'magnet', 'pex', 'web seed', 'dht'];
const ENCRYPTIONS: readonly CellEncryption[] = ['plain', 'encrypted', 'demanded'];
const DIRECTIONS: readonly Direction[] = ['up', 'down'];
const FILE_NAME = 'Ein Film, 1 %.mkv';
const MILD_FILE_NAME = 'Ein Film.mkv';
/** No multiple of any length of a piece. */
const FILE_BYTES = 5_000_011;
const LIMIT_MS = 100_000;
const CONCURRENCY = 4;
/** So slow that the introducer is still leeching, and hence connected to the seeder, for minutes. */
const INTRODUCER_DOWN_BYTES_PER_SECOND = 20_000;
/** So slow that the title can't come from the introducer. */
const INTRODUCER_UP_BYTES_PER_SECOND = 2_000;
/** Small ones, so that the introducer soon has one. */
const INTRODUCED_PIECE_LENGTH_BYTES = 32_768;
/** aria2 names no peer to one of the same address, and Transmission knows one peer of an address. */
const SEEDER_HOST = '127.0.0.2';
const INTRODUCER_HOST = '127.0.0.3';
const INTRODUCED_MS = 30_000;

/** All cells; results come in the order of the table whatever ends first. */
export async function runMatrix(options: MatrixOptions): Promise<readonly CellResult[]> {
  const { concurrency = CONCURRENCY } = options;
  const results: CellResult[] = [];
  const queue = [...cellsOf(options).entries()];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [index, { other, ...cell }] = next;
      const result = await runCell(options, other, { ...cell, other: other.name });
      results[index] = result;
      options.onResult?.(result);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return results;
}

type PlannedCell = Omit<Cell, 'other'> & { readonly other: ForeignClient };

function cellsOf({
  others,
  ways = WAYS,
  encryptions = ENCRYPTIONS,
  directions = DIRECTIONS,
  shapes = ['folder'],
}: MatrixOptions): PlannedCell[] {
  const kinds = shapes.flatMap((shape) => ways.flatMap((way) => encryptions.map((encryption) => ({ shape, way, encryption }))));
  return others.flatMap((other) => kinds.flatMap((kind) => directions.map((direction) => ({ other, direction, ...kind }))));
}

/** One row for each way, encryption and shape, two columns for each client; a failure is told below. */
export function matrixTable(results: readonly CellResult[]): string {
  const others = [...new Set(results.map(({ other }) => other))];
  const rows = [...new Set(results.map(rowOf))];
  const shown = (row: string, other: string, direction: Direction): string => {
    const result = results.find((one) => rowOf(one) === row && one.other === other && one.direction === direction);
    return result?.outcome === 'equal' ? `${result.seconds.toFixed(1)} s` : (result?.outcome ?? '');
  };
  const columns = others.flatMap((other) => DIRECTIONS.map((direction) => ({ other, direction })));
  const lines = [
    ['', ...columns.map(({ other, direction }) => `${other} ${direction}`)],
    ['---', ...columns.map(() => '---')],
    ...rows.map((row) => [row, ...columns.map(({ other, direction }) => shown(row, other, direction))]),
  ];
  const told = new Set(results.filter(({ outcome }) => outcome !== 'equal').map(reasonOf));
  return [...lines.map((cells) => `| ${cells.join(' | ')} |`), '', ...[...told].map((reason) => `* ${reason}`)].join('\n');
}

function rowOf({ way, encryption, shape }: CellResult): string {
  return [way, encryption, ...(shape === 'folder' ? [] : [shape])].join(', ');
}

function reasonOf(result: CellResult): string {
  const { other, direction, outcome, detail } = result;
  return outcome === 'skipped' ? `${other}, skipped: ${detail}` : `${other} ${direction}, ${rowOf(result)}: ${detail}`;
}

async function runCell(options: MatrixOptions, other: ForeignClient, cell: Cell): Promise<CellResult> {
  const reason = reasonToSkip(options.client, other, cell);
  if (reason !== undefined) return { ...cell, outcome: 'skipped', detail: reason, seconds: 0 };
  const startedMs = performance.now();
  const result = (outcome: 'equal' | 'failed', detail: string): CellResult => {
    return { ...cell, outcome, detail, seconds: (performance.now() - startedMs) / 1000 };
  };
  const [from, to] = cell.direction === 'up' ? [options.client, other] : [other, options.client];
  const scene = await Scene.open(cell, options.limitMs ?? LIMIT_MS, cell.way === 'web seed' && !to.escapesPaths);
  try {
    const wrong = await scene.play(from, to);
    return wrong.length === 0 ? result('equal', '') : result('failed', wrong.join('; '));
  } catch (error) {
    return result('failed', `${error instanceof Error ? error.message : error} ${scene.said()}`);
  } finally {
    await scene.close();
  }
}

/** What one of both can't do by its nature. */
function reasonToSkip(client: ForeignClient, other: ForeignClient, { way, encryption, direction }: Cell): string | undefined {
  const [from, to] = direction === 'up' ? [client, other] : [other, client];
  const both = [from, to];
  if (encryption !== 'plain' && way === 'web seed') return 'a web seed has no encryption of peers';
  const open = both.find(({ canEncrypt }) => !canEncrypt);
  if (encryption !== 'plain' && open) return `${open.name} does not encrypt`;
  const shy = both.find(({ canDialLoopback }) => !canDialLoopback);
  if (way === 'dht' && shy) return `${shy.name} keeps no DHT nodes of 127/8`;
  if (way === 'pex' && shy) return `${shy.name} takes and tells no peers of 127/8 by PEX`;
  if (way === 'pex' && !from.tellsPex) return `${from.name} names no peers by PEX`;
  if (way === 'web seed' && direction === 'up' && !from.canServe) return `${from.name} serves no web seed`;
  if (way === 'web seed' && direction === 'up' && from.name === libtorrent.name) return `${from.name} serves no web seed`;
  return undefined;
}

/** A tracker, a title, and clients with it, until `close`. */
class Scene {
  readonly #cell: Cell;
  readonly #limitMs: number;
  readonly #folder = temporaryFolder('matrix');
  readonly #title: string;
  readonly #torrent: TestTorrent;
  readonly #tracker: TestTracker;
  readonly #running: { stop(): void | Promise<void>; said?(): string }[] = [];

  static async open(cell: Cell, limitMs: number, isMild: boolean): Promise<Scene> {
    return new Scene(cell, limitMs, await startTracker(), isMild);
  }

  private constructor(cell: Cell, limitMs: number, tracker: TestTracker, isMild: boolean) {
    this.#cell = cell;
    this.#limitMs = limitMs;
    this.#tracker = tracker;
    const { isFolder, pieceLengthBytes } = SHAPES[cell.shape];
    this.#title = isFolder
      ? writeFolderTitle(join(this.#folder, 'in'), undefined, undefined, isMild)
      : join(this.#folder, 'in', isMild ? MILD_FILE_NAME : FILE_NAME);
    if (!isFolder) writeRandomFile(this.#title, FILE_BYTES, 1);
    const isIntroduced = cell.way === 'pex' && cell.shape === 'folder';
    this.#torrent = makeTorrent(this.#title, { pieceLengthBytes: isIntroduced ? INTRODUCED_PIECE_LENGTH_BYTES : pieceLengthBytes });
  }

  /** How the bytes differ at the end. */
  async play(from: ForeignClient, to: ForeignClient): Promise<readonly string[]> {
    const target = join(this.#folder, 'out');
    mkdirSync(target);
    const client = await this.#meet(from, to, target);
    await this.#within(client.completed);
    // Some write the last block, or move the folder to its place, a moment after they say that they are done.
    await this.#stop(client);
    return differences(this.#title, join(target, this.#torrent.name)).filter(
      (wrong) => to.makesEmptyFiles || !/(empty\.txt|空\.dat) is missing$/.test(wrong),
    );
  }

  /** Lets both know of each other in the cell's way; gives the one that downloads. */
  async #meet(from: ForeignClient, to: ForeignClient, target: string): Promise<RunningClient> {
    const { way } = this.#cell;
    const trackers = { trackers: [this.#tracker.url] };
    if (way === 'web seed') return this.#download(to, this.#file({ webSeeds: [await this.#webSeed(from)] }), target);
    if (way === 'pex') return this.#introduce(from, to, target);
    if (way === 'dht') return this.#meetByDht(from, to, target);
    await this.#seed(from, this.#file(trackers));
    return this.#download(to, way === 'magnet' ? this.#torrent.magnet(trackers) : this.#file(trackers), target);
  }

  async #webSeed(from: ForeignClient): Promise<string> {
    if (this.#cell.direction === 'down') {
      const server = await serveFolder(join(this.#folder, 'in'));
      this.#running.push(server);
      return server.url;
    }
    const { webSeedUrl = '' } = await this.#seed(from, this.#file(), { http: true });
    return webSeedUrl;
  }

  /**
   * Two trackers that know one address each, given to them by hand: to the introducer the seeder's, so that it dials (of a peer that has dialled it, a client
   * does not always know where others reach it); to who downloads the introducer's.
   */
  async #introduce(introducer: ForeignClient, to: ForeignClient, target: string): Promise<RunningClient> {
    const seeding = await this.#seed(libtorrent, this.#file(), { pex: true, host: SEEDER_HOST });
    const first = await startTracker();
    this.#running.push(first, first.announcing(this.#torrent.infoHash, seeding));
    const folder = join(this.#folder, 'introducer');
    const slow = { uploadBytesPerSecond: INTRODUCER_UP_BYTES_PER_SECOND, downloadBytesPerSecond: INTRODUCER_DOWN_BYTES_PER_SECOND };
    const introducing = await this.#download(introducer, this.#file({ trackers: [first.url] }, 'introducer'), folder, {
      ...slow,
      pex: true,
      host: INTRODUCER_HOST,
    });
    await until('the introducer has something of the seeder', () => holdsBlocks(folder), INTRODUCED_MS);
    this.#running.push(this.#tracker.announcing(this.#torrent.infoHash, introducing));
    return this.#download(to, this.#file({ trackers: [this.#tracker.url] }), target, { pex: true });
  }

  async #meetByDht(from: ForeignClient, to: ForeignClient, target: string): Promise<RunningClient> {
    const lonely = join(this.#folder, 'lonely');
    writeFolderTitle(lonely, 1_000, 2);
    const other = writeTorrent(this.#folder, 'other', makeTorrent(join(lonely, this.#torrent.name)).file());
    const node = await this.#seed(libtorrent, other, { dht: '' }, lonely);
    const dht = `${node.host}:${node.dhtPort}`;
    await this.#seed(from, this.#file(), { dht });
    return this.#download(to, this.#torrent.magnet(), target, { dht });
  }

  #file(hints: Hints = {}, name = `title-${Object.keys(hints).join('-')}`): string {
    return writeTorrent(this.#folder, name, this.#torrent.file(hints));
  }

  async #seed(client: ForeignClient, path: string, more: RunOptions = {}, folder = join(this.#folder, 'in')): Promise<RunningClient> {
    return this.#keep(await client.seed(path, folder, { encryption: this.#encryptionOf(client), ...more }));
  }

  async #download(client: ForeignClient, source: string, folder: string, more: RunOptions = {}): Promise<RunningClient> {
    mkdirSync(folder, { recursive: true });
    return this.#keep(await client.download(source, folder, { encryption: this.#encryptionOf(client), writesThrough: true, ...more }));
  }

  #encryptionOf(client: ForeignClient): Encryption {
    const { encryption, other } = this.#cell;
    if (encryption !== 'demanded') return encryption;
    return client.name === other ? 'encrypted' : 'allowed';
  }

  #keep(client: RunningClient): RunningClient {
    this.#running.push(client);
    return client;
  }

  async #within(completed: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${this.#limitMs / 1000} s.`)), this.#limitMs);
    });
    await Promise.race([completed, late]).finally(() => clearTimeout(timer));
  }

  async #stop(client: RunningClient): Promise<void> {
    this.#running.splice(this.#running.indexOf(client), 1);
    await client.stop();
  }

  /** The last words of those that run. */
  said(): string {
    return this.#running.map((client) => client.said?.().trim().slice(-300) ?? '').join(' / ');
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((client) => client.stop()));
    await this.#tracker.stop();
  }
}

function holdsBlocks(folder: string): boolean {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries.some((entry) => statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.blocks);
}

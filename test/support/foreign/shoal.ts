/**
 * Shoal's own program in the shape of a foreign client, for the matrix and the measurements of titles.
 *
 * A seeder is `shoal get --seed` over data that are there already, a downloader the same over an empty folder; who serves a player is `shoal play`, and who is
 * a web seed is `shoal publish --http`, which makes the torrent anew: it has to come out as the one that was given.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeHasher } from '../../../src/io/crypto.js';
import type { EncryptionPolicy } from '../../../src/io/peers/encryption-policy.js';
import { Malformed } from '../../../src/kernel/errors.js';
import type { TitleView } from '../../../src/plugins/titles/title-view.js';
import { parseTorrent } from '../../../src/vod/metainfo.js';
import { freePort } from '../free-port.js';
import { ShoalProcess } from '../shoal-process.js';
import { until } from '../until.js';
import { withoutProxies } from './aria2.js';
import { Completion, type Encryption, type ForeignClient, type RunningClient, type RunOptions } from './foreign-client.js';
import { completeWhen, failOnExit } from './scripted-client.js';

const READY_MS = 60_000;
/** Bigger titles are hashed before they are given. */
const CHECKED_MS = 600_000;
const KIBIBYTE = 1024;
const POLICIES: Readonly<Record<Encryption, EncryptionPolicy>> = { plain: 'off', allowed: 'allow', encrypted: 'require' };

/** What `shoal get`, `play` and `publish` say beside `status`. */
type Line =
  | { readonly event: 'ready'; readonly page: string; readonly titles: readonly TitleView[] }
  | { readonly event: 'playable'; readonly files: readonly string[] }
  | { readonly event: 'complete' };

export const shoal: ForeignClient = {
  name: 'shoal',
  canDial: true,
  canEncrypt: true,
  canServe: true,
  tellsPex: true,
  makesEmptyFiles: true,
  escapesPaths: true,
  canDialLoopback: true,
  seed: (torrentPath, dataFolder, options = {}) => (options.http ? serve : give)(torrentPath, dataFolder, options),
  download: (source, folder, options = {}) => take(source, folder, options),
};

async function give(torrentPath: string, dataFolder: string, options: RunOptions): Promise<RunningClient> {
  const started = await Started.open(['get', torrentPath, '--seed', '--folder', dataFolder], options);
  await started.when('the data are checked', () => started.line('complete') !== undefined, CHECKED_MS);
  return started.running();
}

async function take(source: string, folder: string, options: RunOptions): Promise<RunningClient> {
  const words = options.http ? ['play', source] : ['get', source, '--seed'];
  const started = await Started.open([...words, '--folder', folder], options);
  await started.when('it is ready', () => started.line('ready') !== undefined);
  if (!options.http) return started.running();
  await started.when('it can be played', () => started.line('playable') !== undefined);
  const [httpUrl = ''] = started.line('playable')?.files ?? [];
  return started.running({ httpUrl });
}

async function serve(torrentPath: string, dataFolder: string, options: RunOptions): Promise<RunningClient> {
  const torrent = parseTorrent(readFileSync(torrentPath), nodeHasher);
  if (torrent instanceof Malformed) throw new Error(`${torrentPath}: ${torrent.reason}`);
  const [name = ''] = readdirSync(dataFolder);
  const pieceLength = String(torrent.pieceLengthBytes / KIBIBYTE);
  const started = await Started.open(['publish', join(dataFolder, name), '--http', '--piece-length', pieceLength], options);
  await started.when('it is ready', () => started.line('ready') !== undefined, CHECKED_MS);
  const { page = '', titles = [] } = started.line('ready') ?? {};
  const id = titles[0]?.id;
  if (id !== torrent.infoHash) throw new Error(`Shoal makes ${id} of ${name}, and not ${torrent.infoHash}`);
  return started.running({ webSeedUrl: `${page}seed/${id}/` });
}

class Started {
  readonly #shoal: ShoalProcess;
  readonly #host: string;
  readonly #port: number;

  static async open(words: readonly string[], options: RunOptions): Promise<Started> {
    const { host = '127.0.0.1', port = await freePort() } = options;
    const peers = (options.peers ?? []).flatMap((peer) => ['--peer', peer]);
    return new Started(
      new ShoalProcess([...words, ...peers, '--json'], { settings: settingsOf(options, host, port), env: blankProxies() }),
      host,
      port,
    );
  }

  private constructor(process: ShoalProcess, host: string, port: number) {
    this.#shoal = process;
    this.#host = host;
    this.#port = port;
  }

  line<Event extends Line['event']>(event: Event): Extract<Line, { readonly event: Event }> | undefined {
    const text = this.#shoal.lines.find((line) => line.startsWith(`{"event":"${event}"`));
    return text === undefined ? undefined : (JSON.parse(text) as Extract<Line, { readonly event: Event }>);
  }

  async when(what: string, holds: () => boolean, limitMs = READY_MS): Promise<void> {
    const { program } = this.#shoal;
    await until(what, () => holds() || program.exit !== undefined, limitMs).catch((error: Error) => {
      throw new Error(`${error.message}; it said: ${this.#said()}`);
    });
    if (!holds()) throw new Error(`shoal ended before ${what}: ${this.#said()}`);
  }

  running(addresses: Partial<RunningClient> = {}): RunningClient {
    const { program } = this.#shoal;
    const completion = new Completion();
    completeWhen(() => this.line('complete') !== undefined, completion);
    failOnExit(program, completion);
    return {
      pid: program.pid,
      host: this.#host,
      port: this.#port,
      dhtPort: this.#port,
      ...addresses,
      completed: completion.promise,
      said: () => this.#said(),
      stop: () => this.#shoal.stop(),
    };
  }

  #said(): string {
    const { lines, program } = this.#shoal;
    return (program.errors + (lines.at(-1) ?? '')).slice(-2000);
  }
}

function settingsOf(options: RunOptions, host: string, port: number): Readonly<Record<string, string | number | boolean>> {
  const { dht, uploadBytesPerSecond = 0, downloadBytesPerSecond = 0, encryption = 'plain' } = options;
  return {
    'swarm.host': host,
    'swarm.publicHost': host,
    'swarm.port': port,
    'swarm.uploadBytesPerSecond': uploadBytesPerSecond,
    'swarm.downloadBytesPerSecond': downloadBytesPerSecond,
    'tracker.enabled': false,
    'titles.encryption': POLICIES[encryption],
    'titles.localDiscovery': false,
    'titles.dht': dht !== undefined,
    'titles.dhtBootstrap': JSON.stringify(dht ? [dht] : []),
  };
}

/** Web seeds and trackers are on this machine; a proxy is not asked for them. */
function blankProxies(): NodeJS.ProcessEnv {
  const kept = withoutProxies();
  return Object.fromEntries(
    Object.keys(process.env)
      .filter((name) => !(name in kept))
      .map((name) => [name, undefined]),
  );
}

/** Shoal as people run it: child processes with a data folder of their own, on free loopback ports. */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ChannelReport, ReadyChannel, ReadyReport, StatusReport } from '../../src/shoal.js';
import { Program, temporaryFolder } from './program.js';
import { until } from './until.js';

/** A status line: all channels, and at the top level the figures of the only one. */
export type StatusLine = StatusReport & Partial<ChannelReport>;

export interface ShoalProcessOptions {
  readonly dataDir?: string;
  /** Dotted keys; each goes before the loopback settings. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  readonly env?: NodeJS.ProcessEnv;
  /** More of the command line, for `watch`. */
  readonly words?: readonly string[];
  /** What stands before the command, as `ip netns exec` does. */
  readonly within?: readonly string[];
  /** A command without `--data` and `--set`. */
  readonly isPlain?: boolean;
}

export interface Arrived<Line> {
  readonly line: Line;
  /** Time on `performance`'s clock. */
  readonly atMs: number;
}

/** A channel of which every address works, as all do unless conversions are switched off. */
export type WatchableChannel = ReadyChannel & { readonly watch: { readonly [Kind in keyof ReadyChannel['watch']]: string } };

/** The command as it is installed. */
const MAIN = fileURLToPath(new URL('../../../bin/shoal.mjs', import.meta.url));
const READY_MS = 20_000;

const LOOPBACK: Readonly<Record<string, string | number | boolean>> = {
  'relay.http.port': 0,
  'relay.rtmp.port': 0,
  'relay.mms.port': 0,
  'station.rtmp.port': 0,
  'swarm.host': '127.0.0.1',
  'swarm.port': 0,
  'swarm.publicHost': '127.0.0.1',
  'tracker.host': '127.0.0.1',
  'tracker.port': 0,
  // On loopback both would stay there; but tests that do not look for it must not find each other's titles.
  'titles.dht': false,
  'titles.localDiscovery': false,
};

export class ShoalProcess {
  readonly program: Program;
  readonly dataDir: string;
  readonly statuses: Arrived<StatusLine>[] = [];
  /** Lines of standard output, in order. */
  readonly lines: string[] = [];
  #ready: Arrived<ReadyReport> | undefined;
  #rest = '';
  /** In the environment of the process and of everything it starts. */
  readonly #mark = `SHOAL-TEST-MARK=${randomUUID()}`;

  /** `words` is the command line without the settings; `--data` and `--set` are added. */
  constructor(words: readonly string[], options: ShoalProcessOptions = {}) {
    const folder = temporaryFolder('process');
    this.dataDir = options.dataDir ?? join(folder, 'data');
    const [markName = '', mark = ''] = this.#mark.split('=');
    const settings = Object.entries({ ...LOOPBACK, ...options.settings }).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    const common = options.isPlain ? [] : ['--data', this.dataDir, ...settings];
    const [program = process.execPath, ...first] = [...(options.within ?? []), process.execPath, MAIN];
    this.program = new Program(program, [...first, ...words, ...common], {
      // A configuration of whoever runs the tests must not reach in: not from the folder, not from home, not from the environment.
      cwd: folder,
      env: { ...withoutShoal(process.env), XDG_CONFIG_HOME: folder, [markName]: mark, ...options.env },
      onOutput: (chunk) => this.#take(chunk),
    });
  }

  /** @throws when it has not said "ready" yet. */
  get ready(): ReadyReport {
    if (this.#ready === undefined) throw new Error('not ready');
    return this.#ready.line;
  }

  /** When it became ready, on `performance`'s clock. */
  get readyMs(): number {
    return this.#ready?.atMs ?? Number.NaN;
  }

  /** The first, mostly the only, channel. */
  get channel(): WatchableChannel {
    const [first] = this.ready.channels;
    if (first === undefined) throw new Error('no channel');
    return first as WatchableChannel;
  }

  /** The newest figures of the only channel. */
  get status(): ChannelReport {
    const [first] = this.statuses.at(-1)?.line.channels ?? [];
    if (first === undefined) throw new Error('no status yet');
    return first;
  }

  /** Where ffmpeg publishes to this station's channel, key included. */
  publishUrl(name = this.channel.name): string {
    const publish = this.ready.channels.find((channel) => channel.name === name)?.publish;
    if (!publish) throw new Error(`cannot publish to ${name}`);
    return `${publish.rtmp}/${publish.key}`;
  }

  async whenReady(timeoutMs = READY_MS): Promise<this> {
    await until('shoal is ready', () => this.#ready !== undefined || this.program.exit !== undefined, timeoutMs);
    if (this.#ready === undefined) throw new Error(`shoal ended before it was ready: ${this.program.errors}`);
    return this;
  }

  /** Until the newest figures are as wanted. */
  async whenStatus(what: string, holds: (status: ChannelReport) => boolean, timeoutMs = 10_000): Promise<void> {
    await until(what, () => this.statuses.length > 0 && holds(this.status), timeoutMs);
  }

  async whenLogged(pattern: RegExp, timeoutMs = 10_000): Promise<void> {
    await until(`the log has ${pattern}`, () => pattern.test(this.program.errors), timeoutMs).catch((error: Error) => {
      throw new Error(`${error.message}; it has ${this.program.errors.slice(-2000)}`);
    });
  }

  /** Processes, itself included, that it has started and that run now. Linux only. */
  get processes(): readonly number[] {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.filter((pid) => environmentOf(pid).includes(this.#mark)).map(Number);
  }

  signal(name: NodeJS.Signals): void {
    this.program.signal(name);
  }

  stop(): Promise<void> {
    return this.program.stop();
  }

  #take(chunk: Buffer): void {
    const lines = (this.#rest + chunk.toString()).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line);
  }

  #onLine(text: string): void {
    this.lines.push(text);
    if (!text.startsWith('{')) return;
    const line = JSON.parse(text) as ReadyReport | StatusLine;
    if (line.event === 'ready') this.#ready = { line, atMs: performance.now() };
    else this.statuses.push({ line, atMs: performance.now() });
  }
}

/** A station, when all of it is up. */
export function startStation(options: ShoalProcessOptions = {}): Promise<ShoalProcess> {
  return new ShoalProcess(['start', '--json'], options).whenReady();
}

/** A station with one channel of this name and no test card. */
export function startChannel(name: string, options: ShoalProcessOptions = {}): Promise<ShoalProcess> {
  const channels = JSON.stringify([{ name }]);
  return startStation({ ...options, settings: { 'station.testCard': false, 'station.channels': channels, ...options.settings } });
}

/** A viewer, when its addresses are known. */
export function watch(link: string, options: ShoalProcessOptions = {}): Promise<ShoalProcess> {
  return new ShoalProcess(['watch', link, '--json', ...(options.words ?? [])], options).whenReady();
}

/** Runs a command that ends by itself. */
export async function runShoal(words: readonly string[], options: ShoalProcessOptions = {}): Promise<ShoalProcess> {
  const shoal = new ShoalProcess(words, options);
  await shoal.program.whenExited(READY_MS);
  return shoal;
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

function withoutShoal(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('SHOAL_')));
}

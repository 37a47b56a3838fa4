/**
 * Transmission, as `transmission-cli`: the daemon's Debian package would start a service on whoever's machine it is installed.
 *
 * It dials no peer in 127/8, whoever names it (tracker, PEX, DHT), but takes connections from there; so on loopback the other side must dial. It knows one peer
 * per address, unchokes for the first time up to ten seconds after a peer came, and makes no empty files. It can't be told addresses of peers.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../free-port.js';
import { type Exit, Program, temporaryFolder } from '../program.js';
import { until } from '../until.js';
import { withoutProxies } from './aria2.js';
import { Completion, type Encryption, type ForeignClient, type RunningClient, type RunOptions } from './foreign-client.js';
import { completeWhen, failOnExit } from './scripted-client.js';

const READY_MS = 20_000;
const KILOBYTE = 1000;
const TOLERATED = 0;
const REQUIRED = 2;
const ENCRYPTION: Readonly<Record<Encryption, number>> = { plain: TOLERATED, allowed: TOLERATED, encrypted: REQUIRED };
const SEEDING = /Seeding, /;
const AT_WORK = /Seeding, |Progress: /;
/** It looks at its torrent five times a second, and ends when it finds it at rest, as it is for a moment between a magnet's metadata and the first piece. */
const STARTS_MAX = 4;
const LOOK_MS = 50;

export const transmission: ForeignClient = {
  name: 'transmission',
  canDial: false,
  canEncrypt: true,
  canServe: false,
  tellsPex: true,
  makesEmptyFiles: false,
  escapesPaths: true,
  canDialLoopback: false,
  seed: (torrentPath, dataFolder, options = {}) => start(torrentPath, dataFolder, options, SEEDING),
  download: (source, folder, options = {}) => start(source, folder, options, AT_WORK),
};

async function start(source: string, folder: string, options: RunOptions, ready: RegExp): Promise<RunningClient> {
  const own = temporaryFolder('transmission');
  const { host = '127.0.0.1', port = await freePort() } = options;
  const hook = join(own, 'on-complete.sh');
  const mark = join(own, 'complete');
  writeFileSync(hook, `#!/bin/sh\n: > '${mark}'\n`, { mode: 0o755 });
  writeFileSync(join(own, 'settings.json'), JSON.stringify(settingsOf(options, host, port)));
  const words = ['--config-dir', own, '--download-dir', folder, '--port', String(port), '--finish', hook, '--no-portmap', source];
  const life = new TransmissionLife(words, own);
  await until('transmission works', () => ready.test(life.output) || life.exit !== undefined, READY_MS).catch((error: Error) => {
    throw new Error(`${error.message}; it said: ${life.said()}`);
  });
  if (life.exit !== undefined) throw new Error(`transmission-cli ended before it was ready: ${life.said()}`);
  const completion = new Completion();
  completeWhen(() => existsSync(mark) || SEEDING.test(life.output), completion);
  failOnExit(life, completion);
  const dhtPort = options.dht === undefined ? 0 : port;
  return { pid: life.pid, host, port, dhtPort, completed: completion.promise, said: () => life.said(), stop: () => life.stop() };
}

/** The program, started again where it ends by itself though nothing was wrong. It goes on where it was. */
class TransmissionLife {
  readonly name = 'transmission-cli';
  readonly #start: () => Program;
  readonly #timer: NodeJS.Timeout;
  #program: Program;
  #starts = 1;

  constructor(words: readonly string[], folder: string) {
    this.#start = () => new Program('transmission-cli', words, { cwd: folder, env: withoutProxies() });
    this.#program = this.#start();
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  get pid(): number {
    return this.#program.pid;
  }

  get output(): string {
    return this.#program.output;
  }

  get errors(): string {
    return this.#program.errors;
  }

  /** How it has ended; undefined while it runs, or is to be started again. */
  get exit(): Exit | undefined {
    return this.#goesOn ? undefined : this.#program.exit;
  }

  said(): string {
    return (this.output + this.errors).slice(-2000);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#program.stop();
  }

  get #goesOn(): boolean {
    return this.#program.exit?.code === 0 && this.#starts < STARTS_MAX;
  }

  #look(): void {
    if (!this.#goesOn) return;
    this.#starts += 1;
    this.#program = this.#start();
  }
}

function settingsOf({ pex, dht, encryption = 'plain', ...limits }: RunOptions, host: string, port: number): object {
  const { uploadBytesPerSecond: up, downloadBytesPerSecond: down } = limits;
  return {
    'bind-address-ipv4': host,
    'peer-port': port,
    'dht-enabled': dht !== undefined,
    'lpd-enabled': false,
    'pex-enabled': pex === true,
    'utp-enabled': false,
    'port-forwarding-enabled': false,
    'download-queue-enabled': false,
    'ratio-limit-enabled': false,
    encryption: ENCRYPTION[encryption],
    preallocation: 0,
    'speed-limit-up-enabled': up !== undefined,
    'speed-limit-up': Math.ceil((up ?? 0) / KILOBYTE),
    'speed-limit-down-enabled': down !== undefined,
    'speed-limit-down': Math.ceil((down ?? 0) / KILOBYTE),
  };
}

/**
 * aria2, a download program that keeps everything on its command line.
 *
 * It can't be told addresses of peers, and as a seeder it dials nobody. It takes incoming plain connections unless encryption is required.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../free-port.js';
import { Program, temporaryFolder } from '../program.js';
import { until } from '../until.js';
import { Completion, type ForeignClient, type RunningClient, type RunOptions } from './foreign-client.js';
import { completeWhen, failOnExit } from './scripted-client.js';

const READY_MS = 20_000;
const SEED_MINUTES = 600;

export const aria2: ForeignClient = {
  name: 'aria2',
  canDial: false,
  canEncrypt: true,
  canServe: false,
  tellsPex: true,
  makesEmptyFiles: true,
  escapesPaths: true,
  canDialLoopback: true,
  seed: (torrentPath, dataFolder, options = {}) => start(torrentPath, dataFolder, options, ['--bt-seed-unverified=true']),
  download: (source, folder, options = {}) => start(source, folder, options, []),
};

async function start(source: string, folder: string, options: RunOptions, more: readonly string[]): Promise<RunningClient> {
  const own = temporaryFolder('aria2');
  const { host = '127.0.0.1', port = await freePort() } = options;
  const dhtPort = options.dht === undefined ? 0 : await freePort();
  const hook = join(own, 'on-complete.sh');
  const mark = join(own, 'complete');
  writeFileSync(hook, `#!/bin/sh\n: > '${mark}'\n`, { mode: 0o755 });
  const words = [
    ...wordsOf(own, folder, hook, options),
    `--listen-port=${port}`,
    `--interface=${host}`,
    ...dhtWords(own, dhtPort, options),
  ];
  const program = new Program('aria2c', [...words, ...more, source], { cwd: own, env: withoutProxies() });
  const said = (): string => (program.output + program.errors).slice(-2000);
  const isListening = (): boolean => /listening on TCP port/.test(program.output);
  await until('aria2 listens', () => isListening() || program.exit !== undefined, READY_MS);
  if (!isListening()) throw new Error(`aria2c ended before it listened: ${said()}`);
  const completion = new Completion();
  completeWhen(() => existsSync(mark), completion);
  failOnExit(program, completion);
  return { pid: program.pid, host, port, dhtPort, completed: completion.promise, said, stop: () => program.stop() };
}

function wordsOf(own: string, folder: string, hook: string, options: RunOptions): readonly string[] {
  const isEncrypted = options.encryption === 'encrypted';
  return [
    '--no-conf=true',
    `--dir=${folder}`,
    `--on-bt-download-complete=${hook}`,
    `--seed-time=${SEED_MINUTES}`,
    '--seed-ratio=0',
    '--file-allocation=none',
    '--allow-overwrite=true',
    '--disable-ipv6=true',
    '--bt-enable-lpd=false',
    '--bt-tracker-interval=1',
    '--follow-torrent=true',
    '--console-log-level=notice',
    '--summary-interval=0',
    '--show-console-readout=false',
    `--log=${join(own, 'aria2.log')}`,
    '--log-level=notice',
    `--enable-peer-exchange=${options.pex === true}`,
    `--bt-require-crypto=${isEncrypted}`,
    `--bt-min-crypto-level=${isEncrypted ? 'arc4' : 'plain'}`,
    `--max-overall-upload-limit=${options.uploadBytesPerSecond ?? 0}`,
    `--max-overall-download-limit=${options.downloadBytesPerSecond ?? 0}`,
    ...(options.writesThrough ? ['--disk-cache=0'] : []),
  ];
}

function dhtWords(own: string, dhtPort: number, { dht, host = '127.0.0.1' }: RunOptions): readonly string[] {
  if (dht === undefined) return ['--enable-dht=false'];
  const entry = dht === '' ? [] : [`--dht-entry-point=${dht}`];
  return [
    '--enable-dht=true',
    `--dht-listen-port=${dhtPort}`,
    `--dht-file-path=${join(own, 'dht.dat')}`,
    `--bt-external-ip=${host}`,
    ...entry,
  ];
}

/** Web seeds and trackers are on this machine; a proxy is not asked for them. */
export function withoutProxies(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/_proxy$/i.test(name)));
}

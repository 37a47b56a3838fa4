/**
 * Transmission, as `transmission-cli`: the daemon's Debian package would start a service on whoever's machine it is installed.
 *
 * It dials no peer in 127/8, whoever names it (tracker, PEX, DHT), but takes connections from there; so on loopback the other side must dial. It knows one peer
 * per address, unchokes for the first time up to ten seconds after a peer came, and makes no empty files. It can't be told addresses of peers.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../free-port.js';
import { Program, temporaryFolder } from '../program.js';
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
  let program: Program;
  const said = (): string => (program.output + program.errors).slice(-2000);
  for (let starts = 1; ; starts++) {
    program = new Program('transmission-cli', words, { cwd: own, env: withoutProxies() });
    await until('transmission works', () => ready.test(program.output) || program.exit !== undefined, READY_MS).catch((error: Error) => {
      throw new Error(`${error.message}; it said: ${said()}`);
    });
    if (program.exit?.code !== 0 || starts === STARTS_MAX) break;
  }
  if (program.exit !== undefined) throw new Error(`transmission-cli ended before it was ready: ${said()}`);
  const completion = new Completion();
  completeWhen(() => existsSync(mark) || SEEDING.test(program.output), completion);
  failOnExit(program, completion);
  const dhtPort = options.dht === undefined ? 0 : port;
  return { pid: program.pid, host, port, dhtPort, completed: completion.promise, said, stop: () => program.stop() };
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

/**
 * What we are compared with: node-media-server as it comes, in a process of its own, started by its own command.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PublishTarget } from './paced-publisher.js';
import { freePort } from './station.js';

const STREAM = 'bench';
const START_MS = 15_000;

export class ReferenceServer {
  readonly flv: string;
  readonly publishTarget: PublishTarget;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string, rtmpPort: number, httpPort: number) {
    this.#child = child;
    this.#folder = folder;
    this.flv = `http://127.0.0.1:${httpPort}/live/${STREAM}.flv`;
    this.publishTarget = { port: rtmpPort, key: STREAM };
  }

  /** With its shipped defaults, but on loopback and without the TLS listeners, which need files of their own. */
  static async start(): Promise<ReferenceServer> {
    const [rtmpPort, httpPort] = [await freePort(), await freePort()];
    const folder = await mkdtemp(join(tmpdir(), 'shoal-bench-'));
    const config = join(folder, 'config.json');
    await writeFile(
      config,
      JSON.stringify({ bind: '127.0.0.1', rtmp: { port: rtmpPort }, http: { port: httpPort }, store: { path: folder } }),
    );
    const app = createRequire(import.meta.url).resolve('node-media-server/bin/app.js');
    const child = spawn(process.execPath, [app, '--config', config, '--no-admin'], { cwd: folder, stdio: 'ignore' });
    const server = new ReferenceServer(child, folder, rtmpPort, httpPort);
    await Promise.all([listening(rtmpPort), listening(httpPort)]);
    return server;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await gone;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function listening(port: number): Promise<void> {
  for (const endMs = performance.now() + START_MS; !(await answers(port)); await delay(20)) {
    if (performance.now() > endMs) throw new Error(`node-media-server does not listen on port ${port}.`);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

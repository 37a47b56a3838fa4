/** VLC as the MMS server of a channel: it serves a file in a loop over MMSH, the only free program that does. */
import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { type AsfRecipe, recordAsf } from './asf-recording.js';
import { freePort } from './free-port.js';
import { MmshCapture } from './mmsh-capture.js';
import { Program, temporaryFolder } from './program.js';
import { until } from './until.js';

export interface VlcSourceOptions {
  /** What the file holds. Default `wmv`. */
  readonly recipe?: AsfRecipe;
  /** A file instead of a recipe; anybody must be allowed to read it. */
  readonly path?: string;
  /** Length of the file made after the recipe. Default 10 s. */
  readonly seconds?: number;
  /** Default: any free port. */
  readonly port?: number;
}

/** VLC refuses to run as root. */
const NOBODY_ID = 65_534;
const SECONDS = 10;
const START_MS = 20_000;

export class VlcSource {
  readonly program: Program;
  readonly port: number;

  /** A server that sends packets already. Each one that is started has a header of its own, and numbers its packets from the start. */
  static async start(options: VlcSourceOptions = {}): Promise<VlcSource> {
    const port = options.port ?? (await freePort());
    const path = options.path ?? recordAsf(options.recipe ?? 'wmv', options.seconds ?? SECONDS).path;
    const source = new VlcSource(path, port);
    for (const endMs = performance.now() + START_MS; !(await source.#sends()); ) {
      if (performance.now() > endMs) throw new Error(`VLC does not serve: ${source.program.errors.slice(-1000)}`);
    }
    return source;
  }

  private constructor(path: string, port: number) {
    const home = temporaryFolder('vlc-home');
    chmodSync(home, 0o777);
    chmodSync(path, 0o644);
    chmodSync(dirname(path), 0o755);
    this.port = port;
    // With `gather` and `--sout-keep` the stream goes on over the end of the file with one header and one numbering.
    const output = `#gather:std{access=mmsh,mux=asfh,dst=127.0.0.1:${port}}`;
    const words = ['-I', 'dummy', path, '--loop', '--sout-keep', '--sout', output];
    const user = process.getuid?.() === 0 ? { userId: NOBODY_ID } : {};
    this.program = new Program('cvlc', words, { ...user, env: { ...process.env, HOME: home } });
  }

  get url(): string {
    return `mmsh://127.0.0.1:${this.port}`;
  }

  /** As a crash or a power cut would. */
  async kill(): Promise<void> {
    this.program.signal('SIGKILL');
    await this.program.whenExited(5_000);
  }

  stop(): Promise<void> {
    return this.program.stop();
  }

  async #sends(): Promise<boolean> {
    const capture = new MmshCapture(this.port, '/');
    await until('VLC answers', () => capture.packets.length > 0 || capture.ended, 3_000).catch(() => undefined);
    capture.stop();
    return capture.packets.length > 0;
  }
}

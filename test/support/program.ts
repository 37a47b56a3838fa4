/** Programs that a test starts: their output is kept, and none of them outlives the test process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.js';

export interface ProgramOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** User and group to run as; the test process must be root. */
  readonly userId?: number;
  readonly onOutput?: (chunk: Buffer) => void;
  /** Default true. Media on standard output is for `onOutput` alone. */
  readonly keepOutput?: boolean;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Time on `performance`'s clock. */
  readonly atMs: number;
}

/** Output beyond this is forgotten from the front. */
const KEPT_CHARACTERS = 4_000_000;
const STOP_MS = 5_000;

const running = new Set<Program>();
const folders: string[] = [];

process.on('exit', () => {
  for (const program of running) program.signal('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

// Someone who ends the test process early wants its children gone too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

/** A folder that is removed when the test process ends. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `shoal-${name}-`));
  folders.push(folder);
  return folder;
}

export class Program {
  readonly name: string;
  readonly pid: number;
  readonly startedMs = performance.now();
  readonly #child: ChildProcess;
  #output = '';
  #errors = '';
  #exit: Exit | undefined;

  constructor(command: string, words: readonly string[], options: ProgramOptions = {}) {
    const { cwd, userId, onOutput, keepOutput = true } = options;
    const user = userId === undefined ? {} : { uid: userId, gid: userId };
    this.name = command;
    this.#child = spawn(command, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: options.env ?? process.env,
      ...(cwd ? { cwd } : {}),
      ...user,
    });
    this.pid = this.#child.pid ?? 0;
    running.add(this);
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      if (keepOutput) this.#output = (this.#output + chunk.toString()).slice(-KEPT_CHARACTERS);
      onOutput?.(chunk);
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-KEPT_CHARACTERS);
    });
    this.#child.on('error', (error) => {
      this.#errors += error.message;
    });
    // Not 'exit': what it has written last would be missing then.
    this.#child.on('close', (code, signal) => {
      this.#exit = { code, signal, atMs: performance.now() };
      running.delete(this);
    });
  }

  /** Standard output so far. */
  get output(): string {
    return this.#output;
  }

  /** Standard error so far. */
  get errors(): string {
    return this.#errors;
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  signal(name: NodeJS.Signals): void {
    if (this.#exit === undefined) this.#child.kill(name);
  }

  async whenExited(timeoutMs: number): Promise<Exit> {
    await until(`${this.name} ends`, () => this.#exit !== undefined, timeoutMs).catch((error: Error) => {
      throw new Error(`${error.message}; it said: ${(this.#output + this.#errors).slice(-1000)}`);
    });
    return this.#exit as Exit;
  }

  /** Asks it to end, and makes it end if it does not. */
  async stop(): Promise<void> {
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    await this.whenExited(STOP_MS).catch(() => this.signal('SIGKILL'));
    await this.whenExited(STOP_MS);
  }
}

/**
 * Clients that are libraries, each behind a small program of ours: the program gets one job as JSON in its last argument and says what happens in lines of JSON.
 *
 * Lines: `{"event":"ready","port":1,"dhtPort":0,"httpUrl":"…","webSeedUrl":"…"}` once, `{"event":"complete"}` once, anything else is kept for messages.
 */
import { Program } from '../program.js';
import { until } from '../until.js';
import { Completion, type RunningClient, type RunOptions } from './foreign-client.js';

export interface Job extends RunOptions {
  readonly role: 'seed' | 'download';
  /** Path of a torrent, or a magnet. */
  readonly source: string;
  readonly folder: string;
}

interface Ready {
  readonly port: number;
  readonly dhtPort?: number;
  readonly httpUrl?: string;
  readonly webSeedUrl?: string;
  readonly addedAtMs?: number;
}

type Line = ({ readonly event: 'ready' } & Ready) | { readonly event: 'complete' };

const READY_MS = 60_000;
const EXIT_POLL_MS = 50;
const POLL_MS = 5;

/** Starts the program and waits until it is ready. */
export async function startScripted(command: string, words: readonly string[], job: Job): Promise<RunningClient> {
  const completion = new Completion();
  let ready: Ready | undefined;
  let rest = '';
  const take = (chunk: Buffer): void => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const text of lines.filter((line) => line.startsWith('{'))) {
      const line = JSON.parse(text) as Line;
      if (line.event === 'ready') ready = line;
      if (line.event === 'complete') completion.complete();
    }
  };
  const program = new Program(command, [...words, JSON.stringify(job)], { onOutput: take });
  const said = (): string => (program.output + program.errors).slice(-2000);
  await until(`${words[0]} is ready`, () => ready !== undefined || program.exit !== undefined, READY_MS);
  if (ready === undefined) throw new Error(`${words[0]} ended before it was ready: ${said()}`);
  failOnExit(program, completion);
  const { port, dhtPort = 0, httpUrl, webSeedUrl, addedAtMs } = ready;
  const addresses = { ...(httpUrl ? { httpUrl } : {}), ...(webSeedUrl ? { webSeedUrl } : {}), ...(addedAtMs ? { addedAtMs } : {}) };
  const host = job.host ?? '127.0.0.1';
  return { pid: program.pid, host, port, dhtPort, ...addresses, completed: completion.promise, said, stop: () => program.stop() };
}

/** Makes `completed` reject when the program is gone. */
export function failOnExit(program: Pick<Program, 'name' | 'exit' | 'output' | 'errors'>, completion: Completion): void {
  const timer = setInterval(() => {
    if (program.exit === undefined) return;
    clearInterval(timer);
    completion.fail(`${program.name} ended: ${(program.output + program.errors).slice(-1000)}`);
  }, EXIT_POLL_MS);
  timer.unref();
}

/** Makes `completed` resolve once `condition` holds. */
export function completeWhen(condition: () => boolean, completion: Completion): void {
  const timer = setInterval(() => {
    if (!condition()) return;
    clearInterval(timer);
    completion.complete();
  }, POLL_MS);
  timer.unref();
}

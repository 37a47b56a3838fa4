/**
 * Peers of a measured swarm that misbehave, and what became of them.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { HabitName } from '../../src/sim/misbehaviour.js';
import type { WrongdoerAccount } from './wrongdoers-process.js';

const PROGRAM = fileURLToPath(new URL('./wrongdoers-process.js', import.meta.url));

export interface WrongdoersOptions {
  readonly link: string;
  /** Data folder of the station. */
  readonly stationDir: string;
  /** Upload limit of each. */
  readonly uploadBytesPerSecond: number;
}

export class Wrongdoers {
  readonly #child: ChildProcess;

  constructor({ link, stationDir, uploadBytesPerSecond }: WrongdoersOptions) {
    this.#child = fork(PROGRAM, [link, stationDir, String(uploadBytesPerSecond)]);
  }

  /** One more comes. */
  async join(habit: HabitName): Promise<void> {
    await this.#ask(habit);
  }

  accounts(): Promise<readonly WrongdoerAccount[]> {
    return this.#ask('count');
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
  }

  async #ask(word: HabitName | 'count'): Promise<readonly WrongdoerAccount[]> {
    const answer = once(this.#child, 'message');
    this.#child.send(word);
    const [accounts] = (await answer) as [readonly WrongdoerAccount[]];
    return accounts;
  }
}

/** Peer ids of the neighbours that a process has dropped because they misbehaved, by its log. */
export function droppedBy(log: string): ReadonlySet<string> {
  const lines = log.split('\n').filter((line) => line.startsWith('{') && line.includes('"msg":"neighbour dropped: '));
  const records = lines.map((line) => JSON.parse(line) as { readonly kind: string; readonly peer: string });
  return new Set(records.filter(({ kind }) => kind === 'misbehaved').map(({ peer }) => peer));
}

/**
 * Many MMSH players on one channel, in a process of their own.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { CrowdCount } from './mms-crowd-process.js';

const QUIET_MS = 50;
const QUIET_TRIES = 20;
const PROGRAM = fileURLToPath(new URL('./mms-crowd-process.js', import.meta.url));

export class MmsCrowd {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when all have connected, one after the other, and asked for the stream. */
  static async open(url: string, players: number): Promise<MmsCrowd> {
    const crowd = new MmsCrowd(fork(PROGRAM, [url, String(players)]));
    await once(crowd.#child, 'message');
    return crowd;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Between two windows, which come in bursts: in the middle of one, some players are a window ahead of others. Waits a second for it at most. */
  async countBetweenBursts(): Promise<CrowdCount> {
    let before = await this.count();
    for (let tries = 0; tries < QUIET_TRIES; tries++) {
      await delay(QUIET_MS);
      const now = await this.count();
      if (now.packets === before.packets) return now;
      before = now;
    }
    return before;
  }

  async count(): Promise<CrowdCount> {
    const answer = once(this.#child, 'message');
    this.#child.send('count');
    const [count] = (await answer) as [CrowdCount];
    return count;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
  }
}

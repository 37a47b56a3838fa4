/**
 * Standard output: instructions for people, JSON lines for scripts. The log goes elsewhere (standard error).
 */
import { stdout } from 'node:process';

/** A progress line overwrites itself on a terminal; elsewhere it is a line of its own, this often at most. */
const PLAIN_PROGRESS_EVERY = 10;

export class Terminal {
  #progressLength = 0;
  #skipped = PLAIN_PROGRESS_EVERY;

  constructor() {
    // Whoever read our output has gone (`shoal watch … | head`): that is no reason to end.
    stdout.on('error', () => undefined);
  }

  /** Whether a line can overwrite itself. */
  get isInteractive(): boolean {
    return stdout.isTTY === true;
  }

  line(text = ''): void {
    this.#clearProgress();
    stdout.write(`${text}\n`);
  }

  /** One JSON value on a line of its own. */
  json(value: unknown): void {
    stdout.write(`${JSON.stringify(value)}\n`);
  }

  progress(text: string): void {
    if (stdout.isTTY) {
      const shown = text.slice(0, Math.max(20, (stdout.columns ?? 80) - 1));
      stdout.write(`\r${shown.padEnd(this.#progressLength)}`);
      this.#progressLength = shown.length;
      return;
    }
    this.#skipped += 1;
    if (this.#skipped < PLAIN_PROGRESS_EVERY) return;
    this.#skipped = 0;
    stdout.write(`${text}\n`);
  }

  #clearProgress(): void {
    if (this.#progressLength > 0) stdout.write(`\r${' '.repeat(this.#progressLength)}\r`);
    this.#progressLength = 0;
  }
}

/**
 * When enough has been given: a ratio, a time, or never. Time counts from when all that is wanted was here, bytes from the beginning; what was given in an
 * earlier life of the process counts as well.
 */
import type { Milliseconds } from '../../kernel/units.js';
import type { Given, SeedingPolicy } from '../title-protocol.js';
import type { TransferContext } from './transfer-context.js';

export class Seeding {
  readonly #context: TransferContext;
  #policy: SeedingPolicy = { ratio: null, durationMs: null };
  #before: Given = { upBytes: 0, seededMs: 0 };
  #sinceMs: Milliseconds | undefined;
  #seededMs: Milliseconds = 0;
  #isDone = false;

  constructor(context: TransferContext) {
    this.#context = context;
  }

  /** How long it has been given since the session began. */
  get seededMs(): Milliseconds {
    return this.#seededMs;
  }

  follow(policy: SeedingPolicy, before: Given): void {
    this.#policy = policy;
    this.#before = before;
    this.#isDone = false;
    this.review();
  }

  /** Looks whether a limit has been reached. */
  review(): void {
    const { isComplete, wanted, nowMs, hasStarted } = this.#context;
    if (!hasStarted || !isComplete || wanted.own.count === 0) {
      this.#sinceMs = undefined;
      return;
    }
    this.#seededMs += nowMs - (this.#sinceMs ?? nowMs);
    this.#sinceMs = nowMs;
    const why = this.#reached();
    if (why === undefined || this.#isDone) return;
    this.#isDone = true;
    this.#context.emit({ kind: 'seeding-done', why });
  }

  #reached(): 'ratio' | 'time' | undefined {
    const { ratio, durationMs } = this.#policy;
    const { counts, shape } = this.#context;
    if (ratio !== null && this.#before.upBytes + counts.upBytes >= ratio * shape.totalBytes) return 'ratio';
    return durationMs !== null && this.#before.seededMs + this.#seededMs >= durationMs ? 'time' : undefined;
  }
}

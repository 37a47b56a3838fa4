/**
 * Collects what the client of a source asks for, and keeps the order that ends a source: close, cancel the timers, say why.
 *
 * Once it is over, nothing more is collected.
 */
import type { Milliseconds } from '../kernel/units.js';
import type { SourceEffect, SourceEvent, SourceTimer } from './source-client.js';

export class SourceReport {
  #effects: SourceEffect[] = [];
  readonly #timers = new Set<SourceTimer>();
  readonly #oddities = new Set<string>();
  #saidOnDemand = false;
  #isOver = false;

  get isOver(): boolean {
    return this.#isOver;
  }

  /** What has been collected since the last call. */
  drain(): readonly SourceEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  connect(host: string, port: number, redirected: boolean, secure = false): void {
    this.#add({ kind: 'connect', host, port, redirected, secure });
  }

  send(bytes: Uint8Array): void {
    this.#add({ kind: 'send', bytes });
  }

  schedule(timer: SourceTimer, delayMs: Milliseconds): void {
    this.#timers.add(timer);
    this.#add({ kind: 'schedule', timer, delayMs });
  }

  cancel(timer: SourceTimer): void {
    if (this.#timers.delete(timer)) this.#add({ kind: 'cancel', timer });
  }

  emit(event: SourceEvent): void {
    this.#add({ kind: 'emit', event });
  }

  /** Said once for each kind. */
  oddity(detail: string): void {
    if (this.#oddities.has(detail)) return;
    this.#oddities.add(detail);
    this.emit({ kind: 'oddity', detail });
  }

  /** Said once. */
  onDemand(detail: string): void {
    if (this.#saidOnDemand) return;
    this.#saidOnDemand = true;
    this.emit({ kind: 'on-demand', detail });
  }

  end(detail: string): void {
    this.#finish({ kind: 'end', detail });
  }

  redirect(url: string): void {
    this.#finish({ kind: 'redirect', url });
  }

  fail(detail: string, retry = true): void {
    this.#finish({ kind: 'failed', detail, retry });
  }

  #finish(event: SourceEvent): void {
    this.#add({ kind: 'close' });
    for (const timer of [...this.#timers]) this.cancel(timer);
    this.emit(event);
    this.#isOver = true;
  }

  #add(effect: SourceEffect): void {
    if (!this.#isOver) this.#effects.push(effect);
  }
}

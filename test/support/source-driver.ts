/** Drives the client core of a source by hand: what it sent, which timers run, and what it said. */
import type { SourceClient, SourceEvent, SourceInput, SourceTimer } from '../../src/ingest/source-client.js';
import type { FlvTag } from '../../src/media/flv.js';
import { bytesOf } from './asf-writer.js';

export class SourceDriver {
  readonly #client: SourceClient;
  readonly events: SourceEvent[] = [];
  readonly connects: { readonly host: string; readonly port: number; readonly redirected: boolean }[] = [];
  /** Of the newest connection. */
  isSecure = false;
  /** Messages sent on the connection that is open. */
  sent: Uint8Array[] = [];
  readonly timers = new Map<SourceTimer, number>();
  isOpen = false;
  nowMs = 0;

  constructor(client: SourceClient) {
    this.#client = client;
    this.input({ kind: 'start' });
  }

  input(input: SourceInput): this {
    for (const effect of this.#client.handle(input, this.nowMs)) {
      if (effect.kind === 'emit') this.events.push(effect.event);
      else if (effect.kind === 'send') this.sent.push(effect.bytes);
      else if (effect.kind === 'schedule') this.timers.set(effect.timer, this.nowMs + effect.delayMs);
      else if (effect.kind === 'cancel') this.timers.delete(effect.timer);
      else if (effect.kind === 'close') this.isOpen = false;
      else {
        this.connects.push({ host: effect.host, port: effect.port, redirected: effect.redirected });
        this.isSecure = effect.secure;
        this.sent = [];
        this.isOpen = true;
      }
    }
    return this;
  }

  open(): this {
    return this.input({ kind: 'opened', localHost: '127.0.0.1', localPort: 4000 });
  }

  receive(...parts: readonly (Uint8Array | readonly number[] | string)[]): this {
    return this.input({ kind: 'bytes', bytes: bytesOf(...parts) });
  }

  close(): this {
    return this.input({ kind: 'closed', detail: 'the server closed the connection' });
  }

  /** Lets the time pass in which the timers that are due go off, in order. */
  wait(delayMs: number): this {
    const endMs = this.nowMs + delayMs;
    for (;;) {
      const [due] = [...this.timers].filter(([, atMs]) => atMs <= endMs).sort((a, b) => a[1] - b[1]);
      if (due === undefined) break;
      this.timers.delete(due[0]);
      this.nowMs = due[1];
      this.input({ kind: 'timer', timer: due[0] });
    }
    this.nowMs = endMs;
    return this;
  }

  /** What was sent on the open connection, as text. */
  get sentText(): string {
    return this.sent.map((bytes) => Buffer.from(bytes).toString('latin1')).join('');
  }

  get kinds(): string[] {
    return this.events.map(({ kind }) => kind);
  }

  get packets(): { readonly locationId: number; readonly payload: readonly number[] }[] {
    return this.events.flatMap((event) => (event.kind === 'packet' ? [{ locationId: event.locationId, payload: [...event.payload] }] : []));
  }

  get tags(): FlvTag[] {
    return this.events.flatMap((event) => (event.kind === 'tag' ? [event.tag] : []));
  }

  /** How it ended: `failed: why`, `failed for good: why`, `end: why`, `redirect: where`; empty while it goes on. */
  get outcome(): string {
    const event = this.events.at(-1);
    if (event?.kind === 'failed') return `${event.retry ? 'failed' : 'failed for good'}: ${event.detail}`;
    if (event?.kind === 'end') return `end: ${event.detail}`;
    return event?.kind === 'redirect' ? `redirect: ${event.url}` : '';
  }

  get oddities(): string {
    return this.events.flatMap((event) => (event.kind === 'oddity' ? [event.detail] : [])).join(' | ');
  }
}

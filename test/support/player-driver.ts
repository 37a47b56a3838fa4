/** Drives the session of an MMS player by hand: what it answered, whether it closed, which timers run. */
import type { MmsChannel, PlayerEvent, PlayerInput, PlayerSession, PlayerTimer } from '../../src/relay/endpoints/mms-player.js';
import { bytesOf } from './asf-writer.js';

export interface TestChannel extends MmsChannel {
  readonly name: string;
}

export class PlayerDriver {
  readonly session: PlayerSession<TestChannel>;
  readonly sent: Uint8Array[] = [];
  readonly events: PlayerEvent<TestChannel>[] = [];
  readonly timers = new Map<PlayerTimer, number>();
  isClosed = false;
  nowMs = 0;

  constructor(session: PlayerSession<TestChannel>) {
    this.session = session;
    this.input({ kind: 'start' });
  }

  input(input: PlayerInput): this {
    for (const effect of this.session.handle(input, this.nowMs)) {
      if (effect.kind === 'emit') this.events.push(effect.event);
      else if (effect.kind === 'send') this.sent.push(effect.bytes);
      else if (effect.kind === 'schedule') this.timers.set(effect.timer, this.nowMs + effect.delayMs);
      else if (effect.kind === 'cancel') this.timers.delete(effect.timer);
      else this.isClosed = true;
    }
    return this;
  }

  receive(...parts: readonly (Uint8Array | readonly number[] | string)[]): this {
    return this.input({ kind: 'bytes', bytes: bytesOf(...parts) });
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

  get text(): string {
    return this.sent.map((bytes) => Buffer.from(bytes).toString('latin1')).join('');
  }

  get kinds(): string[] {
    return this.events.map(({ kind }) => kind);
  }

  /** Why it was refused; empty when it was not. */
  get refusal(): string {
    return this.events.flatMap((event) => (event.kind === 'refused' ? [event.detail] : [])).join(' | ');
  }
}

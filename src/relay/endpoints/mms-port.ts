/**
 * One port for both MMS protocols: the first byte of a connection decides, and must come in time.
 *
 * 0x01 begins an MMST command, an ASCII letter an HTTP method; anything else (a TLS hello, garbage) is closed at once. With this,
 * `mms://`, `mmsh://` and `mmst://` work at one port in every player. Source: protocols sheet 0, fact 16, and 6.3, row 31.
 */
import type { Milliseconds } from '../../kernel/units.js';
import { type Framing, type MmsChannel, PLAYER_STEP_MS, type PlayerEffect, type PlayerInput, type PlayerSession } from './mms-player.js';
import { MmshSession, type MmsSessionOptions } from './mmsh-session.js';
import { MmstSession } from './mmst-session.js';

const MMST_FIRST_BYTE = 0x01;

/** Which protocol a connection speaks that begins with this byte. */
export function protocolOf(firstByte: number): 'mmst' | 'mmsh' | undefined {
  if (firstByte === MMST_FIRST_BYTE) return 'mmst';
  const letter = firstByte & ~0x20;
  return letter >= 0x41 && letter <= 0x5a && firstByte < 0x80 ? 'mmsh' : undefined;
}

/** A player of either protocol. */
export class MmsPort<Channel extends MmsChannel> implements PlayerSession<Channel> {
  readonly #options: MmsSessionOptions<Channel>;
  #session: PlayerSession<Channel> | undefined;
  #isOver = false;

  constructor(options: MmsSessionOptions<Channel>) {
    this.#options = options;
  }

  get framing(): Framing | undefined {
    return this.#session?.framing;
  }

  packet(locationId: number, payload: Uint8Array): Uint8Array | undefined {
    return this.#session?.packet(locationId, payload);
  }

  mediaSent(nowMs: Milliseconds): void {
    this.#session?.mediaSent(nowMs);
  }

  handle(input: PlayerInput, nowMs: Milliseconds): readonly PlayerEffect<Channel>[] {
    if (this.#isOver) return [];
    if (this.#session !== undefined) return this.#session.handle(input, nowMs);
    switch (input.kind) {
      case 'start':
        return [{ kind: 'schedule', timer: 'step', delayMs: PLAYER_STEP_MS }];
      case 'bytes':
        return this.#choose(input, nowMs);
      case 'timer':
        return this.#refuse('silent after connecting');
      case 'end':
        return this.#refuse('the server stops');
    }
  }

  #choose(input: Extract<PlayerInput, { kind: 'bytes' }>, nowMs: Milliseconds): readonly PlayerEffect<Channel>[] {
    const [firstByte] = input.bytes;
    if (firstByte === undefined) return [];
    const protocol = protocolOf(firstByte);
    if (protocol === undefined) return this.#refuse('neither MMST nor HTTP');
    const session = protocol === 'mmst' ? new MmstSession(this.#options) : new MmshSession(this.#options);
    this.#session = session;
    return [...session.handle({ kind: 'start' }, nowMs), ...session.handle(input, nowMs)];
  }

  #refuse(detail: string): readonly PlayerEffect<Channel>[] {
    this.#isOver = true;
    return [{ kind: 'emit', event: { kind: 'refused', detail } }, { kind: 'cancel', timer: 'step' }, { kind: 'close' }];
  }
}

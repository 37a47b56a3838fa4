/**
 * Watches the engine of one live exchange and writes down each step: its time, its input as bytes, its effects.
 *
 * A core under watch is given the wall clock from here: one reading for each step, so that the trace can tell it. What a trace cannot carry, or what the sink does not
 * take, ends the recording, never the exchange.
 */
import type { Codec, Hasher } from '../../kernel/ports.js';
import type { ConnectionId, Milliseconds } from '../../kernel/units.js';
import { type LiveMessage, liveCodec } from '../exchange/live-message.js';
import type { LiveEffect } from '../exchange/live-protocol.js';
import { traceEnd, traceHead, traceStep } from './live-trace.js';
import { encodeEffect } from './trace-effect.js';
import { encodeInput, type LiveInput, type PeerNumber } from './trace-input.js';
import type { TraceOrigin } from './trace-origin.js';

/** Where a trace goes. */
export interface TraceSink {
  /** Takes the bytes, or says why it takes no more. Never waits. */
  write(bytes: Uint8Array): string | undefined;
  /** Takes the last bytes, which say why it ends, and is done. */
  end(bytes: Uint8Array, why: string): void;
}

export interface TraceRecorderOptions {
  readonly origin: TraceOrigin;
  readonly sink: TraceSink;
  readonly hasher: Hasher;
  readonly wallClockMs: () => Milliseconds;
}

interface OpenStep {
  readonly nowMs: Milliseconds;
  readonly wallMs: Milliseconds;
  readonly input: Uint8Array;
  readonly effects: Uint8Array[];
}

export class TraceRecorder {
  readonly #options: TraceRecorderOptions;
  readonly #numbers = new Map<ConnectionId, PeerNumber>();
  /** What messages that are on their way to the core were decoded from. */
  readonly #wire = new WeakMap<LiveMessage, Uint8Array>();
  #wallMs: Milliseconds;
  #open: OpenStep | undefined;
  #ended = false;

  constructor(options: TraceRecorderOptions) {
    this.#options = options;
    this.#wallMs = options.wallClockMs();
    this.#write(traceHead(options.origin));
  }

  /** For the engine: decodes as the shipped one does, and remembers the bytes. */
  readonly codec: Codec<LiveMessage> = {
    encode: (message) => liveCodec.encode(message),
    decode: (bytes) => {
      const message = liveCodec.decode(bytes);
      if ('kind' in message) this.#wire.set(message, bytes);
      return message;
    },
  };

  /** For the core: Unix time at the beginning of its step. */
  wallClockMs(): Milliseconds {
    return this.#wallMs;
  }

  /** The engine's `onTrace`: an input, then its effects. */
  note(step: LiveInput | LiveEffect, nowMs: Milliseconds): void {
    if (isEffect(step)) this.#open?.effects.push(encodeEffect(step, this.#numberOf, this.#options.hasher));
    else this.#begin(step, nowMs);
  }

  /** The exchange has stopped. */
  stop(): void {
    this.#writeOpen();
    this.#end('stopped');
  }

  #begin(input: LiveInput, nowMs: Milliseconds): void {
    this.#writeOpen();
    this.#wallMs = this.#options.wallClockMs();
    if (this.#ended) return;
    const wire = input.kind === 'message' ? this.#wire.get(input.message) : undefined;
    const bytes = encodeInput(input, this.#numberOf, wire);
    if (bytes === undefined) return this.#end(`an input that traces do not carry: ${input.kind}`);
    this.#open = { nowMs, wallMs: this.#wallMs, input: bytes, effects: [] };
  }

  #writeOpen(): void {
    const step = this.#open;
    this.#open = undefined;
    if (step) this.#write(traceStep(step));
  }

  #write(bytes: Uint8Array): void {
    const refusal = this.#options.sink.write(bytes);
    if (refusal !== undefined) this.#end(refusal);
  }

  #end(why: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#open = undefined;
    this.#options.sink.end(traceEnd(why), why);
  }

  readonly #numberOf = (peer: ConnectionId): PeerNumber => {
    const known = this.#numbers.get(peer);
    if (known !== undefined) return known;
    this.#numbers.set(peer, this.#numbers.size + 1);
    return this.#numbers.size;
  };
}

const EFFECT_KINDS: ReadonlySet<string> = new Set<LiveEffect['kind']>(['send', 'schedule', 'cancel', 'connect', 'disconnect', 'emit']);

function isEffect(step: LiveInput | LiveEffect): step is LiveEffect {
  return EFFECT_KINDS.has(step.kind);
}

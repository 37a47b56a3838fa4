/** A viewer's core that is told things by hand and recorded, as the engine of a real one would. */
import { nodeHasher, nodeVerifier } from '../../src/io/crypto.js';
import { Malformed } from '../../src/kernel/errors.js';
import type { ConnectionId } from '../../src/kernel/units.js';
import { LiveExchange } from '../../src/relay/exchange/live-exchange.js';
import { LIVE_VERSION, type LiveMessage, liveCodec } from '../../src/relay/exchange/live-message.js';
import type { LiveInput } from '../../src/relay/trace/trace-input.js';
import { exchangeOptions, type TraceOrigin } from '../../src/relay/trace/trace-origin.js';
import { TraceRecorder, type TraceSink } from '../../src/relay/trace/trace-recorder.js';
import { availability, CHANNEL, makeWindow, OWNER, PARAMETERS, WALL_MS } from './exchange-fixture.js';

export const ORIGIN: TraceOrigin = {
  liveVersion: LIVE_VERSION,
  channel: CHANNEL,
  owner: OWNER.publicKey,
  container: 'flv',
  rngSeed: 77,
  upBytesPerSecond: 75_000,
  downBytesPerSecond: 0,
  parameters: PARAMETERS,
};

/** Keeps what it is given, up to a number of bytes. */
export class MemorySink implements TraceSink {
  readonly chunks: Uint8Array[] = [];
  why: string | undefined;
  readonly #bytesMax: number;

  constructor(bytesMax = Number.POSITIVE_INFINITY) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.chunks);
  }

  write(bytes: Uint8Array): string | undefined {
    if (this.bytes.length + bytes.length > this.#bytesMax) return 'full';
    this.chunks.push(bytes.slice());
    return undefined;
  }

  end(bytes: Uint8Array, why: string): void {
    this.chunks.push(bytes.slice());
    this.why = why;
  }
}

export class RecordedViewer {
  readonly sink: MemorySink;
  readonly recorder: TraceRecorder;
  readonly #core: LiveExchange;
  nowMs = 1_000.123_456;

  constructor(sink = new MemorySink()) {
    this.sink = sink;
    this.recorder = new TraceRecorder({ origin: ORIGIN, sink, hasher: nodeHasher, wallClockMs: () => WALL_MS + Math.floor(this.nowMs) });
    const wallClockMs = (): number => this.recorder.wallClockMs();
    this.#core = new LiveExchange(exchangeOptions(ORIGIN, { hasher: nodeHasher, verifier: nodeVerifier, wallClockMs }));
  }

  tell(input: LiveInput): void {
    this.recorder.note(input, this.nowMs);
    for (const effect of this.#core.handle(input, this.nowMs)) this.recorder.note(effect, this.nowMs);
    this.nowMs += 12.345;
  }

  /** Through the codec that the recorder gives to the engine. */
  hear(from: ConnectionId, message: LiveMessage): void {
    const decoded = this.recorder.codec.decode(liveCodec.encode(message));
    if (decoded instanceof Malformed) throw new Error(decoded.reason);
    this.tell({ kind: 'message', from, message: decoded });
  }

  /** A start, two neighbours, a window from one of them, a neighbour that asks for it, and the end. */
  watchOneWindow(): Uint8Array {
    const window = makeWindow(4);
    this.tell({ kind: 'command', command: { kind: 'start' } });
    for (const peer of ['c9', 'c3']) {
      this.tell({ kind: 'peer-up', peer, peerId: `peer ${peer}` });
      this.hear(peer, { kind: 'hello', version: LIVE_VERSION, publisher: peer === 'c9', rank: 5 });
      this.hear(peer, { kind: 'map', full: true, tail: 0, windows: [availability(window)] });
    }
    this.tell({ kind: 'timer', timer: 'tick' });
    this.hear('c9', { kind: 'manifest', ageMs: 40, bytes: window.manifest.bytes });
    for (const [piece, payload] of window.pieces.entries()) this.hear('c9', { kind: 'piece', window: 4, piece, payload });
    this.tell({ kind: 'timer', timer: 'tick' });
    this.hear('c3', { kind: 'request', window: 4, pieces: [0, 2], wantManifest: true, patienceMs: 500 });
    for (const kind of ['peer-blocked', 'peer-drained', 'peer-down'] as const) this.tell({ kind, peer: 'c3' });
    this.recorder.stop();
    return this.sink.bytes;
  }
}

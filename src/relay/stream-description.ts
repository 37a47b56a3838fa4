/**
 * The stream's script metadata in the exchange: the newest one the owner signed is kept and handed to every neighbour.
 */
import { sameBytes } from '../kernel/bytes.js';
import { invariant, Malformed } from '../kernel/errors.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Neighbour } from './neighbour.js';
import { decodeStreamInfo, type StreamInfo, signStreamInfo, streamInfoIsSigned } from './stream-info.js';

export class StreamDescription {
  readonly #context: ExchangeContext;
  #info: StreamInfo | undefined;

  constructor(context: ExchangeContext) {
    this.#context = context;
  }

  greet(neighbour: Neighbour): void {
    if (this.#info) this.#context.send(neighbour, { kind: 'info', bytes: this.#info.bytes });
  }

  /** @throws ShoalError `INVARIANT` without a signer. */
  describe(metadata: Uint8Array): void {
    const { signer, channel } = this.#context.options;
    invariant(signer, 'Only a publisher, which has a signer, describes its stream.');
    if (this.#info && sameBytes(this.#info.metadata, metadata)) return;
    const since = Math.max((this.#info?.since ?? -1) + 1, (this.#context.buffer.head ?? -1) + 1);
    this.#take(signStreamInfo(since, metadata, channel, signer));
  }

  onInfo(neighbour: Neighbour, bytes: Uint8Array): void {
    const { channel, owner, verifier } = this.#context.options;
    const info = decodeStreamInfo(bytes);
    if (info instanceof Malformed) return this.#context.accuse(neighbour, info.reason);
    if (info.since <= (this.#info?.since ?? -1)) return;
    if (!streamInfoIsSigned(info, channel, owner, verifier)) {
      return this.#context.accuse(neighbour, 'stream info without the signature of the owner');
    }
    this.#take(info, neighbour);
    this.#context.emit({ kind: 'metadata', metadata: info.metadata });
  }

  #take(info: StreamInfo, from?: Neighbour): void {
    this.#info = info;
    for (const other of this.#context.neighbours.values()) if (other !== from) this.#context.send(other, { kind: 'info', bytes: info.bytes });
  }
}

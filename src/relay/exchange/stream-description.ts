/**
 * The stream's script metadata in the exchange: the newest one the owner signed is kept and handed to every neighbour.
 *
 * It is numbered by the window it goes with, so that what a restarted publisher says counts as newer than what it said before. Until its first
 * window is cut, that number is not known, and the metadata waits.
 */
import { sameBytes } from '../../kernel/bytes.js';
import { invariant, Malformed } from '../../kernel/errors.js';
import type { WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Neighbour } from './neighbour.js';
import { decodeStreamInfo, type StreamInfo, signStreamInfo, streamInfoIsSigned } from './stream-info.js';

export class StreamDescription {
  readonly #context: ExchangeContext;
  #info: StreamInfo | undefined;
  /** Metadata that waits for the first window. */
  #waiting: Uint8Array | undefined;

  constructor(context: ExchangeContext) {
    this.#context = context;
  }

  greet(neighbour: Neighbour): void {
    if (this.#info) this.#context.send(neighbour, { kind: 'info', bytes: this.#info.bytes });
  }

  /** @throws ShoalError `INVARIANT` without a signer. */
  describe(metadata: Uint8Array): void {
    const { head } = this.#context.buffer;
    invariant(this.#context.isPublisher, 'Only a publisher, which has a signer, describes its stream.');
    if (head === undefined) this.#waiting = metadata;
    else this.#sign(metadata, head + 1);
  }

  /** A publisher is about to publish this window. */
  beforeWindow(number: WindowNumber): void {
    if (this.#waiting) this.#sign(this.#waiting, number);
    this.#waiting = undefined;
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

  #sign(metadata: Uint8Array, number: WindowNumber): void {
    const { signer, channel } = this.#context.options;
    if (!signer || (this.#info && sameBytes(this.#info.metadata, metadata))) return;
    this.#take(signStreamInfo(Math.max((this.#info?.since ?? -1) + 1, number), metadata, channel, signer));
  }

  #take(info: StreamInfo, from?: Neighbour): void {
    this.#info = info;
    for (const other of this.#context.neighbours.values())
      if (other !== from) this.#context.send(other, { kind: 'info', bytes: info.bytes });
  }
}

/**
 * The stream's script metadata in the exchange: the newest one with authority is in force, and handed to every neighbour.
 *
 * It is numbered by the window it goes with, so that what a restarted publisher says counts as newer than what it said before. Until its first
 * window is cut, that number is not known, and the metadata waits.
 *
 * The newest info of each signer is kept, not only the newest of all: when a publisher is withdrawn, that of another one is in force at
 * once, however high a number the withdrawn one gave its own. Signers are bounded by what the owner delegates, and by `SIGNERS_MAX`.
 */
import { copyOf, sameBytes } from '../../kernel/bytes.js';
import { invariant, Malformed } from '../../kernel/errors.js';
import type { WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Neighbour } from './neighbour.js';
import { noteRefused } from './offences.js';
import { decodeStreamInfo, INFO_DOMAIN, type StreamInfo, signStreamInfo } from './stream-info.js';

/** An ASF header may have 64 KiB, and each new neighbour gets every info. */
const SIGNERS_MAX = 16;

export class StreamDescription {
  readonly #context: ExchangeContext;
  /** The newest of each signer, by its key; the owner's is named by nothing. */
  readonly #infos = new Map<string, StreamInfo>();
  /** Metadata that waits for the first window. */
  #waiting: Uint8Array | undefined;
  /** What the event `metadata` said last. */
  #emitted: Uint8Array | undefined;

  constructor(context: ExchangeContext) {
    this.#context = context;
  }

  greet(neighbour: Neighbour): void {
    for (const { bytes } of this.#infos.values()) this.#context.send(neighbour, { kind: 'info', bytes });
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
    if (!this.#context.maySign) return;
    if (this.#waiting) this.#sign(this.#waiting, number);
    this.#waiting = undefined;
  }

  /** A publisher has another certificate: what it said before would end with the old one. */
  renew(): void {
    const own = this.#own;
    if (own) this.#sign(own.metadata, own.since + 1, true);
  }

  onInfo(neighbour: Neighbour, bytes: Uint8Array): void {
    const info = decodeStreamInfo(copyOf(bytes));
    if (info instanceof Malformed) return this.#context.accuse(neighbour, info.reason);
    if (info.since <= (this.#infos.get(nameOf(info.signer))?.since ?? -1)) return;
    const judgement = this.#context.authority.judge(INFO_DOMAIN, info);
    if (judgement !== 'valid')
      return noteRefused(this.#context, neighbour, 'stream info', { judgement, signed: info, serial: neighbour.readSerial });
    this.#take(info, neighbour);
    this.#emit();
  }

  /** Forgets the infos of those who may not sign any more. */
  purge(): void {
    const { authority, isPublisher } = this.#context;
    for (const [name, { certificate, metadata }] of this.#infos) {
      if (authority.stillHolds(certificate)) {
        authority.noteKept(certificate);
        continue;
      }
      this.#infos.delete(name);
      // Our own, once we may sign again.
      if (isPublisher && name === this.#ownName) this.#waiting ??= metadata;
    }
    this.#emit();
  }

  get #ownName(): string {
    return nameOf(this.#context.certificate?.key ?? null);
  }

  get #own(): StreamInfo | undefined {
    return this.#infos.get(this.#ownName);
  }

  #sign(metadata: Uint8Array, number: WindowNumber, anew = false): void {
    const { options, certificate, maySign } = this.#context;
    const own = this.#own;
    if (!options.signer || (own && !anew && sameBytes(own.metadata, metadata))) return;
    if (!maySign) this.#waiting = metadata;
    else this.#take(signStreamInfo(Math.max((own?.since ?? -1) + 1, number), metadata, options.channel, options.signer, certificate));
  }

  #take(info: StreamInfo, from?: Neighbour): void {
    this.#infos.set(nameOf(info.signer), info);
    this.#context.authority.noteKept(info.certificate);
    if (this.#infos.size > SIGNERS_MAX) this.#forgetLowest();
    for (const other of this.#context.neighbours.values())
      if (other !== from) this.#context.send(other, { kind: 'info', bytes: info.bytes });
  }

  #forgetLowest(): void {
    const [lowest] = [...this.#infos].sort(([, a], [, b]) => a.since - b.since);
    if (lowest) this.#infos.delete(lowest[0]);
  }

  /** Says what is in force, if that has changed. */
  #emit(): void {
    if (this.#context.isPublisher) return;
    let best: StreamInfo | undefined;
    for (const info of this.#infos.values()) if (!best || info.since > best.since) best = info;
    if (!best || (this.#emitted && sameBytes(this.#emitted, best.metadata))) return;
    this.#emitted = best.metadata;
    this.#context.emit({ kind: 'metadata', metadata: best.metadata });
  }
}

function nameOf(signer: Uint8Array | null): string {
  return String.fromCharCode(...(signer ?? []));
}

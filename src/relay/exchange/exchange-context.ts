/**
 * What the parts of one live exchange share: its options, its buffer, its neighbours, the time of this step, and the effects of it.
 *
 * A part never calls the part that called it. What a step makes necessary at its end (delivering, planning) is noted here, and
 * `LiveExchange` sees to it once, however often it was noted.
 */
import { sameBytes } from '../../kernel/bytes.js';
import type { Hasher, Signer, Verifier } from '../../kernel/ports.js';
import type { DisconnectReason } from '../../kernel/protocol.js';
import type { Rng } from '../../kernel/rng.js';
import type { TokenBucket } from '../../kernel/token-bucket.js';
import type { ConnectionId, InfoHash, Milliseconds, WindowNumber } from '../../kernel/units.js';
import type { WindowMender } from '../../media/holed-window.js';
import { Authority } from './authority.js';
import type { BufferMap } from './buffer-map.js';
import type { Certificate } from './certificate.js';
import { copyingIntake, type Intake } from './intake.js';
import type { LiveMessage } from './live-message.js';
import type { LiveParameters } from './live-parameters.js';
import type { LiveEffect, LiveEvent, LiveTimer } from './live-protocol.js';
import type { Manifest } from './manifest.js';
import type { Neighbour } from './neighbour.js';
import { Neighbours } from './neighbours.js';
import { WindowBuffer } from './window-buffer.js';

export interface LiveExchangeOptions {
  readonly channel: InfoHash;
  /** Public key of the channel's owner, from the descriptor. */
  readonly owner: Uint8Array;
  readonly parameters: LiveParameters;
  readonly hasher: Hasher;
  readonly verifier: Verifier;
  /** Present for a publisher. */
  readonly signer?: Signer;
  /** What the owner gave the signer. Without one the signer must be the owner, or nothing is published. */
  readonly certificate?: Certificate | null;
  /** Unix time, because certificates speak of calendar time. May jump; used for nothing else. */
  readonly wallClockMs: () => Milliseconds;
  readonly rng: Rng;
  /** Shared by all channels of the process. */
  readonly uplink: TokenBucket;
  readonly downlink: TokenBucket;
  /** How what comes from the network is kept: as copies, if left out. */
  readonly intake?: Intake;
  /** What the channel's container makes of a window with gaps. Without one, only whole windows are delivered. */
  readonly mend?: WindowMender;
}

const NO_EFFECTS: readonly LiveEffect[] = [];

export class ExchangeContext {
  readonly options: LiveExchangeOptions;
  readonly parameters: LiveParameters;
  readonly buffer: WindowBuffer;
  readonly intake: Intake;
  readonly authority: Authority;
  /** What a publisher signs with now. */
  certificate: Certificate | null;
  readonly neighbours = new Neighbours();
  nowMs: Milliseconds = 0;
  /** This publisher makes windows at the moment, or is about to. */
  onAir = false;
  /** The next window may have become whole. */
  deliverDue = false;
  /** It has been said that our own clock may be wrong. */
  clockDoubted = false;
  /** There may be something to ask for. */
  planDue = false;
  /** Neighbours that have shown themselves to be misbehaving in this step, and how. */
  readonly #accused = new Map<Neighbour, DisconnectReason>();
  /** No neighbour has spoken of a newer window, or has thrown away more, since this exchange began; `Infinity` before the first map. */
  #newestTold: WindowNumber = Number.POSITIVE_INFINITY;
  #highestTail: WindowNumber = Number.POSITIVE_INFINITY;
  /** When anybody last sent a good piece. */
  lastGoodMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #effects: LiveEffect[] = [];

  constructor(options: LiveExchangeOptions) {
    this.options = options;
    this.parameters = options.parameters;
    this.intake = options.intake ?? copyingIntake;
    this.authority = new Authority(options);
    this.certificate = options.certificate ?? null;
    this.buffer = new WindowBuffer(options.parameters.bufferWindows, options.parameters.bufferBytes);
  }

  get isPublisher(): boolean {
    return this.options.signer !== undefined;
  }

  /** Whether what this process signs now would be taken by others. */
  get maySign(): boolean {
    const { signer, owner } = this.options;
    if (!signer || !sameBytes(signer.publicKey, this.certificate?.key ?? owner)) return false;
    return this.authority.standing(this.certificate) === 'valid';
  }

  maps(): readonly BufferMap[] {
    return this.neighbours.values().map((neighbour) => neighbour.map);
  }

  /** Whether anybody speaks of a window between the two, both excluded. */
  isAnnounced(after: WindowNumber, before: WindowNumber): boolean {
    for (const { map } of this.neighbours.values()) if ((map.firstFrom(after + 1) ?? before) < before) return true;
    return false;
  }

  /** A neighbour's map, or news. */
  takeMap(neighbour: Neighbour, { full, tail, windows }: LiveMessage & { readonly kind: 'map' }): void {
    for (const { number, held } of neighbour.map.update(full, tail, windows)) this.buffer.get(number)?.noteOffer(held);
    const { head = -1, tail: theirTail } = neighbour.map;
    const isFirst = this.#newestTold === Number.POSITIVE_INFINITY;
    if (isFirst || head > this.#newestTold) this.#newestTold = head;
    if (isFirst || theirTail > this.#highestTail) this.#highestTail = theirTail;
  }

  /** No map shows a window above this one. */
  get newestTold(): WindowNumber {
    return Math.max(this.#newestTold, this.buffer.highest);
  }

  /** Every neighbour still has whatever it has had from this window on. */
  get highestTail(): WindowNumber {
    return this.#highestTail;
  }

  /** Public key of the publisher that signed it. */
  signerOf({ signer }: Pick<Manifest, 'signer'>): Uint8Array {
    return signer ?? this.options.owner;
  }

  /** Pieces of these have been thrown away unseen. */
  noteUnjudged(senders: readonly ConnectionId[]): void {
    for (const sender of senders) this.neighbours.get(sender)?.noteUnjudged();
  }

  /** The neighbour is banned at the end of this step. */
  accuse(neighbour: Neighbour, detail: string): void {
    if (this.#accused.get(neighbour)?.kind !== 'misbehaved') this.#accused.set(neighbour, { kind: 'misbehaved', detail });
  }

  /** The neighbour is let go at the end of this step; it may come back. */
  dismiss(neighbour: Neighbour, detail: string): void {
    if (!this.#accused.has(neighbour)) this.#accused.set(neighbour, { kind: 'silent', detail });
  }

  /** There is no room for the neighbour: it is let go at the end of this step, told of others, and rests. */
  release(neighbour: Neighbour, detail: string): void {
    if (!this.#accused.has(neighbour)) this.#accused.set(neighbour, { kind: 'surplus', detail });
  }

  takeAccused(): readonly (readonly [Neighbour, DisconnectReason])[] {
    if (this.#accused.size === 0) return [];
    const accused = [...this.#accused];
    this.#accused.clear();
    return accused;
  }

  send(neighbour: Neighbour, message: LiveMessage): void {
    if (message.kind === 'request' && message.wantManifest) neighbour.noteManifestAsked(message.window);
    if (message.kind === 'piece') this.options.uplink.take(message.payload.length, this.nowMs);
    this.#effects.push({ kind: 'send', to: neighbour.id, message });
  }

  schedule(timer: LiveTimer, delayMs: Milliseconds): void {
    this.#effects.push({ kind: 'schedule', timer, delayMs });
  }

  cancel(timer: LiveTimer): void {
    this.#effects.push({ kind: 'cancel', timer });
  }

  connect(want: number): void {
    this.#effects.push({ kind: 'connect', want });
  }

  disconnect(peer: ConnectionId, reason: DisconnectReason): void {
    this.#effects.push({ kind: 'disconnect', peer, reason });
  }

  emit(event: LiveEvent): void {
    this.#effects.push({ kind: 'emit', event });
  }

  takeEffects(): readonly LiveEffect[] {
    if (this.#effects.length === 0) return NO_EFFECTS;
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}

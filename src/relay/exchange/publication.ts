/**
 * A publisher's side of the exchange: signs what the cutter made, deals it out among the neighbours, and reveals it to all a little later.
 *
 * With other publishers of the source on the air each deals out its part first, and what of the others' parts has not spread a moment later.
 */
import { copyOf } from '../../kernel/bytes.js';
import { invariant, Malformed } from '../../kernel/errors.js';
import type { ConnectionId, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { Announcer } from './announcer.js';
import type { ConflictWatch } from './conflict-watch.js';
import type { ExchangeContext } from './exchange-context.js';
import type { FellowPublishers } from './fellow-publishers.js';
import type { WindowAvailability } from './live-message.js';
import { decodeManifest, type Manifest, signManifest, splitPieces, type WindowContent } from './manifest.js';
import { awakeMs, type Neighbour } from './neighbour.js';
import { isAdmitted } from './offences.js';
import type { Subscribers } from './subscribers.js';
import type { BufferedWindow } from './window-buffer.js';
import type { Crowd, WindowShares } from './window-shares.js';

/** Another publisher has so long to show a window, and so long again to spread something of its part. A frozen one costs viewers that for one window. */
const HANDOVER_MS: Milliseconds = 140;
/** More to one that is always later; who is later still is not waited for. */
const HANDOVER_MS_MAX: Milliseconds = 300;
/** A window that is to be confirmed waits so much longer than others are usually behind us, and never longer than the second. */
const CONFIRM_MS: Milliseconds = 150;
const CONFIRM_MS_MAX: Milliseconds = 500;
/** The same for one that has told of nothing that it may hold for so many times the period of whole maps. */
const TOLD_MAP_PERIODS = 2;
/** Windows that may wait to be confirmed. */
const UNCONFIRMED_MAX = 16;

/** So many of those who name another content are asked to prove it. */
const PROOFS_MAX = 3;

interface Unconfirmed {
  readonly manifest: Manifest;
  readonly bytes: Uint8Array;
  /** Who named another content, was asked for the signature under it, and has not answered. */
  readonly asked: Set<ConnectionId>;
  proofsAsked: number;
}

export interface PublicationParts {
  readonly context: ExchangeContext;
  readonly shares: WindowShares;
  readonly announcer: Announcer;
  readonly fellows: FellowPublishers;
  readonly watch: ConflictWatch;
  readonly subscribers: Subscribers;
}

export class Publication {
  readonly #context: ExchangeContext;
  readonly #shares: WindowShares;
  readonly #announcer: Announcer;
  readonly #fellows: FellowPublishers;
  readonly #watch: ConflictWatch;
  readonly #subscribers: Subscribers;
  /** Signed, and waiting for others to show the same. */
  readonly #unconfirmed = new Map<WindowNumber, Unconfirmed>();
  windowsPublished = 0;

  constructor({ context, shares, announcer, fellows, watch, subscribers }: PublicationParts) {
    this.#subscribers = subscribers;
    this.#context = context;
    this.#shares = shares;
    this.#announcer = announcer;
    this.#fellows = fellows;
    this.#watch = watch;
  }

  /** Does nothing while this publisher has no authority: nobody would take it. @throws ShoalError `INVARIANT` without a signer. */
  publish(content: WindowContent, confirm: boolean): void {
    const { options, parameters, certificate } = this.#context;
    invariant(options.signer, 'Only a publisher, which has a signer, publishes.');
    if (!this.#context.maySign) return;
    const manifest = signManifest(content, options.channel, parameters.pieceBytes, options.hasher, options.signer, certificate);
    this.#context.authority.noteKept(certificate);
    const { count, lagMs } = this.#fellows.partIn(manifest.number);
    // Without another publisher at work nobody can confirm anything. What waits goes first: numbers only grow.
    if (count === 1) for (const number of [...this.#unconfirmed.keys()]) this.#letGo(number);
    if (count === 1 || (!confirm && this.#unconfirmed.size === 0)) return this.#release(manifest, content.bytes);
    this.#unconfirmed.set(manifest.number, { manifest, bytes: content.bytes, asked: new Set(), proofsAsked: 0 });
    this.#context.schedule(`confirm:${manifest.number}`, Math.min(CONFIRM_MS_MAX, lagMs + CONFIRM_MS));
    for (const number of this.#unconfirmed.keys()) if (this.#unconfirmed.size > UNCONFIRMED_MAX) this.#unconfirmed.delete(number);
    this.onMap([manifest]);
  }

  /** A neighbour has spoken of these windows: one may be confirmed by it, or doubted. */
  onMap(windows: readonly { readonly number: WindowNumber }[]): void {
    for (const { number } of windows) {
      const waiting = this.#unconfirmed.get(number);
      if (!waiting) continue;
      const naming = this.#context.neighbours.values().filter(({ map }) => map.get(number)?.version !== undefined);
      if (naming.some(({ map }) => map.has(number, waiting.manifest.version))) this.#letGo(number);
      else if (naming.length > 0) this.#askForProof(number, waiting, naming);
    }
  }

  /**
   * Whether a viewer may hold something of these windows: nobody holds what there is not, or has not been sent by any publisher. Whoever boasts of such would pass for one
   * that tells what it holds, and when a stream begins, and nobody holds anything, it would be dealt everything.
   */
  areCredible(windows: readonly WindowAvailability[]): boolean {
    const { buffer, neighbours } = this.#context;
    const hasFellow = neighbours.values().some(({ publisher }) => publisher);
    return windows.some(({ number }) => {
      const window = buffer.get(number);
      return window !== undefined && (hasFellow || window.isOut);
    });
  }

  /** Whether the manifest was asked for here. A valid one of other content keeps our window back: words alone could silence every publisher. */
  takes(neighbour: Neighbour, bytes: Uint8Array): boolean {
    const manifest = decodeManifest(copyOf(bytes), this.#context.parameters.pieceBytes);
    if (manifest instanceof Malformed) return false;
    const waiting = this.#unconfirmed.get(manifest.number);
    if (!waiting?.asked.delete(neighbour.id)) return false;
    if (!isAdmitted(this.#context, neighbour, manifest)) return true;
    neighbour.proved();
    neighbour.map.noteVersion(manifest.number, manifest.version);
    if (manifest.version === waiting.manifest.version) this.#letGo(manifest.number);
    else this.#deny(manifest.number);
    return true;
  }

  /** The timer `confirm`: nobody has proved anything else. */
  confirm(number: WindowNumber): void {
    for (const id of this.#unconfirmed.get(number)?.asked ?? []) {
      const neighbour = this.#context.neighbours.get(id);
      if (neighbour) neighbour.emptyClaims += 1;
    }
    this.#letGo(number);
  }

  /** The window may go out, and so may those before it that still wait. */
  #letGo(number: WindowNumber): void {
    if (!this.#unconfirmed.has(number)) return;
    for (const [waitingNumber, { manifest, bytes }] of [...this.#unconfirmed].sort(([a], [b]) => a - b)) {
      if (waitingNumber > number) return;
      this.#unconfirmed.delete(waitingNumber);
      this.#context.cancel(`confirm:${waitingNumber}`);
      this.#release(manifest, bytes);
    }
  }

  #askForProof(number: WindowNumber, waiting: Unconfirmed, naming: readonly Neighbour[]): void {
    const fresh = naming.filter(({ id, trusted }) => trusted && !waiting.asked.has(id));
    for (const neighbour of fresh.toSorted((a, b) => a.emptyClaims - b.emptyClaims).slice(0, PROOFS_MAX - waiting.proofsAsked)) {
      // The answer takes its time.
      if (waiting.proofsAsked === 0) this.#context.schedule(`confirm:${number}`, CONFIRM_MS_MAX);
      waiting.proofsAsked += 1;
      waiting.asked.add(neighbour.id);
      this.#context.send(neighbour, { kind: 'request', window: number, pieces: [], wantManifest: true, patienceMs: 0 });
    }
  }

  /** The timer `reveal`: what goes no further goes to somebody else, and at last to everybody. */
  reveal(number: WindowNumber): void {
    const { buffer, nowMs } = this.#context;
    const window = buffer.get(number);
    if (!window) return;
    const state = this.#shares.next(window, this.#crowd(window), nowMs);
    if (state !== 'over') this.#context.schedule(`reveal:${number}`, this.#shares.isEarly(number) ? HANDOVER_MS : this.#shares.lookMs);
    if (state !== 'unchanged') this.#announcer.note(window);
  }

  #deny(number: WindowNumber): void {
    this.#unconfirmed.delete(number);
    this.#context.cancel(`confirm:${number}`);
    this.#watch.deny(number);
  }

  #release(manifest: Manifest, bytes: Uint8Array): void {
    const { parameters, buffer, nowMs } = this.#context;
    const window = buffer.open(manifest, nowMs);
    if (!window || window.version !== manifest.version) return;
    for (const [piece, payload] of splitPieces(bytes, parameters.pieceBytes).entries()) window.store(piece, payload);
    this.windowsPublished += 1;
    this.#watch.notePublished(window.number);
    const part = this.#fellows.partIn(window.number);
    const first = (neighbour: Neighbour): boolean => part.count === 1 || part.serves(neighbour);
    const takerOf = (piece: PieceIndex): ConnectionId | undefined => this.#takerOf(window, piece);
    const dealt = this.#shares.open(window, this.#crowd(window, first), nowMs, part, takerOf);
    const handoverMs = Math.min(HANDOVER_MS_MAX, Math.max(HANDOVER_MS, part.lagMs + HANDOVER_MS / 2));
    if (dealt) this.#context.schedule(`reveal:${window.number}`, part.count === 1 ? this.#shares.lookMs : handoverMs);
    for (const piece of window.copies.keys())
      this.#subscribers.feed(window, piece, ({ id }) => this.#shares.visibleTo(id, window).has(piece));
    this.#announcer.note(window);
  }

  /** Whom this publisher feeds the piece, as long as that one passes on what it gets. */
  #takerOf(window: BufferedWindow, piece: PieceIndex): ConnectionId | undefined {
    const taker = this.#subscribers.takerOf(window, piece);
    if (taker === undefined || this.#shares.passesOn(taker)) return taker;
    this.#subscribers.revoke(taker);
    return undefined;
  }

  /** Viewers that a window may be dealt to. `first`: those who get it first, if there are two of them. */
  #crowd({ number, version }: BufferedWindow, first: (neighbour: Neighbour) => boolean = () => true): Crowd {
    const all = this.#context.neighbours.values();
    const differs = ({ map }: Neighbour): boolean => map.get(number) !== undefined && !map.has(number, version);
    // Where there is no other publisher, who names another content makes it up, and passes nothing of ours on.
    const isAlone = !all.some(({ publisher }) => publisher);
    const able = this.#able().filter((neighbour) => !isAlone || !differs(neighbour));
    const chosen = able.filter(first);
    return {
      able: (chosen.length < 2 ? able : chosen).map(({ id }) => id),
      contested: all.some((neighbour) => neighbour.trusted && differs(neighbour)),
      holders: (piece) => able.flatMap(({ id, map }) => (map.holds(number, piece, version) ? [id] : [])),
    };
  }

  /** Neighbours that can spread a piece: viewers that are awake, take what they are sent, and tell what they hold. Any viewer while there are too few of those. */
  #able(): readonly Neighbour[] {
    const { neighbours, nowMs, parameters } = this.#context;
    const able = neighbours.values().filter((neighbour) => !neighbour.blocked && !neighbour.publisher);
    const isAwake = ({ lastHeardMs }: Neighbour): boolean => nowMs - lastHeardMs < awakeMs(parameters);
    const isTelling = ({ lastToldMs }: Neighbour): boolean => nowMs - lastToldMs < TOLD_MAP_PERIODS * parameters.mapPeriodMs;
    const telling = able.filter((neighbour) => isAwake(neighbour) && isTelling(neighbour));
    return telling.length < 2 ? able : telling;
  }
}

/**
 * A publisher's side of the exchange: signs what the cutter made, deals it out among the neighbours, and reveals it to all a little later.
 */
import { invariant } from '../../kernel/errors.js';
import type { ConnectionId, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { Announcer } from './announcer.js';
import type { ExchangeContext } from './exchange-context.js';
import { signManifest, splitPieces, type WindowContent } from './manifest.js';
import type { WindowShares } from './window-shares.js';

export class Publication {
  readonly #context: ExchangeContext;
  readonly #shares: WindowShares;
  readonly #announcer: Announcer;
  windowsPublished = 0;

  constructor(context: ExchangeContext, shares: WindowShares, announcer: Announcer) {
    this.#context = context;
    this.#shares = shares;
    this.#announcer = announcer;
  }

  /** Does nothing while this publisher has no authority: nobody would take it. @throws ShoalError `INVARIANT` without a signer. */
  publish(content: WindowContent): void {
    const { options, parameters, buffer, nowMs } = this.#context;
    invariant(options.signer, 'Only a publisher, which has a signer, publishes.');
    if (!this.#context.maySign) return;
    const { certificate } = this.#context;
    const manifest = signManifest(content, options.channel, parameters.pieceBytes, options.hasher, options.signer, certificate);
    this.#context.authority.noteKept(certificate);
    const window = buffer.open(manifest, nowMs);
    if (!window) return;
    for (const [piece, bytes] of splitPieces(content.bytes, parameters.pieceBytes).entries()) window.store(piece, bytes);
    this.windowsPublished += 1;
    if (this.#shares.open(window, this.#able())) this.#context.schedule(`reveal:${window.number}`, parameters.revealMs);
    this.#announcer.note(window);
  }

  /** The timer `reveal`: what has not spread goes to somebody else, and at last to everybody. */
  reveal(number: WindowNumber): void {
    const window = this.#context.buffer.get(number);
    if (!window) return;
    if (this.#shares.next(window, this.#able(), (piece) => this.#holdersOf(number, piece)))
      this.#context.schedule(`reveal:${number}`, this.#context.parameters.revealMs);
    this.#announcer.note(window);
  }

  /** How many viewers say that they hold a piece, or have been sent it. */
  #holdersOf(number: WindowNumber, piece: PieceIndex): number {
    let count = 0;
    for (const { map, publisher } of this.#context.neighbours.values()) if (!publisher && map.holds(number, piece)) count += 1;
    return count;
  }

  /** Neighbours that can spread a piece: viewers that take what they are sent. */
  #able(): readonly ConnectionId[] {
    return [...this.#context.neighbours.values()].filter((neighbour) => !neighbour.blocked && !neighbour.publisher).map(({ id }) => id);
  }
}

/**
 * What neighbours say they hold: once as a whole at the beginning, then piece by piece.
 *
 * Strict in what is said: lengths exact, spare bits zero, pieces in the title. Lenient in when, where ordinary clients are: BEP 6 wants a bitfield,
 * have-all or have-none first of all, yet WebTorrent sends none of them when it began without metadata, and means that it holds nothing; aria2 puts
 * many new pieces into one more bitfield, or a have-all, in place of as many haves. So a whole that adds to what is known is taken, whenever it comes;
 * one that says nothing new is forgiven once in a while, and one that takes back is not.
 */
import type { PeerMessage } from '../peer-message.js';
import type { Interest } from './interest.js';
import type { Neighbour } from './neighbour.js';
import { PieceSet } from './piece-set.js';
import type { Requester } from './requester.js';
import type { TransferContext } from './transfer-context.js';

export class Holdings {
  readonly #context: TransferContext;
  readonly #interest: Interest;
  readonly #requester: Requester;

  constructor(context: TransferContext, interest: Interest, requester: Requester) {
    this.#context = context;
    this.#interest = interest;
    this.#requester = requester;
  }

  /** Deals with the message if it is about what the neighbour holds. @returns whether that is all there is to do. */
  takes(neighbour: Neighbour, message: PeerMessage): boolean {
    switch (message.kind) {
      case 'bitfield':
        this.#onWhole(neighbour, message.bytes);
        return true;
      case 'have-all':
      case 'have-none':
        this.#onWhole(neighbour, message.kind === 'have-all' ? null : undefined);
        return true;
      case 'have':
        neighbour.hasSpoken = true;
        this.#onHave(neighbour, message.piece);
        return true;
      case 'dont-have':
        neighbour.hasSpoken = true;
        this.#onDontHave(neighbour, message.piece);
        return true;
      case 'upload-only':
        // Part of the extended handshake, which may come before anything.
        this.#onUploadOnly(neighbour, message.on);
        return true;
      case 'watching':
        return false;
      default:
        neighbour.hasSpoken = true;
        return false;
    }
  }

  dropPeer(neighbour: Neighbour): void {
    this.#count(neighbour, -1);
  }

  /** @param bytes null: everything, undefined: nothing. */
  #onWhole(neighbour: Neighbour, bytes: Uint8Array | null | undefined): void {
    const { pieceCount } = this.#context.shape;
    const fault = bytes instanceof Uint8Array ? faultOf(bytes, pieceCount) : undefined;
    if (fault !== undefined) return this.#context.accuse(neighbour, fault);
    const said = bytes instanceof Uint8Array ? PieceSet.fromBitfield(pieceCount, bytes) : bytes === null ? null : new PieceSet(pieceCount);
    if (neighbour.hasSpoken && !this.#maySayAgain(neighbour, said)) {
      return this.#context.accuse(neighbour, 'says twice, or too late, all that it holds');
    }
    this.#count(neighbour, -1);
    neighbour.hasSpoken = true;
    neighbour.holds = said === null || (said.isFull && !neighbour.hasLost) ? null : said;
    this.#count(neighbour, 1);
    this.#interest.recount(neighbour);
    this.#context.planDue = true;
  }

  /** Whether a whole that comes late is to be borne: see above. */
  #maySayAgain(neighbour: Neighbour, said: PieceSet | null): boolean {
    const { holds, manners } = neighbour;
    const { nowMs, shape } = this.#context;
    const heldCount = holds?.count ?? shape.pieceCount;
    const saidCount = said?.count ?? shape.pieceCount;
    const keptCount = holds === null ? saidCount : said === null ? heldCount : said.countCommon(holds);
    if (keptCount < heldCount) return false;
    return manners.bears(saidCount > heldCount ? 'chatter' : 'restatement', nowMs);
  }

  #onHave(neighbour: Neighbour, piece: number): void {
    if (piece >= this.#context.shape.pieceCount) return this.#context.accuse(neighbour, `has piece ${piece}, which does not exist`);
    if (neighbour.holds === null || !neighbour.holds.add(piece)) return this.#bear(neighbour);
    this.#context.rarity.gained(piece);
    this.#interest.onHeld(neighbour, piece, 1);
    if (neighbour.holds.isFull) this.#onFull(neighbour);
    if (neighbour.column.count === 0) this.#requester.fill(neighbour);
  }

  #onDontHave(neighbour: Neighbour, piece: number): void {
    if (piece >= this.#context.shape.pieceCount) return this.#context.accuse(neighbour, `lacks piece ${piece}, which does not exist`);
    // It may come back, and go again, and come back.
    this.#bear(neighbour);
    this.lose(neighbour, piece);
  }

  /** The neighbour does not hold the piece, or not any more. */
  lose(neighbour: Neighbour, piece: number): void {
    neighbour.hasLost = true;
    if (neighbour.holds === null) {
      this.#count(neighbour, -1);
      neighbour.holds = PieceSet.full(this.#context.shape.pieceCount);
      this.#count(neighbour, 1);
    }
    if (!neighbour.holds.delete(piece)) return;
    this.#context.rarity.lost(piece);
    this.#interest.onHeld(neighbour, piece, -1);
    this.#requester.onGone(neighbour, piece);
  }

  #onUploadOnly(neighbour: Neighbour, isUploadOnly: boolean): void {
    this.#bear(neighbour);
    neighbour.uploadOnly = isUploadOnly;
    this.#interest.tell(neighbour);
  }

  #onFull(neighbour: Neighbour): void {
    if (!neighbour.hasLost) {
      this.#count(neighbour, -1);
      neighbour.holds = null;
      this.#count(neighbour, 1);
    }
    this.#interest.tell(neighbour);
  }

  /** Enters or removes all that it holds. */
  #count(neighbour: Neighbour, change: 1 | -1): void {
    const { rarity } = this.#context;
    if (neighbour.holds === null) {
      rarity.seeders += change;
      return;
    }
    for (const piece of neighbour.holds) {
      if (change === 1) rarity.gained(piece);
      else rarity.lost(piece);
    }
  }

  #bear(neighbour: Neighbour): void {
    if (!neighbour.manners.bears('chatter', this.#context.nowMs)) this.#context.accuse(neighbour, 'a flood of announcements');
  }
}

function faultOf(bytes: Uint8Array, pieceCount: number): string | undefined {
  if (bytes.length !== Math.ceil(pieceCount / 8)) return `a bitfield of ${bytes.length} bytes for ${pieceCount} pieces`;
  const spareBits = bytes.length * 8 - pieceCount;
  return ((bytes.at(-1) ?? 0) & ((1 << spareBits) - 1)) === 0 ? undefined : 'a bitfield with spare bits set';
}

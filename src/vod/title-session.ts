/**
 * The session of one title: an ordinary BitTorrent peer that fetches what is needed most first.
 *
 * A pure core (`Protocol`): the engine drives it over real sockets and in the simulator alike. It holds no payload: blocks that come are handed on in
 * the event of the same step, blocks that are asked for are read by whoever drives it. CoolFish's three changes to BitTorrent live here:
 * `PiecePicker` (most-needed-first), `TaskList` (the cross-linked list of requests) and `UploadQueue` (smooth neighbour priority).
 *
 * Never trusts: a block counts only if it was asked for, a piece only once the store has verified it, and what a peer says it holds only steers
 * requests. All state is bounded by the title, the neighbours and fixed caps for each neighbour; a peer that floods is disconnected.
 *
 * This file composes the parts and hands each input to the one it belongs to: `Holdings` (what neighbours hold), `Interest`, `Announcer` (what we hold),
 * `Requester` (asking), `Receiver` (taking in), `Integrity` (who spoils pieces), `Uploader` and `Choker` (giving), `Seeding` (until when).
 */
import type { DisconnectReason, Input, Protocol } from '../kernel/protocol.js';
import type { Bytes, BytesPerSecond, ConnectionId, Milliseconds } from '../kernel/units.js';
import { blockCount } from './block.js';
import type { PeerMessage } from './peer-message.js';
import { PiecePicker } from './piece-picker.js';
import { FROM_DISK } from './task-list.js';
import type { Introduction, TitleCommand, TitleEffect, TitleEvent, TitleTimer } from './title-protocol.js';
import { Announcer } from './transfer/announcer.js';
import { Choker } from './transfer/choker.js';
import { Holdings } from './transfer/holdings.js';
import { Integrity } from './transfer/integrity.js';
import { Interest } from './transfer/interest.js';
import type { Need, NeedChange } from './transfer/needs.js';
import { ALLOWED_FAST_MAX, Neighbour } from './transfer/neighbour.js';
import { PieceSet } from './transfer/piece-set.js';
import { Receiver } from './transfer/receiver.js';
import { Requester } from './transfer/requester.js';
import { Seeding } from './transfer/seeding.js';
import { type TitleSessionOptions, TransferContext, type TransferCounts } from './transfer/transfer-context.js';
import { Uploader } from './transfer/uploader.js';

export type { TitleCommand, TitleEffect, TitleEvent, TitleShape, TitleTimer } from './title-protocol.js';
export type { TitleSessionOptions } from './transfer/transfer-context.js';

/** For the page, the log and the budget over all titles. */
export interface TitleFigures extends Readonly<TransferCounts> {
  readonly neighbours: number;
  readonly seeders: number;
  readonly unchoked: number;
  readonly requestsInFlight: number;
  readonly requestsWaiting: number;
  readonly piecesHere: number;
  readonly piecesMissing: number;
  /** Begun and not verified. */
  readonly piecesBegun: number;
  /** Time for which it has been given since the start with all that is wanted here. */
  readonly seededMs: Milliseconds;
  readonly readers: number;
  readonly isSeeking: boolean;
}

/** One neighbour, for the page. */
export interface NeighbourFigures {
  readonly peer: ConnectionId;
  readonly downBytes: Bytes;
  readonly upBytes: Bytes;
  readonly downBytesPerSecond: BytesPerSecond;
  readonly priority: number;
  readonly pieces: number;
  readonly isChoking: boolean;
  readonly amChoking: boolean;
  readonly isSnubbed: boolean;
}

export class TitleSession implements Protocol<PeerMessage, TitleCommand, TitleEvent, TitleTimer> {
  readonly #context: TransferContext;
  readonly #interest: Interest;
  readonly #holdings: Holdings;
  readonly #announcer: Announcer;
  readonly #requester: Requester;
  readonly #receiver: Receiver;
  readonly #integrity: Integrity;
  readonly #uploader: Uploader;
  readonly #choker: Choker;
  readonly #seeding: Seeding;
  #neighbourCount = 0;
  #wasContent = false;

  constructor(options: TitleSessionOptions) {
    const context = new TransferContext(options);
    this.#context = context;
    this.#interest = new Interest(context);
    this.#announcer = new Announcer(context);
    this.#requester = new Requester(context, new PiecePicker(context));
    this.#receiver = new Receiver(context, this.#requester);
    this.#integrity = new Integrity(context, this.#requester);
    this.#integrity.onConvicted = (neighbour, detail) => this.#convict(neighbour, detail);
    this.#holdings = new Holdings(context, this.#interest, this.#requester);
    this.#uploader = new Uploader(context);
    this.#choker = new Choker(context, this.#uploader);
    this.#seeding = new Seeding(context);
  }

  handle(input: Input<PeerMessage, TitleCommand, TitleTimer>, nowMs: number): readonly TitleEffect[] {
    this.#context.nowMs = nowMs;
    this.#dispatch(input);
    this.#settle();
    return this.#context.takeEffects();
  }

  figures(): TitleFigures {
    const { counts, neighbours, rarity, tasks, wanted, needs } = this.#context;
    return {
      ...counts,
      neighbours: neighbours.size,
      seeders: rarity.seeders,
      unchoked: [...neighbours.values()].filter(({ amChoking }) => !amChoking).length,
      requestsInFlight: tasks.count,
      requestsWaiting: this.#uploader.queuedCount,
      piecesHere: wanted.own.count,
      piecesMissing: wanted.missing.count,
      piecesBegun: tasks.rowCount,
      seededMs: this.#seeding.seededMs,
      readers: needs.all.length,
      isSeeking: this.#requester.isSeeking,
    };
  }

  /** Whoever drives it hears nothing any more: what it waits for is not on the line it shares. */
  retire(): void {
    this.#context.line.settled(this.#context.tasks.count);
  }

  neighbourFigures(): readonly NeighbourFigures[] {
    return [...this.#context.neighbours.values()].map((neighbour) => ({
      peer: neighbour.id,
      downBytes: neighbour.downBytes,
      upBytes: neighbour.upBytes,
      downBytesPerSecond: neighbour.pace.bytesPerSecond,
      priority: neighbour.standing.priority,
      pieces: neighbour.holds?.count ?? this.#context.shape.pieceCount,
      isChoking: neighbour.isChoking,
      amChoking: neighbour.amChoking,
      isSnubbed: neighbour.snubbed,
    }));
  }

  /** Pieces of which blocks are on their way, at most so many. */
  requestedPieces(most: number): readonly number[] {
    const pieces: number[] = [];
    for (const { piece, first } of this.#context.tasks.rows()) {
      if (pieces.length >= most) break;
      // Some have blocks here and nothing on its way: what was asked for beside those has been called off.
      if (first !== undefined) pieces.push(piece);
    }
    return pieces;
  }

  /** Verified and here. */
  has(piece: number): boolean {
    return this.#context.wanted.own.has(piece);
  }

  /** Verified and here, in BEP 3's bit order: a copy. */
  bitfield(): Uint8Array {
    return this.#context.wanted.own.toBitfield();
  }

  /** A reader waits for the piece, or will soon: it must not be evicted. */
  isNeeded(piece: number): boolean {
    return this.#context.needs.distance(piece) !== Number.POSITIVE_INFINITY;
  }

  /** Connected neighbours that hold the piece. */
  holders(piece: number): number {
    return this.#context.rarity.holders(piece);
  }

  /** Pieces that are here and that no reader needs, those with most holders first, then those nearest to the beginning; at most `count`. */
  dispensable(count: number): readonly number[] {
    const { wanted, rarity } = this.#context;
    const pieces = [...wanted.own].filter((piece) => !this.isNeeded(piece));
    return pieces.sort((a, b) => rarity.holders(b) - rarity.holders(a) || a - b).slice(0, count);
  }

  #dispatch(input: Input<PeerMessage, TitleCommand, TitleTimer>): void {
    switch (input.kind) {
      case 'message':
        return this.#onMessage(input.from, input.message);
      case 'command':
        return this.#onCommand(input.command);
      case 'timer':
        return this.#onTimer(input.timer);
      case 'peer-up':
        return;
      case 'peer-down':
        return this.#onPeerDown(input.peer);
      case 'peer-blocked':
      case 'peer-drained':
        return this.#onPressure(input.peer, input.kind === 'peer-blocked');
    }
  }

  /** What the step made necessary: bans first, then what neighbours are told, then what to ask for. */
  #settle(): void {
    const context = this.#context;
    for (const [neighbour, reason] of context.takeAccused()) this.#drop(neighbour, reason);
    if (!context.hasStarted) return;
    if (context.isContent !== this.#wasContent) this.#onContent();
    this.#announcer.update();
    if (!context.planDue) return;
    context.planDue = false;
    this.#requester.plan();
  }

  #onContent(): void {
    const { isContent, neighbours, wanted } = this.#context;
    this.#wasContent = isContent;
    if (!isContent) return this.#context.emit({ kind: 'wanted-again' });
    if (wanted.own.count > 0) this.#context.emit({ kind: 'wanted-complete' });
    for (const neighbour of neighbours.values()) this.#interest.tell(neighbour);
    for (const [neighbour, reason] of this.#context.takeAccused()) this.#drop(neighbour, reason);
  }

  #onCommand(command: TitleCommand): void {
    switch (command.kind) {
      case 'start':
        return this.#start(command.have, command.blocks);
      case 'introduce':
        return this.#introduce(command, false);
      case 'web-seed-up':
        return this.#introduce(webSeed(command.peer), true);
      case 'web-seed-down':
        return this.#onPeerDown(command.peer);
      case 'need':
        return this.#onNeed(this.#context.needs.set(command, this.#context.nowMs));
      case 'need-gone':
        return this.#onNeed(this.#context.needs.remove(command.reader));
      case 'select':
        this.#interest.recountAfter(() => this.#context.wanted.select(command.ranges));
        return this.#requester.onSelection();
      case 'block-read':
        return this.#uploader.onRead(command);
      case 'block-stored':
        return this.#receiver.onStored(command.piece, command.offsetBytes);
      case 'piece-checked':
        return this.#onChecked(command.piece, command.ok);
      case 'piece-lost':
        return this.#onLost(command.piece, false);
      case 'blocks-digested':
        return this.#integrity.onDigested(command.piece, command.digests);
      case 'blocks-dropped':
        return this.#integrity.onDropped(command.piece, command.blocks);
      case 'evict':
        for (const piece of command.pieces) this.#onLost(piece, true);
        return;
      case 'allow':
        return this.#requester.allow(command.bulkBytesPerSecond);
      case 'seed':
        return this.#seeding.follow(command.policy, command.before ?? { upBytes: 0, seededMs: 0 });
      case 'fetched':
      case 'fetch-failed':
        return this.#onFetch(command);
    }
  }

  #start(have: Uint8Array, blocks: ReadonlyMap<number, Uint8Array>): void {
    const { wanted, shape, tasks, neighbours, parameters } = this.#context;
    for (const piece of PieceSet.fromBitfield(shape.pieceCount, have)) wanted.own.add(piece);
    for (const [piece, bits] of blocks) {
      if (piece >= shape.pieceCount || wanted.own.has(piece)) continue;
      const row = tasks.open(piece, this.#context.pieceBytes(piece));
      for (const block of PieceSet.fromBitfield(blockCount(row.sizeBytes), bits)) row.take(block, FROM_DISK);
      if (row.hereCount === 0) tasks.close(row);
    }
    this.#context.hasStarted = true;
    this.#interest.recountAfter(() => wanted.refreshAll());
    for (const row of tasks.rows()) {
      if (!row.isWhole) continue;
      row.phase = 'checking';
      this.#context.emit({ kind: 'check-piece', piece: row.piece });
    }
    for (const neighbour of neighbours.values()) this.#greet(neighbour);
    this.#context.schedule('watch', parameters.watchMs);
    this.#context.schedule('review', parameters.reviewMs);
    this.#context.connect(parameters.neighboursWanted);
  }

  #introduce(introduction: Introduction, isWebSeed: boolean): void {
    const { neighbours, shape, nowMs, rarity, hasStarted } = this.#context;
    if (neighbours.has(introduction.peer)) return;
    this.#neighbourCount += 1;
    const neighbour = new Neighbour(this.#neighbourCount, introduction, shape.pieceCount, nowMs, isWebSeed);
    neighbours.set(neighbour.id, neighbour);
    this.#integrity.add(neighbour);
    if (isWebSeed) rarity.seeders += 1;
    if (hasStarted) this.#greet(neighbour);
    this.#context.planDue = true;
  }

  #greet(neighbour: Neighbour): void {
    this.#announcer.greet(neighbour);
    this.#choker.greet(neighbour);
    this.#interest.recount(neighbour);
  }

  #onNeed(change: NeedChange): void {
    const { wanted } = this.#context;
    const { before, after } = change;
    for (const piece of zoneWithout(after, before)) wanted.demand(piece, 1);
    for (const piece of zoneWithout(before, after)) wanted.demand(piece, -1);
    this.#requester.onNeed(change);
  }

  #onChecked(piece: number, ok: boolean): void {
    const { tasks, wanted } = this.#context;
    const row = tasks.row(piece);
    if (row === undefined || row.phase !== 'checking') return;
    if (!ok) return this.#integrity.onBad(row);
    this.#integrity.onGood(row);
    tasks.close(row);
    wanted.gained(piece);
    this.#announcer.gained(piece);
    this.#context.emit({ kind: 'piece-complete', piece });
  }

  /** A piece, or what there was of it, is not on the disk any more. */
  #onLost(piece: number, isUnwanted: boolean): void {
    const { tasks, wanted, shape } = this.#context;
    if (piece >= shape.pieceCount) return;
    this.#integrity.forget(piece);
    const row = tasks.row(piece);
    if (row !== undefined) {
      for (const task of row.tasks()) this.#requester.release(task, true);
      if (tasks.row(piece) === row) tasks.close(row);
    }
    const wasHere = wanted.own.has(piece);
    wanted.lost(piece, isUnwanted);
    if (wasHere) this.#announcer.lost(piece);
    this.#context.planDue = true;
  }

  #onFetch(command: TitleCommand & { kind: 'fetched' | 'fetch-failed' }): void {
    const neighbour = this.#context.neighbours.get(command.peer);
    if (!neighbour?.isWebSeed) return;
    if (command.kind === 'fetched') return this.#receiver.onBlock(neighbour, command.piece, command.offsetBytes, command.bytes);
    neighbour.fetching = undefined;
    neighbour.rest(this.#context.nowMs);
    this.#requester.releaseAll(neighbour, false);
    for (const { firstPiece, lastPiece } of command.lacks ?? [])
      for (let piece = firstPiece; piece <= lastPiece; piece++) this.#holdings.lose(neighbour, piece);
  }

  #onTimer(timer: TitleTimer): void {
    const { parameters } = this.#context;
    switch (timer) {
      case 'watch':
        this.#context.schedule('watch', parameters.watchMs);
        this.#requester.watch();
        return this.#integrity.watch();
      case 'news':
        return this.#announcer.sendNews();
      case 'upload':
        return this.#uploader.onTimer();
      case 'download':
        return this.#requester.onTimer();
      case 'review':
        this.#context.schedule('review', parameters.reviewMs);
        this.#reviewStandings();
        this.#choker.review();
        return this.#seeding.review();
    }
  }

  #reviewStandings(): void {
    const peers = [...this.#context.neighbours.values()].filter(({ isWebSeed }) => !isWebSeed);
    const meanBytes = peers.reduce((sum, { standing }) => sum + standing.recentBytes, 0) / Math.max(1, peers.length);
    for (const { standing } of peers) standing.review(meanBytes);
  }

  #onPeerDown(peer: ConnectionId): void {
    const neighbour = this.#context.neighbours.get(peer);
    if (neighbour === undefined) return;
    this.#context.neighbours.delete(peer);
    this.#requester.releaseAll(neighbour, false);
    this.#integrity.dropPeer(neighbour);
    this.#uploader.dropPeer(neighbour);
    this.#choker.dropPeer(neighbour);
    this.#holdings.dropPeer(neighbour);
    this.#context.planDue = true;
  }

  #onPressure(peer: ConnectionId, isBlocked: boolean): void {
    const neighbour = this.#context.neighbours.get(peer);
    if (neighbour === undefined) return;
    neighbour.blocked = isBlocked;
    if (!isBlocked) this.#uploader.serve();
  }

  #convict(neighbour: Neighbour, detail: string): void {
    if (neighbour.isWebSeed) this.#onPeerDown(neighbour.id);
    else this.#context.accuse(neighbour, detail);
  }

  #drop(neighbour: Neighbour, reason: DisconnectReason): void {
    this.#context.disconnect(neighbour.id, reason);
    this.#onPeerDown(neighbour.id);
  }

  #onMessage(from: ConnectionId, message: PeerMessage): void {
    const neighbour = this.#context.neighbours.get(from);
    if (neighbour === undefined || neighbour.isWebSeed) return;
    if (message.kind === 'piece') return this.#receiver.onBlock(neighbour, message.piece, message.offsetBytes, message.bytes);
    if (this.#holdings.takes(neighbour, message)) return;
    switch (message.kind) {
      case 'request':
        return this.#uploader.onRequest(neighbour, message);
      case 'cancel':
        return this.#uploader.onCancel(neighbour, message);
      case 'reject':
        return this.#requester.onReject(neighbour, message);
      case 'choke':
      case 'unchoke':
        return this.#onChoke(neighbour, message.kind === 'choke');
      case 'interested':
      case 'not-interested':
        return this.#onInterest(neighbour, message.kind === 'interested');
      case 'allowed-fast':
        return this.#onAllowedFast(neighbour, message.piece);
      case 'watching':
        if (this.#bears(neighbour)) neighbour.hears(message.on, message.awaited ?? []);
        return;
      default:
        // A suggestion: our own order is better informed.
        this.#bears(neighbour);
    }
  }

  #onChoke(neighbour: Neighbour, isChoking: boolean): void {
    if (!this.#bears(neighbour) || neighbour.isChoking === isChoking) return;
    neighbour.isChoking = isChoking;
    this.#context.planDue = true;
    if (!isChoking) neighbour.restUntilMs = 0;
    // Without the fast extension a choke drops all requests; with it each is rejected by itself (BEP 6).
    else if (!neighbour.introduction.fast) this.#requester.releaseAll(neighbour, false);
    if (isChoking) this.#integrity.abandon(neighbour);
  }

  #onInterest(neighbour: Neighbour, isInterested: boolean): void {
    if (!this.#bears(neighbour) || neighbour.isInterested === isInterested) return;
    neighbour.isInterested = isInterested;
    this.#choker.onInterest(neighbour);
  }

  #onAllowedFast(neighbour: Neighbour, piece: number): void {
    if (!this.#bears(neighbour)) return;
    if (piece >= this.#context.shape.pieceCount) return this.#context.accuse(neighbour, `allows piece ${piece}, which does not exist`);
    if (neighbour.allowedFast.size >= ALLOWED_FAST_MAX) return;
    neighbour.allowedFast.add(piece);
    this.#context.planDue = true;
  }

  /** Whether the neighbour may talk on. */
  #bears(neighbour: Neighbour): boolean {
    if (neighbour.manners.bears('chatter', this.#context.nowMs)) return true;
    this.#context.accuse(neighbour, 'a flood of messages');
    return false;
  }
}

/** The pieces of a need's urgent zone that are not in the other's. */
function* zoneWithout(need: Need | undefined, other: Need | undefined): IterableIterator<number> {
  if (need === undefined) return;
  for (let piece = need.firstPiece; piece <= need.urgentPiece; piece++) {
    if (other === undefined || piece < other.firstPiece || piece > other.urgentPiece) yield piece;
    else piece = other.urgentPiece;
  }
}

function webSeed(peer: ConnectionId): Introduction {
  return {
    peer,
    fast: false,
    requestQueueCount: 0,
    addressGroup: peer,
    kin: false,
    outgoing: true,
    mapsDontHave: false,
    mapsUploadOnly: false,
    uploadOnly: true,
  };
}

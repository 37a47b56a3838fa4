/**
 * Asks: keeps every neighbour's pipeline as full as it should be, takes requests back, and looks after those that are not answered.
 *
 * As long as somebody reads, little is on its way at once, since that can't be called back. A jump of a reader takes back everything that no reader waits
 * for at this moment, so that the piece it needs is not behind it, and asks for nothing for later until that piece is here. A neighbour that lets its wait time pass loses
 * all its requests to the others and is tried with one at a time, later.
 */
import { TokenBucket } from '../../kernel/token-bucket.js';
import type { Bytes, BytesPerSecond, Milliseconds } from '../../kernel/units.js';
import { BLOCK_BYTES } from '../block.js';
import type { BlockMessage } from '../peer-message.js';
import type { PiecePicker } from '../piece-picker.js';
import type { Row, Task } from '../task-list.js';
import type { NeedChange } from './needs.js';
import type { Neighbour } from './neighbour.js';
import type { TransferContext } from './transfer-context.js';

/** Nothing is asked for later during so long after a jump, unless the piece is here sooner. */
const SEEK_MS: Milliseconds = 2_000;
/** Copies that may be in flight or wasted whatever has been received: the end game of a small title. */
const COPIES_FREE_BYTES: Bytes = 8 * BLOCK_BYTES;
/** Copies of what is late may use up a little more than copies of what is only slow. */
const LATE_COPIES_FACTOR = 1.25;
/** Requests that leave together, of a pipeline that is eight times as long. */
const PORTION_MAX = 32;
/** Neighbours asked for copies at one look, and copies asked of each. */
const RESCUERS = 4;
const RESCUES_EACH = 4;
/** In flight to all neighbours together: so much time of the whole line, and so many blocks at least. Each may always be asked for one. */
const LINE_QUEUE_MS: Milliseconds = 1_000;
/** Beyond this many times as much nobody is asked for what is for later, not even for one. */
const LINE_BLOCKS_FACTOR = 2;
const LINE_BLOCKS_MIN = 16;
/** Before anything has come at all, and if the line is busy, an answer may take longer than its neighbour alone would need. */
const FIRST_WAIT_MS: Milliseconds = 4_000;
const LINE_WAIT_FACTOR = 1.5;
const LINE_WAIT_MAX_MS: Milliseconds = 10_000;
const WEB_SEED_RANGE_MS: Milliseconds = 2_000;
const WEB_SEED_RANGE_BYTES_MAX: Bytes = 8 * 1024 * 1024;

export class Requester {
  readonly #context: TransferContext;
  readonly #picker: PiecePicker;
  #allowance: TokenBucket | undefined;
  #isAllowed = true;
  #isDownloadScheduled = false;
  /** The piece that a reader jumped to, and until when it comes before all that is for later. */
  #seek: { readonly piece: number; readonly untilMs: Milliseconds } | undefined;

  /** When somebody read last. */
  #readMs: Milliseconds = Number.NEGATIVE_INFINITY;

  constructor(context: TransferContext, picker: PiecePicker) {
    this.#context = context;
    this.#picker = picker;
  }

  /** A reader jumped and what it needs is not here yet. */
  get isSeeking(): boolean {
    const { wanted, nowMs } = this.#context;
    if (this.#seek !== undefined && (wanted.own.has(this.#seek.piece) || nowMs >= this.#seek.untilMs)) this.#seek = undefined;
    return this.#seek !== undefined;
  }

  /** How fast to fetch what no reader waits for; null: as fast as it comes. */
  allow(bulkBytesPerSecond: BytesPerSecond | null): void {
    this.#isAllowed = bulkBytesPerSecond !== 0;
    this.#allowance = bulkBytesPerSecond ? new TokenBucket(bulkBytesPerSecond) : undefined;
    if (!this.#isAllowed) this.#takeBack((task) => !this.#context.needs.isUrgent(task.row.piece));
    this.#context.planDue = true;
  }

  /** Asks everybody for as much as they should have in flight now. What a reader waits for is dealt out to whoever would bring it soonest. */
  plan(): void {
    if (!this.#context.needs.isEmpty) this.#dealOut();
    for (const neighbour of this.#context.neighbours.values()) this.fill(neighbour);
  }

  /** The timer `download`: there is credit again. */
  onTimer(): void {
    this.#isDownloadScheduled = false;
    this.#context.planDue = true;
  }

  /** Asks the neighbour for as much as it should have in flight now. */
  fill(neighbour: Neighbour): void {
    const { nowMs } = this.#context;
    if (!this.#mayAsk(neighbour)) return;
    if (neighbour.isWebSeed) return this.#askWebSeed(neighbour);
    const { pace, column } = neighbour;
    const most = this.#mostOf(neighbour);
    const depth = pace.depth(this.#queueMs(), most);
    // A long pipeline is filled in portions: a system call for every request costs more than all the rest of it.
    if (column.count > depth - Math.min(PORTION_MAX, depth >> 3)) return;
    const mayLater = this.#mayLater();
    while (column.count < depth && this.#isLineFree(neighbour) && this.#affords()) {
      const pick = this.#picker.pick(neighbour, nowMs, mayLater && this.#isLineFreeLater(neighbour) && this.#affordsLater());
      if (pick === undefined) {
        if (column.count === 0 && mayLater) this.#copy(neighbour);
        return;
      }
      this.#ask(neighbour, pick.piece, pick.urgent);
    }
  }

  /** The request is not waited for any more. `isTakenBack`: the neighbour has to be told. */
  release(task: Task<Neighbour>, isTakenBack: boolean, isCopy = false): void {
    const { tasks, wanted, counts, options, nowMs } = this.#context;
    const { row, column, block, sizeBytes } = task;
    const neighbour = column.owner;
    tasks.settle(task);
    this.#context.line.settled();
    neighbour.pace.released(sizeBytes);
    options.downlink.take(-sizeBytes, nowMs);
    if (isTakenBack) {
      counts.cancels += 1;
      neighbour.calledOff.add(row.piece, block, isCopy);
      if (!neighbour.isWebSeed) this.#context.send(neighbour, blockMessage('cancel', row, block));
    }
    if (row.first === undefined && row.hereCount === 0 && row.phase === 'fetching' && row.chosen === undefined) tasks.close(row);
    wanted.refresh(row.piece);
    this.#context.planDue = true;
  }

  /** Everything that is asked of the neighbour is lost: it is gone, it chokes, or it is given up. */
  releaseAll(neighbour: Neighbour, isTakenBack: boolean): void {
    for (let task = neighbour.column.first; task !== undefined; task = neighbour.column.first) this.release(task, isTakenBack);
    neighbour.row = undefined;
    this.#endFetch(neighbour);
  }

  /** The other requests for a block that has come. */
  releaseCopies(row: Row<Neighbour>, block: number): void {
    if (row.copies(block) === 0) return;
    for (const task of row.tasks()) {
      if (task.block !== block) continue;
      const { owner } = task.column;
      // Without the fast extension nobody says whether the cancel came in time.
      this.release(task, true, owner.introduction.fast);
      this.#endFetch(owner);
    }
  }

  onReject(neighbour: Neighbour, { piece, offsetBytes }: BlockMessage): void {
    const { tasks, nowMs } = this.#context;
    const block = Math.floor(offsetBytes / BLOCK_BYTES);
    // The answer to a cancel comes before that to a request for the same block made later.
    if (neighbour.calledOff.take(piece, block)) {
      if (neighbour.snubbed) neighbour.revived();
      return;
    }
    const task = tasks.find(neighbour.column, piece, block);
    if (task === undefined) {
      if (!neighbour.hasBeenAsked || !neighbour.manners.bears('unasked-reject', nowMs))
        this.#context.accuse(neighbour, 'rejects what it was never asked for');
      return;
    }
    this.release(task, false);
    neighbour.allowedFast.delete(piece);
    if (neighbour.isChoking) return;
    // It would be asked for the same again at once.
    neighbour.rest(nowMs);
    if (!neighbour.manners.bears('broken-promise', nowMs)) this.#context.accuse(neighbour, 'rejects what it has offered');
  }

  /** A reader has come, moved on, jumped or left. */
  onNeed({ after, jumped }: NeedChange): void {
    const { needs, wanted, parameters, nowMs } = this.#context;
    this.#context.planDue = true;
    if (after !== undefined && jumped && parameters.strategy !== 'rarest-first' && !wanted.own.has(after.firstPiece)) {
      this.#seek = { piece: after.firstPiece, untilMs: nowMs + SEEK_MS };
      const { firstPiece, urgentPiece } = after;
      return this.#takeBack(({ row: { piece, chosen } }) => {
        const isOfThis = piece >= firstPiece && piece <= urgentPiece;
        return !isOfThis && !needs.isAwaited(piece) && chosen === undefined;
      });
    }
    // A player opens its new place before or after it leaves the old one: what was asked for the old one must not be in the way of the new one.
    const isLeft = after === undefined && this.isSeeking;
    this.#takeBack(({ row: { piece, chosen } }) => !wanted.isWanted(piece) || (isLeft && !needs.isUrgent(piece) && chosen === undefined));
  }

  /** Requests for pieces that are not wanted any more. */
  onSelection(): void {
    this.#takeBack((task) => !this.#context.wanted.isWanted(task.row.piece));
    this.#context.planDue = true;
  }

  /** The neighbour does not hold this piece any more. */
  onGone(neighbour: Neighbour, piece: number): void {
    for (let task = neighbour.column.first; task !== undefined; ) {
      const next = task.columnNext;
      if (task.row.piece === piece) this.release(task, false);
      task = next;
    }
  }

  /** Looks for what is not answered. */
  watch(): void {
    const { neighbours, needs } = this.#context;
    for (const neighbour of neighbours.values()) this.#watchOne(neighbour);
    if (!needs.isEmpty) this.#rescue();
    // Rests end with time alone.
    this.#context.planDue = true;
  }

  /** Block by block, to the neighbour with the earliest arrival. */
  #dealOut(): void {
    const { neighbours, nowMs } = this.#context;
    const queueMs = this.#queueMs();
    const able = [...neighbours.values()].filter((neighbour) => !neighbour.isWebSeed && this.#mayAsk(neighbour));
    while (able.length > 0 && this.#affords()) {
      const at = soonest(able);
      const neighbour = able[at] as Neighbour;
      const isFull = neighbour.column.count >= neighbour.pace.depth(queueMs, this.#mostOf(neighbour)) || !this.#isLineFree(neighbour);
      const pick = isFull ? undefined : this.#picker.pick(neighbour, nowMs, false);
      if (pick === undefined) able.splice(at, 1);
      else this.#ask(neighbour, pick.piece, pick.urgent);
    }
  }

  /** How much to ask for at once beyond the round trip. */
  #queueMs(): Milliseconds {
    const { needs, nowMs, parameters } = this.#context;
    if (!needs.isEmpty) this.#readMs = nowMs;
    return nowMs - this.#readMs < parameters.watchedMs ? parameters.watchedQueueMs : parameters.bulkQueueMs;
  }

  /** The most that may be in flight to it. */
  #mostOf(neighbour: Neighbour): number {
    if (neighbour.snubbed) return 1;
    return Math.min(this.#context.parameters.requestsMax, Math.max(1, neighbour.introduction.requestQueueCount));
  }

  #watchOne(neighbour: Neighbour): void {
    const { nowMs, counts } = this.#context;
    const oldest = neighbour.column.first;
    if (oldest === undefined) return;
    const waitedMs = nowMs - Math.max(oldest.askedMs, neighbour.pace.lastBlockMs);
    const { waitMs, urgentWaitMs } = neighbour.pace;
    const ownMs = oldest.urgent && this.#hasRival(neighbour, oldest.row.piece) ? Math.min(waitMs, urgentWaitMs) : waitMs;
    if (waitedMs < Math.max(ownMs, this.#lineWaitMs())) return;
    counts.timeouts += neighbour.column.count;
    neighbour.snubbed = true;
    neighbour.pace.timedOut();
    neighbour.rest(nowMs);
    this.releaseAll(neighbour, true);
  }

  /** How long an answer takes if all that is in flight comes first. */
  #lineWaitMs(): Milliseconds {
    const { line } = this.#context;
    const takesMs = line.takesMs(line.count * BLOCK_BYTES);
    return takesMs === undefined ? FIRST_WAIT_MS : Math.min(LINE_WAIT_MAX_MS, LINE_WAIT_FACTOR * takesMs);
  }

  /** What a reader waits for does not wait for what other titles have asked. */
  #isLineFree({ column }: Neighbour): boolean {
    return column.count < 2 || this.#context.tasks.count < this.#lineBlocks;
  }

  #isLineFreeLater({ column }: Neighbour): boolean {
    const { count } = this.#context.line;
    return count < this.#lineBlocks || (column.count < 2 && count < LINE_BLOCKS_FACTOR * this.#lineBlocks);
  }

  get #lineBlocks(): number {
    return Math.max(LINE_BLOCKS_MIN, (this.#context.line.bytesPerMs * LINE_QUEUE_MS) / BLOCK_BYTES);
  }

  #hasRival(neighbour: Neighbour, piece: number): boolean {
    for (const other of this.#context.neighbours.values()) {
      if (other !== neighbour && !other.snubbed && other.serves(piece, this.#context.nowMs)) return true;
    }
    return false;
  }

  /** Late requests that a reader waits for: the quickest neighbours get them as well. */
  #rescue(): void {
    const { neighbours, tasks, nowMs } = this.#context;
    if (tasks.count === 0) return;
    const quickest = [...neighbours.values()]
      .filter((neighbour) => !neighbour.isWebSeed && !neighbour.snubbed && this.#mayAsk(neighbour))
      .sort((a, b) => a.pace.predictMs() - b.pace.predictMs() || a.number - b.number)
      .slice(0, RESCUERS);
    for (const neighbour of quickest) {
      for (let count = 0; count < RESCUES_EACH && this.#mayCopy(LATE_COPIES_FACTOR); count++) {
        const task = this.#picker.pickCopy(neighbour, nowMs, this.#mayCopy(1), true);
        if (task === undefined) break;
        this.#send(neighbour, task.row, task.block, true);
      }
    }
  }

  #mayAsk(neighbour: Neighbour): boolean {
    const { nowMs, unstoredBytes, parameters, hasStarted, tasks } = this.#context;
    if (!hasStarted || neighbour.usefulCount === 0 || neighbour.restUntilMs > nowMs) return false;
    if (neighbour.isChoking && neighbour.allowedFast.size === 0) return false;
    if (unstoredBytes + tasks.count * BLOCK_BYTES >= parameters.heldBytesMax) return false;
    return unstoredBytes < parameters.unstoredBytesMax && !this.#context.isAccused(neighbour);
  }

  #mayLater(): boolean {
    return this.#isAllowed && !this.isSeeking;
  }

  /** Whether the download limit lets another block be asked for; if not, it comes back. */
  #affords(): boolean {
    const { downlink } = this.#context.options;
    return this.#waits(downlink.delayMs(this.#context.nowMs));
  }

  #affordsLater(): boolean {
    return this.#allowance === undefined || this.#waits(this.#allowance.delayMs(this.#context.nowMs));
  }

  #waits(delayMs: Milliseconds): boolean {
    if (delayMs > 0 && !this.#isDownloadScheduled) {
      this.#isDownloadScheduled = true;
      this.#context.schedule('download', delayMs);
    }
    return delayMs === 0;
  }

  /** @param factor how far beyond the share of duplicates that is aimed at. */
  #mayCopy(factor: number): boolean {
    const { tasks, counts, parameters, neighbours, line } = this.#context;
    // On a line that is full a copy only delays what it copies.
    if (line.count >= this.#lineBlocks) return false;
    let copies = tasks.extraCount;
    for (const { calledOff } of neighbours.values()) copies += calledOff.copies;
    const spentBytes = copies * BLOCK_BYTES + counts.duplicateBytes;
    return spentBytes < factor * (parameters.duplicateRatio * counts.downBytes + COPIES_FREE_BYTES);
  }

  #copy(neighbour: Neighbour): void {
    if (!this.#mayCopy(LATE_COPIES_FACTOR)) return;
    const task = this.#picker.pickCopy(neighbour, this.#context.nowMs, this.#mayCopy(1), false);
    if (task !== undefined) this.#send(neighbour, task.row, task.block, task.urgent);
  }

  #ask(neighbour: Neighbour, piece: number, urgent: boolean): void {
    const { wanted } = this.#context;
    const row = this.#context.openRow(piece);
    const block = row.nextOpen();
    if (!urgent) {
      neighbour.row = row;
      this.#allowance?.take(row.blockBytes(block), this.#context.nowMs);
    }
    const isFirst = row.first === undefined && row.hereCount === 0;
    this.#send(neighbour, row, block, urgent);
    if (isFirst || row.openCount === 0) wanted.refresh(piece);
  }

  #send(neighbour: Neighbour, row: Row<Neighbour>, block: number, urgent: boolean): void {
    this.#enter(neighbour, row, block, urgent);
    this.#context.send(neighbour, blockMessage('request', row, block));
  }

  #enter(neighbour: Neighbour, row: Row<Neighbour>, block: number, urgent: boolean): void {
    const { tasks, nowMs, options, line } = this.#context;
    const sizeBytes = row.blockBytes(block);
    line.asked(nowMs);
    const predictedMs = Math.max(neighbour.pace.predictMs(), line.takesMs(line.count * BLOCK_BYTES) ?? 0);
    // What was called off may still come first.
    const isIdle = neighbour.column.count === 0 && neighbour.calledOff.size === 0;
    tasks.ask(row, block, neighbour.column, { atMs: nowMs, predictedMs, urgent, isIdle });
    neighbour.pace.asked(sizeBytes, nowMs);
    neighbour.hasBeenAsked = true;
    options.downlink.take(sizeBytes, nowMs);
  }

  /** Takes back what is in flight and meets the condition. */
  #takeBack(condition: (task: Task<Neighbour>) => boolean): void {
    for (const neighbour of this.#context.neighbours.values()) {
      for (let task = neighbour.column.first; task !== undefined; ) {
        const next = task.columnNext;
        if (condition(task)) this.release(task, true);
        else task.urgent = this.#context.needs.isUrgent(task.row.piece);
        task = next;
      }
      this.#endFetch(neighbour);
    }
  }

  /** A web seed is asked for one range at a time: the picked piece, and what follows it untouched. One that stood still is asked again after its rest. */
  #askWebSeed(neighbour: Neighbour): void {
    const { nowMs, shape } = this.#context;
    if (neighbour.fetching !== undefined || !this.#affords()) return;
    const pick = this.#picker.pick(neighbour, nowMs, this.#mayLater() && this.#affordsLater());
    if (pick === undefined) return;
    const row = this.#context.openRow(pick.piece);
    const fromBlock = row.nextOpen();
    const bytesMax = Math.min(WEB_SEED_RANGE_BYTES_MAX, Math.max(shape.pieceLengthBytes, neighbour.pace.bytesPerMs * WEB_SEED_RANGE_MS));
    const fromByte = pick.piece * shape.pieceLengthBytes + fromBlock * BLOCK_BYTES;
    let toByte = fromByte;
    for (let piece = pick.piece; piece < shape.pieceCount && toByte - fromByte < bytesMax; piece++) {
      if (piece !== pick.piece && !this.#isUntouched(piece)) break;
      const next = this.#enterRun(neighbour, piece, piece === pick.piece ? fromBlock : 0, pick.urgent);
      toByte += next.sizeBytes;
      if (!next.isWhole) break;
    }
    neighbour.fetching = { fromByte, toByte };
    this.#context.emit({ kind: 'fetch', peer: neighbour.id, fromByte, toByte });
  }

  /** Enters the open blocks of a piece up to the first that is not. */
  #enterRun(neighbour: Neighbour, piece: number, fromBlock: number, urgent: boolean): { sizeBytes: Bytes; isWhole: boolean } {
    const row = this.#context.openRow(piece);
    let sizeBytes = 0;
    let block = fromBlock;
    for (; block < row.blockCount && !row.has(block) && row.copies(block) === 0; block++) {
      this.#enter(neighbour, row, block, urgent);
      sizeBytes += row.blockBytes(block);
    }
    if (!urgent) this.#allowance?.take(sizeBytes, this.#context.nowMs);
    this.#context.wanted.refresh(piece);
    return { sizeBytes, isWhole: block === row.blockCount };
  }

  #isUntouched(piece: number): boolean {
    const { wanted, tasks } = this.#context;
    return wanted.open.has(piece) && tasks.row(piece) === undefined;
  }

  /** A range of which nothing is waited for any more ends. */
  #endFetch(neighbour: Neighbour): void {
    if (neighbour.fetching === undefined || neighbour.column.count > 0) return;
    neighbour.fetching = undefined;
    this.#context.emit({ kind: 'fetch-cancelled', peer: neighbour.id });
  }
}

/** Where in the list the neighbour stands that would bring a block soonest. */
function soonest(neighbours: readonly Neighbour[]): number {
  let best = 0;
  let bestMs = Number.POSITIVE_INFINITY;
  for (const [at, { pace }] of neighbours.entries()) {
    const predictMs = pace.predictMs();
    if (predictMs >= bestMs) continue;
    best = at;
    bestMs = predictMs;
  }
  return best;
}

function blockMessage(kind: BlockMessage['kind'], row: Row<Neighbour>, block: number): BlockMessage {
  return { kind, piece: row.piece, offsetBytes: block * BLOCK_BYTES, lengthBytes: row.blockBytes(block) };
}

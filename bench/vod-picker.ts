/**
 * The pure core of a title: microseconds for each pick of the next task at 100 000 pieces and 50 neighbours (needed first in the urgent zone, beyond
 * it, sequential, rarest first), and for each step of two sessions that hand a title of 8 GiB from one to the other in memory.
 */
import { Rng } from '../src/kernel/rng.js';
import { TokenBucket } from '../src/kernel/token-bucket.js';
import { BLOCK_BYTES } from '../src/vod/block.js';
import { type Pick, PiecePicker } from '../src/vod/piece-picker.js';
import type { Introduction, TitleCommand, TitleEffect, TitleShape } from '../src/vod/title-protocol.js';
import { TitleSession } from '../src/vod/title-session.js';
import { Neighbour } from '../src/vod/transfer/neighbour.js';
import { PieceSet } from '../src/vod/transfer/piece-set.js';
import { TransferContext } from '../src/vod/transfer/transfer-context.js';
import type { PickStrategy } from '../src/vod/transfer/transfer-parameters.js';
import { BenchRun } from './support/bench-run.js';
import { median } from './support/figures.js';

const PIECES = 100_000;
const NEIGHBOURS = 50;
const PIECE_BYTES = 262_144;
const PICKS = 300_000;
/** The median of so many at a time is shown: other programs on the machine are not in it. */
const BATCH = 1_000;
const STEP_PIECES = 8_192;
const STEP_PIECE_BYTES = 1_048_576;

function shapeOf(pieceCount: number, pieceLengthBytes: number): TitleShape {
  const totalBytes = pieceCount * pieceLengthBytes;
  return { pieceCount, pieceLengthBytes, totalBytes, files: [{ offsetBytes: 0, lengthBytes: totalBytes, isPad: false }] };
}

function introductionOf(peer: string): Introduction {
  return {
    peer,
    fast: true,
    requestQueueCount: 500,
    addressGroup: peer,
    kin: true,
    outgoing: true,
    mapsDontHave: true,
    mapsUploadOnly: true,
    uploadOnly: false,
  };
}

/** A swarm as one peer sees it: five seeders, the others hold a random part. */
function makeContext(strategy: PickStrategy, urgentBytesMax: number): TransferContext {
  const rng = new Rng(7);
  const context = new TransferContext({
    shape: shapeOf(PIECES, PIECE_BYTES),
    rng,
    uplink: new TokenBucket(0),
    downlink: new TokenBucket(0),
    parameters: { strategy, urgentBytesMax },
  });
  context.hasStarted = true;
  for (let index = 0; index < NEIGHBOURS; index++) {
    const neighbour = new Neighbour(index + 1, introductionOf(`peer ${index}`), PIECES, 0);
    neighbour.isChoking = false;
    if (index < 5) {
      neighbour.holds = null;
      context.rarity.seeders += 1;
    } else {
      const share = index / NEIGHBOURS;
      for (let piece = 0; piece < PIECES; piece++) {
        if (rng.float() < share && neighbour.holds?.add(piece)) context.rarity.gained(piece);
      }
    }
    context.neighbours.set(neighbour.id, neighbour);
  }
  context.wanted.refreshAll();
  return context;
}

/** Picks, asks, and answers at once, neighbour by neighbour, so that the state moves as it does in life. */
function measure(context: TransferContext, mayLater: boolean): { readonly pickUs: number; readonly withTasksUs: number; picks: number } {
  const picker = new PiecePicker(context);
  const neighbours = [...context.neighbours.values()];
  const pickNs: number[] = [];
  const allNs: number[] = [];
  let picks = 0;
  let batchNs = 0n;
  let fromNs = process.hrtime.bigint();
  while (picks < PICKS) {
    if (picks % BATCH === 0 && picks > 0) {
      pickNs.push(Number(batchNs) / BATCH);
      allNs.push(Number(process.hrtime.bigint() - fromNs) / BATCH);
      batchNs = 0n;
      fromNs = process.hrtime.bigint();
    }
    const neighbour = neighbours[picks % neighbours.length] as Neighbour;
    const chosen: (Pick | undefined)[] = [];
    const beginNs = process.hrtime.bigint();
    chosen.push(picker.pick(neighbour, 0, mayLater));
    batchNs += process.hrtime.bigint() - beginNs;
    picks += 1;
    const [pick] = chosen;
    if (pick === undefined) continue;
    const row = context.openRow(pick.piece);
    const block = row.nextOpen();
    neighbour.row = row;
    const task = context.tasks.ask(row, block, neighbour.column, { atMs: 0, predictedMs: 10, isIdle: false, urgent: pick.urgent });
    row.take(block, neighbour.number);
    context.tasks.settle(task);
    if (row.isWhole) {
      context.tasks.close(row);
      context.wanted.gained(pick.piece);
    } else context.wanted.refresh(pick.piece);
  }
  const timerNs = timerCostNs();
  return {
    pickUs: (median(pickNs) - timerNs) / 1000,
    withTasksUs: (median(allNs) - timerNs) / 1000,
    picks,
  };
}

function timerCostNs(): number {
  const beginNs = process.hrtime.bigint();
  let sum = 0n;
  for (let count = 0; count < 100_000; count++) sum += process.hrtime.bigint() - process.hrtime.bigint();
  return Number(process.hrtime.bigint() - beginNs) / 200_000 + Number(sum * 0n);
}

function picks(): Record<string, number> {
  const figures: Record<string, number> = {};
  const scenarios: readonly { name: string; strategy: PickStrategy; reads: boolean; mayLater: boolean }[] = [
    { name: 'needed first, urgent zone', strategy: 'needed-first', reads: true, mayLater: false },
    { name: 'needed first, beyond it', strategy: 'needed-first', reads: true, mayLater: true },
    { name: 'needed first, no reader', strategy: 'needed-first', reads: false, mayLater: true },
    { name: 'rarest first', strategy: 'rarest-first', reads: true, mayLater: true },
    { name: 'sequential', strategy: 'sequential', reads: true, mayLater: true },
  ];
  for (const { name, strategy, reads, mayLater } of scenarios) {
    // All that is left is urgent, for a reader in a great hurry; or nothing is, for one that has its zone already.
    const context = makeContext(strategy, mayLater ? 64 * 1024 * 1024 : Number.POSITIVE_INFINITY);
    if (reads) {
      const bytesPerSecond = mayLater ? 500_000 : 8 * 1024 * 1024 * 1024;
      const { after } = context.needs.set(
        { reader: 'reader', fromByte: 1000 * PIECE_BYTES, toByte: PIECES * PIECE_BYTES, bytesPerSecond },
        0,
      );
      if (mayLater && after && strategy === 'needed-first') {
        for (let piece = after.firstPiece; piece <= after.urgentPiece; piece++) context.wanted.gained(piece);
      }
    }
    const { pickUs, withTasksUs } = measure(context, mayLater);
    figures[name] = pickUs;
    figures[`${name}, with the task list`] = withTasksUs;
  }
  return figures;
}

/** Two sessions in one process, what one sends is handed to the other at once; the disk is a hole. */
function steps(): Record<string, number> {
  const shape = shapeOf(STEP_PIECES, STEP_PIECE_BYTES);
  const make = (): TitleSession => new TitleSession({ shape, rng: new Rng(1), uplink: new TokenBucket(0), downlink: new TokenBucket(0) });
  const [seeder, leecher] = [make(), make()];
  const block = new Uint8Array(BLOCK_BYTES);
  const spent = { leecher: 0n, seeder: 0n };
  const count = { pieces: 0, leecher: 0, seeder: 0 };
  let pieceNs = 0n;
  let nowMs = 0;
  const queue: { to: TitleSession; input: Parameters<TitleSession['handle']>[0] }[] = [];
  const told = (from: TitleSession, effects: readonly TitleEffect[]): void => {
    for (const effect of effects) {
      if (effect.kind === 'send') {
        queue.push({ to: from === seeder ? leecher : seeder, input: { kind: 'message', from: 'other', message: effect.message } });
      } else if (effect.kind === 'emit') {
        const command = answer(effect.event);
        if (command) queue.push({ to: from, input: { kind: 'command', command } });
      }
    }
  };
  const answer = (event: Extract<TitleEffect, { kind: 'emit' }>['event']): TitleCommand | undefined => {
    if (event.kind === 'read-block') {
      const { peer, piece, offsetBytes, lengthBytes } = event;
      return { kind: 'block-read', peer, piece, offsetBytes, lengthBytes, bytes: block };
    }
    if (event.kind === 'store-block') return { kind: 'block-stored', piece: event.piece, offsetBytes: event.offsetBytes };
    return event.kind === 'check-piece' ? { kind: 'piece-checked', piece: event.piece, ok: true } : undefined;
  };
  const start = (session: TitleSession, have: Uint8Array): void => {
    told(session, session.handle({ kind: 'command', command: { kind: 'start', have, blocks: new Map() } }, 0));
    told(session, session.handle({ kind: 'command', command: { kind: 'introduce', ...introductionOf('other') } }, 0));
  };
  start(seeder, PieceSet.full(shape.pieceCount).toBitfield());
  start(leecher, new Uint8Array(Math.ceil(shape.pieceCount / 8)));
  leecher.handle(
    { kind: 'command', command: { kind: 'need', reader: 'r', fromByte: 0, toByte: shape.totalBytes, bytesPerSecond: 1e6 } },
    0,
  );
  for (let at = 0; at < queue.length; at++) {
    const entry = queue[at];
    if (!entry) break;
    nowMs += 0.02;
    const beginNs = process.hrtime.bigint();
    const effects = entry.to.handle(entry.input, nowMs);
    const tookNs = process.hrtime.bigint() - beginNs;
    const side = entry.to === leecher ? 'leecher' : 'seeder';
    spent[side] += tookNs;
    count[side] += 1;
    if (entry.input.kind === 'message' && entry.input.message.kind === 'piece') {
      pieceNs += tookNs;
      count.pieces += 1;
    }
    told(entry.to, effects);
    if (at === 10_000) {
      queue.splice(0, at + 1);
      at = -1;
    }
    if (queue.length === at + 1 && !leecher.figures().piecesMissing) break;
  }
  const timerUs = timerCostNs() / 1000;
  return {
    piecesHere: leecher.figures().piecesHere,
    'leecher, a piece message': Number(pieceNs) / count.pieces / 1000 - timerUs,
    'leecher, all its steps by block': Number(spent.leecher) / count.pieces / 1000 - (timerUs * count.leecher) / count.pieces,
    'seeder, all its steps by block': Number(spent.seeder) / count.pieces / 1000 - (timerUs * count.seeder) / count.pieces,
  };
}

await BenchRun.run('vod-picker', 240_000, async (run) => {
  const pickFigures = picks();
  run.table(
    `Next task, ${PIECES} pieces, ${NEIGHBOURS} neighbours`,
    ['scenario', 'us'],
    Object.entries(pickFigures).map(([name, us]) => [name, us.toFixed(3)]),
  );
  const stepFigures = steps();
  run.table(
    'One block of a title of 8 GiB between two sessions',
    ['what', 'us'],
    Object.entries(stepFigures).map(([name, us]) => [name, us.toFixed(3)]),
  );
  return { picks: pickFigures, steps: stepFigures };
});

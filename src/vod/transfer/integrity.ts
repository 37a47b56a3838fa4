/**
 * Finds out who spoils pieces, and never blames anybody else.
 *
 * A piece that does not match and came from one neighbour convicts it. If several had a part in it, a digest of each block is kept, and the blocks of
 * the more suspect half of them are fetched again from the others. If the piece is bad still, whoever brought a block that differs from the one before is
 * next, or, if none does, whoever sent the blocks that stayed; then all, from one neighbour alone. Once the piece is good, whoever sent a block that differs from the good one is convicted. Where several pieces
 * are bad at once, one conviction heals them all: of every unverified piece the blocks of the convicted go, and all others stay. Blocks that were on the
 * disk at the start are nobody's.
 */
import type { ConnectionId } from '../../kernel/units.js';
import { FROM_DISK, type Row } from '../task-list.js';
import type { Neighbour } from './neighbour.js';
import type { Requester } from './requester.js';
import type { TransferContext } from './transfer-context.js';

/** Spoilt pieces remembered until a good copy tells; the oldest is forgotten. */
const SUSPICIONS_MAX = 64;
/** Bad copies of one piece remembered. */
const COPIES_MAX = 4;
/** After so many bad copies it must come from one neighbour alone. */
const HALVINGS_MAX = 3;
/** Neighbours that have left and may still be convicted, and convicts remembered. */
const DEPARTED_MAX = 256;

/** A bad copy of a piece: who sent each block, and its digest. */
interface Suspicion {
  readonly sources: readonly number[];
  readonly digests: readonly string[];
}

/** What becomes of a piece once the store has forgotten its doubtful blocks. */
type Plan = 'anybody' | 'chosen';

export class Integrity {
  readonly #context: TransferContext;
  readonly #requester: Requester;
  readonly #suspicions = new Map<number, Suspicion[]>();
  /** Pieces that are to be fetched again by chosen neighbours, and have none yet. */
  readonly #waiting = new Set<number>();
  /** Pieces of which the store is forgetting blocks. */
  readonly #dropping = new Map<number, Plan>();
  /** Who must not be asked for a piece again this time, by number. */
  readonly #excluded = new Map<number, ReadonlySet<number>>();
  readonly #present = new Map<number, Neighbour>();
  readonly #departed = new Map<number, ConnectionId>();
  readonly #convicted = new Set<number>();
  /** Told of a conviction. */
  onConvicted: (neighbour: Neighbour, detail: string) => void = () => {};

  constructor(context: TransferContext, requester: Requester) {
    this.#context = context;
    this.#requester = requester;
  }

  add(neighbour: Neighbour): void {
    this.#present.set(neighbour.number, neighbour);
  }

  dropPeer(neighbour: Neighbour): void {
    this.#present.delete(neighbour.number);
    this.abandon(neighbour);
    this.#departed.set(neighbour.number, neighbour.id);
    const [oldest] = this.#departed.keys();
    if (this.#departed.size > DEPARTED_MAX && oldest !== undefined) this.#departed.delete(oldest);
  }

  /** The piece matched, and is here. */
  onGood(row: Row<Neighbour>): void {
    this.#endParole(row);
    this.#excluded.delete(row.piece);
    for (const source of row.sources()) {
      const neighbour = this.#present.get(source);
      if (neighbour !== undefined) neighbour.goodPieces += 1;
    }
    if (this.#suspicions.has(row.piece)) this.#context.emit({ kind: 'digest-blocks', piece: row.piece });
  }

  onBad(row: Row<Neighbour>): void {
    this.#context.counts.badPieces += 1;
    this.#endParole(row);
    const sources = row.sources();
    for (const source of sources) {
      const neighbour = this.#present.get(source);
      if (neighbour !== undefined) neighbour.badPieces += 1;
    }
    row.phase = 'examined';
    const [only = FROM_DISK] = sources;
    if (this.#purge(row)) return;
    if (sources.size > 1) this.#context.emit({ kind: 'digest-blocks', piece: row.piece });
    else {
      this.#drop(row, row.blocksFrom(only), this.#suspicions.has(row.piece) ? 'chosen' : 'anybody');
      if (only !== FROM_DISK) this.#convict(only, `piece ${row.piece}, which it sent alone, does not match its hash`);
    }
    this.#context.wanted.refresh(row.piece);
    this.#context.planDue = true;
  }

  /** The digests of a piece that was asked about: of a bad copy, or of the good one. */
  onDigested(piece: number, digests: readonly string[]): void {
    const row = this.#context.tasks.row(piece);
    if (row !== undefined && row.phase === 'examined' && row.isWhole && !this.#dropping.has(piece)) return this.#suspect(row, digests);
    if (!this.#context.wanted.own.has(piece)) return;
    const suspicions = this.#suspicions.get(piece) ?? [];
    this.#suspicions.delete(piece);
    for (const suspicion of suspicions) this.#compare(piece, suspicion, digests);
  }

  /** The store has forgotten blocks of a piece: they may come again. */
  onDropped(piece: number, blocks: readonly number[]): void {
    const plan = this.#dropping.get(piece);
    const row = this.#context.tasks.row(piece);
    this.#dropping.delete(piece);
    if (plan === undefined || row === undefined) return;
    for (const block of blocks) row.reopen(block);
    this.#context.planDue = true;
    if (plan === 'chosen') return this.#await(row);
    this.#excluded.delete(piece);
    row.phase = 'fetching';
    if (row.hereCount === 0 && row.first === undefined) this.#context.tasks.close(row);
    this.#context.wanted.refresh(piece);
  }

  /** The piece is given up or lost. */
  forget(piece: number): void {
    const row = this.#context.tasks.row(piece);
    if (row !== undefined) this.#endParole(row);
    this.#waiting.delete(piece);
    this.#dropping.delete(piece);
    this.#excluded.delete(piece);
  }

  /** The neighbour does not go on with the piece it was chosen for; if it was the last one, others go on with what is there. */
  abandon(neighbour: Neighbour): void {
    const row = neighbour.parole;
    if (row?.chosen === undefined) return;
    neighbour.parole = undefined;
    row.chosen = new Set([...row.chosen].filter((other) => other !== neighbour));
    if (row.chosen.size > 0) return;
    row.chosen = undefined;
    if (row.phase !== 'fetching') return;
    for (const task of row.tasks()) this.#requester.release(task, true);
    this.#await(row);
  }

  /** Finds somebody for the pieces that wait for one, and takes them from whoever stalls. */
  watch(): void {
    for (const neighbour of this.#present.values()) {
      if (neighbour.parole !== undefined && (neighbour.snubbed || !neighbour.serves(neighbour.parole.piece, this.#context.nowMs)))
        this.abandon(neighbour);
    }
    for (const piece of this.#waiting) this.#assign(piece);
  }

  #suspect(row: Row<Neighbour>, digests: readonly string[]): void {
    const sources = Array.from({ length: row.blockCount }, (_, block) => row.source(block));
    const copies = [...(this.#suspicions.get(row.piece) ?? []), { sources, digests }].slice(-COPIES_MAX);
    this.#suspicions.set(row.piece, copies);
    const [oldest] = this.#suspicions.keys();
    if (this.#suspicions.size > SUSPICIONS_MAX && oldest !== undefined) this.#suspicions.delete(oldest);
    if (this.#purge(row)) return;
    const suspects = this.#suspects(row, copies);
    this.#excluded.set(row.piece, suspects);
    this.#drop(
      row,
      row.blocksWhere((source) => suspects.has(source)),
      'chosen',
    );
  }

  /** Whose blocks go: the more suspect half at first, then who changed what was there, then who did not, then all. */
  #suspects(row: Row<Neighbour>, copies: readonly Suspicion[]): ReadonlySet<number> {
    const sources = [...row.sources()];
    const [before, now] = copies.slice(-2);
    if (before === undefined || now === undefined) {
      const suspicion = (source: number): number => this.#present.get(source)?.suspicion ?? Number.MAX_VALUE;
      return new Set(sources.sort((a, b) => suspicion(b) - suspicion(a) || a - b).slice(0, Math.ceil(sources.length / 2)));
    }
    if (copies.length > HALVINGS_MAX) return new Set(sources);
    const changed = now.sources.filter((source, block) => before.sources[block] !== source && before.digests[block] !== now.digests[block]);
    const stayed = now.sources.filter((source, block) => before.sources[block] === source);
    if (changed.length > 0) return new Set(changed);
    return new Set(stayed.length > 0 ? stayed : sources);
  }

  /** Drops what convicts sent. @returns whether there was any: then nothing else is suspected before the piece has been checked again. */
  #purge(row: Row<Neighbour>): boolean {
    const blocks = row.blocksWhere((source) => this.#convicted.has(source));
    if (blocks.length > 0) this.#drop(row, blocks, 'anybody');
    return blocks.length > 0;
  }

  #drop(row: Row<Neighbour>, blocks: readonly number[], plan: Plan): void {
    this.#waiting.delete(row.piece);
    this.#dropping.set(row.piece, plan);
    row.phase = 'examined';
    for (const block of blocks) this.#context.counts.wastedBytes += row.blockBytes(block);
    this.#context.emit({ kind: 'drop-blocks', piece: row.piece, blocks });
    this.#context.wanted.refresh(row.piece);
  }

  /** Until somebody is found, nobody is asked for it. */
  #await(row: Row<Neighbour>): void {
    this.#endParole(row);
    row.phase = 'examined';
    this.#waiting.add(row.piece);
    this.#context.wanted.refresh(row.piece);
    this.#assign(row.piece);
  }

  #assign(piece: number): void {
    const { tasks, wanted } = this.#context;
    const row = tasks.row(piece);
    if (row === undefined || !wanted.isWanted(piece)) return this.#release(piece, row);
    const able = this.#able(piece);
    if (able.length === 0) return;
    const rounds = this.#suspicions.get(piece)?.length ?? 0;
    const chosen = rounds <= HALVINGS_MAX ? able : able.slice(0, 1);
    this.#waiting.delete(piece);
    row.phase = 'fetching';
    row.chosen = new Set(chosen);
    for (const neighbour of chosen) neighbour.parole = row;
    wanted.refresh(piece);
    this.#context.planDue = true;
  }

  /** Who may be asked for the piece this time, the least suspect first. */
  #able(piece: number): Neighbour[] {
    const { nowMs } = this.#context;
    const holders = [...this.#present.values()].filter(
      (neighbour) => !neighbour.isChoking && !neighbour.snubbed && !this.#context.isAccused(neighbour) && neighbour.serves(piece, nowMs),
    );
    const excluded = this.#excluded.get(piece);
    const others = holders.filter(({ number }) => excluded?.has(number) !== true);
    // When nobody else has it, whoever has must do.
    const asked = others.length > 0 ? others : holders;
    return asked
      .filter(({ parole }) => parole === undefined)
      .sort((a, b) => a.suspicion - b.suspicion || a.pace.predictMs() - b.pace.predictMs());
  }

  /** Nobody wants the piece any more. */
  #release(piece: number, row: Row<Neighbour> | undefined): void {
    this.#waiting.delete(piece);
    if (row === undefined) return;
    row.phase = 'fetching';
    if (row.first === undefined && row.hereCount === 0) this.#context.tasks.close(row);
    this.#context.wanted.refresh(piece);
  }

  #endParole(row: Row<Neighbour>): void {
    for (const neighbour of row.chosen ?? []) neighbour.parole = undefined;
    row.chosen = undefined;
  }

  #compare(piece: number, { sources, digests: bad }: Suspicion, good: readonly string[]): void {
    const guilty = new Set(sources.filter((source, block) => source !== FROM_DISK && bad[block] !== good[block]));
    for (const source of guilty) this.#convict(source, `its part of piece ${piece} is not what it should be`);
  }

  #convict(number: number, detail: string): void {
    if (this.#convicted.has(number)) return;
    const neighbour = this.#present.get(number);
    const peer = neighbour?.id ?? this.#departed.get(number);
    if (peer === undefined) return;
    this.#convicted.add(number);
    const [oldest] = this.#convicted;
    if (this.#convicted.size > DEPARTED_MAX && oldest !== undefined) this.#convicted.delete(oldest);
    this.#context.emit({ kind: 'offence', peer, detail });
    if (neighbour !== undefined) this.onConvicted(neighbour, detail);
    this.#heal(number);
  }

  /** Every piece that is not verified loses what the convict sent of it; what was suspected for that alone is free again. */
  #heal(convict: number): void {
    for (const row of [...this.#context.tasks.rows()]) {
      if (row.phase === 'checking' || this.#dropping.has(row.piece)) continue;
      const wasExamined = row.phase === 'examined' && !this.#waiting.has(row.piece);
      // Its digests are on their way, and it will be purged then.
      if (wasExamined) continue;
      const wasIn = this.#suspicions.get(row.piece)?.some(({ sources }) => sources.includes(convict)) === true;
      const blocks = row.blocksFrom(convict);
      if (wasIn) this.#endParole(row);
      if (blocks.length > 0) this.#drop(row, blocks, wasIn || row.chosen === undefined ? 'anybody' : 'chosen');
      else if (wasIn) {
        this.#waiting.delete(row.piece);
        this.#excluded.delete(row.piece);
        row.phase = 'fetching';
        this.#context.wanted.refresh(row.piece);
      }
    }
    this.#context.planDue = true;
  }
}

/** Laws of the sets a title's session is made of: each equals a naive model whatever is done to it. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOCK_BYTES } from '../../src/vod/block.js';
import { Column, type Task, TaskList } from '../../src/vod/task-list.js';
import { PieceSet } from '../../src/vod/transfer/piece-set.js';
import { Rarity } from '../../src/vod/transfer/rarity.js';
import { assertLaw } from '../support/law.js';

const PIECES = 70;
const piece = fc.nat({ max: PIECES - 1 });

test('a set of pieces equals a naive set, and its bitfield comes back', () => {
  assertLaw(
    fc.property(fc.array(fc.tuple(fc.boolean(), piece)), fc.array(piece), piece, piece, (changes, others, from, to) => {
      const set = new PieceSet(PIECES);
      const naive = new Set<number>();
      for (const [isIn, index] of changes) {
        assert.is(set.set(index, isIn), naive.has(index) !== isIn);
        if (isIn) naive.add(index);
        else naive.delete(index);
      }
      const other = new PieceSet(PIECES);
      for (const index of others) other.add(index);
      const sorted = [...naive].sort((a, b) => a - b);
      assert.equal([...set], sorted);
      assert.is(set.count, naive.size);
      assert.is(set.next(null, from, to), sorted.find((index) => index >= from && index <= to) ?? -1);
      const common = sorted.filter((index) => others.includes(index));
      assert.is(set.next(other, from, to), common.find((index) => index >= from && index <= to) ?? -1);
      assert.is(set.countCommon(other), common.length);
      assert.equal([...PieceSet.fromBitfield(PIECES, set.toBitfield())], sorted);
      assert.is(PieceSet.full(PIECES).countCommon(set), naive.size);
    }),
    { numRuns: 500 },
  );
});

type RarityStep =
  | { readonly kind: 'gained' | 'lost'; readonly piece: number }
  | { readonly kind: 'list'; readonly piece: number; readonly level: number };

const rarityStep: fc.Arbitrary<RarityStep> = fc.oneof(
  fc.record({ kind: fc.constantFrom('gained' as const, 'lost' as const), piece: fc.nat({ max: 11 }) }),
  fc.record({ kind: fc.constant('list' as const), piece: fc.nat({ max: 11 }), level: fc.nat({ max: 3 }) }),
);

test('rarity lists every listed piece once, rarest first, with the right bounds', () => {
  assertLaw(
    fc.property(fc.array(rarityStep, { maxLength: 120 }), (steps) => {
      const rarity = new Rarity(12);
      const counts = new Array<number>(12).fill(0);
      const levels = new Array<number>(12).fill(0);
      for (const step of steps) {
        if (step.kind === 'list') levels[step.piece] = step.level;
        else counts[step.piece] = Math.max(0, (counts[step.piece] ?? 0) + (step.kind === 'gained' ? 1 : -1));
        if (step.kind === 'list') rarity.list(step.piece, step.level);
        else rarity[step.kind](step.piece);
        for (let level = 1; level <= 3; level++) checkLevel(rarity, counts, levels, level);
      }
    }),
    { numRuns: 500 },
  );
});

function checkLevel(rarity: Rarity, counts: readonly number[], levels: readonly number[], level: number): void {
  const listed = Array.from({ length: rarity.size(level) }, (_, place) => rarity.at(level, place));
  assert.equal(
    listed.toSorted((a, b) => a - b),
    levels.flatMap((own, index) => (own === level ? [index] : [])),
  );
  for (const [place, index] of listed.entries()) {
    assert.is(rarity.partialHolders(index), counts[index]);
    if (place > 0) assert.ok((counts[listed[place - 1] ?? 0] ?? 0) <= (counts[index] ?? 0), 'rarest first');
  }
  for (let holders = 0; holders <= 4; holders++) {
    const first = listed.findIndex((index) => (counts[index] ?? 0) >= holders);
    assert.is(rarity.start(level, holders), first < 0 ? listed.length : first);
  }
}

type TaskStep =
  | { readonly kind: 'ask'; readonly piece: number; readonly column: number }
  | { readonly kind: 'copy'; readonly piece: number; readonly block: number; readonly column: number }
  | { readonly kind: 'answer' | 'settle'; readonly nth: number }
  | { readonly kind: 'drop'; readonly column: number }
  | { readonly kind: 'finish'; readonly piece: number };

const small = fc.nat({ max: 3 });
const taskStep: fc.Arbitrary<TaskStep> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('ask' as const), piece: small, column: small }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('copy' as const), piece: small, block: small, column: small }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('answer' as const, 'settle' as const), nth: fc.nat({ max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), column: small }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('finish' as const), piece: small }) },
);

/** What the list should hold: requests as triples in the order of asking, and blocks that are here. */
class NaiveList {
  tasks: { piece: number; block: number; column: number }[] = [];
  readonly here = new Set<string>();

  isOpen(piece: number, block: number): boolean {
    return !this.here.has(`${piece}:${block}`) && !this.tasks.some((task) => task.piece === piece && task.block === block);
  }
}

class Harness {
  readonly list = new TaskList<number>();
  readonly columns = [0, 1, 2, 3].map((index) => new Column<number>(index));
  readonly naive = new NaiveList();

  take(step: TaskStep): void {
    switch (step.kind) {
      case 'ask': {
        const row = this.list.row(step.piece) ?? this.list.open(step.piece, 4 * BLOCK_BYTES);
        const block = row.nextOpen();
        const expected = [0, 1, 2, 3].find((index) => this.naive.isOpen(step.piece, index)) ?? -1;
        assert.is(block, expected);
        if (block >= 0) this.ask(step.piece, block, step.column);
        return;
      }
      case 'copy': {
        const isNew = !this.naive.tasks.some(
          (task) => task.piece === step.piece && task.block === step.block && task.column === step.column,
        );
        if (isNew && this.list.row(step.piece) && !this.naive.here.has(`${step.piece}:${step.block}`)) {
          this.ask(step.piece, step.block, step.column);
        }
        return;
      }
      case 'answer':
      case 'settle': {
        const task = this.naive.tasks[step.nth % Math.max(1, this.naive.tasks.length)];
        if (task) this.settle(task, step.kind === 'answer');
        return;
      }
      case 'drop':
        for (const task of this.naive.tasks.filter(({ column }) => column === step.column)) this.settle(task, false);
        assert.is(this.columns[step.column]?.first, undefined);
        return;
      case 'finish': {
        const row = this.list.row(step.piece);
        if (row === undefined) return;
        for (const task of this.naive.tasks.filter((task) => task.piece === step.piece)) this.settle(task, false);
        this.list.close(row);
        for (let block = 0; block < 4; block++) this.naive.here.delete(`${step.piece}:${block}`);
      }
    }
  }

  check(): void {
    const { tasks } = this.naive;
    assert.is(this.list.count, tasks.length);
    const distinct = new Set(tasks.map((task) => `${task.piece}:${task.block}`));
    const extra = tasks.filter(({ piece, block }) => !this.naive.here.has(`${piece}:${block}`)).length;
    const open = [...distinct].filter((key) => !this.naive.here.has(key)).length;
    assert.ok(this.list.extraCount >= extra - open);
    for (const [index, column] of this.columns.entries()) {
      const expected = tasks.filter((task) => task.column === index).map((task) => `${task.piece}:${task.block}`);
      assert.equal(chain(column.first, 'columnNext'), expected);
      assert.is(column.count, expected.length);
    }
    for (const row of this.list.rows()) {
      const own = tasks.filter(({ piece }) => piece === row.piece);
      assert.equal(
        chain(row.first, 'rowNext'),
        own.map((task) => `${task.piece}:${task.block}`),
      );
      assert.is(row.openCount, [0, 1, 2, 3].filter((block) => this.naive.isOpen(row.piece, block)).length);
      assert.is(row.hereCount, [0, 1, 2, 3].filter((block) => this.naive.here.has(`${row.piece}:${block}`)).length);
      for (let block = 0; block < 4; block++) assert.is(row.copies(block), own.filter((task) => task.block === block).length);
    }
  }

  ask(piece: number, block: number, column: number): void {
    const row = this.list.row(piece);
    const owner = this.columns[column];
    if (!row || !owner) return;
    this.list.ask(row, block, owner, { atMs: 0, predictedMs: 0, urgent: false, isIdle: owner.count === 0 });
    this.naive.tasks.push({ piece, block, column });
  }

  settle(naive: { piece: number; block: number; column: number }, isAnswer: boolean): void {
    const task = this.list.find(this.columns[naive.column] as Column<number>, naive.piece, naive.block);
    assert.ok(task);
    const key = `${naive.piece}:${naive.block}`;
    if (isAnswer && !this.naive.here.has(key)) {
      task.row.take(naive.block, naive.column + 1);
      this.naive.here.add(key);
    }
    this.list.settle(task);
    this.naive.tasks = this.naive.tasks.filter((other) => other !== naive);
  }
}

function chain(first: Task<number> | undefined, link: 'rowNext' | 'columnNext'): string[] {
  const keys: string[] = [];
  for (let task = first; task; task = task[link]) keys.push(`${task.row.piece}:${task.block}`);
  return keys;
}

test('the task list equals a naive model, row by row and column by column', () => {
  assertLaw(
    fc.property(fc.array(taskStep, { maxLength: 80 }), (steps) => {
      const harness = new Harness();
      for (const step of steps) {
        harness.take(step);
        harness.check();
      }
    }),
    { numRuns: 500 },
  );
});

test.run();

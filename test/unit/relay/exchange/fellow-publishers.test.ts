import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rng } from '../../../../src/kernel/rng.js';
import type { ExchangeContext } from '../../../../src/relay/exchange/exchange-context.js';
import { FellowPublishers } from '../../../../src/relay/exchange/fellow-publishers.js';
import { addNeighbour, availability, hold, makeContext, makeWindow, OWNER } from '../../../support/exchange-fixture.js';

function setUp(ranks: readonly number[]) {
  const context = makeContext({ signer: OWNER }, 1_000);
  const fellows = new FellowPublishers(context);
  for (const [index, rank] of ranks.entries()) {
    const neighbour = addNeighbour(context, `p${index}`, true);
    neighbour.rank = rank;
    neighbour.map.update(true, 0, [availability(makeWindow(9))]);
  }
  return { context, fellows };
}

const PIECES = Array.from({ length: 12 }, (_, piece) => piece);

test('alone a publisher has every piece and every viewer', () => {
  const { context, fellows } = setUp([]);
  const part = fellows.partIn(10);
  assert.is(part.count, 1);
  assert.ok(PIECES.every((piece) => part.isOurs(piece)));
  assert.ok(part.serves(addNeighbour(context, 'v')));
});

test('three share a window evenly, whatever their ranks are', () => {
  for (const ranks of [
    [0, 1],
    [0xffff_fffe, 0xffff_ffff],
    [0, 0xffff_ffff],
  ]) {
    const part = setUp(ranks).fellows.partIn(10);
    assert.is(part.count, 3);
    assert.is(PIECES.filter((piece) => part.isOurs(piece)).length, 4);
    assert.ok(PIECES.every((piece) => part.isOurs(piece) === (part.ownerOf(piece) === undefined)));
  }
});

test('two that see each other divide a window without a piece in common', () => {
  const contexts = [1, 2].map((seed) => makeContext({ signer: OWNER, rng: new Rng(seed) }, 1_000));
  const [a, b] = contexts.map((context) => new FellowPublishers(context)) as [FellowPublishers, FellowPublishers];
  for (const [context, other] of [
    [contexts[0], b],
    [contexts[1], a],
  ] as const) {
    const neighbour = addNeighbour(context as ExchangeContext, 'other', true);
    neighbour.rank = other.rank;
    neighbour.map.update(true, 0, [availability(makeWindow(9))]);
  }
  const [ours, theirs] = [a.partIn(10), b.partIn(10)];
  assert.ok(PIECES.every((piece) => ours.isOurs(piece) !== theirs.isOurs(piece)));
});

test('who is silent, or has not shown the window before, does not count', () => {
  const { context, fellows } = setUp([1, 2]);
  const late = context.neighbours.get('p0');
  late?.map.update(true, 0, [availability(makeWindow(7))]);
  assert.is(fellows.partIn(10).count, 2);
  const silent = context.neighbours.get('p1');
  if (silent) silent.lastHeardMs = -5_000;
  assert.is(fellows.partIn(10).count, 1);
});

test('it learns by how much another publisher is later', () => {
  const { context, fellows } = setUp([1]);
  const other = context.neighbours.get('p0');
  for (let number = 10; number < 30; number++) {
    hold(context, makeWindow(number));
    context.nowMs += 90;
    if (other) fellows.onMap(other, [{ number }]);
    other?.map.update(false, 0, [availability(makeWindow(number))]);
    context.nowMs += 410;
    if (other) other.lastHeardMs = context.nowMs;
  }
  const { lagMs } = fellows.partIn(30);
  assert.ok(lagMs > 80 && lagMs <= 90, String(lagMs));
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Neighbour } from '../../../../src/relay/exchange/neighbour.js';
import { SwarmOutlook } from '../../../../src/relay/exchange/swarm-outlook.js';
import { addNeighbour, availability, hold, makeContext, makeWindow, OWNER } from '../../../support/exchange-fixture.js';

function setUp() {
  const context = makeContext({ signer: OWNER }, 1_000);
  const outlook = new SwarmOutlook(context, 100);
  outlook.begin();
  return { context, outlook };
}

test('with nobody there it is silent for ever', () => {
  const { outlook } = setUp();
  assert.equal(outlook.at(3_000), {
    upMs: 2_000,
    neighbours: 0,
    publishers: 0,
    onAir: 0,
    before: 0,
    head: null,
    quietMs: Number.POSITIVE_INFINITY,
  });
});

test('what others publish is not quiet, what we published ourselves is', () => {
  const { context, outlook } = setUp();
  const x = addNeighbour(context, 'x');
  hold(context, makeWindow(4));
  const hear = (number: number): void => {
    x.map.update(false, 0, [availability(makeWindow(number))]);
    outlook.onMap(x, [availability(makeWindow(number))]);
  };
  hear(4);
  assert.is(outlook.at(1_500).quietMs, Number.POSITIVE_INFINITY);
  context.nowMs = 2_000;
  hear(5);
  assert.equal([outlook.at(2_500).quietMs, outlook.at(2_500).head], [500, 5]);
  context.nowMs = 3_000;
  hear(5);
  assert.is(outlook.at(3_000).quietMs, 1_000, 'nothing newer');
});

test('publishers count by rank and by whether they were heard of late', () => {
  const { context, outlook } = setUp();
  for (const [id, rank] of [
    ['low', 7],
    ['high', 700],
    ['gone', 8],
  ] as const) {
    const neighbour = addNeighbour(context, id, true);
    neighbour.rank = rank;
    neighbour.onAir = true;
  }
  const gone = context.neighbours.get('gone');
  if (gone) gone.lastHeardMs = -60_000;
  const { publishers, before, onAir } = outlook.at(1_000);
  assert.equal([publishers, before, onAir], [3, 1, 2]);
});

test('one that names numbers out of the air does not drown what others tell, and is not listened to for long', () => {
  const { context, outlook } = setUp();
  const [liar, honest] = [addNeighbour(context, 'liar'), addNeighbour(context, 'honest')];
  const hear = (neighbour: Neighbour, number: number): void => {
    const window = { number, pieceCount: 8, key: true, held: null, version: 3 };
    neighbour.map.update(false, 0, [window]);
    outlook.onMap(neighbour, [window]);
  };
  hear(honest, 10);
  hear(liar, 0xffff_ffff);
  context.nowMs = 2_000;
  hear(honest, 11);
  assert.is(outlook.at(2_100).quietMs, 100);
  hear(addNeighbour(context, 'late'), 9);
  context.nowMs = 4_000;
  liar.emptyClaims = 3;
  hear(liar, 0xffff_ffff);
  assert.equal([outlook.at(4_000).quietMs, outlook.at(4_000).head], [2_000, 11]);
});

test.run();

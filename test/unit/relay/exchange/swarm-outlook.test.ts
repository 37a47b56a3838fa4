import { test } from 'uvu';
import * as assert from 'uvu/assert';
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
    outlook.onMap([availability(makeWindow(number))]);
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

test.run();

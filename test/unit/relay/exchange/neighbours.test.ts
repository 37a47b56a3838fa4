import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Neighbour } from '../../../../src/relay/exchange/neighbour.js';
import { Neighbours } from '../../../../src/relay/exchange/neighbours.js';

const NAMES = ['a', 'b', 'c'];

function filled(): Neighbours {
  const neighbours = new Neighbours();
  for (const name of NAMES) neighbours.set(name, new Neighbour(name, 0));
  return neighbours;
}

const namesOf = (neighbours: Iterable<Neighbour>): string[] => [...neighbours].map(({ id }) => id);

test('they stand in the order they came', () => {
  const neighbours = filled();
  assert.equal(namesOf(neighbours.values()), NAMES);
  assert.is(neighbours.size, 3);
  assert.is(neighbours.get('b')?.id, 'b');
  assert.ok(neighbours.has('b'));
});

test('one that has gone is nowhere any more', () => {
  const neighbours = filled();
  assert.ok(neighbours.delete('b'));
  assert.not(neighbours.delete('b'));
  assert.is(neighbours.get('b'), undefined);
  assert.not(neighbours.has('b'));
  assert.equal(namesOf(neighbours.values()), ['a', 'c']);
});

test('another acquaintance under one name takes the place of the first', () => {
  const neighbours = filled();
  const again = new Neighbour('b', 1);
  neighbours.set('b', again);
  assert.is(neighbours.get('b'), again);
  assert.equal(namesOf(neighbours.values()), NAMES);
});

test('who goes through them may let some go meanwhile', () => {
  const neighbours = filled();
  const seen: string[] = [];
  for (const { id } of neighbours.values()) {
    seen.push(id);
    neighbours.delete('a');
    neighbours.delete('b');
  }
  assert.equal(seen, NAMES);
  assert.equal(namesOf(neighbours.values()), ['c']);
});

test.run();

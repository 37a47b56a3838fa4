/** Whom to keep: who is let go for whom, and when nobody is. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DrivenChoice } from '../../../support/driven-choice.js';

const LIMITS = { targetNeighbours: 4, maxNeighbours: 6, maxViewers: 8 };
const BYTES = 100_000;
const EVEN = { a: BYTES, b: BYTES, c: BYTES, d: BYTES, e: BYTES, f: BYTES };

test('it asks for as many neighbours as are wanted', () => {
  assert.equal(new DrivenChoice(LIMITS).wants, [4]);
});

test('a viewer that has as many as it may lets newcomers go, and nobody else', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcdefgh') driven.meet(id);
  assert.equal(driven.gone, ['g', 'h']);
});

test('publishers come on top, and with neighbours enough three of them stay: those on the air that send most', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcdef') driven.meet(id);
  for (const id of ['p', 'q', 'r', 's', 't']) driven.meet(id, { publisher: true }).onAir = id !== 's';
  driven.review({ ...EVEN, p: 3, q: 1, r: 2, t: 4 });
  driven.review({ ...EVEN, p: 3, q: 1, r: 2, t: 4 });
  driven.review({ ...EVEN, p: 3, q: 1, r: 2, t: 4 });
  assert.equal(driven.gone, ['s', 'q']);
});

test('of those that call themselves publishers sixteen are taken, by viewers and by publishers', () => {
  for (const isPublisher of [false, true]) {
    const driven = new DrivenChoice(LIMITS, { isPublisher });
    for (let index = 1; index <= 18; index++) driven.meet(`p${index}`, { publisher: true });
    assert.equal(driven.gone, ['p17', 'p18']);
  }
});

test('a viewer with few neighbours keeps every publisher', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of ['p', 'q', 'r', 's', 't']) driven.meet(id, { publisher: true });
  driven.meet('a');
  for (let count = 0; count < 5; count++) driven.review({ a: BYTES });
  assert.equal(driven.gone, []);
});

test('one that is poor once is no reason; poor twice, it is let go, for somebody else who came meanwhile', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcd') driven.meet(id);
  driven.review({});
  driven.review({ ...EVEN, d: BYTES / 16 });
  assert.equal([driven.gone, driven.wants], [[], [4, 5]], 'somebody else is looked for first');
  driven.meet('e');
  driven.review({ ...EVEN, d: BYTES / 16 });
  assert.equal([driven.gone, driven.wants], [['d'], [4, 5, 4]]);
});

test('where there is nobody else, the poorest stays for ever', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcd') driven.meet(id);
  for (let count = 0; count < 20; count++) driven.review({ ...EVEN, d: 0 });
  assert.equal(driven.gone, []);
});

test('one, two and three viewers drop nobody, however little comes from them', () => {
  for (const others of ['a', 'ab', 'abc']) {
    const driven = new DrivenChoice(LIMITS);
    for (const id of others) driven.meet(id);
    for (let count = 0; count < 10; count++) driven.review({ a: BYTES });
    assert.equal([driven.gone, driven.wants], [[], [4]]);
  }
});

test('nobody is let go of neighbours that give alike, nor when none gives anything', () => {
  for (const given of [{ ...EVEN, e: BYTES * 0.15 }, {}]) {
    const driven = new DrivenChoice(LIMITS);
    for (const id of 'abcdef') driven.meet(id);
    for (let count = 0; count < 10; count++) driven.review(given);
    assert.equal(driven.gone, []);
  }
});

test('at most one is let go in half a minute, each for somebody who has come', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcd') driven.meet(id);
  const poor = { ...EVEN, c: 0, d: 1 };
  driven.review(poor);
  driven.meet('e');
  driven.review(poor);
  assert.equal(driven.gone, ['c']);
  driven.review(poor);
  assert.equal(driven.gone, ['c'], 'nobody has come for the other one');
  assert.equal(driven.wants, [4, 5, 4, 5]);
  driven.meet('f');
  driven.review(poor);
  assert.equal(driven.gone, ['c', 'd']);
});

test('there may be more than are wanted, and a poor one of them is let go for somebody else all the same', () => {
  const driven = new DrivenChoice({ ...LIMITS, maxNeighbours: 8 });
  for (const id of 'abcdef') driven.meet(id);
  for (let count = 0; count < 5; count++) driven.review({ ...EVEN, f: 0 });
  assert.equal([driven.gone, driven.wants], [[], [4, 7]]);
  driven.meet('g');
  driven.review({ ...EVEN, f: 0 });
  assert.equal([driven.gone, driven.wants], [['f'], [4, 7, 4]]);
});

test('what a poor one has been asked for is waited for', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcd') driven.meet(id);
  const poor = driven.context.neighbours.get('d');
  if (poor) poor.outstanding = 1;
  driven.review({ ...EVEN, d: 0 });
  driven.meet('e');
  for (let count = 0; count < 3; count++) driven.review({ ...EVEN, d: 0 });
  assert.equal(driven.gone, []);
  if (poor) poor.outstanding = 0;
  driven.review({ ...EVEN, d: 0 });
  assert.equal(driven.gone, ['d']);
});

test('a newcomer is not judged by a few seconds', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcde') driven.meet(id);
  driven.review(EVEN);
  driven.context.nowMs += 25_000;
  driven.meet('f');
  for (const id of 'abcde') (driven.context.neighbours.get(id) ?? driven.meet(id)).mediaDownBytes += BYTES;
  driven.wait(10_000);
  driven.meet('g');
  assert.equal(driven.gone, ['g'], 'it has given nothing, but has hardly been asked');
});

test('a viewer that has as many as it may takes a newcomer once in half a minute, in the place of whoever came last and has had its time', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcdef') driven.meet(id);
  driven.review(EVEN);
  driven.meet('g');
  driven.meet('h');
  assert.equal(driven.gone, ['f', 'h']);
  driven.context.nowMs += 19_000;
  driven.meet('i');
  assert.equal(driven.gone, ['f', 'h', 'i']);
  driven.review(EVEN);
  driven.meet('j');
  assert.equal(driven.gone, ['f', 'h', 'i', 'g']);
});

test('whoever made room for a newcomer was the one of its half minute', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcdef') driven.meet(id);
  for (let count = 0; count < 2; count++) {
    for (const id of 'abcd') (driven.context.neighbours.get(id) ?? driven.meet(id)).mediaDownBytes += BYTES;
    if (count === 1) {
      driven.wait(29_000);
      driven.meet('g');
      assert.equal(driven.gone, ['e'], 'it was poor');
    }
    driven.wait(count === 0 ? 60_000 : 1_000);
  }
  assert.equal(driven.gone, ['e'], 'and so is the other one, but half a minute has not passed');
});

test('who takes much from us is of use; who takes a little and gives nothing is not', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcde') driven.meet(id);
  for (let count = 0; count < 6; count++) {
    for (const [id, bytes] of [['d', BYTES * 3] as const, ['e', BYTES / 4] as const]) {
      const neighbour = driven.context.neighbours.get(id);
      if (neighbour) neighbour.mediaUpBytes += bytes;
    }
    driven.review({ a: BYTES, b: BYTES, c: BYTES, f: BYTES });
    if (count === 1) driven.meet('f');
  }
  assert.equal(driven.gone, ['e']);
});

test('of neighbours that give alike the one that leaves requests unanswered is the poor one', () => {
  const little = { f: BYTES * 0.15, g: BYTES * 0.15 };
  const driven = new DrivenChoice({ ...LIMITS, maxNeighbours: 9 });
  for (const id of 'abcdfg') driven.meet(id);
  driven.context.neighbours.get('f')?.wait.timedOut();
  driven.review({ ...EVEN, ...little });
  driven.meet('h');
  for (let count = 0; count < 4; count++) driven.review({ ...EVEN, h: BYTES, ...little });
  assert.equal(driven.gone, ['f']);
});

test('in trouble nobody is let go, and four more are looked for', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcdef') driven.meet(id);
  driven.trouble(true);
  for (let count = 0; count < 5; count++) driven.review({ ...EVEN, f: 0 });
  assert.equal([driven.gone, driven.wants], [[], [4, 8]]);
  driven.trouble(false);
  assert.equal(driven.wants, [4, 8, 4]);
});

test('in trouble there is room for four more, and afterwards they go one by one', () => {
  const driven = new DrivenChoice(LIMITS);
  driven.trouble(true);
  for (const id of 'abcdefghijk') driven.meet(id);
  assert.equal(driven.gone, ['k']);
  driven.trouble(false);
  const alike = Object.fromEntries([...'abcdefghij'].map((id, index) => [id, BYTES + index]));
  for (let count = 0; count < 3; count++) driven.review(alike);
  assert.is(driven.gone.length, 4);
  for (let count = 0; count < 5; count++) driven.review(alike);
  assert.is(driven.context.neighbours.size, 6);
});

test('while more than half come from one block of addresses, only those may go', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcd') driven.meet(id, { block: '192.0.2.0/24' });
  driven.meet('e');
  driven.review({ ...EVEN, d: BYTES / 16, e: 0 });
  driven.meet('f', { block: '192.0.2.0/24' });
  for (let count = 0; count < 3; count++) driven.review({ ...EVEN, d: BYTES / 16, e: 0 });
  assert.equal(driven.gone, ['d']);
});

test('a full neighbourhood of one block has room for somebody of another, once in half a minute', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcdef') driven.meet(id, { block: '10.0.0.0/24' });
  driven.review(EVEN);
  driven.review({ ...EVEN, c: BYTES * 0.9 });
  driven.meet('g');
  assert.equal(driven.gone, ['c']);
  driven.meet('h');
  assert.equal(driven.gone, ['c', 'h']);
});

test('a swarm behind one address keeps to the counts and drops nobody else', () => {
  const driven = new DrivenChoice(LIMITS);
  for (const id of 'abcdefg') driven.meet(id, { block: '10.0.0.0/24' });
  for (let count = 0; count < 5; count++) driven.review(EVEN);
  assert.equal(driven.gone, ['g']);
});

test("a publisher's last places go from newcomer to newcomer, and who comes too soon is told of others", () => {
  const driven = new DrivenChoice(LIMITS, { isPublisher: true });
  for (const id of 'abcdefgh') driven.meet(id);
  driven.context.nowMs = 5_000;
  driven.meet('i');
  assert.equal(driven.gone, ['i']);
  driven.context.nowMs = 10_000;
  for (const id of 'jkl') driven.meet(id);
  assert.equal(driven.gone, ['i', 'g', 'h', 'l']);
  assert.equal(
    driven.context.neighbours
      .values()
      .map(({ id }) => id)
      .join(''),
    'abcdefjk',
  );
});

test('a publisher lets those go first that do not pass on what they are dealt, and never another publisher', () => {
  const driven = new DrivenChoice(LIMITS, { isPublisher: true });
  driven.meet('p', { publisher: true });
  for (const id of 'abcdefgh') driven.meet(id);
  driven.shares.passed.set('b', 0.1).set('c', 0.9);
  driven.context.nowMs = 30_000;
  driven.meet('i');
  assert.equal(driven.gone, ['b']);
  assert.ok(driven.context.neighbours.has('p'));
});

test('nor do those stay at a publisher who take and tell of nothing', () => {
  const driven = new DrivenChoice(LIMITS, { isPublisher: true });
  for (const id of 'abcdefgh') driven.meet(id);
  const mute = driven.context.neighbours.get('c');
  if (mute) mute.lastToldMs = 0;
  driven.context.nowMs = 30_000;
  driven.meet('i');
  assert.equal(driven.gone, ['c']);
});

test('a publisher whose places are taken by one block of addresses makes one free for another, in its turn', () => {
  const driven = new DrivenChoice(LIMITS, { isPublisher: true });
  for (const id of 'abcdefgh') driven.meet(id, { block: '192.0.2.0/24' });
  driven.meet('i');
  assert.equal(driven.gone, ['i'], 'everybody has just come');
  driven.context.nowMs = 10_000;
  driven.meet('j');
  assert.equal(driven.gone, ['i', 'h']);
  driven.meet('k');
  assert.equal(driven.gone, ['i', 'h', 'g'], 'the turning places');
  driven.meet('l', { block: '192.0.2.0/24' });
  assert.equal(driven.gone, ['i', 'h', 'g', 'l']);
});

test('a publisher with three places looks for three, and turns newcomers away at once', () => {
  const driven = new DrivenChoice({ ...LIMITS, maxViewers: 3 }, { isPublisher: true });
  assert.equal(driven.wants, [3]);
  for (const id of 'abc') driven.meet(id);
  driven.context.nowMs = 60_000;
  driven.meet('d');
  assert.equal(driven.gone, ['d']);
});

test.run();

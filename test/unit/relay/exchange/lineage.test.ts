import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Lineage } from '../../../../src/relay/exchange/lineage.js';
import { addNeighbour, availability, hold, makeContext, makeWindow, OWNER, STRANGER } from '../../../support/exchange-fixture.js';

/** Window 4 is here; others have it, or another one. */
function setUp() {
  const context = makeContext({}, 1_000);
  const ours = makeWindow(4);
  const other = makeWindow(4, 3, { bytes: new Uint8Array(40).fill(9) });
  hold(context, ours);
  const lineage = new Lineage(context);
  const neighbour = (id: string, line: 'ours' | 'other' | 'unknown', publisher = false) => {
    const made = addNeighbour(context, id, publisher);
    if (line !== 'unknown') made.map.update(true, 0, [availability(line === 'ours' ? ours : other)]);
    return made;
  };
  return { context, lineage, neighbour };
}

const NEXT = makeWindow(5);
const NEXT_OTHER = makeWindow(5, 3, { bytes: new Uint8Array(40).fill(8) });

test('where all name one content there is nothing to choose', () => {
  const { lineage, neighbour } = setUp();
  const x = neighbour('x', 'ours');
  x.map.update(false, 0, [availability(NEXT)]);
  assert.is(lineage.consider(5, true), false);
  assert.is(lineage.of(5), NEXT.manifest.version);
  assert.ok(lineage.has(x, 5));
  assert.not(lineage.waits(5));
});

test('our line is followed, whoever is first and however many name another one', () => {
  const { lineage, neighbour } = setUp();
  const strangers = ['a', 'b', 'c'].map((id) => neighbour(id, 'other'));
  const kin = neighbour('x', 'ours');
  for (const stranger of strangers) stranger.map.update(false, 0, [availability(NEXT_OTHER)]);
  lineage.consider(5, true);
  assert.ok(lineage.waits(5), 'ours may still come');
  kin.map.update(false, 0, [availability(NEXT)]);
  lineage.consider(5, true);
  assert.is(lineage.of(5), NEXT.manifest.version);
  assert.not(lineage.has(strangers[0] as typeof kin, 5));
});

test('when our line does not come, the other one is taken, and that is a break', () => {
  const { context, lineage, neighbour } = setUp();
  neighbour('a', 'other').map.update(false, 0, [availability(NEXT_OTHER)]);
  neighbour('x', 'ours');
  lineage.consider(5, true);
  assert.ok(lineage.waits(5));
  context.nowMs += 1_300;
  lineage.consider(5, true);
  assert.is(lineage.of(5), NEXT_OTHER.manifest.version);
  assert.ok(lineage.breaks(makeWindow(4).manifest, NEXT_OTHER.manifest));
});

test('without anybody of our line left nobody is waited for', () => {
  const { lineage, neighbour } = setUp();
  neighbour('a', 'other').map.update(false, 0, [availability(NEXT_OTHER)]);
  lineage.consider(5, true);
  assert.is(lineage.of(5), NEXT_OTHER.manifest.version);
  assert.ok(lineage.breaks(makeWindow(4).manifest, NEXT_OTHER.manifest));
});

test('a lone claim gives way to what more neighbours name, as long as nothing of it is here', () => {
  const { lineage, neighbour } = setUp();
  neighbour('liar', 'ours').map.update(false, 0, [availability(NEXT_OTHER)]);
  lineage.consider(5, true);
  for (const id of ['x', 'y']) neighbour(id, 'ours').map.update(false, 0, [availability(NEXT)]);
  assert.is(lineage.consider(5, false), false, 'pieces are here');
  assert.is(lineage.consider(5, true), true);
  assert.is(lineage.of(5), NEXT.manifest.version);
});

test('a publisher on the air is of our line until it shows otherwise', () => {
  const { lineage, neighbour } = setUp();
  const [kin, stranger, viewer] = [neighbour('p', 'ours', true), neighbour('q', 'other', true), neighbour('v', 'ours')];
  for (const each of [kin, stranger, viewer]) each.onAir = true;
  assert.equal(
    [kin, stranger, viewer].map((each) => lineage.isPublisherOf(each, 5)),
    [true, false, false],
  );
  kin.onAir = false;
  assert.not(lineage.isPublisherOf(kin, 5));
});

test('what is in the buffer is settled, and what lies below is forgotten', () => {
  const { lineage, neighbour } = setUp();
  neighbour('x', 'ours').map.update(false, 0, [availability(NEXT)]);
  lineage.consider(5, true);
  assert.equal(lineage.undecided(-1), [5]);
  assert.is(lineage.of(4), makeWindow(4).manifest.version);
  lineage.forgetBelow(6);
  assert.equal(lineage.undecided(-1), []);
});

test('numbers that nobody speaks of any more are forgotten', () => {
  const { lineage, neighbour } = setUp();
  const x = neighbour('x', 'ours');
  for (let number = 5; number < 5_000; number += 100) {
    const made = Array.from({ length: 100 }, (_, index) => ({ number: number + index, pieceCount: 3, key: true, held: null, version: 7 }));
    x.map.update(true, number, made);
    for (const window of made) lineage.consider(window.number, true);
    for (const known of lineage.undecided(-1)) lineage.consider(known, true);
  }
  assert.ok(lineage.undecided(-1).length <= 100, `${lineage.undecided(-1).length} remembered`);
});

test('who has only begun to watch leaves its line for the lower key, and what is left is not chosen again', () => {
  const [low, high] = [Uint8Array.of(1), Uint8Array.of(2)];
  const { lineage, neighbour } = setUp();
  neighbour('x', 'ours').map.update(false, 0, [availability(NEXT)]);
  neighbour('y', 'other').map.update(false, 0, [availability(NEXT_OTHER)]);
  lineage.consider(5, true);
  assert.is(lineage.of(5), NEXT.manifest.version);
  assert.equal(lineage.settle([low, high], 4), [low, high]);
  assert.equal(lineage.settle([high, low], 4), [low, high]);
  lineage.leave(5, NEXT.manifest.version);
  lineage.consider(5, true);
  assert.is(lineage.of(5), NEXT_OTHER.manifest.version);
});

test('where publishers contradict each other all is not calm, for a minute after they last did', () => {
  const { context, lineage } = setUp();
  assert.ok(lineage.isCalm);
  lineage.settle([OWNER.publicKey, OWNER.publicKey], 5);
  assert.ok(lineage.isCalm, 'one key that signs two contents tells nobody apart');
  for (const afterMs of [0, 30_000]) {
    context.nowMs += afterMs;
    lineage.settle([OWNER.publicKey, STRANGER.publicKey], 5);
    assert.not(lineage.isCalm);
  }
  context.nowMs += 60_000;
  assert.not(lineage.isCalm);
  context.nowMs += 1;
  assert.ok(lineage.isCalm);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LiveEffect } from '../../../../src/relay/exchange/live-protocol.js';
import { NeighbourChoice } from '../../../../src/relay/exchange/neighbour-choice.js';
import { Playout } from '../../../../src/relay/exchange/playout.js';
import { SecondStage } from '../../../../src/relay/exchange/second-stage.js';
import { WindowShares } from '../../../../src/relay/exchange/window-shares.js';
import { addNeighbour, availability, hold, makeContext, makeWindow, PARAMETERS } from '../../../support/exchange-fixture.js';

const CAUSES = ['expired', 'orphaned', 'stranded', 'stuck'];

/** A viewer that has played window 10 and waits for 11, with neighbours that all show windows up to 12 and have just sent something. */
function setUp(neighbours: readonly string[], parameters = PARAMETERS) {
  const context = makeContext({ parameters }, 100_000);
  const playout = new Playout(parameters, context.buffer, () => false);
  const choice = new NeighbourChoice({ context, playout, shares: new WindowShares(PARAMETERS.revealMs) });
  const stage = new SecondStage(context, playout, choice);
  // They have been there for a while.
  context.nowMs = 0;
  for (const id of neighbours) addNeighbour(context, id);
  context.nowMs = 100_000;
  const show = (id: string, from: number, to: number): void => {
    const neighbour = context.neighbours.get(id) ?? addNeighbour(context, id);
    const windows = Array.from({ length: to - from + 1 }, (_, index) => availability(makeWindow(from + index)));
    neighbour.map.update(true, from, windows);
    neighbour.lastHeardMs = context.nowMs;
    neighbour.lastPieceMs = context.nowMs;
  };
  for (const id of neighbours) show(id, 5, 12);
  playout.moveTo(10);
  hold(context, makeWindow(10));
  playout.deliver(context.nowMs);
  const wait = (forMs: number): void => {
    for (let leftMs = forMs; leftMs > 0; leftMs -= 100) {
      context.nowMs += 100;
      stage.check();
    }
  };
  const lose = (id: string): void => {
    const neighbour = context.neighbours.get(id);
    context.neighbours.delete(id);
    if (neighbour) stage.noteLoss(neighbour);
  };
  const done = (): string[] => context.takeEffects().map(spell);
  return { context, stage, show, wait, lose, done };
}

function spell(effect: LiveEffect): string {
  if (effect.kind === 'connect') return `connect ${effect.want}`;
  return effect.kind === 'emit' && effect.event.kind === 'second-stage' ? effect.event.cause : effect.kind;
}

const MORE = `connect ${PARAMETERS.targetNeighbours + 4}`;

test('while all is well nothing is done', () => {
  const { wait, done, show } = setUp(['x', 'y', 'z']);
  for (let round = 0; round < 20; round++) {
    wait(300);
    for (const id of ['x', 'y', 'z']) show(id, 5, 12);
  }
  assert.equal(done(), []);
});

test('a viewer whose neighbours have thrown away what it waits for has fallen behind', () => {
  const { context, stage, show, done } = setUp(['x', 'y', 'z']);
  show('x', 40, 50);
  stage.check();
  assert.equal(done(), [], 'one alone says nothing');
  show('y', 40, 50);
  stage.check();
  assert.equal(done(), [MORE, 'expired']);
  assert.is(context.takeAccused().length, 0);
});

test('one that loses more than half of its neighbours at once looks for others', () => {
  const { stage, lose, done } = setUp(['a', 'b', 'c', 'd', 'e']);
  lose('a');
  lose('b');
  stage.check();
  assert.equal(done(), []);
  lose('c');
  stage.check();
  assert.equal(done(), [MORE, 'orphaned']);
});

test('neighbours that go one by one over the minutes are no reason', () => {
  const { lose, wait, show, done } = setUp(['a', 'b', 'c', 'd', 'e']);
  for (const id of ['a', 'b', 'c']) {
    lose(id);
    for (let round = 0; round < 30; round++) {
      for (const other of ['d', 'e']) show(other, 5, 12);
      wait(200);
    }
  }
  assert.equal(done(), []);
});

test('one whose neighbours send nothing any more looks for others, and lets the silent ones go', () => {
  const { context, wait, done } = setUp(['x', 'y']);
  wait(2_900);
  assert.equal(done(), []);
  wait(300);
  assert.equal(done(), [MORE, 'orphaned']);
  assert.equal(context.takeAccused(), [], 'three seconds are no silence');
  wait(PARAMETERS.secondStageMs);
  assert.equal(
    context.takeAccused().map(([{ id }, { kind }]) => [id, kind]),
    [
      ['x', 'silent'],
      ['y', 'silent'],
    ],
  );
});

test('one that has run dry while more than half say nothing any more looks for others, and waits no longer for those who fall silent meanwhile', () => {
  const { context, wait, show, done } = setUp(['x', 'y', 'z', 'u', 'v']);
  const alive = ['x', 'y'];
  for (let round = 0; round < 26; round++) {
    // The last of the others falls silent two seconds after the rest.
    for (const id of round < 10 ? [...alive, 'v'] : alive) show(id, 5, 12);
    wait(200);
  }
  assert.equal(done(), [], 'two of five');
  const accused = (): readonly string[] => context.takeAccused().map(([{ id }]) => id);
  for (let round = 0; round < 8; round++) {
    for (const id of alive) show(id, 5, 12);
    wait(200);
  }
  assert.equal(done(), []);
  for (const id of alive) show(id, 5, 12);
  wait(300);
  assert.equal(done(), [MORE, 'orphaned']);
  assert.equal(accused(), ['z', 'u', 'v']);
  show('w', 5, 12);
  for (let round = 0; round < 30; round++) {
    for (const id of ['x', 'y']) show(id, 5, 12);
    wait(200);
  }
  assert.equal(
    accused().filter((id) => id === 'w'),
    ['w'],
  );
  assert.equal(done(), [], 'once in its period');
});

test('one that stands still while others go on looks for others', () => {
  const { wait, show, done } = setUp(['x', 'y', 'z']);
  for (const id of ['x', 'y', 'z']) show(id, 5, 13);
  wait(2 * PARAMETERS.windowMs);
  assert.equal(done(), []);
  for (const id of ['x', 'y', 'z']) show(id, 5, 15);
  wait(200);
  assert.equal(done(), [MORE, 'stuck']);
});

test('one that has met only others who know of nothing looks for others; beside a publisher it waits', () => {
  for (const [withPublisher, expected] of [
    [false, ['stranded', 'stranded']],
    [true, []],
  ] as const) {
    const context = makeContext({ parameters: PARAMETERS }, 100_000);
    const playout = new Playout(PARAMETERS, context.buffer, () => false);
    const choice = new NeighbourChoice({ context, playout, shares: new WindowShares(PARAMETERS.revealMs) });
    const stage = new SecondStage(context, playout, choice);
    addNeighbour(context, 'x');
    if (withPublisher) addNeighbour(context, 'station', true);
    const run = (forMs: number): void => {
      for (let leftMs = forMs; leftMs > 0; leftMs -= 100) {
        context.nowMs += 100;
        for (const neighbour of context.neighbours.values()) neighbour.lastHeardMs = context.nowMs;
        stage.check();
      }
    };
    run(9_900);
    assert.equal(
      context
        .takeEffects()
        .map(spell)
        .filter((word) => CAUSES.includes(word)),
      [],
    );
    run(PARAMETERS.secondStageMs + 1_000);
    const done = context.takeEffects().map(spell);
    assert.equal(
      done.filter((word) => CAUSES.includes(word)),
      expected,
    );
    assert.is(done.includes(MORE), !withPublisher);
    // Somebody comes who has something.
    addNeighbour(context, 'y').map.update(true, 4, [availability(makeWindow(4))]);
    run(60_000);
    assert.equal(
      context
        .takeEffects()
        .map(spell)
        .filter((word) => CAUSES.includes(word)),
      [],
    );
  }
});

test('it acts once in its period, and asks for the usual number again when all has been well for half a minute', () => {
  const { stage, wait, show, done } = setUp(['x', 'y']);
  wait(PARAMETERS.secondStageMs * 3 + 3_500);
  assert.is(stage.count, 4);
  assert.is(done().filter((word) => CAUSES.includes(word)).length, 4);
  for (let round = 0; round < 160; round++) {
    for (const id of ['x', 'y']) show(id, 5, 12);
    wait(200);
  }
  assert.equal(done(), [`connect ${PARAMETERS.targetNeighbours}`]);
});

test('a world without it is a world without it', () => {
  const { wait, done } = setUp(['x', 'y'], { ...PARAMETERS, secondStageMs: 0 });
  wait(60_000);
  assert.equal(done(), []);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Survey } from '../../../../src/relay/exchange/survey.js';
import { addNeighbour, availability, hold, makeContext, makeWindow, OWNER, STRANGER, sentOf } from '../../../support/exchange-fixture.js';

function setUp() {
  const context = makeContext({ signer: OWNER }, 1_000);
  const survey = new Survey(context);
  const samples = (): number[] =>
    context
      .takeEffects()
      .flatMap((effect) => (effect.kind === 'emit' && effect.event.kind === 'surveyed' ? [effect.event.manifest.number] : []));
  return { context, survey, samples };
}

test('the newest windows of others are asked for whole, those that are ours not', () => {
  const { context, survey } = setUp();
  hold(context, makeWindow(6));
  addNeighbour(context, 'x').map.update(
    true,
    0,
    [3, 4, 5, 6].map((number) => availability(makeWindow(number))),
  );
  survey.begin(2);
  assert.equal(
    sentOf(context.takeEffects(), 'request').map(({ window, pieces, wantManifest }) => [window, pieces.length, wantManifest]),
    [
      [5, 3, true],
      [4, 3, true],
    ],
  );
  survey.begin(2);
  assert.equal(
    sentOf(context.takeEffects(), 'request').map(({ window }) => window),
    [3],
    'and none twice',
  );
});

test('other content under a number of ours is a sample, too', () => {
  const { context, survey } = setUp();
  hold(context, makeWindow(6));
  addNeighbour(context, 'x').map.update(true, 0, [availability(makeWindow(6, 3, { bytes: new Uint8Array(40).fill(9) }))]);
  survey.begin(1);
  assert.is(sentOf(context.takeEffects(), 'request')[0]?.window, 6);
});

test('viewers are asked before publishers', () => {
  const { context, survey } = setUp();
  addNeighbour(context, 'p', true).map.update(true, 0, [availability(makeWindow(5))]);
  addNeighbour(context, 'v').map.update(true, 0, [availability(makeWindow(5))]);
  survey.begin(1);
  assert.is(sentOf(context.takeEffects(), 'request')[0]?.to, 'v');
});

test('a sample is reported when it is whole and true, in whatever order it comes', () => {
  const { context, survey, samples } = setUp();
  const made = makeWindow(5);
  const x = addNeighbour(context, 'x');
  x.map.update(true, 0, [availability(made)]);
  survey.begin(1);
  assert.ok(survey.takesPiece(x, 5, 1, made.pieces[1] as Uint8Array));
  assert.ok(survey.takesManifest(x, made.manifest.bytes));
  assert.ok(survey.takesPiece(x, 5, 0, made.pieces[0] as Uint8Array));
  assert.equal(samples(), []);
  assert.ok(survey.takesPiece(x, 5, 2, made.pieces[2] as Uint8Array));
  assert.equal(samples(), [5]);
  assert.not(survey.takesPiece(x, 5, 2, made.pieces[2] as Uint8Array), 'it is over');
});

test('without a valid signature, or with a piece that does not fit, there is no sample', () => {
  const { context, survey, samples } = setUp();
  const [made, forged] = [makeWindow(5), makeWindow(5, 3, {}, STRANGER)];
  const x = addNeighbour(context, 'x');
  x.map.update(true, 0, [availability(made)]);
  survey.begin(1);
  assert.ok(survey.takesManifest(x, forged.manifest.bytes));
  assert.not(survey.takesPiece(x, 5, 0, made.pieces[0] as Uint8Array));
  x.map.update(true, 0, [availability(made)]);
  survey.begin(1);
  survey.takesManifest(x, made.manifest.bytes);
  survey.takesPiece(x, 5, 0, new Uint8Array((made.pieces[0] as Uint8Array).length));
  assert.is(x.badPieces, 1);
  assert.equal(samples(), []);
});

test('who refuses, is gone, or does not answer is not waited for', () => {
  const { context, survey } = setUp();
  const [x, y] = [addNeighbour(context, 'x'), addNeighbour(context, 'y')];
  x.map.update(true, 0, [availability(makeWindow(5))]);
  survey.begin(1);
  survey.refused(x, 5, 'not-held');
  y.map.update(true, 0, [availability(makeWindow(5))]);
  survey.begin(1);
  survey.dropPeer('y');
  survey.begin(1);
  context.nowMs += 4_000;
  survey.begin(1);
  assert.equal(
    sentOf(context.takeEffects(), 'request').map(({ to }) => to),
    ['x', 'y', 'y', 'y'],
  );
});

test('what was not asked for is left to others', () => {
  const { context, survey } = setUp();
  const x = addNeighbour(context, 'x');
  assert.not(survey.takesManifest(x, makeWindow(5).manifest.bytes));
  assert.not(survey.takesPiece(x, 5, 0, new Uint8Array(3)));
});

test('one that names windows that there are not keeps nobody from being sampled', () => {
  const { context, survey } = setUp();
  const [liar, honest] = [addNeighbour(context, 'liar'), addNeighbour(context, 'honest')];
  honest.map.update(true, 0, [availability(makeWindow(5))]);
  liar.map.update(
    true,
    0,
    Array.from({ length: 20 }, (_, index) => ({ number: 0xffff_ff00 + index, pieceCount: 8, key: true, held: null, version: 3 })),
  );
  survey.begin(6);
  const asked = sentOf(context.takeEffects(), 'request').map(({ to }) => to);
  assert.ok(asked.includes('honest'));
  assert.ok(asked.filter((to) => to === 'liar').length <= 4);
  for (let step = 0; step < 8; step++) {
    context.nowMs += 500;
    survey.begin(6);
  }
  assert.not(liar.trusted, 'it has shown nothing');
});

test.run();

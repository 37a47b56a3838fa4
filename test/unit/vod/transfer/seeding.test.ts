import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOCK_BYTES } from '../../../../src/vod/block.js';
import { DrivenTitle, eventsOf, SHAPE } from '../../../support/driven-title.js';

const NEVER = { ratio: null, durationMs: null };

function done(title: DrivenTitle): string[] {
  return eventsOf(title.effects, 'seeding-done').map(({ why }) => why);
}

/** Gives a block to a neighbour. */
function give(title: DrivenTitle): void {
  title.hear('taker', { kind: 'request', piece: 0, offsetBytes: 0, lengthBytes: BLOCK_BYTES });
  title.command({
    kind: 'block-read',
    peer: 'taker',
    piece: 0,
    offsetBytes: 0,
    lengthBytes: BLOCK_BYTES,
    bytes: new Uint8Array(BLOCK_BYTES),
  });
}

test('a title without a policy is given for ever', () => {
  const title = new DrivenTitle('all');
  title.command({ kind: 'seed', policy: NEVER });
  for (let round = 0; round < 100; round++) title.timer('review', 3_600_000);
  assert.equal(done(title), []);
});

test('the time limit counts what was given in an earlier life', () => {
  const title = new DrivenTitle('all');
  title.command({ kind: 'seed', policy: { ratio: null, durationMs: 60_000 }, before: { upBytes: 0, seededMs: 50_000 } });
  title.timer('review', 9_000);
  assert.equal(done(title), []);
  assert.is(title.session.figures().seededMs, 9_000);
  title.timer('review', 2_000);
  title.timer('review', 2_000);
  assert.equal(done(title), ['time']);
});

test('the ratio is of the size of the title, and counts what was given before', () => {
  const title = new DrivenTitle('all');
  title.meet('taker', { kind: 'have-none' }, { kin: true });
  title.hear('taker', { kind: 'interested' });
  title.command({ kind: 'seed', policy: { ratio: 1, durationMs: null }, before: { upBytes: SHAPE.totalBytes - BLOCK_BYTES, seededMs: 0 } });
  title.timer('review', 2_000);
  assert.equal(done(title), []);
  give(title);
  title.timer('review', 2_000);
  assert.equal(done(title), ['ratio']);
});

test('a policy that has been met before says so at once', () => {
  const title = new DrivenTitle('all');
  title.command({ kind: 'seed', policy: { ratio: 1, durationMs: null }, before: { upBytes: SHAPE.totalBytes, seededMs: 0 } });
  assert.equal(done(title), ['ratio']);
});

test('nothing is counted as given time while something is missing', () => {
  const title = new DrivenTitle([0, 1]);
  title.command({ kind: 'seed', policy: { ratio: null, durationMs: 1_000 } });
  for (let round = 0; round < 5; round++) title.timer('review', 2_000);
  assert.equal(done(title), []);
});

test.run();

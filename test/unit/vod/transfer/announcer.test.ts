import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOCK_BYTES, blockCount } from '../../../../src/vod/block.js';
import { DrivenTitle, SHAPE, sentTo } from '../../../support/driven-title.js';

const PIECE = 3;

/** A giver comes, the piece is fetched, written and found right; no other is wanted. */
function gain(title: DrivenTitle, piece: number): void {
  title.command({ kind: 'select', ranges: [{ firstPiece: piece, lastPiece: piece, priority: 2 }] });
  title.serve('giver', title.meetGenerous('giver'));
  for (let block = 0; block < blockCount(SHAPE.pieceLengthBytes); block++) {
    title.command({ kind: 'block-stored', piece, offsetBytes: block * BLOCK_BYTES });
  }
  title.command({ kind: 'piece-checked', piece, ok: true });
}

test('a piece that is gone before its news went out is told as gone, for who came meanwhile was told that it is here', () => {
  const title = new DrivenTitle();
  title.meet('early', { kind: 'have-none' });
  gain(title, PIECE);
  const greeting = title.meet('meanwhile', { kind: 'have-none' });
  assert.ok(sentTo(greeting, 'meanwhile', 'bitfield').length > 0);

  const told = title.command({ kind: 'evict', pieces: [PIECE] });
  for (const peer of ['early', 'meanwhile']) assert.equal(sentTo(told, peer, 'dont-have'), [{ kind: 'dont-have', piece: PIECE }]);
  assert.equal(sentTo(title.timer('news'), 'early', 'have'), []);
});

test('a piece that was told is told as gone', () => {
  const title = new DrivenTitle();
  title.meet('taker', { kind: 'have-none' });
  gain(title, PIECE);
  assert.equal(sentTo(title.timer('news'), 'taker', 'have'), [{ kind: 'have', piece: PIECE }]);
  assert.equal(sentTo(title.command({ kind: 'evict', pieces: [PIECE] }), 'taker', 'dont-have'), [{ kind: 'dont-have', piece: PIECE }]);
});

test.run();

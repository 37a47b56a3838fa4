/** Readers of one title: who is served first, and what becomes of requests when one of them jumps. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOCK_BYTES } from '../../../../src/vod/block.js';
import type { TitleEffect } from '../../../../src/vod/title-protocol.js';
import { Needs, type ReaderPlace } from '../../../../src/vod/transfer/needs.js';
import { TRANSFER_PARAMETERS } from '../../../../src/vod/transfer/transfer-parameters.js';
import { DrivenTitle, SHAPE, sentTo } from '../../../support/driven-title.js';

const PIECE_BYTES = SHAPE.pieceLengthBytes;
const PEER = 'seeder';

function place(reader: string, piece: number, isIdle = false): ReaderPlace {
  return { reader, fromByte: piece * PIECE_BYTES, toByte: SHAPE.totalBytes, bytesPerSecond: 65_536, isIdle };
}

function piecesOf(effects: readonly TitleEffect[], kind: 'request' | 'cancel'): readonly number[] {
  return [...new Set(sentTo(effects, PEER, kind).map(({ piece }) => piece))];
}

/** One title that is asked for by one reader at piece 2, with requests for what it needs in flight to one seeder. */
function playing(): DrivenTitle {
  const title = new DrivenTitle();
  title.meetGenerous(PEER);
  // A pipeline grows with what it brings.
  title.serve(PEER, title.command({ kind: 'need', ...place('one', 2) }), 3);
  return title;
}

test('who waits comes before whose player takes nothing, whoever came first', () => {
  const needs = new Needs(SHAPE, TRANSFER_PARAMETERS);
  needs.set(place('idle', 2, true), 0);
  needs.set(place('waiting', 9), 50);
  const deadlineMs = (piece: number): number => needs.deadlineMs(piece);
  assert.ok(deadlineMs(9) < deadlineMs(2));
  assert.equal([needs.isAwaited(9), needs.isAwaited(2)], [true, false]);
  needs.set(place('idle', 2), 60);
  assert.is(needs.isAwaited(2), true);
});

test('a jump takes back what was asked for the old place, but for the piece another reader waits for', () => {
  const title = playing();
  const jump = title.command({ kind: 'need', ...place('two', 12) });
  const cancelled = piecesOf(jump, 'cancel');
  assert.ok(cancelled.length > 0);
  assert.not.ok(cancelled.includes(2));
  assert.is(piecesOf(jump, 'request')[0], 12);
});

test('the old place is left after the new one was opened: what it waited for is taken back, too', () => {
  const title = playing();
  title.command({ kind: 'need', ...place('two', 12) });
  const left = title.command({ kind: 'need-gone', reader: 'one' });
  assert.equal(piecesOf(left, 'cancel'), [2]);
  const served = title.serve(PEER, left, 8);
  assert.ok(piecesOf(served, 'request').every((piece) => piece >= 12));
});

test('a reader that leaves takes nothing back while nobody seeks: what is asked is wanted anyway', () => {
  const title = playing();
  title.deliver(PEER, 2, 3 * BLOCK_BYTES);
  title.command({ kind: 'piece-checked', piece: 2, ok: true });
  const left = title.command({ kind: 'need-gone', reader: 'one' });
  assert.equal(piecesOf(left, 'cancel'), []);
});

test('what was called off is not on its way any more, though a part of it is here', () => {
  const title = new DrivenTitle();
  title.meetGenerous(PEER);
  const last = SHAPE.pieceCount - 1;
  title.command({ kind: 'select', ranges: [{ firstPiece: last, lastPiece: last, priority: 1 }] });
  const asked = title.serve(PEER, title.command({ kind: 'need', ...place('one', 2) }), 1);
  assert.ok(sentTo(asked, PEER, 'request').length > 0 || title.session.requestedPieces(9).includes(2));
  title.command({ kind: 'need-gone', reader: 'one' });
  assert.equal(
    title.session.requestedPieces(9).filter((piece) => piece !== last),
    [],
  );
});

test.run();

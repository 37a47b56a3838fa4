import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EARLY_BYTES_MAX, EARLY_PIECES_MAX, EXPECTED_MAX, PendingWindows } from '../../../../src/relay/exchange/pending-windows.js';

const early = (sizeBytes: number, from = 'x') => ({ from, payload: new Uint8Array(sizeBytes) });

function expecting(...numbers: readonly number[]): PendingWindows {
  const pending = new PendingWindows();
  for (const number of numbers) pending.noteManifestAsked(number, 'x', 0);
  return pending;
}

test('pieces wait only for a manifest that has been asked for', () => {
  const pending = expecting(5);
  assert.not(pending.keep(6, 0, early(10)));
  assert.ok(pending.keep(5, 0, early(10)));
  assert.not(pending.keep(5, 0, early(10)), 'the first of two stays');
  assert.equal([pending.has(5, 0), pending.has(5, 1), pending.hasAny(5), pending.hasAny(6)], [true, false, true, false]);
});

test('pieces are counted by who sent them', () => {
  const pending = expecting(5, 6);
  pending.keep(5, 0, early(10));
  pending.keep(6, 0, early(10));
  pending.keep(6, 1, early(10, 'y'));
  assert.equal([pending.countFrom('x'), pending.countFrom('y'), pending.countFrom('z')], [2, 1, 0]);
});

test('a manifest is asked for once, then of somebody else when it does not come', () => {
  const pending = new PendingWindows();
  assert.ok(pending.wantsManifest(5, 300, 0));
  pending.noteManifestAsked(5, 'x', 0);
  assert.not(pending.wantsManifest(5, 300, 300));
  assert.ok(pending.wantsManifest(5, 300, 301));
  assert.equal([pending.hasAsked(5, 'x'), pending.hasAsked(5, 'y')], [true, false]);
  pending.askAnew(5);
  assert.not(pending.hasAsked(5, 'x'));
});

test('no more pieces are kept of one window, and no more bytes of all, than are allowed', () => {
  const pending = expecting(1, 2, 3);
  for (let piece = 0; piece < EARLY_PIECES_MAX; piece++) assert.ok(pending.keep(1, piece, early(1)));
  assert.not(pending.keep(1, EARLY_PIECES_MAX, early(1)));
  assert.ok(pending.keep(2, 0, early(EARLY_BYTES_MAX)));
  assert.ok(pending.full);
  assert.not(pending.keep(3, 0, early(1)));
});

test('what is released, dropped or not wanted any more gives its room back', () => {
  const pending = expecting(1, 2, 3);
  pending.keep(1, 0, early(10));
  pending.keep(2, 0, early(20));
  pending.keep(2, 1, early(5, 'y'));
  pending.keep(3, 0, early(30));
  assert.equal([...pending.release(1).keys()], [0]);
  assert.is(pending.sizeBytes, 55);
  pending.dropPeer('y');
  assert.is(pending.sizeBytes, 50);
  pending.keep(2, 2, early(5, 'z'));
  assert.equal(
    pending.keepOnly((number) => number === 3),
    ['x', 'z'],
    'nobody can judge these any more',
  );
  assert.equal([pending.sizeBytes, pending.count, pending.numbers()], [30, 1, [3]]);
  assert.not(pending.expects(2));
  assert.is(pending.release(2).size, 0);
});

test('when a neighbour disappoints, others are asked at once, and only its early pieces are thrown away', () => {
  const pending = new PendingWindows();
  pending.noteManifestAsked(4, 'x', 1_000);
  pending.keep(4, 0, { from: 'x', payload: new Uint8Array(10) });
  pending.keep(4, 1, { from: 'y', payload: new Uint8Array(7) });
  pending.disappoint(4, 'x');
  pending.disappoint(5, 'x');
  assert.equal([pending.has(4, 0), pending.has(4, 1), pending.sizeBytes], [false, true, 7]);
  assert.ok(pending.wantsManifest(4, 300, 1_000));
  assert.ok(pending.hasAsked(4, 'x'), 'it is not asked first again');
});

test('pieces of a window that comes unasked are kept, and its manifest is asked for when it does not come with them', () => {
  const pending = new PendingWindows();
  pending.expect(5, 100);
  assert.ok(pending.expects(5));
  assert.ok(pending.keep(5, 0, early(10)));
  assert.equal(
    [400, 401].map((nowMs) => pending.wantsManifest(5, 300, nowMs)),
    [false, true],
  );
  assert.not(pending.hasAsked(5, 'x'));
  pending.expect(5, 400);
  assert.ok(pending.wantsManifest(5, 300, 401), 'it has been waited for since the first of them');
  assert.ok(pending.has(5, 0));
});

test('windows of which something is fed are known as such, and there is an end to them', () => {
  const pending = expecting(5);
  assert.equal([pending.isFed(5), pending.isFed(6)], [false, false]);
  for (const number of [5, 6]) pending.expect(number, 0);
  assert.equal([pending.isFed(5), pending.isFed(6)], [true, true]);
  for (let number = 7; number < 7 + EXPECTED_MAX; number++) pending.expect(number, 0);
  assert.is(pending.count, EXPECTED_MAX);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Neighbour } from '../../../../src/relay/exchange/neighbour.js';
import { PastOffences } from '../../../../src/relay/exchange/past-offences.js';

const HOUR_MS = 60 * 60 * 1000;

function gone(past: PastOffences, peerId: string, badPieces: number, offences: number, atMs = 0): void {
  const neighbour = new Neighbour(`c-${peerId}`, atMs, { peerId });
  neighbour.badPieces = badPieces;
  neighbour.offences = offences;
  past.note(neighbour, atMs);
}

function back(past: PastOffences, peerId: string | undefined, atMs = 1): readonly [number, number] {
  const neighbour = new Neighbour('again', atMs, peerId === undefined ? {} : { peerId });
  past.recall(neighbour, atMs);
  return [neighbour.badPieces, neighbour.offences];
}

test('what somebody did wrong is still known when it comes back, for an hour', () => {
  const past = new PastOffences();
  gone(past, 'x', 1, 0);
  gone(past, 'y', 0, 1);
  gone(past, 'z', 0, 0);
  assert.equal(
    [back(past, 'x', HOUR_MS), back(past, 'y'), back(past, 'z'), back(past, undefined)],
    [
      [1, 0],
      [0, 1],
      [0, 0],
      [0, 0],
    ],
  );
  assert.equal(back(past, 'x', HOUR_MS + 1), [0, 0]);
});

test('a second connection of the same peer that does nothing wrong takes nothing back', () => {
  const past = new PastOffences();
  gone(past, 'x', 1, 0);
  gone(past, 'x', 0, 0);
  assert.equal(back(past, 'x'), [1, 0]);
});

test('one that was banned and is back after the ban is not banned again for nothing', () => {
  const past = new PastOffences();
  gone(past, 'x', 2, 5);
  assert.equal(back(past, 'x'), [1, 1]);
});

test('a neighbour without an id leaves nothing behind, and however many come and go, memory has an end', () => {
  const past = new PastOffences();
  const nameless = new Neighbour('c', 0);
  nameless.badPieces = 1;
  past.note(nameless, 0);
  for (let index = 0; index < 300; index++) gone(past, `p${index}`, 1, 0, index);
  assert.equal(
    [back(past, 'p43'), back(past, 'p44'), back(past, 'p299')],
    [
      [0, 0],
      [1, 0],
      [1, 0],
    ],
  );
});

test.run();

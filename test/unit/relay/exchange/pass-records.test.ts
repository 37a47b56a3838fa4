import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PassRecords } from '../../../../src/relay/exchange/pass-records.js';

const REVEAL_MS = 400;
const VIEWERS = ['a', 'b', 'c', 'd'];

/** Passes nothing on until it rests. */
function fail(records: PassRecords, peer: string): void {
  while (records.reliable(VIEWERS).includes(peer)) records.noteStopped(peer, true);
}

/** Publishes windows until the peer is tried again; returns how many. */
function rest(records: PassRecords, peer: string): number {
  const from = records.windows;
  while (!records.reliable(VIEWERS).includes(peer)) records.windows += 1;
  return records.windows - from;
}

test('nothing is known of a stranger, and two pieces in vain are enough to pass it over', () => {
  const records = new PassRecords(REVEAL_MS);
  assert.is(records.of('a'), undefined);
  assert.equal(records.reliable(VIEWERS), VIEWERS);
  records.noteStopped('a', true);
  assert.ok(records.reliable(VIEWERS).includes('a'));
  records.noteStopped('a', true);
  assert.equal(records.reliable(VIEWERS), ['b', 'c', 'd']);
  assert.ok((records.of('a') ?? 1) < 0.5);
});

test('it rests twice as long each time, and as at first once it has passed on three in a row', () => {
  const records = new PassRecords(REVEAL_MS);
  const rests: number[] = [];
  for (let time = 0; time < 3; time++) {
    fail(records, 'a');
    rests.push(rest(records, 'a'));
  }
  assert.equal(rests, [16, 32, 64]);
  for (let piece = 0; piece < 3; piece++) records.notePassed('a', 100);
  fail(records, 'a');
  assert.is(rest(records, 'a'), 16);
});

test('patience follows what is usual, between one and ten times the time of a look-out', () => {
  const records = new PassRecords(REVEAL_MS);
  assert.is(records.patienceMs, REVEAL_MS);
  for (let piece = 0; piece < 100; piece++) records.notePassed('a', 1_000);
  assert.ok(Math.abs(records.patienceMs - 1_000) < 10, `${records.patienceMs}`);
  const beforeMs = records.patienceMs;
  records.noteStopped(undefined, false);
  assert.ok(records.patienceMs > beforeMs, 'it may be the time that is too short');
  const nowMs = records.patienceMs;
  records.noteStopped(undefined, true);
  assert.is(records.patienceMs, nowMs, 'no patience would have helped');
  for (let piece = 0; piece < 100; piece++) records.notePassed('a', 60_000);
  assert.is(records.patienceMs, 10 * REVEAL_MS);
});

test('the best of a swarm in trouble is not passed over, and two are always left', () => {
  const records = new PassRecords(REVEAL_MS);
  for (let piece = 0; piece < 16; piece++) for (const peer of VIEWERS) records.noteStopped(peer, false);
  assert.equal(records.reliable(VIEWERS), VIEWERS, 'all alike');
  for (let piece = 0; piece < 4; piece++) for (const peer of ['a', 'b']) records.notePassed(peer, 100);
  for (const peer of ['a', 'b']) {
    records.noteStopped(peer, false);
    records.noteStopped(peer, false);
  }
  assert.equal(records.reliable(VIEWERS), ['a', 'b']);
  const two = new PassRecords(REVEAL_MS);
  for (const peer of ['a', 'b', 'c']) {
    two.noteStopped(peer, true);
    two.noteStopped(peer, true);
  }
  assert.equal(two.reliable(VIEWERS), VIEWERS, 'fewer than two would be left');
});

test('who is gone is a stranger again', () => {
  const records = new PassRecords(REVEAL_MS);
  fail(records, 'a');
  records.drop('a');
  assert.is(records.of('a'), undefined);
  assert.equal(records.reliable(VIEWERS), VIEWERS);
});

test.run();

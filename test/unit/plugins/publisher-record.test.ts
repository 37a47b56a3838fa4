import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nameOf, PublisherRecord } from '../../../src/plugins/publisher-record.js';
import { MemoryLog } from '../../support/memory-log.js';

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

test('it counts whose windows were played, and when the last was', () => {
  const record = new PublisherRecord(new MemoryLog());
  record.noteWindow(key(1), 0);
  record.noteWindow(key(2), 500);
  record.noteWindow(key(1), 1_000);
  assert.equal(record.publishers(2_000), [
    { key: nameOf(key(2)), windows: 1, lastSeconds: 1.5 },
    { key: nameOf(key(1)), windows: 2, lastSeconds: 1 },
  ]);
});

test('it remembers a bounded number of publishers', () => {
  const record = new PublisherRecord(new MemoryLog());
  for (let byte = 0; byte < 100; byte++) record.noteWindow(key(byte), byte);
  assert.is(record.publishers(0).length, 16);
});

test('a conflict names both, is logged once a minute, and ends when it is not seen any more', () => {
  const log = new MemoryLog();
  const record = new PublisherRecord(log);
  assert.is(record.conflict(0), null);
  for (let nowMs = 0; nowMs < 70_000; nowMs += 3_000) record.noteConflict(nowMs / 500, [key(1), key(2)], nowMs);
  assert.is(log.complaints.length, 2);
  assert.ok(log.complaints[0]?.includes(nameOf(key(1))) && log.complaints[0].includes(nameOf(key(2))));
  assert.equal(record.conflict(70_000), { publishers: [nameOf(key(1)), nameOf(key(2))], window: 138 });
  assert.is(record.conflict(90_000), null);
});

test('another pair is told of at once', () => {
  const log = new MemoryLog();
  const record = new PublisherRecord(log);
  record.noteConflict(1, [key(1), key(2)], 0);
  record.noteConflict(2, [key(2), key(1)], 100);
  record.noteConflict(3, [key(1), key(3)], 200);
  assert.is(log.complaints.length, 2);
});

test.run();

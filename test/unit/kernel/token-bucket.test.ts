import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TokenBucket } from '../../../src/kernel/token-bucket.js';

test('a bucket without a limit never delays', () => {
  const bucket = new TokenBucket(0);
  bucket.take(1_000_000_000, 0);
  assert.is(bucket.delayMs(0), 0);
});

test('one take may overdraw, and the debt is paid before the next', () => {
  const bucket = new TokenBucket(1_000, 500);
  assert.is(bucket.delayMs(0), 0);
  bucket.take(1_500, 0);
  assert.is(bucket.delayMs(0), 1_001);
  assert.ok(bucket.delayMs(900) > 0);
  assert.is(bucket.delayMs(1_001), 0);
});

test('credit grows no further than the burst, and time that goes back gives none', () => {
  const bucket = new TokenBucket(1_000, 500);
  bucket.take(500, 0);
  bucket.take(0, 1_000_000);
  bucket.take(501, 1_000_000);
  assert.ok(bucket.delayMs(999_000) > 0);
});

test('over any stretch no more passes than the limit, one burst and one piece', () => {
  const steps = fc.array(fc.tuple(fc.nat({ max: 300 }), fc.integer({ min: 1, max: 400 })), { minLength: 5, maxLength: 60 });
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 10_000 }), fc.integer({ min: 1, max: 2_000 }), steps, (bytesPerSecond, burstBytes, moves) => {
      const bucket = new TokenBucket(bytesPerSecond, burstBytes);
      const taken: { atMs: number; bytes: number }[] = [];
      let nowMs = 0;
      for (const [afterMs, bytes] of moves) {
        nowMs += afterMs;
        if (bucket.delayMs(nowMs) > 0) continue;
        bucket.take(bytes, nowMs);
        taken.push({ atMs: nowMs, bytes });
      }
      for (const [index, { atMs }] of taken.entries()) {
        let sum = 0;
        for (const later of taken.slice(index)) {
          sum += later.bytes;
          assert.ok(sum <= (bytesPerSecond * (later.atMs - atMs)) / 1000 + burstBytes + 400 + 1);
        }
      }
    }),
  );
});

test.run();

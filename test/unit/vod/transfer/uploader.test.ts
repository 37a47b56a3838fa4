import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TokenBucket } from '../../../../src/kernel/token-bucket.js';
import { BLOCK_BYTES } from '../../../../src/vod/block.js';
import { DrivenTitle, eventsOf } from '../../../support/driven-title.js';

const RATE_BYTES_PER_SECOND = 4 * BLOCK_BYTES;

/** A title that is all here, with a neighbour that has asked for so many blocks. */
function asked(uplink: TokenBucket, blocks: number): DrivenTitle {
  const title = new DrivenTitle('all', { uplink });
  title.meet('taker', { kind: 'have-none' }, { kin: true });
  title.hear('taker', { kind: 'interested' });
  for (let block = 0; block < blocks; block++)
    title.hear('taker', { kind: 'request', piece: block >> 2, offsetBytes: (block & 3) * BLOCK_BYTES, lengthBytes: BLOCK_BYTES });
  return title;
}

/** Answers what it reads, and says how many blocks that were. */
function served(title: DrivenTitle): number {
  const reads = eventsOf(title.effects.splice(0), 'read-block');
  for (const { peer, piece, offsetBytes, lengthBytes } of reads)
    title.command({ kind: 'block-read', peer, piece, offsetBytes, lengthBytes, bytes: new Uint8Array(lengthBytes) });
  return reads.length;
}

/** Lets both timers run when they are due, in their order, for so long. */
function run(titles: readonly DrivenTitle[], forMs: number): number[] {
  const dueMs = titles.map(() => 0);
  const counts = titles.map(() => 0);
  const look = (index: number, atMs: number): void => {
    const title = titles[index] as DrivenTitle;
    for (const effect of title.effects) if (effect.kind === 'schedule' && effect.timer === 'upload') dueMs[index] = atMs + effect.delayMs;
    counts[index] = (counts[index] ?? 0) + served(title);
  };
  for (const index of titles.keys()) look(index, 0);
  for (let atMs = 1; atMs <= forMs; atMs++) {
    for (const [index, title] of titles.entries()) {
      title.nowMs = atMs;
      if (dueMs[index] !== atMs) continue;
      title.timer('upload');
      look(index, atMs);
    }
  }
  return counts;
}

test('titles that share a limited uplink take turns', () => {
  const uplink = new TokenBucket(RATE_BYTES_PER_SECOND);
  const [one = 0, other = 0] = run([asked(uplink, 64), asked(uplink, 64)], 10_000);
  assert.ok(one + other >= 39 && one + other <= 44, `${one} and ${other}`);
  assert.ok(Math.abs(one - other) <= 2, `${one} and ${other}`);
});

test('the limit holds for one title alone', () => {
  const [count = 0] = run([asked(new TokenBucket(RATE_BYTES_PER_SECOND), 76)], 15_000);
  assert.ok(count >= 59 && count <= 63, String(count));
});

test.run();

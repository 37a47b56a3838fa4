/** Records of titles under mutation: refused, or doubted where they are damaged; never is anything believed that the whole record does not say. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ProgressRecord, type RecordShape } from '../../src/io/titles/progress-record.js';
import { Malformed } from '../../src/kernel/errors.js';
import { Rng } from '../../src/kernel/rng.js';
import { corpusOf, forMutants } from '../support/mutation.js';
import { bytesOf, makeRecord, RECORD_SHAPES } from '../support/progress-records.js';

const NAMES = Object.keys(RECORD_SHAPES).sort();
const BUDGET_MS = 800;

/** Whether `damaged` says only what `whole` says, and doubts what it says no more. */
function assertNoMore(damaged: ProgressRecord, whole: ProgressRecord, { pieceCount, fileCount }: RecordShape): void {
  for (let piece = 0; piece < pieceCount; piece++) {
    if (damaged.hasPiece(piece)) assert.ok(whole.hasPiece(piece));
    if (damaged.isFlushed(piece)) assert.ok(whole.isFlushed(piece));
    if (whole.hasPiece(piece) && !damaged.hasPiece(piece)) assert.ok(damaged.doubtfulPieces.has(piece));
    for (let block = 0; block < damaged.blockCountOf(piece); block++)
      if (damaged.hasBlock(piece, block)) assert.ok(whole.hasBlock(piece, block));
  }
  for (let file = 0; file < fileCount; file++) if (damaged.file(file)) assert.equal(damaged.file(file), whole.file(file));
}

test('the corpus is what the code writes, and says what was written', () => {
  for (const [index, bytes] of corpusOf('progress-record').entries()) {
    const name = NAMES[index] ?? '';
    const record = makeRecord(name);
    assert.ok(Buffer.from(bytes).equals(bytesOf(record)), name);
    const decoded = ProgressRecord.decode(new Uint8Array(bytes), record.shape);
    assert.instance(decoded, ProgressRecord);
    assertNoMore(decoded as ProgressRecord, record, record.shape);
    assert.is((decoded as ProgressRecord).doubtfulPieces.size, 0);
  }
});

test('bytes that were cut, stretched or shuffled are refused or doubted', () => {
  const records = NAMES.map(makeRecord);
  forMutants('progress-record', 31, BUDGET_MS, (mutant) => {
    for (const whole of records) {
      const decoded = ProgressRecord.decode(new Uint8Array(mutant), whole.shape);
      if (decoded instanceof Malformed) assert.ok(decoded.reason.length > 0);
      else assertNoMore(decoded, whole, whole.shape);
    }
  });
});

test('lines that were damaged, torn, moved or taken from another record are doubted', () => {
  const rng = new Rng(32);
  const corpus = corpusOf('progress-record');
  let doubtedCount = 0;
  for (const endMs = performance.now() + BUDGET_MS; performance.now() < endMs; ) {
    const index = rng.below(NAMES.length);
    const whole = makeRecord(NAMES[index] ?? '');
    const bytes = new Uint8Array(corpus[index] ?? []);
    for (let count = 1 + rng.below(3); count > 0; count--) damage(bytes, corpus[rng.below(corpus.length)] ?? bytes, rng);
    const decoded = ProgressRecord.decode(bytes, whole.shape);
    if (decoded instanceof Malformed) continue;
    doubtedCount += decoded.doubtfulPieces.size;
    assertNoMore(decoded, whole, whole.shape);
  }
  assert.ok(doubtedCount > 0);
});

/** One of: a flipped bit, the rest of a line from elsewhere, a whole line from elsewhere, a blank line. */
function damage(bytes: Uint8Array, other: Uint8Array, rng: Rng): void {
  const line = rng.below(bytes.length / 64) * 64;
  const from = rng.below(other.length / 64) * 64;
  const kind = rng.below(4);
  const cut = kind === 1 ? rng.below(64) : 0;
  const at = line + rng.below(64);
  if (kind === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << rng.below(8));
  else if (kind === 3) bytes.fill(0, line, line + 64);
  else bytes.set(other.subarray(from + cut, from + 64), line + cut);
}

test.run();

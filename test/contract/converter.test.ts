/** A conversion with a real ffmpeg: what happens when its output cannot be read. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import { Converter } from '../../src/plugins/converter.js';
import { MemoryLog } from '../support/memory-log.js';
import { until } from '../support/until.js';

const PATTERN = 'testsrc=size=64x64:rate=25';
const WAIT_MS = 20_000;

test('an unreadable run is ended once, says so once, and a new run takes its place', async () => {
  const log = new MemoryLog();
  /** Chunks of each run, in order of the runs. */
  const runs: number[] = [];
  const converter = new Converter({
    name: 'the conversion under test',
    input: () => PATTERN,
    inputOptions: '-re -f lavfi',
    outputOptions: () => '-c:v flv1 -f flv -flush_packets 1',
    demand: () => 1,
    log,
    onStart: () => {
      runs.push(0);
    },
    onBytes: () => {
      runs[runs.length - 1] = (runs.at(-1) ?? 0) + 1;
      return runs.length === 1 && runs[0] === 3 ? new Malformed('a tag of no known kind') : undefined;
    },
  });
  try {
    await until('a second run that goes on', () => (runs[1] ?? 0) >= 10, WAIT_MS);
    assert.is(runs.length, 2, 'one new run');
    assert.is(runs[0], 3, 'nothing of the unreadable run is read after the fault');
    assert.equal(log.complaints, ["the conversion under test has ended: ffmpeg's output is unreadable: a tag of no known kind"]);
  } finally {
    await converter.stop();
  }
});

test.run();

/** The command `shoal sim --replay` on files: what it says of good ones, and what of those that are not for this version. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readTrace, replayLines } from '../../src/commands/replay.js';
import { nodeHasher, nodeVerifier } from '../../src/io/crypto.js';
import { LIVE_VERSION } from '../../src/relay/exchange/live-message.js';
import { traceHead } from '../../src/relay/trace/live-trace.js';
import { replayLive } from '../../src/sim/live-replay.js';
import { ORIGIN, RecordedViewer } from '../support/recorded-viewer.js';

const PORTS = { hasher: nodeHasher, verifier: nodeVerifier };
const test = suite<{ dir: string; path: string }>('replay');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'shoal-replay-'));
  context.path = join(context.dir, 'viewer.trace');
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

function refusal(path: string): string {
  try {
    readTrace(path);
  } catch (error) {
    return (error as Error).message;
  }
  return 'taken';
}

test('a good one is told in two lines', ({ path }) => {
  writeFileSync(path, new RecordedViewer().watchOneWindow());
  const trace = readTrace(path);
  const lines = replayLines(trace, replayLive(trace, PORTS));
  assert.is(lines.length, 2);
  assert.match(lines[0] ?? '', /^Recording of channel c0ffee.*: 17 steps over 0\.2 s; its end: stopped\.$/);
  assert.match(lines[1] ?? '', /^Replayed with equal effects: 17 steps over 0\.2 s \(.*1 connect.*\)\.$/);
});

test('a cut-off one says so', ({ path }) => {
  writeFileSync(path, new RecordedViewer().watchOneWindow().subarray(0, -60));
  const trace = readTrace(path);
  assert.match(replayLines(trace, replayLive(trace, PORTS))[0] ?? '', /its end: cut off, as that of a killed process is/);
});

test('a difference brings step, input and both lists of effects', ({ path }) => {
  writeFileSync(path, new RecordedViewer().watchOneWindow());
  const trace = readTrace(path);
  const lines = replayLines(trace, replayLive(trace, { ...PORTS, makeCore: () => ({ handle: () => [] }) }));
  assert.is(lines[2], 'Step 1, 0.000 ms after the first, is the first whose effects differ, in effect 1.');
  assert.is(lines[3], '  input     command start');
  assert.match(lines[4] ?? '', /^ {2}recorded {2}1 of \d+: schedule tick in \d+ ms$/);
  assert.is(lines.at(-1), '  replayed  no effects');
});

test('what another version recorded is refused with what is other', ({ path }) => {
  const refused = (origin: typeof ORIGIN): string => {
    writeFileSync(path, traceHead(origin));
    return refusal(path);
  };
  assert.is(refused(ORIGIN), 'taken');
  assert.match(refused({ ...ORIGIN, liveVersion: LIVE_VERSION + 1 }), /version \d+ of the live exchange, and this is version \d+/);
  assert.match(refused({ ...ORIGIN, parameters: { ...ORIGIN.parameters, ...{ warpFactor: 9 } } }), /does not have: warpFactor;/);
  const { tickMs, ...others } = ORIGIN.parameters;
  assert.ok(tickMs > 0);
  assert.match(refused({ ...ORIGIN, parameters: others as typeof ORIGIN.parameters }), /without the parameters tickMs;/);
});

test('a file that is not there is named', ({ path }) => {
  assert.match(refusal(path), /viewer\.trace: cannot be read: ENOENT/);
});

test('what is no file, or larger than any recording, is refused before it is read', ({ path }) => {
  assert.match(refusal('/dev/zero'), /it is no file;/);
  truncateSync(openedNew(path), 300 * 1024 * 1024);
  assert.match(refusal(path), /314572800 bytes are more than a recording has;/);
});

/** An empty file. */
function openedNew(path: string): string {
  writeFileSync(path, '');
  return path;
}

test.run();

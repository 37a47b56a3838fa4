import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../../src/kernel/errors.js';
import { decodeTrace, type LiveTrace } from '../../../../src/relay/trace/live-trace.js';
import { WALL_MS } from '../../../support/exchange-fixture.js';
import { MemorySink, RecordedViewer } from '../../../support/recorded-viewer.js';

function decoded(bytes: Uint8Array): LiveTrace {
  const trace = decodeTrace(bytes);
  if (trace instanceof Malformed) throw new Error(trace.reason);
  return trace;
}

test('each step is written with its time, its input and what it brought about', () => {
  const { steps, end } = decoded(new RecordedViewer().watchOneWindow());
  assert.is(end, 'stopped');
  assert.equal(
    steps.map(({ input }) => (input.kind === 'message' ? input.message.kind : input.kind)),
    [
      'command',
      'peer-up',
      'hello',
      'map',
      'peer-up',
      'hello',
      'map',
      'timer',
      'manifest',
      'piece',
      'piece',
      'piece',
      'timer',
      'request',
    ].concat(['peer-blocked', 'peer-drained', 'peer-down']),
  );
  assert.is(steps[0]?.nowMs, 1_000.123_456);
  assert.is(steps[0]?.wallMs, WALL_MS + 1_000);
  assert.ok((steps[0]?.effects.length ?? 0) > 0);
});

test('peers and their ids are numbers by their first appearance', () => {
  const { steps } = decoded(new RecordedViewer().watchOneWindow());
  const ups = steps.flatMap(({ input }) => (input.kind === 'peer-up' ? [[input.peer, input.peerId]] : []));
  assert.equal(ups, [
    ['c1', 'peer 2'],
    ['c3', 'peer 4'],
  ]);
});

test('a sink that takes no more ends the recording between two steps, and the exchange goes on', () => {
  const sink = new MemorySink(2_000);
  new RecordedViewer(sink).watchOneWindow();
  assert.is(sink.why, 'full');
  const { steps, end } = decoded(sink.bytes);
  assert.is(end, 'full');
  assert.ok(steps.length > 0 && steps.length < 17, `${steps.length} steps`);
});

test('what only a publisher is told ends the recording', () => {
  const viewer = new RecordedViewer();
  viewer.tell({ kind: 'command', command: { kind: 'start' } });
  viewer.tell({ kind: 'command', command: { kind: 'survey', count: 1 } });
  viewer.tell({ kind: 'timer', timer: 'tick' });
  const { steps, end } = decoded(viewer.sink.bytes);
  assert.equal([steps.length, end], [1, 'an input that traces do not carry: command']);
});

test('within a step the wall clock stands still', () => {
  const viewer = new RecordedViewer();
  viewer.tell({ kind: 'command', command: { kind: 'start' } });
  const wallMs = viewer.recorder.wallClockMs();
  viewer.nowMs += 5_000;
  assert.is(viewer.recorder.wallClockMs(), wallMs);
  viewer.tell({ kind: 'timer', timer: 'tick' });
  assert.ok(viewer.recorder.wallClockMs() >= wallMs + 5_000);
});

test.run();

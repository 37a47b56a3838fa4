import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../../src/kernel/errors.js';
import { decodeTrace, type LiveTrace, traceEnd, traceHead, traceStep } from '../../../../src/relay/trace/live-trace.js';
import { ORIGIN } from '../../../support/recorded-viewer.js';

const START = Uint8Array.of(0);
const HEAD = traceHead(ORIGIN);

function step(nowMs: number, input = START): Uint8Array {
  return traceStep({ nowMs, wallMs: 1_800_000_000_000, input, effects: [Uint8Array.of(1, 2), new Uint8Array(0)] });
}

function decoded(...parts: readonly Uint8Array[]): LiveTrace {
  const trace = decodeTrace(Buffer.concat(parts));
  if (trace instanceof Malformed) throw new Error(trace.reason);
  return trace;
}

function refusal(...parts: readonly Uint8Array[]): string {
  const trace = decodeTrace(Buffer.concat(parts));
  return trace instanceof Malformed ? trace.reason : 'taken';
}

test('origin, steps and end come back, times to the last digit', () => {
  const trace = decoded(HEAD, step(1_234.567_891_234), step(1_234.567_891_234), traceEnd('stopped'));
  assert.equal(trace.origin, ORIGIN);
  assert.is(trace.end, 'stopped');
  assert.is(trace.steps.length, 2);
  assert.is(trace.steps[0]?.nowMs, 1_234.567_891_234);
  assert.is(trace.steps[0]?.wallMs, 1_800_000_000_000);
  assert.equal(trace.steps[0]?.input, { kind: 'command', command: { kind: 'start' } });
  assert.equal(
    trace.steps[0]?.effects.map(({ length }) => length),
    [2, 0],
  );
});

test('of a file that was cut off what is whole counts', () => {
  const whole = Buffer.concat([HEAD, step(1), step(2)]);
  for (let cut = 1; cut < step(2).length; cut++) {
    const trace = decoded(whole.subarray(0, whole.length - cut));
    assert.equal([trace.steps.length, trace.end], [1, undefined]);
  }
});

test('what is no trace is refused with what is wrong', () => {
  assert.is(refusal(), 'it does not begin as a trace does');
  assert.is(refusal(Buffer.from('GIF89a and more')), 'it does not begin as a trace does');
  assert.is(refusal(Buffer.from('shoaltrace\x07')), 'a trace of version 7; this is for version 1');
  assert.match(refusal(HEAD.subarray(0, 11), step(1)), /what the core was built from is missing/);
  assert.is(refusal(HEAD, step(2), step(1)), 'step 2: time goes back, from 2 ms to 1 ms');
  assert.match(refusal(HEAD, step(Number.NaN)), /step 1: time goes back/);
  assert.is(refusal(HEAD, HEAD.subarray(11)), 'step 1: a record of unknown type 1 in its place');
  assert.is(refusal(HEAD, step(1), traceEnd('x'), step(2)), `${step(2).length} bytes behind its end`);
  assert.is(refusal(HEAD, step(1, Uint8Array.of(9, 0, 0, 0, 0))), 'step 1: input of unknown kind 9');
  assert.match(refusal(HEAD, Uint8Array.of(2, 0xff, 0, 0, 0)), /step 1: a record of 4278190080 bytes, at most/);
  assert.is(refusal(HEAD, Uint8Array.of(2, 0, 0, 0, 1, 7)), 'step 1: it is cut off');
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher, nodeVerifier } from '../../../src/io/crypto.js';
import { Malformed } from '../../../src/kernel/errors.js';
import { LiveExchange } from '../../../src/relay/exchange/live-exchange.js';
import type { LiveEffect } from '../../../src/relay/exchange/live-protocol.js';
import { decodeTrace, type LiveTrace } from '../../../src/relay/trace/live-trace.js';
import { type LiveCore, replayLive } from '../../../src/sim/live-replay.js';
import { RecordedViewer } from '../../support/recorded-viewer.js';

const PORTS = { hasher: nodeHasher, verifier: nodeVerifier };
const TRACE = recordedTrace();

function recordedTrace(): LiveTrace {
  const trace = decodeTrace(new RecordedViewer().watchOneWindow());
  if (trace instanceof Malformed) throw new Error(trace.reason);
  return trace;
}

/** The shipped core, but for what is made of its effects. */
function changed(change: (effects: readonly LiveEffect[], step: number) => readonly LiveEffect[]) {
  return replayLive(TRACE, {
    ...PORTS,
    makeCore: (options): LiveCore => {
      const core = new LiveExchange(options);
      let step = 0;
      return { handle: (input, nowMs) => change(core.handle(input, nowMs), ++step) };
    },
  });
}

test('a core that is told the same does the same', () => {
  const { equalSteps, equalEffects, spanMs, difference } = replayLive(TRACE, PORTS);
  assert.is(difference, undefined);
  assert.is(equalSteps, TRACE.steps.length);
  assert.ok(Math.abs(spanMs - 16 * 12.345) < 1e-6);
  assert.is(equalEffects['connect'], 1);
  assert.ok((equalEffects['send'] ?? 0) > 5);
});

test('the first effect that is missing, added or another is told, with both sides in words', () => {
  const missing = changed((effects, step) => (step === 8 ? effects.slice(1) : effects)).difference;
  assert.equal([missing?.step, missing?.effect, missing?.input], [8, 1, 'timer tick']);
  assert.is(missing?.recorded.length, (missing?.replayed.length ?? 0) + 1);
  const added = changed((effects, step) => (step === 8 ? [...effects, { kind: 'connect', want: 1 }] : effects)).difference;
  assert.is(added?.replayed.at(-1), 'connect: 1 wanted');
  assert.is(added?.effect, added?.replayed.length);
  const other = changed((effects, step) => (step === 1 ? [...effects.slice(0, -1), { kind: 'connect', want: 99 }] : effects)).difference;
  assert.equal([other?.step, other?.afterMs, other?.replayed.at(-1)], [1, 0, 'connect: 99 wanted']);
  assert.match(other?.recorded.at(-1) ?? '', /connect: \d wanted/);
});

test('a core that fails is a difference, not the end of the program', () => {
  const { difference } = changed((effects, step) => {
    if (step === 3) throw new Error('out of order');
    return effects;
  });
  assert.equal([difference?.step, difference?.replayed], [3, ['the core fails: out of order']]);
});

test('other times are noticed', () => {
  const late = { ...TRACE, steps: TRACE.steps.map((step) => ({ ...step, nowMs: step.nowMs * 1.5 })) };
  assert.ok(replayLive(late, PORTS).difference);
});

test.run();

/**
 * The command `shoal sim --replay`: tells the core what a real viewer's was told, and whether it does the same.
 */
import { readFileSync, statSync } from 'node:fs';
import { nodeHasher, nodeVerifier } from '../io/crypto.js';
import type { Terminal } from '../io/terminal.js';
import { Malformed, ShoalError } from '../kernel/errors.js';
import { LIVE_VERSION } from '../relay/exchange/live-message.js';
import { decodeTrace, type LiveTrace, TRACE_BYTES_MAX } from '../relay/trace/live-trace.js';
import { type Replay, type ReplayDifference, replayLive } from '../sim/live-replay.js';
import { shippedExchange } from './simulate.js';

/** Why it ended, which the bound on a recording does not count. */
const END_BYTES_MAX = 4_096;
/** Of a step's effects so many are shown; a step with more is shown from the one that differs. */
const SHOWN_EFFECTS = 12;

/** @returns the code to exit with: 1 when a step's effects are not the recorded ones. */
export function replayTrace(path: string, scenario: string | undefined, terminal: Terminal): number {
  if (scenario !== undefined)
    throw new ShoalError('SCENARIO_UNKNOWN', `a replay needs no scenario: "shoal sim --replay ${path}", without "${scenario}"`);
  const trace = readTrace(path);
  const replay = replayLive(trace, { hasher: nodeHasher, verifier: nodeVerifier });
  for (const line of replayLines(trace, replay)) terminal.line(line);
  return replay.difference === undefined ? 0 : 1;
}

/** @throws ShoalError `TRACE_MALFORMED`. */
export function readTrace(path: string): LiveTrace {
  const trace = decodeTrace(read(path));
  if (trace instanceof Malformed) throw malformed(path, trace.reason);
  const { liveVersion } = trace.origin;
  if (liveVersion !== LIVE_VERSION)
    throw malformed(path, `it was recorded with version ${liveVersion} of the live exchange, and this is version ${LIVE_VERSION}`);
  const [known, given] = [Object.keys(shippedExchange()), Object.keys(trace.origin.parameters)];
  const unknown = given.filter((name) => !known.includes(name));
  const missing = known.filter((name) => !given.includes(name));
  if (unknown.length > 0) throw malformed(path, `parameters that this version does not have: ${unknown.slice(0, 5).join(', ')}`);
  if (missing.length > 0) throw malformed(path, `it was recorded by a version without the parameters ${missing.join(', ')}`);
  return trace;
}

export function replayLines(trace: LiveTrace, { equalSteps, equalEffects, spanMs, difference }: Replay): readonly string[] {
  const ending = trace.end === undefined ? 'cut off, as that of a killed process is' : trace.end;
  const effects = Object.entries(equalEffects).map(([kind, count]) => `${count} ${kind}`);
  return [
    `Recording of channel ${trace.origin.channel}: ${trace.steps.length} steps over ${seconds(spanOf(trace))}; its end: ${ending}.`,
    `Replayed with equal effects: ${equalSteps} steps over ${seconds(spanMs)} (${effects.join(', ') || 'no effects'}).`,
    ...(difference === undefined ? [] : differenceLines(difference)),
  ];
}

function differenceLines({ step, afterMs, input, effect, recorded, replayed }: ReplayDifference): readonly string[] {
  return [
    `Step ${step}, ${afterMs.toFixed(3)} ms after the first, is the first whose effects differ, in effect ${effect}.`,
    `  input     ${input}`,
    ...effectLines('recorded', recorded, effect),
    ...effectLines('replayed', replayed, effect),
  ];
}

function effectLines(title: string, effects: readonly string[], effect: number): readonly string[] {
  const from = effects.length > SHOWN_EFFECTS ? Math.max(0, Math.min(effect, effects.length) - 1) : 0;
  const shown = effects.slice(from, from + SHOWN_EFFECTS);
  const lines = shown.map((words, index) => `  ${title}  ${from + index + 1} of ${effects.length}: ${words}`);
  return lines.length > 0 ? lines : [`  ${title}  no effects`];
}

function read(path: string): Uint8Array {
  try {
    const file = statSync(path);
    if (!file.isFile()) throw malformed(path, 'it is no file');
    if (file.size > TRACE_BYTES_MAX + END_BYTES_MAX) throw malformed(path, `${file.size} bytes are more than a recording has`);
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof ShoalError) throw cause;
    throw new ShoalError('TRACE_MALFORMED', `${path}: cannot be read: ${(cause as NodeJS.ErrnoException).code}`, { path }, { cause });
  }
}

function malformed(path: string, reason: string): ShoalError {
  const right = 'a file that "shoal watch --record-trace" of this version wrote can be replayed';
  return new ShoalError('TRACE_MALFORMED', `${path}: ${reason}; ${right}`, { path });
}

function spanOf({ steps }: LiveTrace): number {
  return (steps.at(-1)?.nowMs ?? 0) - (steps[0]?.nowMs ?? 0);
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}

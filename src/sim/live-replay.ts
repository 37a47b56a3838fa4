/**
 * Replays a recorded viewer: the shipped core is told the same at the same times of a virtual clock, and ought to do the same.
 *
 * Nothing is compared behind the first difference: from there on the two cores know different things.
 */

import { sameBytes } from '../kernel/bytes.js';
import type { Hasher, Verifier } from '../kernel/ports.js';
import type { Protocol } from '../kernel/protocol.js';
import type { ConnectionId, Milliseconds } from '../kernel/units.js';
import type { LiveExchangeOptions } from '../relay/exchange/exchange-context.js';
import { type LiveCommand, type LiveEvent, LiveExchange, type LiveTimer } from '../relay/exchange/live-exchange.js';
import type { LiveMessage } from '../relay/exchange/live-message.js';
import type { LiveTrace, TraceStep } from '../relay/trace/live-trace.js';
import { encodeEffect, kindOfEffect, wordsOfEffect } from '../relay/trace/trace-effect.js';
import { type PeerNumber, wordsOfInput } from '../relay/trace/trace-input.js';
import { exchangeOptions } from '../relay/trace/trace-origin.js';
import { VirtualClock } from './virtual-clock.js';

export type LiveCore = Protocol<LiveMessage, LiveCommand, LiveEvent, LiveTimer>;

export interface ReplayPorts {
  readonly hasher: Hasher;
  readonly verifier: Verifier;
  /** The shipped core; tests give others, to see that they are noticed. */
  readonly makeCore?: (options: LiveExchangeOptions) => LiveCore;
}

/** The first step whose effects are not the recorded ones. */
export interface ReplayDifference {
  /** Counted from 1. */
  readonly step: number;
  /** Since the first step. */
  readonly afterMs: Milliseconds;
  readonly input: string;
  /** Which effect of the step differs, counted from 1; the first of the two that is missing or another. */
  readonly effect: number;
  readonly recorded: readonly string[];
  readonly replayed: readonly string[];
}

export interface Replay {
  /** Steps with equal effects. */
  readonly equalSteps: number;
  /** Effects in them, by kind. */
  readonly equalEffects: Readonly<Record<string, number>>;
  /** Time between the first and the last step that were replayed. */
  readonly spanMs: Milliseconds;
  readonly difference: ReplayDifference | undefined;
}

export function replayLive(trace: LiveTrace, { hasher, verifier, makeCore = (options) => new LiveExchange(options) }: ReplayPorts): Replay {
  const clock = new VirtualClock();
  const startMs = trace.steps[0]?.nowMs ?? 0;
  let wallMs = trace.steps[0]?.wallMs ?? 0;
  const core = makeCore(exchangeOptions(trace.origin, { hasher, verifier, wallClockMs: () => wallMs }));
  const equalEffects: Record<string, number> = {};
  for (const [index, step] of trace.steps.entries()) {
    clock.runUntil(step.nowMs);
    wallMs = step.wallMs;
    const effects = effectsOf(core, step, clock.nowMs(), hasher);
    const at = firstDifference(step.effects, effects);
    if (at !== undefined) {
      const difference = {
        step: index + 1,
        afterMs: step.nowMs - startMs,
        input: wordsOfInput(step.input),
        effect: at + 1,
        recorded: step.effects.map(wordsOfEffect),
        replayed: typeof effects === 'string' ? [effects] : effects.map(wordsOfEffect),
      };
      return { equalSteps: index, equalEffects, spanMs: step.nowMs - startMs, difference };
    }
    for (const effect of step.effects) {
      const kind = kindOfEffect(effect);
      equalEffects[kind] = (equalEffects[kind] ?? 0) + 1;
    }
  }
  return { equalSteps: trace.steps.length, equalEffects, spanMs: clock.nowMs() - startMs, difference: undefined };
}

/** As they would have been recorded; words when the core could not go on. */
function effectsOf(core: LiveCore, { input }: TraceStep, nowMs: Milliseconds, hasher: Hasher): readonly Uint8Array[] | string {
  try {
    return core.handle(input, nowMs).map((effect) => encodeEffect(effect, numberOf, hasher));
  } catch (error) {
    return `the core fails: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function firstDifference(recorded: readonly Uint8Array[], replayed: readonly Uint8Array[] | string): number | undefined {
  if (typeof replayed === 'string') return 0;
  const at = recorded.findIndex((bytes, index) => !sameBytes(bytes, replayed[index] ?? new Uint8Array(0)));
  if (at >= 0) return at;
  return replayed.length > recorded.length ? recorded.length : undefined;
}

/** Replayed connections are named by their numbers. */
function numberOf(peer: ConnectionId): PeerNumber {
  return Number(peer.slice(1));
}

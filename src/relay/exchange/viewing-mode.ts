/**
 * What a viewer wants more: little delay, or a picture that never stops.
 *
 * The exchange hands windows on as soon as they are here, so the delay it adds itself never creeps; what creeps is the reserve in a player, which grows by every
 * stall. Players that can change their speed get a reserve to aim at and may play a trifle faster until they have come down to it.
 */
import type { Milliseconds } from '../../kernel/units.js';

export type ViewingMode = 'low-delay' | 'balanced' | 'robust';

export const VIEWING_MODES: readonly ViewingMode[] = ['low-delay', 'balanced', 'robust'];

/** For players that can: how much media to keep, and how to come back to it. */
export interface Pacing {
  /** Reserve to aim at. */
  readonly targetMs: Milliseconds;
  /** Above this reserve the player plays faster until it is at the target. */
  readonly maxMs: Milliseconds;
  /** How much faster at most; 1.1 goes unnoticed in speech and music. */
  readonly rateMax: number;
  /** Above this reserve it is better to jump than to catch up. */
  readonly jumpMs: Milliseconds;
}

/** How far behind the newest media a viewer starts, where a key frame allows it. */
export function startLagOf(mode: ViewingMode): Milliseconds {
  return PRESETS[mode].startLagMs;
}

export function pacingOf(mode: ViewingMode): Pacing {
  return PRESETS[mode].pacing;
}

/**
 * Windows come in bursts of half a second, so no player can do with less than that and a little. What each mode brings: `shoal sim live-modes`,
 * docs/live-exchange-algorithm.md.
 */
const PRESETS: Readonly<Record<ViewingMode, { readonly startLagMs: Milliseconds; readonly pacing: Pacing }>> = {
  'low-delay': { startLagMs: 0, pacing: { targetMs: 800, maxMs: 1_500, rateMax: 1.1, jumpMs: 4_000 } },
  balanced: { startLagMs: 1_000, pacing: { targetMs: 1_600, maxMs: 2_600, rateMax: 1.1, jumpMs: 8_000 } },
  robust: { startLagMs: 4_000, pacing: { targetMs: 4_500, maxMs: 6_500, rateMax: 1.05, jumpMs: 16_000 } },
};

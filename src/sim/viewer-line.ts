/**
 * The line of a simulated viewer of a live channel: what it passes up and down, and what Shoal's own limiter makes of it.
 *
 * Drawn by the world's seed and the viewer's number alone. Who has a weak line is no matter of chance: parts stay as the scenario says, whoever leaves and comes.
 */
import type { BytesPerSecond } from '../kernel/units.js';
import { between, namedRng } from './chance.js';
import type { JoinOptions } from './live-world.js';
import type { LiveScenario } from './scenario.js';

/** @param number of the viewer, in the order in which they come. */
export function viewerLine(
  { channel, viewers }: Pick<LiveScenario, 'channel' | 'viewers'>,
  seed: number,
  number: number,
): Required<Pick<JoinOptions, 'line' | 'upLimitBytesPerSecond'>> {
  const rng = namedRng(seed, `line viewer ${number}`);
  const isWeak = Math.floor((number + 1) * viewers.weakRatio) > Math.floor(number * viewers.weakRatio);
  const upBytesPerSecond = between(rng, isWeak ? viewers.weakUpBitsPerSecond : viewers.upBitsPerSecond) / 8;
  const downBytesPerSecond = between(rng, viewers.downBitsPerSecond) / 8;
  return {
    line: { upBytesPerSecond, downBytesPerSecond },
    upLimitBytesPerSecond: narrower((channel.bitsPerSecond / 8) * viewers.upRatio, upBytesPerSecond * viewers.upLimitRatio),
  };
}

/** Of two limits, where 0 is none. */
function narrower(one: BytesPerSecond, other: BytesPerSecond): BytesPerSecond {
  return one === 0 || other === 0 ? Math.max(one, other) : Math.min(one, other);
}

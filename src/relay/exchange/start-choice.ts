/**
 * Where a viewer begins, and where it goes on after a gap that cannot be filled: chosen from what neighbours claim, none of whom is believed alone
 * while there are others to ask.
 */
import type { WindowNumber } from '../../kernel/units.js';
import type { BufferMap } from './buffer-map.js';
import type { LiveParameters } from './live-parameters.js';

/**
 * The newest window that more than one neighbour has heard of, or that the owner's signature vouches for; one liar cannot move it. With one neighbour
 * alone, that one is believed.
 *
 * @param verified the newest window whose manifest is here.
 */
export function newestWindow(maps: readonly BufferMap[], verified: WindowNumber | undefined): WindowNumber | undefined {
  let first = -1;
  let second = -1;
  for (const { head = -1 } of maps) {
    second = Math.max(second, Math.min(first, head));
    first = Math.max(first, head);
  }
  const heard = second >= 0 ? second : first;
  return heard < 0 ? verified : Math.max(heard, verified ?? 0);
}

/**
 * The best window to begin at, none newer than `newestWindow`: the newest with a key frame that lies `startLagMs` behind the newest media, else the oldest with one; held whole by at
 * least `witnesses` neighbours. Undefined when there is none.
 *
 * @param above only windows above this number.
 */
export function chooseStart(
  maps: readonly BufferMap[],
  { above, witnesses, parameters }: { readonly above: WindowNumber; readonly witnesses: number; readonly parameters: LiveParameters },
): WindowNumber | undefined {
  const newest = newestWindow(maps, undefined) ?? above;
  const whole = new Map<WindowNumber, number>();
  const keys = new Map<WindowNumber, number>();
  for (const map of maps) {
    for (const number of map.numbers()) {
      if (number <= above || number > newest || !map.holdsAll(number)) continue;
      whole.set(number, (whole.get(number) ?? 0) + 1);
      if (map.get(number)?.key) keys.set(number, (keys.get(number) ?? 0) + 1);
    }
  }
  const witnessed = [...whole].flatMap(([number, count]) => (count >= witnesses ? [number] : [])).sort((a, b) => b - a);
  const target = (witnessed[0] ?? 0) - Math.round(parameters.startLagMs / parameters.windowMs);
  const starts = witnessed.filter((number) => (keys.get(number) ?? 0) >= witnesses);
  return starts.find((number) => number <= target) ?? starts.at(-1);
}

/**
 * The oldest window with a key frame that anybody holds anything of, for a stream that has only just begun: nobody holds a window whole before somebody
 * has asked for its parts.
 */
export function firstInPart(maps: readonly BufferMap[], above: WindowNumber): WindowNumber | undefined {
  const newest = newestWindow(maps, undefined) ?? above;
  let first: WindowNumber | undefined;
  for (const map of maps) {
    for (const number of map.numbers())
      if (number > above && number <= newest && map.get(number)?.key) first = Math.min(first ?? number, number);
  }
  return first;
}

/**
 * The last resort, when what two have heard of offers no start: one neighbour's word, first that of whoever is the least ahead of the others. Somebody is
 * ahead of viewers that have not started themselves.
 */
export function chooseFromOne(maps: readonly BufferMap[], above: WindowNumber, parameters: LiveParameters): WindowNumber | undefined {
  for (const map of maps.toSorted((a, b) => (a.head ?? 0) - (b.head ?? 0))) {
    const start = chooseStart([map], { above, witnesses: 1, parameters }) ?? firstInPart([map], above);
    if (start !== undefined) return start;
  }
  return undefined;
}

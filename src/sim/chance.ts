/**
 * Draws for the simulator: generators by name, and distributions that give the same numbers on every machine.
 *
 * A generator belongs to a name (a node, a link, a purpose) and the world's seed, so that one more node changes nobody else's luck. Only
 * addition, multiplication, division and square root are used: those IEEE 754 fixes to the last bit, `Math.log` and its like it does not.
 */
import { Rng } from '../kernel/rng.js';

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
/** Terms of the series below; the arguments are small enough for each to reach the last bit. */
const LOG_TERMS = 15;
const EXP_TERMS = 18;

/** The generator of one name in the world of one seed. */
export function namedRng(seed: number, name: string): Rng {
  let hash = (FNV_OFFSET ^ Math.imul(seed >>> 0, 0x9e3779b1)) >>> 0;
  for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), FNV_PRIME) >>> 0;
  return new Rng(hash);
}

/** Uniform between the two. */
export function between(rng: Rng, [low, high]: readonly [number, number]): number {
  return low + rng.float() * (high - low);
}

/** Exponential: the time to the next of events that come at random, `mean` apart. */
export function exponential(rng: Rng, mean: number): number {
  return -mean * naturalLog(1 - rng.float());
}

/** Normal with mean 0 and deviation 1 (polar method of Marsaglia). */
export function normal(rng: Rng): number {
  for (;;) {
    const x = 2 * rng.float() - 1;
    const y = 2 * rng.float() - 1;
    const square = x * x + y * y;
    if (square > 0 && square < 1) return x * Math.sqrt((-2 * naturalLog(square)) / square);
  }
}

/** Log-normal with this median; `sigma` is the deviation of its logarithm. */
export function logNormal(rng: Rng, median: number, sigma: number): number {
  return median * exponentialOf(sigma * normal(rng));
}

/** So many of them, in random order. */
export function sample<Item>(rng: Rng, items: readonly Item[], count: number): Item[] {
  const rest = [...items];
  const taken: Item[] = [];
  while (rest.length > 0 && taken.length < count) {
    const at = rng.below(rest.length);
    taken.push(rest[at] as Item);
    rest[at] = rest[rest.length - 1] as Item;
    rest.pop();
  }
  return taken;
}

/**
 * So many of them, each drawn from what the draws before left over, in the order of the list. Costs by how many are drawn, not by how many there are to draw from.
 */
export function draw<Item>(rng: Rng, items: readonly Item[], count: number): Item[] {
  /** Where in the list those lie that have been drawn, ascending. */
  const drawn: number[] = [];
  const taken: Item[] = [];
  while (taken.length < count && taken.length < items.length) {
    let at = rng.below(items.length - taken.length);
    let before = 0;
    for (; before < drawn.length && (drawn[before] as number) <= at; before++) at += 1;
    drawn.splice(before, 0, at);
    taken.push(items[at] as Item);
  }
  return taken;
}

/** ln x for x > 0, within a few units of the last place. */
export function naturalLog(x: number): number {
  let mantissa = x;
  let exponent = 0;
  for (; mantissa > Math.SQRT2; exponent++) mantissa /= 2;
  for (; mantissa < Math.SQRT1_2; exponent--) mantissa *= 2;
  const ratio = (mantissa - 1) / (mantissa + 1);
  const square = ratio * ratio;
  let sum = 0;
  for (let term = LOG_TERMS; term >= 0; term--) sum = sum * square + 1 / (2 * term + 1);
  return exponent * Math.LN2 + 2 * ratio * sum;
}

/** e to the power x. */
export function exponentialOf(x: number): number {
  const whole = Math.round(x / Math.LN2);
  const rest = x - whole * Math.LN2;
  let sum = 1;
  for (let term = EXP_TERMS; term >= 1; term--) sum = 1 + (rest * sum) / term;
  for (let index = 0; index < Math.abs(whole); index++) sum = whole > 0 ? sum * 2 : sum / 2;
  return sum;
}

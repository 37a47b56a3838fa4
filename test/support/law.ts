/** Runs a property and says in a few lines what broke it: the assertion, the seed and path to repeat it, and the smallest example. */
import fc from 'fast-check';

const EXAMPLE_CHARACTERS_MAX = 2_000;
/** To make an example smaller may take minutes, and a run that is killed meanwhile says nothing at all: the smallest so far will do. */
const SHRINKING_MS_MAX = 60_000;

export function assertLaw<Values extends unknown[]>(property: fc.IProperty<Values>, parameters: fc.Parameters<Values>): void {
  const outcome = fc.check(property, { interruptAfterTimeLimit: SHRINKING_MS_MAX, ...parameters }) as fc.RunDetails<Values>;
  if (!outcome.failed) return;
  const { errorInstance, seed, counterexamplePath, counterexample } = outcome;
  const error = errorInstance instanceof Error ? errorInstance : new Error(String(errorInstance));
  const example = JSON.stringify(counterexample).slice(0, EXAMPLE_CHARACTERS_MAX);
  throw new Error(`${error.message}\nseed ${seed}, path "${counterexamplePath?.slice(0, 400)}"\n${example}`, { cause: error });
}

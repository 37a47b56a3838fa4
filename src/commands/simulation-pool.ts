/**
 * Runs worlds on several threads at once. What each brings depends on its seed alone, so how many threads there are changes nothing but the time.
 */
import { Worker } from 'node:worker_threads';
import type { Outcome } from '../sim/figure.js';
import type { Ran, Run } from '../sim/simulation.js';

/**
 * A world makes garbage at every step and lets all messages on their way live for a tenth of a second: where the young have little room, those are copied again and again.
 * Young: 144 MB instead of 48 takes half of the collector's time. Old: for the 10,000 viewers of `live-ten-thousand`.
 */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 144, maxOldGenerationSizeMb: 12_288 };

/** @param onRan is given what each run brought, in the order in which they end. @throws what a world threw; the others are ended then. */
export async function runAll(
  runs: readonly Run[],
  threadCount: number,
  exchange: Readonly<Record<string, number>>,
  onRan: (ran: Ran) => void,
): Promise<void> {
  const waiting = [...runs];
  const workers = Array.from(
    { length: Math.min(threadCount, runs.length) },
    () => new Worker(new URL('./simulation-worker.js', import.meta.url), { resourceLimits: RESOURCE_LIMITS }),
  );
  try {
    await Promise.all(
      workers.map(async (worker) => {
        for (let run = waiting.shift(); run; run = waiting.shift()) {
          onRan({ run, outcome: await answer(worker, { run, exchange }) });
        }
      }),
    );
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function answer(worker: Worker, question: unknown): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      worker.off('message', onMessage).off('error', onError);
    };
    const onMessage = (outcome: Outcome): void => {
      settle();
      resolve(outcome);
    };
    const onError = (error: Error): void => {
      settle();
      reject(error);
    };
    worker.on('message', onMessage).on('error', onError);
    worker.postMessage(question);
  });
}

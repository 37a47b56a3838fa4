/**
 * What has to be run for a scenario, and one run of it, whatever its kind.
 */
import type { Hasher, Signer, Verifier } from '../kernel/ports.js';
import type { Milliseconds } from '../kernel/units.js';
import type { Outcome } from './figure.js';
import { runLive } from './live-run.js';
import type { Scenario } from './scenario.js';
import type { NamedScenario } from './scenario-file.js';
import { runVod } from './vod-run.js';

/** What a world needs from outside. */
export interface SimulationPorts {
  /** Of the real clock: how long a run took is told beside what came of it. */
  readonly nowMs: () => Milliseconds;
  readonly hasher: Hasher;
  readonly verifier: Verifier;
  /** A signer for a private key. */
  readonly signer: (seed: Uint8Array) => Signer;
  /** The options of the exchange in force, by name; for live worlds. */
  readonly exchange: Readonly<Record<string, number>>;
}

export interface Run {
  readonly variant: string;
  readonly scenario: Scenario;
  readonly seed: number;
}

/** What a run brought. */
export interface Ran {
  readonly run: Run;
  readonly outcome: Outcome;
}

/** Every variant with every seed; the variants of one seed lie together, so that an early end leaves whole pairs. */
export function runsOf({ variants }: NamedScenario, firstSeed: number, seedCount: number): Run[] {
  return Array.from({ length: seedCount }, (_, index) => firstSeed + index).flatMap((seed) =>
    variants.map(({ name, scenario }) => ({ variant: name, scenario, seed })),
  );
}

/** @param onLine is given the lines of the log, for a file in which two runs can be compared. */
export function runScenario({ scenario, seed }: Run, ports: SimulationPorts, onLine?: (line: string) => void): Outcome {
  return scenario.kind === 'vod' ? runVod(scenario, seed, ports.nowMs, { onLine }) : runLive(scenario, seed, ports, onLine);
}

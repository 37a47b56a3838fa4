/**
 * A thread that runs worlds: takes runs one after the other, answers with what each brought.
 */
import { parentPort } from 'node:worker_threads';
import { type Run, runScenario } from '../sim/simulation.js';
import { simulationPorts } from './simulation-ports.js';

parentPort?.on('message', ({ run, exchange }: { readonly run: Run; readonly exchange: Readonly<Record<string, number>> }) => {
  parentPort?.postMessage(runScenario(run, simulationPorts(exchange)));
});

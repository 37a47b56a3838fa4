/**
 * `npm run baselines [part of a name]`: set-up, then a report of each small scenario, recorded for `npm test` to compare with.
 *
 * All of `test/sim/scenarios`, or those whose name contains the word; options (`npm run baselines -- --threads 1`) are passed on to `shoal sim`. To be run when a change is
 * meant to move figures, or a figure is new: some minutes.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ROOT, setUp } from './setup.mjs';

/** How much figures differ by chance is known from these alone; `npm test` runs three. */
const SEEDS = 16;
const FOLDER = join(ROOT, 'test', 'sim');
const ENDING = '.json5';

const words = process.argv.slice(2);
const part = words[0]?.startsWith('-') ? '' : (words.shift() ?? '');
const names = readdirSync(join(FOLDER, 'scenarios'))
  .filter((file) => file.endsWith(ENDING))
  .map((file) => basename(file, ENDING))
  .filter((name) => name.includes(part))
  .sort();
try {
  if (names.length === 0) throw new Error(`no small scenario is called "${part}"`);
  await setUp('build');
  for (const name of names) record(name);
} catch (error) {
  process.stderr.write(`baselines: ${error.message}\n`);
  process.exitCode = 1;
}

function record(name) {
  const [scenario, report] = [join(FOLDER, 'scenarios', name + ENDING), join(FOLDER, 'baselines', `${name}.json`)];
  const command = [join(ROOT, 'bin', 'shoal.mjs'), 'sim', scenario, '--seeds', String(SEEDS), '--json', report, ...words];
  const { status } = spawnSync(process.execPath, command, { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${name} ended with exit code ${status}`);
}

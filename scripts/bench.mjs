/**
 * `npm run bench [name]`: set-up, then the measurement of that name, or all of them one after the other.
 *
 * Each is a compiled file of `bench/` that prints its own figures; words after the name are passed on to it, and options (`npm run bench --
 * --markdown`) to all.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ROOT, setUp } from './setup.mjs';

const words = process.argv.slice(2);
const wanted = words[0]?.startsWith('-') ? undefined : words.shift();
// Only the folder itself: what measurements share lies in folders below it.
const names = readdirSync(join(ROOT, 'bench'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => basename(name, '.ts'));
if (wanted && !names.includes(wanted)) {
  process.stderr.write(`bench: there is no "${wanted}"; there are: ${names.join(', ') || 'none'}\n`);
  process.exit(1);
}
try {
  await setUp('test');
  for (const name of wanted ? [wanted] : names) await run(name);
} catch (error) {
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
}

function run(name) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(ROOT, 'dist', 'bench', `${name}.js`), ...words], { cwd: ROOT, stdio: 'inherit' });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${name} ended with exit code ${code}`))));
  });
}

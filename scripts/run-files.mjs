/**
 * Runs compiled uvu test files, one after the other, in this process. Called by test.mjs, never by hand.
 *
 * A file that cannot be loaded, or that forgets `test.run()`, ends the run with an error instead of passing silently.
 */
import { pathToFileURL } from 'node:url';

globalThis.UVU_DEFER = 1;
const { exec, test } = await import('uvu');
const { before } = test;
// uvu keeps to itself why there was nothing to test.
test.before = Object.assign(
  (prepare) =>
    before(async (state) => {
      try {
        await prepare(state);
      } catch (error) {
        process.stdout.write(`\nbefore the tests: ${error?.stack ?? error}\n`);
        throw error;
      }
    }),
  { each: before.each },
);
for (const [index, file] of process.argv.slice(2).entries()) {
  globalThis.UVU_INDEX = index;
  globalThis.UVU_QUEUE.push([file.replace(/^.*\/dist\/test\//, '')]);
  await import(pathToFileURL(file).href);
  if (globalThis.UVU_QUEUE[index].length < 2) throw new Error(`${file} registers no tests: test.run() is missing`);
}
await exec();

/** Names under mutation: whatever comes in, what comes out stays in its folder, fits, and is nobody else's. */
import { posix, win32 } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import { PathNames, safePath } from '../../src/vod/safe-path.js';
import { forMutants } from '../support/mutation.js';

function assertSafe(component: string): void {
  assert.ok(component.length > 0 && Buffer.byteLength(component) <= 255, JSON.stringify(component));
  assert.not.match(component, /[/\\\p{Cc}\u202a-\u202e\u2066-\u2069]|[. ]$|^\.{1,2}$/u);
  assert.is(posix.basename(posix.join('/root', component)), component);
  assert.is(win32.dirname(win32.join('C:\\root', component)).toLowerCase(), 'c:\\root');
}

test('mutated names never leave their folder and are never given twice', () => {
  let claimedCount = 0;
  forMutants('safe-path', 20_260_903, 600, (mutant) => {
    const names = new PathNames();
    const given = new Set<string>();
    const folders = new Set<string>();
    for (const line of Buffer.from(mutant).toString('utf8').split('\n').slice(0, 64)) {
      const safe = safePath(line.split('/'));
      if (safe instanceof Malformed) continue;
      const path = names.claim(safe);
      path.forEach(assertSafe);
      const key = path.join('/').normalize('NFC').toLowerCase();
      assert.not(given.has(key), `given twice: ${key}`);
      given.add(key);
      for (let depth = 1; depth < path.length; depth++) folders.add(path.slice(0, depth).join('/').normalize('NFC').toLowerCase());
      claimedCount++;
    }
    for (const folder of folders) assert.not(given.has(folder), `both a file and a folder: ${folder}`);
  });
  assert.ok(claimedCount > 1000);
});

test.run();

/** The system clock keeps the promises of the `Clock` port. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/io/system-clock.js';

test('a task runs once, not before its delay has passed', async () => {
  const startedMs = systemClock.nowMs();
  let runCount = 0;
  await new Promise<void>((resolve) => {
    systemClock.schedule(() => {
      runCount++;
      resolve();
    }, 20);
  });
  // Node's timers count whole milliseconds, so one may fire up to a millisecond early by this clock.
  assert.ok(systemClock.nowMs() - startedMs >= 19);
  assert.is(runCount, 1);
});

test('a cancelled task never runs', async () => {
  let ran = false;
  const cancel = systemClock.schedule(() => {
    ran = true;
  }, 5);
  cancel();
  await new Promise<void>((resolve) => {
    systemClock.schedule(resolve, 20);
  });
  assert.not.ok(ran);
});

test('a delay beyond what Node can hold does not fire at once', async () => {
  let ran = false;
  const cancel = systemClock.schedule(() => {
    ran = true;
  }, Number.MAX_SAFE_INTEGER);
  await new Promise<void>((resolve) => {
    systemClock.schedule(resolve, 15);
  });
  cancel();
  assert.not.ok(ran);
});

test.run();

/** The system clock keeps the promises of the `Clock` port. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
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

/** Something arrives at a socket, then the process does not run for longer than any task wants to wait. */
async function standStill(onData: () => void): Promise<void> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  const read = once(near.on('data', onData), 'data');
  await new Promise<void>((resolve) => {
    // Timers come next, where an immediate ends.
    setImmediate(() => {
      far.write('answer');
      const untilMs = performance.now() + 100;
      while (performance.now() < untilMs);
      resolve();
    });
  });
  await read;
  await new Promise((resolve) => setImmediate(resolve));
  for (const socket of [near, far]) socket.destroy();
  server.close();
}

test('after the process has stood still, what has arrived is read before tasks that are late', async () => {
  const order: string[] = [];
  systemClock.schedule(() => order.push('task'), 20);
  await standStill(() => order.push('answer'));
  assert.equal(order, ['answer', 'task']);
});

test('what has arrived may cancel a task that is late', async () => {
  const order: string[] = [];
  const cancel = systemClock.schedule(() => order.push('task'), 20);
  await standStill(() => {
    order.push('answer');
    cancel();
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(order, ['answer']);
});

test.run();

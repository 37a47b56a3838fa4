import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rng } from '../../../src/kernel/rng.js';
import { Task, VirtualClock } from '../../../src/sim/virtual-clock.js';

test('tasks run by time, then in the order they were scheduled', () => {
  const clock = new VirtualClock();
  const ran: string[] = [];
  clock.schedule(() => ran.push('late'), 20);
  clock.schedule(() => ran.push('first'), 10);
  clock.schedule(() => ran.push('second'), 10);
  clock.schedule(() => ran.push('never'), 31);
  clock.schedule(() => ran.push('cancelled'), 5)();
  clock.runUntil(30);
  assert.equal(ran, ['first', 'second', 'late']);
  assert.is(clock.nowMs(), 30);
});

test('a task sees its own time, and may schedule another for at once', () => {
  const clock = new VirtualClock();
  const seen: number[] = [];
  clock.schedule(() => {
    seen.push(clock.nowMs());
    clock.schedule(() => seen.push(clock.nowMs()), -5);
  }, 10);
  clock.runUntil(100);
  assert.equal(seen, [10, 10]);
});

test('whatever is put when, and however far the clock is moved at once, tasks run in the order of their times', () => {
  const rng = new Rng(7);
  for (let round = 0; round < 50; round++) {
    const clock = new VirtualClock();
    const ran: [atMs: number, order: number][] = [];
    let puts = 0;
    const put = (): void => {
      const delayMs = rng.float() < 0.2 ? 0 : rng.float() ** 3 * 40;
      const [atMs, order] = [clock.nowMs() + delayMs, puts++];
      clock.after(delayMs, () => {
        assert.is(clock.nowMs(), atMs);
        ran.push([atMs, order]);
        for (let more = 0; puts < 400 && more < 2; more++) put();
      });
    };
    for (let first = 0; first < 20; first++) put();
    while (ran.length < puts) {
      const untilMs = clock.nowMs() + rng.float() * 3;
      clock.runUntil(untilMs);
      assert.is(clock.nowMs(), untilMs);
    }
    assert.is(ran.length, 400);
    assert.equal(
      ran,
      [...ran].sort(([a, first], [b, second]) => a - b || first - second),
    );
  }
});

test('a thing that waits may be the task itself, and may wait again once it has run', () => {
  const clock = new VirtualClock();
  const seen: number[] = [];
  class Bell extends Task {
    run(): void {
      seen.push(clock.nowMs());
      if (seen.length < 3) clock.put(this, 5);
    }
  }
  clock.put(new Bell(), 10);
  clock.runUntil(100);
  assert.equal([seen, clock.tasksRun], [[10, 15, 20], 3]);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
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

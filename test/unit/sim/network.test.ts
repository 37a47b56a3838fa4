import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Connection } from '../../../src/kernel/connection.js';
import { FRAME_OVERHEAD_BYTES, Host, Network } from '../../../src/sim/network.js';
import { VirtualClock } from '../../../src/sim/virtual-clock.js';

interface Heard {
  readonly atMs: number;
  readonly what: string;
}

function setUp(upBytesPerSecond = 0, downBytesPerSecond = 0) {
  const clock = new VirtualClock();
  const [a, b] = [
    new Host({ name: 'a', upBytesPerSecond, downBytesPerSecond: 0 }),
    new Host({ name: 'b', upBytesPerSecond: 0, downBytesPerSecond }),
  ];
  const [one, other] = new Network(clock).link(a, b, 50);
  const listen = (connection: Connection): Heard[] => {
    const heard: Heard[] = [];
    connection.listen({
      onMessage: (bytes) => heard.push({ atMs: clock.nowMs(), what: Buffer.from(bytes).toString() }),
      onDrain: () => heard.push({ atMs: clock.nowMs(), what: 'drain' }),
      onClose: (reason) => heard.push({ atMs: clock.nowMs(), what: `close ${reason}` }),
    });
    return heard;
  };
  return { clock, a, b, one, other, atA: listen(one), atB: listen(other) };
}

const words = (heard: readonly Heard[]): string[] => heard.map(({ atMs, what }) => `${atMs} ${what}`);

test('a message arrives after the latency of its link', () => {
  const { clock, one, atB } = setUp();
  one.send(Buffer.from('hello'));
  clock.runUntil(1_000);
  assert.equal(words(atB), ['50 hello']);
});

test('an uplink sends one message after the other, and says when it is done', () => {
  const { clock, one, atA, atB } = setUp(1_000);
  const text = 'x'.repeat(100 - FRAME_OVERHEAD_BYTES);
  one.send(Buffer.from(text));
  one.send(Buffer.from(text));
  assert.is(one.bufferedBytes, 200);
  clock.runUntil(1_000);
  assert.equal(
    atB.map(({ atMs }) => atMs),
    [150, 250],
  );
  assert.equal(words(atA), ['200 drain']);
});

test('a downlink receives one message after the other', () => {
  const { clock, one, atB } = setUp(0, 1_000);
  const text = 'x'.repeat(100 - FRAME_OVERHEAD_BYTES);
  one.send(Buffer.from(text));
  one.send(Buffer.from(text));
  clock.runUntil(1_000);
  assert.equal(
    atB.map(({ atMs }) => atMs),
    [150, 250],
  );
});

test('messages never overtake each other, also when the latency falls', () => {
  const { clock, a, one, atB } = setUp();
  a.extraLatencyMs = 500;
  one.send(Buffer.from('first'));
  a.extraLatencyMs = 0;
  one.send(Buffer.from('second'));
  clock.runUntil(1_000);
  assert.equal(words(atB), ['550 first', '550 second']);
});

test('a stopped host hears nothing and runs no timer; when it goes on, everything at once and in order', () => {
  const { clock, b, one, atB } = setUp();
  const timer = b.clock(clock);
  b.frozen = true;
  one.send(Buffer.from('hello'));
  timer.schedule(() => atB.push({ atMs: clock.nowMs(), what: 'timer' }), 20);
  timer.schedule(() => atB.push({ atMs: clock.nowMs(), what: 'cancelled' }), 30)();
  clock.runUntil(300);
  assert.equal(atB, []);
  b.frozen = false;
  assert.equal(words(atB), ['300 timer', '300 hello']);
});

test('a timer that was due while its host stood still can be cancelled when it goes on', () => {
  const { clock, b } = setUp();
  const timer = b.clock(clock);
  const ran: string[] = [];
  b.frozen = true;
  let cancel = (): void => undefined;
  timer.schedule(() => cancel(), 10);
  cancel = timer.schedule(() => ran.push('late'), 20);
  clock.runUntil(100);
  b.frozen = false;
  assert.equal(ran, []);
});

test('what comes to a cut waits for it to heal, in order; hosts of one side hear each other', () => {
  const clock = new VirtualClock();
  const [a, b, c] = ['a', 'b', 'c'].map((name) => new Host({ name, upBytesPerSecond: 0, downBytesPerSecond: 0 })) as [Host, Host, Host];
  const network = new Network(clock);
  const heard: Heard[] = [];
  const send = (from: Host, to: Host, what: string): void => {
    const [one, other] = network.link(from, to, 50);
    const note = (word: string): unknown => heard.push({ atMs: clock.nowMs(), what: word });
    other.listen({ onMessage: (bytes) => note(Buffer.from(bytes).toString()), onDrain: () => undefined, onClose: () => note('close') });
    one.send(Buffer.from(what));
    one.close({ kind: 'leaving', detail: 'bye' });
  };
  network.partition([b, c]);
  assert.equal([network.isCut(a, b), network.isCut(b, a), network.isCut(b, c)], [true, true, false]);
  send(a, b, 'across');
  send(b, c, 'beyond');
  clock.runUntil(1_000);
  assert.equal(words(heard), ['50 beyond', '50 close']);
  network.heal();
  assert.not(network.isCut(a, b));
  clock.runUntil(2_000);
  assert.equal(words(heard).slice(2), ['1000 across', '1000 close']);
});

test('a burst of losses delays what its host sends and is sent, as long as it lasts, and nobody else', () => {
  const times = (lossRatio: number, whose: 'a' | 'b' | 'c'): readonly number[] => {
    const { clock, a, b, one, atB } = setUp();
    const hosts = { a, b, c: new Host({ name: 'c', upBytesPerSecond: 0, downBytesPerSecond: 0 }) };
    hosts[whose].extraLossRatio = lossRatio;
    for (let index = 0; index < 20; index++) {
      one.send(Buffer.from('x'));
      clock.runUntil((index + 1) * 1_000_000);
    }
    hosts[whose].extraLossRatio = 0;
    one.send(Buffer.from('x'));
    clock.runUntil(21_000_000);
    return atB.map(({ atMs }) => atMs % 1_000_000);
  };
  for (const whose of ['a', 'b'] as const) {
    const late = times(0.5, whose).filter((ms) => ms > 50);
    assert.ok(late.length >= 4 && late.length <= 16, `${late.length} of 20 are lost at first`);
    assert.ok(late.every((ms) => ms >= 250));
    assert.is(times(0.5, whose)[20], 50, 'the burst is over');
  }
  assert.equal(new Set(times(0.5, 'c')), new Set([50]));
});

test('the other side sees a closed link after what was sent before', () => {
  const { clock, one, other, atA, atB } = setUp();
  one.send(Buffer.from('last'));
  one.close({ kind: 'leaving', detail: 'bye' });
  one.send(Buffer.from('too late'));
  other.send(Buffer.from('nobody hears this'));
  clock.runUntil(1_000);
  assert.equal(
    words(atB).filter((word) => !word.includes('drain')),
    ['50 last', '50 close bye'],
  );
  assert.equal(words(atA), ['0 close bye']);
});

test.run();

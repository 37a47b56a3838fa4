import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Connection, ConnectionEvents } from '../../../src/kernel/connection.js';
import { Engine } from '../../../src/kernel/engine.js';
import { Malformed } from '../../../src/kernel/errors.js';
import type { DisconnectReason, Effect, Input } from '../../../src/kernel/protocol.js';
import { VirtualClock } from '../../../src/sim/virtual-clock.js';

type Timer = 'a' | 'b';
type TestInput = Input<string, string, Timer>;
type TestEffect = Effect<string, string, Timer>;

/** One end of a link that a test holds in its hand. */
class HandConnection implements Connection {
  readonly peerId: string;
  readonly address = 'nowhere';
  readonly sent: string[] = [];
  bufferedBytes = 0;
  closed: DisconnectReason | undefined;
  #events: ConnectionEvents | undefined;

  constructor(readonly id: string) {
    this.peerId = `peer-${id}`;
  }

  listen(events: ConnectionEvents): void {
    this.#events = events;
  }

  send(message: Uint8Array): void {
    this.sent.push(Buffer.from(message).toString());
  }

  close(reason: DisconnectReason): void {
    this.closed = reason;
    this.end();
  }

  hear(text: string): void {
    this.#events?.onMessage(Buffer.from(text));
  }

  drain(): void {
    this.#events?.onDrain();
  }

  end(): void {
    this.#events?.onClose('over');
  }
}

/** A core that does as it is told and writes down what it is fed. */
function driven(react: (input: TestInput) => readonly TestEffect[] = () => []) {
  const inputs: TestInput[] = [];
  const events: string[] = [];
  const wants: number[] = [];
  const traffic: [string, string, number][] = [];
  const drops: DisconnectReason[] = [];
  const clock = new VirtualClock();
  const engine = new Engine<string, string, string, Timer>({
    protocol: {
      handle: (input) => {
        inputs.push(input);
        return react(input);
      },
    },
    codec: {
      encode: (message) => Buffer.from(message),
      decode: (bytes) => (bytes[0] === 0x21 ? new Malformed('an exclamation mark') : Buffer.from(bytes).toString()),
    },
    clock,
    onEvent: (event) => events.push(event),
    onConnect: (want) => wants.push(want),
    onDisconnect: (_, reason) => drops.push(reason),
    onTraffic: (direction, message, sizeBytes) => traffic.push([direction, message, sizeBytes]),
  });
  return { engine, clock, inputs, events, wants, traffic, drops };
}

test('messages, ends and commands reach the core; sends, events and wishes leave it', () => {
  const { engine, inputs, events, wants, traffic } = driven((input) =>
    input.kind === 'message'
      ? [
          { kind: 'send', to: input.from, message: `re ${input.message}` },
          { kind: 'emit', event: 'heard' },
          { kind: 'connect', want: 5 },
        ]
      : [],
  );
  const connection = new HandConnection('1');
  engine.add(connection);
  connection.hear('hello');
  engine.command('go');
  connection.end();
  assert.equal(
    inputs.map(({ kind }) => kind),
    ['peer-up', 'message', 'command', 'peer-down'],
  );
  assert.equal(connection.sent, ['re hello']);
  assert.equal([events, wants], [['heard'], [5]]);
  assert.equal(traffic, [
    ['down', 'hello', 5],
    ['up', 're hello', 8],
  ]);
});

test('a message that does not decode ends its connection as misbehaviour, and the core hears of that alone', () => {
  const { engine, inputs, drops } = driven();
  const connection = new HandConnection('1');
  engine.add(connection);
  connection.hear('!');
  connection.hear('hello');
  assert.equal(connection.closed, { kind: 'misbehaved', detail: 'an exclamation mark' });
  assert.equal(
    inputs.map(({ kind }) => kind),
    ['peer-up', 'peer-down'],
  );
  assert.is(drops.length, 1);
});

test('scheduling a timer again replaces it, and cancelling it forgets it', () => {
  const { engine, clock, inputs } = driven((input) => {
    if (input.kind !== 'command') return [];
    if (input.command === 'cancel') return [{ kind: 'cancel', timer: 'a' }];
    return [{ kind: 'schedule', timer: 'a', delayMs: Number(input.command) }];
  });
  const timers = (): number => inputs.filter(({ kind }) => kind === 'timer').length;
  engine.command('100');
  engine.command('300');
  clock.runUntil(200);
  assert.is(timers(), 0);
  clock.runUntil(300);
  assert.is(timers(), 1);
  engine.command('50');
  engine.command('cancel');
  clock.runUntil(1_000);
  assert.is(timers(), 1);
});

test('a connection that does not take what it is sent is reported once, and its draining once', () => {
  const { engine, inputs } = driven((input) => (input.kind === 'command' ? [{ kind: 'send', to: '1', message: 'x' }] : []));
  const connection = new HandConnection('1');
  engine.add(connection);
  connection.drain();
  connection.bufferedBytes = 1_000_000;
  engine.command('a');
  engine.command('b');
  connection.bufferedBytes = 0;
  connection.drain();
  connection.drain();
  assert.equal(
    inputs.map(({ kind }) => kind),
    ['peer-up', 'command', 'peer-blocked', 'command', 'peer-drained'],
  );
});

test('what an effect brings about waits until all effects of the step are done', () => {
  const order: string[] = [];
  const { engine } = driven((input) => {
    order.push(input.kind);
    return input.kind === 'command'
      ? [
          { kind: 'disconnect', peer: '1', reason: { kind: 'surplus', detail: 'too many' } },
          { kind: 'send', to: '2', message: 'still' },
        ]
      : [];
  });
  const [one, two] = [new HandConnection('1'), new HandConnection('2')];
  engine.add(one);
  engine.add(two);
  engine.command('go');
  assert.equal(order, ['peer-up', 'peer-up', 'command', 'peer-down']);
  assert.equal(two.sent, ['still']);
});

test('effects for a connection that is gone are let go', () => {
  const { engine } = driven((input) =>
    input.kind === 'peer-down'
      ? [
          { kind: 'send', to: input.peer, message: 'x' },
          { kind: 'disconnect', peer: input.peer, reason: { kind: 'leaving', detail: '' } },
        ]
      : [],
  );
  const connection = new HandConnection('1');
  engine.add(connection);
  connection.end();
  assert.equal(connection.sent, []);
});

test('stopping closes every connection and cancels every timer; nothing happens afterwards', () => {
  const { engine, clock, inputs } = driven((input) => (input.kind === 'command' ? [{ kind: 'schedule', timer: 'b', delayMs: 10 }] : []));
  const connection = new HandConnection('1');
  engine.add(connection);
  engine.command('go');
  engine.stop();
  assert.is(connection.closed?.kind, 'leaving');
  const before = inputs.length;
  clock.runUntil(100);
  connection.hear('late');
  const late = new HandConnection('2');
  engine.add(late);
  assert.is(late.closed?.kind, 'leaving');
  assert.is(inputs.length, before);
});

test('the core learns who a neighbour is, and of which block of addresses, where that means something', () => {
  const { engine, inputs } = driven();
  engine.add(new HandConnection('1'));
  engine.add(Object.assign(new HandConnection('2'), { addressBlock: '192.0.2.0/24' }));
  assert.equal(inputs, [
    { kind: 'peer-up', peer: '1', peerId: 'peer-1' },
    { kind: 'peer-up', peer: '2', peerId: 'peer-2', addressBlock: '192.0.2.0/24' },
  ]);
});

test.run();

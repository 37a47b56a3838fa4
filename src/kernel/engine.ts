/**
 * The driver: the only place where an effect of a core becomes a call. Written once, used by the real world and by the simulator.
 *
 * Reads (decodes and hands over), writes (encodes and watches back-pressure), monitors (timers, ends of connections). A message that does
 * not decode ends its connection as misbehaviour. Effects that a core returns while another effect is carried out queue behind it, so a core is
 * never re-entered.
 */
import type { Connection } from './connection.js';
import { Malformed } from './errors.js';
import type { Clock, Codec } from './ports.js';
import type { DisconnectReason, Effect, Input, Protocol } from './protocol.js';
import type { Bytes, ConnectionId, Milliseconds } from './units.js';

/** Above this much unsent data a neighbour counts as blocked: a second at 2 Mbit/s. */
const HIGH_WATER_BYTES: Bytes = 256 * 1024;

export interface EngineOptions<Message, Command, Event, Timer extends string> {
  readonly protocol: Protocol<Message, Command, Event, Timer>;
  readonly codec: Codec<Message>;
  readonly clock: Clock;
  readonly onEvent: (event: Event) => void;
  /** The core's wish for a number of neighbours. */
  readonly onConnect?: (want: number) => void;
  readonly onDisconnect?: (connection: Connection, reason: DisconnectReason) => void;
  /** A connection is no neighbour's any more, whichever side has ended it. */
  readonly onGone?: (id: ConnectionId) => void;
  /** Every message with its size on the wire, for the traffic counters. */
  readonly onTraffic?: (direction: 'up' | 'down', message: Message, sizeBytes: Bytes) => void;
  /** Every input and effect, for traces that can be compared and replayed. */
  readonly onTrace?: (step: Input<Message, Command, Timer> | Effect<Message, Event, Timer>, nowMs: number) => void;
}

/** A connection, as long as it is a neighbour's. */
interface Entry {
  readonly connection: Connection;
  blocked: boolean;
  isGone: boolean;
}

/** A timer of the core. One that is set again each time it fires, as most are, stays the same. */
interface Alarm {
  /** While it waits. */
  cancel: (() => void) | undefined;
  readonly fire: () => void;
}

export class Engine<Message, Command, Event, Timer extends string> {
  readonly #options: EngineOptions<Message, Command, Event, Timer>;
  readonly #connections = new Map<ConnectionId, Entry>();
  readonly #alarms = new Map<Timer, Alarm>();
  readonly #inputs: Input<Message, Command, Timer>[] = [];
  #running = false;
  #stopped = false;

  constructor(options: EngineOptions<Message, Command, Event, Timer>) {
    this.#options = options;
  }

  get connections(): readonly Connection[] {
    return [...this.#connections.values()].map(({ connection }) => connection);
  }

  command(command: Command): void {
    this.#feed({ kind: 'command', command });
  }

  /** Takes over a connection for as long as it lives. */
  add(connection: Connection): void {
    if (this.#stopped) return connection.close({ kind: 'leaving', detail: 'stopped' });
    const entry: Entry = { connection, blocked: false, isGone: false };
    this.#connections.set(connection.id, entry);
    connection.listen({
      onMessage: (bytes) => this.#onMessage(entry, bytes),
      onDrain: () => this.#onDrain(connection.id),
      onClose: () => this.#onClose(connection.id),
    });
    const { id: peer, peerId, addressBlock } = connection;
    this.#feed({ kind: 'peer-up', peer, peerId, ...(addressBlock === undefined ? {} : { addressBlock }) });
  }

  /** Cancels every timer and closes every connection. Nothing is emitted afterwards. */
  stop(): void {
    this.#stopped = true;
    for (const { cancel } of this.#alarms.values()) cancel?.();
    this.#alarms.clear();
    for (const entry of this.#connections.values()) {
      entry.connection.close({ kind: 'leaving', detail: 'stopped' });
      entry.isGone = true;
    }
    this.#connections.clear();
  }

  #onMessage({ connection, isGone }: Entry, bytes: Uint8Array): void {
    if (isGone) return;
    const message = this.#options.codec.decode(bytes);
    if (message instanceof Malformed) return this.#disconnect(connection.id, { kind: 'misbehaved', detail: message.reason });
    this.#options.onTraffic?.('down', message, bytes.length);
    this.#feed({ kind: 'message', from: connection.id, message });
  }

  #onDrain(id: ConnectionId): void {
    const entry = this.#connections.get(id);
    if (!entry?.blocked) return;
    entry.blocked = false;
    this.#feed({ kind: 'peer-drained', peer: id });
  }

  #onClose(id: ConnectionId): void {
    if (!this.#forget(id)) return;
    this.#options.onGone?.(id);
    this.#feed({ kind: 'peer-down', peer: id });
  }

  /** Runs the core on this input, then on whatever the effects brought about. */
  #feed(input: Input<Message, Command, Timer>): void {
    if (this.#running) return void this.#inputs.push(input);
    this.#running = true;
    try {
      for (let next: typeof input | undefined = input; next && !this.#stopped; next = this.#inputs.shift()) this.#step(next);
    } finally {
      this.#running = false;
    }
  }

  #step(input: Input<Message, Command, Timer>): void {
    const nowMs = this.#options.clock.nowMs();
    this.#options.onTrace?.(input, nowMs);
    for (const effect of this.#options.protocol.handle(input, nowMs)) {
      this.#options.onTrace?.(effect, nowMs);
      this.#apply(effect);
    }
  }

  #apply(effect: Effect<Message, Event, Timer>): void {
    switch (effect.kind) {
      case 'send':
        return this.#send(effect.to, effect.message);
      case 'schedule':
        return this.#schedule(effect.timer, effect.delayMs);
      case 'cancel':
        this.#alarms.get(effect.timer)?.cancel?.();
        this.#alarms.delete(effect.timer);
        return;
      case 'connect':
        return this.#options.onConnect?.(effect.want);
      case 'disconnect':
        return this.#disconnect(effect.peer, effect.reason);
      case 'emit':
        return this.#options.onEvent(effect.event);
    }
  }

  #schedule(timer: Timer, delayMs: Milliseconds): void {
    const known = this.#alarms.get(timer);
    known?.cancel?.();
    const alarm = known ?? this.#newAlarm(timer);
    alarm.cancel = this.#options.clock.schedule(alarm.fire, delayMs);
  }

  #newAlarm(timer: Timer): Alarm {
    const alarm: Alarm = { cancel: undefined, fire: () => this.#onTimer(timer, alarm) };
    this.#alarms.set(timer, alarm);
    return alarm;
  }

  #send(to: ConnectionId, message: Message): void {
    const entry = this.#connections.get(to);
    if (!entry) return;
    const bytes = this.#options.codec.encode(message);
    this.#options.onTraffic?.('up', message, bytes.length);
    entry.connection.send(bytes);
    if (entry.blocked || entry.connection.bufferedBytes < HIGH_WATER_BYTES) return;
    entry.blocked = true;
    this.#feed({ kind: 'peer-blocked', peer: to });
  }

  #forget(id: ConnectionId): Entry | undefined {
    const entry = this.#connections.get(id);
    if (entry) entry.isGone = true;
    this.#connections.delete(id);
    return entry;
  }

  #onTimer(timer: Timer, alarm: Alarm): void {
    alarm.cancel = undefined;
    this.#feed({ kind: 'timer', timer });
    // Names of others are made up of numbers, and never come again.
    if (!alarm.cancel && this.#alarms.get(timer) === alarm) this.#alarms.delete(timer);
  }

  #disconnect(id: ConnectionId, reason: DisconnectReason): void {
    const entry = this.#forget(id);
    if (!entry) return;
    this.#options.onDisconnect?.(entry.connection, reason);
    entry.connection.close(reason);
    this.#options.onGone?.(id);
    this.#feed({ kind: 'peer-down', peer: id });
  }
}

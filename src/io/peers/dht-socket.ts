/**
 * The UDP socket of the DHT as its package sees it: every datagram is checked and rewritten before it arrives, and nothing throws.
 *
 * Queries are limited for each address and in all, since every one is answered; what is sent goes to addresses that can be a node's,
 * which leaves this machine and its network out unless we are told that the DHT lives there.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { EventEmitter } from 'node:events';
import { Malformed } from '../../kernel/errors.js';
import { addressScope } from '../../kernel/peer-address.js';
import type { Clock } from '../../kernel/ports.js';
import { AddressRateLimit } from '../address-rate-limit.js';
import { rewriteDhtMessage } from './dht-message.js';

export interface DhtSocketOptions {
  readonly clock: Clock;
  /** Whether nodes on loopback and private addresses are asked. */
  readonly allowsLocal: boolean;
  /** Called for what was refused, or went wrong in the package. */
  onTrouble(reason: string): void;
}

/** A node asks another one a few times a minute. */
const QUERY_LIMIT = { requestsPerSecond: 10, burstCount: 100, addressesMaxCount: 4096 };
/** All nodes together; as one address, since they share one bucket. */
const TOTAL_LIMIT = { requestsPerSecond: 500, burstCount: 1000, addressesMaxCount: 1 };

export class DhtSocket extends EventEmitter {
  readonly #socket: Socket = createSocket('udp4');
  readonly #options: DhtSocketOptions;
  readonly #perAddress = new AddressRateLimit(QUERY_LIMIT);
  readonly #total = new AddressRateLimit(TOTAL_LIMIT);
  #isClosed = false;

  constructor(options: DhtSocketOptions) {
    super();
    this.#options = options;
    this.#socket.on('message', (bytes, from) => this.#onDatagram(bytes, from));
    this.#socket.on('listening', () => this.emit('listening'));
    this.#socket.on('error', (error) => this.emit('error', error));
    this.#socket.on('close', () => this.emit('close'));
  }

  bind(port: number, host: string): void {
    this.#socket.bind(port, host);
  }

  address(): { readonly address: string; readonly port: number } {
    return this.#socket.address();
  }

  /** What the package sends; errors are lost datagrams, as on any network. */
  send(bytes: Uint8Array, offset: number, length: number, port: number, host: string, done: (error?: Error) => void): void {
    if (this.#isClosed || !this.#mayReach(host) || !(port >= 1 && port <= 65_535)) {
      process.nextTick(done);
      return;
    }
    this.#socket.send(bytes, offset, length, port, host, () => done());
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }

  #mayReach(host: string): boolean {
    const scope = addressScope(host);
    return scope === 'public' || (this.#options.allowsLocal && (scope === 'loopback' || scope === 'private'));
  }

  #onDatagram(bytes: Uint8Array, from: RemoteInfo): void {
    if (this.#isClosed || from.port === 0) return;
    const message = rewriteDhtMessage(bytes);
    if (message instanceof Malformed) {
      this.#options.onTrouble(message.reason);
      return;
    }
    if (message.kind === 'query' && !this.#mayAsk(from.address)) return;
    try {
      this.emit('message', Buffer.from(message.bytes), from);
    } catch (error) {
      this.#options.onTrouble(`the DHT package failed: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #mayAsk(host: string): boolean {
    const nowMs = this.#options.clock.nowMs();
    return this.#perAddress.take(host, nowMs) && this.#total.take('all', nowMs);
  }
}

/** What must hold after every step of every title session, whatever happens (issue: most-needed-first, task list, upload limits). */
import * as assert from 'uvu/assert';
import type { ConnectionId } from '../../src/kernel/units.js';
import { BLOCK_BYTES } from '../../src/vod/block.js';
import type { BlockMessage, PeerMessage } from '../../src/vod/peer-message.js';
import type { TitleEffect } from '../../src/vod/title-protocol.js';
import { UPLOADS_PER_PEER_MAX } from '../../src/vod/upload-queue.js';
import type { TitleInput, TitleNode } from './title-world.js';

const REQUESTS_MAX = 500;

/** A naive model of what one session has in flight: a set of blocks for each neighbour. */
class Ledger {
  readonly inFlight = new Map<ConnectionId, Set<string>>();
  readonly fast = new Map<ConnectionId, boolean>();
  sentBytes = 0;
  sinceMs: number | undefined;

  of(peer: ConnectionId): Set<string> {
    const keys = this.inFlight.get(peer) ?? new Set<string>();
    this.inFlight.set(peer, keys);
    return keys;
  }

  get count(): number {
    return [...this.inFlight.values()].reduce((sum, keys) => sum + keys.size, 0);
  }
}

function keyOf({ piece, offsetBytes }: Pick<BlockMessage, 'piece' | 'offsetBytes'>): string {
  return `${piece}:${offsetBytes}`;
}

export class TitleInvariants {
  readonly #ledgers = new Map<TitleNode, Ledger>();
  /** Blocks whose cancel was sent, with how often. */
  readonly #calledOff = new Map<TitleNode, Map<string, number>>();

  readonly onStep = (node: TitleNode, input: TitleInput, effects: readonly TitleEffect[], nowMs: number): void => {
    const ledger = this.#ledgers.get(node) ?? new Ledger();
    this.#ledgers.set(node, ledger);
    this.#before(node, ledger, input);
    for (const effect of effects) this.#after(node, ledger, effect, nowMs);
    const { requestsInFlight } = node.session.figures();
    assert.is(requestsInFlight, ledger.count, `${node.name}: the task list has what was asked and not answered`);
  };

  #before(node: TitleNode, ledger: Ledger, input: TitleInput): void {
    if (input.kind === 'command' && input.command.kind === 'introduce') ledger.fast.set(input.command.peer, input.command.fast);
    if (input.kind === 'peer-down') ledger.inFlight.delete(input.peer);
    if (input.kind !== 'message') return;
    this.#onMessage(node, ledger, input.from, input.message);
  }

  #onMessage(node: TitleNode, ledger: Ledger, from: ConnectionId, message: PeerMessage): void {
    if (message.kind === 'piece') ledger.of(from).delete(keyOf(message));
    if (message.kind === 'choke' && ledger.fast.get(from) === false) ledger.of(from).clear();
    if (message.kind === 'dont-have') {
      for (const key of ledger.of(from)) if (key.startsWith(`${message.piece}:`)) ledger.of(from).delete(key);
    }
    if (message.kind !== 'reject') return;
    const calledOff = this.#calledOff.get(node) ?? new Map<string, number>();
    const key = `${from}/${keyOf(message)}`;
    const count = calledOff.get(key) ?? 0;
    if (count > 0) calledOff.set(key, 0);
    else ledger.of(from).delete(keyOf(message));
  }

  #after(node: TitleNode, ledger: Ledger, effect: TitleEffect, nowMs: number): void {
    if (effect.kind === 'disconnect') ledger.inFlight.delete(effect.peer);
    if (effect.kind === 'send') this.#onSend(node, ledger, effect.to, effect.message);
    if (effect.kind !== 'emit' || effect.event.kind !== 'read-block') return;
    const { bytesPerSecond } = node.uplink;
    if (bytesPerSecond === 0) return;
    ledger.sinceMs ??= nowMs;
    ledger.sentBytes += effect.event.lengthBytes;
    const burstBytes = Math.max(16_384, bytesPerSecond / 10);
    const mostBytes = ((nowMs - ledger.sinceMs) * bytesPerSecond) / 1000 + burstBytes + BLOCK_BYTES;
    // What could not be read after all is given back, so this is an upper bound on what is sent.
    assert.ok(ledger.sentBytes <= mostBytes + 64 * BLOCK_BYTES, `${node.name} uploads ${ledger.sentBytes} of ${mostBytes}`);
  }

  #onSend(node: TitleNode, ledger: Ledger, to: ConnectionId, message: PeerMessage): void {
    if (message.kind === 'request') {
      const keys = ledger.of(to);
      assert.not.ok(keys.has(keyOf(message)), `${node.name} asks one neighbour twice for ${keyOf(message)}`);
      assert.not.ok(node.session.has(message.piece), `${node.name} asks for a piece it has`);
      keys.add(keyOf(message));
      assert.ok(keys.size <= REQUESTS_MAX && keys.size <= UPLOADS_PER_PEER_MAX, `${node.name} has ${keys.size} requests in flight to one`);
    }
    if (message.kind !== 'cancel') return;
    assert.ok(ledger.of(to).delete(keyOf(message)), `${node.name} takes back what it did not ask for`);
    const calledOff = this.#calledOff.get(node) ?? new Map<string, number>();
    this.#calledOff.set(node, calledOff.set(`${to}/${keyOf(message)}`, 1));
  }
}

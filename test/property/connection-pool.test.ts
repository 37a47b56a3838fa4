/** Laws of the connection pool under any sequence of events: its bounds hold, and it never dials whom it should not. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ConnectionPool, DIALS_PER_SECOND_MAX, HALF_OPEN_MAX } from '../../src/kernel/connection-pool.js';
import { formatAddress, type PeerAddress } from '../../src/kernel/peer-address.js';
import { Rng } from '../../src/kernel/rng.js';

const OWN = '80'.repeat(20);
const MAX_CONNECTIONS = 12;

type Step =
  | { readonly kind: 'candidate'; readonly peer: number }
  | { readonly kind: 'dial' }
  | { readonly kind: 'fail' }
  | { readonly kind: 'answer' }
  | { readonly kind: 'release' }
  | { readonly kind: 'incoming'; readonly peer: number }
  | { readonly kind: 'ban'; readonly peer: number }
  | { readonly kind: 'wait'; readonly ms: number };

const peer = fc.integer({ min: 0, max: 40 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('candidate' as const), peer }),
  fc.constantFrom<Step>({ kind: 'dial' }, { kind: 'fail' }, { kind: 'answer' }, { kind: 'release' }),
  fc.record({ kind: fc.constant('incoming' as const), peer }),
  fc.record({ kind: fc.constant('ban' as const), peer }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 20_000 }) }),
);

/** A pool with the sockets its owner would have. */
class Model {
  readonly pool = new ConnectionPool({ ownPeerId: OWN, maxConnections: MAX_CONNECTIONS, targetConnections: 10, rng: new Rng(3) });
  readonly dialling: PeerAddress[] = [];
  readonly members = new Map<string, { readonly peer: number; readonly host: string }>();
  readonly bannedHosts = new Set<string>();
  readonly dialTimesMs: number[] = [];
  nowMs = 0;
  #count = 0;

  run(next: Step): void {
    if (next.kind === 'wait') this.nowMs += next.ms;
    else if (next.kind === 'candidate') this.pool.addCandidate(hostOf(next.peer), 6881, 'tracker', this.nowMs);
    else if (next.kind === 'dial') this.#dial();
    else if (next.kind === 'fail') this.#fail();
    else if (next.kind === 'answer') this.#answer();
    else if (next.kind === 'release') this.#release([...this.members.keys()][0]);
    else if (next.kind === 'incoming') this.#admit(next.peer, undefined);
    else this.#ban(next.peer);
  }

  #dial(): void {
    for (const address of this.pool.dial(this.nowMs)) {
      assert.not.ok(this.bannedHosts.has(address.host), 'a banned host is not dialled');
      assert.not.ok(
        this.dialling.some((other) => formatAddress(other) === formatAddress(address)),
        'nor one that is being dialled',
      );
      const connected = [...this.members.values()].some((member) => member.host === address.host && member.peer === peerOf(address.host));
      assert.not.ok(connected, 'nor one we dialled and have');
      this.dialling.push(address);
      this.dialTimesMs.push(this.nowMs);
    }
  }

  #fail(): void {
    const address = this.dialling.shift();
    if (address !== undefined) this.pool.dialFailed(address, this.nowMs);
  }

  #answer(): void {
    const address = this.dialling.shift();
    if (address !== undefined) this.#admit(peerOf(address.host), address);
  }

  #admit(number: number, dialled: PeerAddress | undefined): void {
    const id = `c${this.#count++}`;
    const host = hostOf(number);
    const admission = this.pool.admit({ id, peerId: idOf(number), host, ...(dialled === undefined ? {} : { dialled }) }, this.nowMs);
    if (admission.kind === 'refused') return;
    assert.not.ok(this.bannedHosts.has(host), 'a banned peer is not admitted');
    if (admission.replaces !== undefined) this.members.delete(admission.replaces);
    this.members.set(id, { peer: number, host });
    this.pool.learnListenPort(id, 6881, this.nowMs);
  }

  #ban(number: number): void {
    const host = hostOf(number);
    this.bannedHosts.add(host);
    for (const id of this.pool.ban({ peerId: idOf(number), host }, this.nowMs)) this.#release(id);
    assert.not.ok(
      [...this.members.values()].some((member) => member.host === host),
      'no banned member stays',
    );
  }

  #release(id: string | undefined): void {
    if (id === undefined) return;
    this.members.delete(id);
    this.pool.released(id, this.nowMs);
  }

  check(): void {
    assert.is(this.pool.connectionCount, this.members.size);
    assert.ok(this.members.size <= MAX_CONNECTIONS);
    assert.is(new Set([...this.members.values()].map((member) => member.peer)).size, this.members.size, 'one connection per peer');
    assert.is(this.pool.diallingCount, this.dialling.length);
    assert.ok(this.dialling.length <= HALF_OPEN_MAX);
    assert.ok(this.dialTimesMs.filter((timeMs) => this.nowMs - timeMs < 1000).length <= DIALS_PER_SECOND_MAX);
  }
}

function hostOf(number: number): string {
  return `8.8.8.${number}`;
}

function peerOf(host: string): number {
  return Number(host.split('.')[3]);
}

function idOf(number: number): string {
  return (number * 6).toString(16).padStart(2, '0').repeat(20);
}

test('bounds, bans and uniqueness hold after every step', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const model = new Model();
      for (const next of steps) {
        // Bans last an hour; the model does not forget them, so it stays below that.
        if (model.nowMs > 3_000_000) break;
        model.run(next);
        model.check();
      }
    }),
    { numRuns: 300 },
  );
});

test('the same seed and events give the same dials', () => {
  fc.assert(
    fc.property(fc.array(peer, { maxLength: 40 }), (peers) => {
      const dials = [1, 2].map(() => {
        const pool = new ConnectionPool({ ownPeerId: OWN, maxConnections: MAX_CONNECTIONS, targetConnections: 10, rng: new Rng(3) });
        for (const number of peers) pool.addCandidate(hostOf(number), 6881, 'pex', 0);
        return pool.dial(0);
      });
      assert.equal(dials[0], dials[1]);
    }),
  );
});

test.run();

/** The connection pool: whom it dials and when, whom it lets in, and how long it remembers offence. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ConnectionPool } from '../../../src/kernel/connection-pool.js';
import type { PeerAddress } from '../../../src/kernel/peer-address.js';
import { Rng } from '../../../src/kernel/rng.js';

const OWN = 'aa'.repeat(20);
const LOWER = '11'.repeat(20);
const HIGHER = 'ee'.repeat(20);
const HOUR_MS = 3_600_000;

function pool(options: { maxConnections?: number; targetConnections?: number } = {}): ConnectionPool {
  return new ConnectionPool({ ownPeerId: OWN, maxConnections: 40, targetConnections: 30, rng: new Rng(1), ...options });
}

function at(host: string, port = 6881): PeerAddress {
  return { host, port };
}

/** `count` candidates on different hosts. */
function fill(to: ConnectionPool, count: number, source: 'tracker' | 'pex' | 'link' = 'tracker'): void {
  for (let i = 0; i < count; i++) to.addCandidate(`8.${source.length}.${i >> 8}.${i & 0xff}`, 6881, source, 0);
}

function incoming(id: string, peerId: string, host = '8.8.8.8'): Parameters<ConnectionPool['admit']>[0] {
  return { id, peerId, host };
}

function outgoing(id: string, peerId: string, dialled: PeerAddress): Parameters<ConnectionPool['admit']>[0] {
  return { id, peerId, host: dialled.host, dialled };
}

test('at most 8 dials are unanswered and at most 10 begin in a second', () => {
  const some = pool();
  fill(some, 30);
  const first = some.dial(0);
  assert.is(first.length, 8);
  assert.is(some.dial(0).length, 0);
  for (const address of first) some.dialFailed(address, 10);
  assert.is(some.dial(10).length, 2);
  assert.is(some.dial(999).length, 0);
  assert.is(some.dial(1000).length, 6);
});

test('dialling stops at what is wanted, and three quarters of the limit', () => {
  const some = pool({ maxConnections: 8, targetConnections: 3 });
  fill(some, 30);
  assert.is(some.dial(0).length, 3);
  some.want(100);
  assert.is(some.dial(0).length, 3, '6 of 8 in all');
  some.want(0);
  assert.is(some.dial(5000).length, 0);
});

test('a failed dial waits 2 s, then twice as long each time up to 60 s', () => {
  const some = pool();
  some.addCandidate('8.8.8.8', 1, 'link', 0);
  let nowMs = 0;
  assert.is(some.dial(nowMs).length, 1);
  for (const waitMs of [2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]) {
    some.dialFailed(at('8.8.8.8', 1), nowMs);
    assert.is(some.dial(nowMs + waitMs - 1).length, 0);
    nowMs += waitMs;
    assert.is(some.dial(nowMs).length, 1, `after ${waitMs} ms`);
  }
});

test('an address that fails eight times in a row is forgotten, unless the link named it', () => {
  const some = pool();
  some.addCandidate('8.8.8.8', 1, 'tracker', 0);
  some.addCandidate('9.9.9.9', 1, 'link', 0);
  for (let i = 0; i < 8; i++) {
    some.dialFailed(at('8.8.8.8', 1), 0);
    some.dialFailed(at('9.9.9.9', 1), 0);
  }
  assert.is(some.candidateCount, 1);
  assert.equal(some.dial(60_000), [at('9.9.9.9', 1)]);
});

test('the link is tried before the tracker, the tracker before hearsay', () => {
  const some = pool({ targetConnections: 1 });
  some.addCandidate('8.8.8.1', 1, 'pex', 0);
  some.addCandidate('8.8.8.2', 1, 'tracker', 0);
  some.addCandidate('8.8.8.3', 1, 'link', 0);
  assert.equal(some.dial(0), [at('8.8.8.3', 1)]);
});

test('candidates are bounded: 300 from hearsay, 500 in all, 8 on one far host', () => {
  const some = pool();
  fill(some, 400, 'pex');
  assert.is(some.candidateCount, 300);
  fill(some, 400, 'tracker');
  assert.is(some.candidateCount, 500);
  assert.ok(some.addCandidate('9.9.9.9', 1, 'link', 0), 'a link displaces a lesser source');
  assert.is(some.candidateCount, 500);
  const other = pool();
  for (let port = 1; port <= 20; port++) other.addCandidate('8.8.8.8', port, 'tracker', 0);
  for (let port = 1; port <= 20; port++) other.addCandidate('127.0.0.1', port, 'tracker', 0);
  assert.is(other.candidateCount, 28);
});

test('what cannot be an address is no candidate', () => {
  const some = pool();
  for (const [host, port] of [
    ['', 1],
    ['8.8.8.8', 0],
    ['8.8.8.8', 70_000],
    ['224.0.0.1', 1],
    ['a b', 1],
  ] as const) {
    assert.not.ok(some.addCandidate(host, port, 'link', 0));
  }
});

test('connections beyond the limit are refused', () => {
  const some = pool({ maxConnections: 2 });
  assert.is(some.admit(incoming('a', '01'.repeat(20)), 0).kind, 'admitted');
  assert.is(some.admit(incoming('b', '02'.repeat(20)), 0).kind, 'admitted');
  assert.equal(some.admit(incoming('c', '03'.repeat(20)), 0), { kind: 'refused', reason: 'full' });
  some.released('a', 1);
  assert.is(some.admit(incoming('c', '03'.repeat(20)), 1).kind, 'admitted');
});

test('our own peer id is refused, and the dialled address known as ours', () => {
  const some = pool();
  some.addCandidate('127.0.0.1', 5, 'tracker', 0);
  const [address] = some.dial(0);
  if (address === undefined) throw new Error('dials');
  assert.equal(some.admit(outgoing('a', OWN, address), 0), { kind: 'refused', reason: 'self' });
  assert.is(some.candidateCount, 0);
  assert.not.ok(some.addCandidate('127.0.0.1', 5, 'tracker', 1));
});

test('of two connections at once the one that the lower peer id began stands, seen from both ends', () => {
  // We are higher than LOWER: what it began, our incoming one, stands.
  const first = pool();
  first.admit(outgoing('out', LOWER, at('8.8.8.8')), 0);
  assert.equal(first.admit(incoming('in', LOWER), 5), { kind: 'admitted', replaces: 'out' });
  const second = pool();
  second.admit(incoming('in', LOWER), 0);
  assert.equal(second.admit(outgoing('out', LOWER, at('8.8.8.8')), 5), { kind: 'refused', reason: 'duplicate' });
  // We are lower than HIGHER: our outgoing one stands.
  const third = pool();
  third.admit(incoming('in', HIGHER), 0);
  assert.equal(third.admit(outgoing('out', HIGHER, at('8.8.8.8')), 5), { kind: 'admitted', replaces: 'in' });
  const fourth = pool();
  fourth.admit(outgoing('out', HIGHER, at('8.8.8.8')), 0);
  assert.equal(fourth.admit(incoming('in', HIGHER), 5), { kind: 'refused', reason: 'duplicate' });
});

test('an established connection stands against a latecomer with the same peer id', () => {
  const some = pool();
  some.admit(outgoing('old', LOWER, at('8.8.8.8')), 0);
  assert.equal(some.admit(incoming('new', LOWER), 10_000), { kind: 'refused', reason: 'duplicate' });
  assert.is(some.connectionCount, 1);
});

test('an address we are connected to is not dialled again until the connection ends', () => {
  const some = pool();
  some.admit(incoming('a', LOWER), 0);
  some.learnListenPort('a', 6881, 0);
  assert.is(some.candidateCount, 1);
  assert.is(some.dial(1000).length, 0);
  some.released('a', 20_000);
  assert.is(some.dial(20_000).length, 0);
  assert.equal(some.dial(22_000), [at('8.8.8.8')]);
});

test('a ban covers peer id, listening address and host for an hour', () => {
  const some = pool();
  some.admit(incoming('a', LOWER), 0);
  some.addCandidate('8.8.8.8', 7, 'tracker', 0);
  assert.equal(some.ban({ peerId: LOWER, host: '8.8.8.8', port: 6881 }, 0), ['a']);
  some.released('a', 0);
  assert.is(some.candidateCount, 0);
  const refused = { kind: 'refused', reason: 'banned' };
  assert.equal(some.admit(incoming('b', LOWER, '9.9.9.9'), 1), refused);
  assert.equal(some.admit(incoming('c', HIGHER, '8.8.8.8'), 1), refused);
  assert.not.ok(some.addCandidate('8.8.8.8', 7, 'tracker', HOUR_MS - 1));
  assert.ok(some.addCandidate('8.8.8.8', 7, 'tracker', HOUR_MS));
  assert.is(some.admit(incoming('d', LOWER), HOUR_MS).kind, 'admitted');
});

test('on this machine a ban does not spread from one peer to the others', () => {
  const some = pool();
  some.ban({ peerId: LOWER, host: '::ffff:127.0.0.1', port: 5 }, 0);
  assert.not.ok(some.addCandidate('127.0.0.1', 5, 'tracker', 0));
  assert.ok(some.addCandidate('127.0.0.1', 6, 'tracker', 0));
  assert.is(some.admit(incoming('b', HIGHER, '127.0.0.1'), 0).kind, 'admitted');
});

test('an address of this machine counts as this machine, not as one host', () => {
  const some = new ConnectionPool({
    ownPeerId: OWN,
    maxConnections: 40,
    targetConnections: 30,
    rng: new Rng(1),
    ownHosts: new Set(['10.0.0.7']),
  });
  for (let port = 1; port <= 20; port++) assert.ok(some.addCandidate('10.0.0.7', port, 'tracker', 0), 'as many candidates as it has ports');
  some.ban({ peerId: LOWER, host: '10.0.0.7', port: 5 }, 0);
  assert.is(some.admit(incoming('b', HIGHER, '10.0.0.7'), 0).kind, 'admitted', 'a ban stays with the one peer');
});

test('bans are bounded, the oldest gives way', () => {
  const some = pool();
  for (let i = 0; i < 1500; i++) some.ban({ peerId: i.toString(16).padStart(40, '0') }, 0);
  assert.is(some.banCount, 1000);
  assert.not.ok(some.isBanned({ peerId: '0'.repeat(40) }, 1));
  assert.ok(some.isBanned({ peerId: (1499).toString(16).padStart(40, '0') }, 1));
});

test.run();

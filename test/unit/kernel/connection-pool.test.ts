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

/** A peer that was dialled and connected, at a time. */
function meet(some: ConnectionPool, nowMs: number, address = at('8.8.8.8', 1), source: 'tracker' | 'link' = 'tracker'): void {
  some.addCandidate(address.host, address.port, source, nowMs);
  assert.equal(some.dial(nowMs), [address]);
  assert.is(some.admit(outgoing('x', HIGHER, address), nowMs).kind, 'admitted');
}

function part(some: ConnectionPool, nowMs: number): void {
  some.setAside('x', nowMs);
  some.released('x', nowMs);
}

test('who is set aside is dialled at once when something is wanted again, however often it was set aside before', () => {
  const some = pool();
  for (let startMs = 0; startMs < 20_000_000; startMs += 1_000_000) {
    meet(some, startMs);
    part(some, startMs + 10);
    some.addCandidate('8.8.8.8', 1, 'tracker', startMs + 20);
    assert.equal(some.dial(startMs + 50_000), []);
    some.recall(startMs + 50_000);
    assert.equal(some.dial(startMs + 50_000), [at('8.8.8.8', 1)]);
    some.dialFailed(at('8.8.8.8', 1), startMs + 50_000);
  }
});

test('without that it is dialled once in a while, after a minute, two and four, for it may want something itself', () => {
  const some = pool();
  let nowMs = 0;
  for (const waitMs of [60_000, 120_000, 240_000, 480_000, 960_000, 1_800_000, 1_800_000]) {
    meet(some, nowMs);
    part(some, nowMs + 10);
    assert.equal(some.dial(nowMs + 10 + waitMs - 1), []);
    nowMs += 10 + waitMs;
  }
  meet(some, nowMs);
  part(some, nowMs + 20_000);
  assert.equal(some.dial(nowMs + 80_000), [at('8.8.8.8', 1)], 'it had stayed for a while');
});

test('who was set aside, came back and is lost is dialled as anybody else', () => {
  const some = pool();
  meet(some, 0);
  part(some, 10);
  some.admit(incoming('y', HIGHER), 1_000);
  some.learnListenPort('y', 1, 1_000);
  some.released('y', 20_000);
  assert.equal(some.dial(22_000), [at('8.8.8.8', 1)]);
});

test('to be set aside does not help against a ban', () => {
  const some = pool();
  meet(some, 0);
  part(some, 10);
  some.ban({ peerId: HIGHER, host: '8.8.8.8', port: 1 }, 20);
  some.recall(30);
  assert.equal(some.dial(30), []);
});

test('who is set aside makes room for others as good, but not for worse ones', () => {
  const some = pool();
  meet(some, 0);
  part(some, 10);
  fill(some, 499);
  assert.not(some.addCandidate('9.9.9.9', 1, 'pex', 20));
  assert.ok(some.addCandidate('9.9.9.9', 1, 'tracker', 20));
  some.recall(20);
  assert.not(some.addCandidate('8.8.8.8', 1, 'tracker', 20), 'it has gone, and nobody else is aside');
  assert.is(some.candidateCount, 500);
});

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

test('addresses of one network that strangers name are dialled one a second; those of trackers are not held up', () => {
  const peers = pool();
  for (let i = 1; i <= 5; i++) peers.addCandidate(`203.0.113.${i}`, 6881, 'pex', 0);
  peers.addCandidate('198.51.100.1', 6881, 'dht', 0);
  assert.is(peers.dial(0).length, 2);
  assert.is(peers.dial(999).length, 0);
  assert.is(peers.dial(1_000).length, 1);
  for (let i = 11; i <= 13; i++) peers.addCandidate(`203.0.113.${i}`, 6881, 'tracker', 1_000);
  assert.is(peers.dial(1_000).length, 3);
});

test('half of the places that dialling fills go to one block of addresses, while others are known', () => {
  const some = pool({ targetConnections: 8 });
  for (let i = 1; i <= 20; i++) some.addCandidate(`203.0.113.${i}`, 6881, 'link', 0);
  for (let i = 1; i <= 20; i++) some.addCandidate(`2001:db8:7:${i}::1`, 6881, 'tracker', 0);
  some.addCandidate('198.51.100.1', 6881, 'tracker', 0);
  const dialled = some.dial(0).map(({ host }) => host);
  assert.is(dialled.length, 8);
  assert.is(dialled.filter((host) => host.startsWith('203.')).length, 4);
  assert.ok(dialled.filter((host) => host.startsWith('2001:')).length <= 4, 'a /48 is one block');
});

test('where all are of one block, all places go to it', () => {
  for (const block of ['127.0.0', '10.1.2', '203.0.113']) {
    const some = pool({ targetConnections: 8 });
    for (let i = 1; i <= 20; i++) some.addCandidate(`${block}.${i}`, 6881, 'tracker', 0);
    assert.is(some.dial(0).length, 8, block);
  }
});

test('many of one block that come by themselves do not keep others from being dialled', () => {
  const some = pool({ targetConnections: 8 });
  for (let i = 1; i <= 20; i++) some.admit(incoming(`c${i}`, i.toString(16).padStart(40, '0'), `203.0.113.${i}`), 0);
  for (let i = 30; i <= 40; i++) some.addCandidate(`203.0.113.${i}`, 6881, 'link', 0);
  assert.equal(some.dial(0), [], 'more of the same are of no use');
  for (let i = 1; i <= 9; i++) some.addCandidate(`198.51.${i}.1`, 6881, 'tracker', 0);
  assert.is(some.dial(0).length, 4);
  assert.equal(some.dial(2_000), []);
});

test('neighbours that come from everywhere are enough', () => {
  const some = pool({ targetConnections: 8 });
  for (let i = 1; i <= 8; i++) some.admit(incoming(`c${i}`, i.toString(16).padStart(40, '0'), `198.51.${i}.1`), 0);
  some.addCandidate('9.9.9.9', 6881, 'link', 0);
  assert.equal(some.dial(0), []);
});

/** With so many members that nobody is missed; the member 'x' is at 8.8.8.8, where it listens, too. */
function inhabited(): ConnectionPool {
  const some = pool({ targetConnections: 8 });
  for (let i = 1; i <= 4; i++) some.admit(incoming(`c${i}`, `${i + 1}`.repeat(40), `9.9.9.${i}`), 0);
  some.addCandidate('8.8.8.8', 6881, 'link', 0);
  some.dial(0);
  some.admit(outgoing('x', LOWER, at('8.8.8.8')), 0);
  return some;
}

test('who was let go for want of room is neither dialled nor taken back for two minutes', () => {
  const some = inhabited();
  some.rest('x', 20_000);
  some.released('x', 20_000);
  assert.equal(some.dial(139_999), []);
  assert.equal(some.admit(incoming('y', LOWER), 139_999), { kind: 'refused', reason: 'resting' });
  assert.equal(some.dial(140_000), [at('8.8.8.8')]);
  assert.is(some.admit(outgoing('z', LOWER, at('8.8.8.8')), 140_000).kind, 'admitted');
});

test('who was turned away as soon as it came rests for half a minute', () => {
  const some = inhabited();
  some.rest('x', 9_999);
  some.released('x', 9_999);
  assert.equal(some.admit(incoming('y', LOWER), 39_998), { kind: 'refused', reason: 'resting' });
  assert.is(some.admit(incoming('z', LOWER), 39_999).kind, 'admitted');
});

test('when fewer than half of those wanted are left, those who rest are welcome', () => {
  const some = inhabited();
  some.rest('x', 20_000);
  for (const id of ['x', 'c1']) some.released(id, 20_000);
  assert.equal(some.dial(30_000), [at('8.8.8.8')]);
  assert.is(some.admit(incoming('y', LOWER), 30_000).kind, 'admitted');
});

test.run();

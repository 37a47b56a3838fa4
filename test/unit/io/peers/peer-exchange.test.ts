/** Peer exchange tells differences at the pace of BEP 11 and believes little. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodePexMessage, type KnownPeer, PeerExchange } from '../../../../src/io/peers/peer-exchange.js';
import { type BencodeDictionary, decodeBencode, encodeBencode } from '../../../../src/kernel/bencode.js';
import { Malformed } from '../../../../src/kernel/errors.js';
import { encodeCompact, type PeerAddress } from '../../../../src/kernel/peer-address.js';

function peers(count: number, from = 0): KnownPeer[] {
  return Array.from({ length: count }, (_, i) => ({
    host: `8.8.${(from + i) >> 8}.${(from + i) & 0xff}`,
    port: 6881,
    reachable: i % 2 === 0,
  }));
}

function fields(message: Uint8Array | undefined): BencodeDictionary {
  const decoded = decodeBencode(message ?? new Uint8Array(0));
  if (!(decoded instanceof Map)) throw new Error('no message');
  return decoded;
}

function size(message: Uint8Array | undefined, key: string): number {
  return (fields(message).get(key) as Uint8Array).length;
}

function message(addresses: readonly PeerAddress[]): Uint8Array {
  return encodeBencode({ added: encodeCompact(addresses, 4), added6: encodeCompact(addresses, 6) });
}

function accepted(result: readonly PeerAddress[] | Malformed): readonly PeerAddress[] {
  if (result instanceof Malformed) throw new Error(result.reason);
  return result;
}

test('the first message goes at once, the next a minute later with the difference only', () => {
  const pex = new PeerExchange('8.8.8.8');
  const first = pex.next(peers(3), 0);
  assert.equal([size(first, 'added'), size(first, 'added.f'), size(first, 'dropped')], [18, 3, 0]);
  assert.equal([...(fields(first).get('added.f') as Uint8Array)], [0x10, 0, 0x10]);
  assert.is(pex.next(peers(5), 59_999), undefined);
  const second = pex.next(peers(3, 1), 60_000);
  assert.equal([size(second, 'added'), size(second, 'dropped')], [6, 6]);
  assert.is(pex.next(peers(3, 1), 200_000), undefined, 'no news, no message');
});

test('without anybody to tell of, the first message waits for the first news', () => {
  const pex = new PeerExchange('8.8.8.8');
  assert.is(pex.next([], 0), undefined);
  assert.is(size(pex.next(peers(1), 10), 'added'), 6);
});

test('a message holds at most 50 addresses; the rest follows', () => {
  const pex = new PeerExchange('8.8.8.8');
  assert.is(size(pex.next(peers(70), 0), 'added'), 300);
  assert.is(size(pex.next(peers(70), 60_000), 'added'), 120);
  assert.is(size(pex.next([], 120_000), 'dropped'), 300);
});

test('both families are told and read, without duplicates', () => {
  const six = { host: '2001:db8::1', port: 7, reachable: true };
  const told = new PeerExchange('8.8.8.8').next([...peers(1), six], 0);
  assert.equal(decodePexMessage(told ?? new Uint8Array(0)), [
    { host: '8.8.0.0', port: 6881 },
    { host: '2001:db8::1', port: 7 },
  ]);
  assert.is(accepted(new PeerExchange('8.8.8.8').accept(message([...peers(1), ...peers(1)]), 0)).length, 1);
});

test('at most 50 addresses of a message are taken', () => {
  assert.is(accepted(new PeerExchange('8.8.8.8').accept(message(peers(400)), 0)).length, 50);
});

test('two messages may come at any time, later ones every 30 s; a flood is malformed', () => {
  const pex = new PeerExchange('8.8.8.8');
  assert.is(accepted(pex.accept(message(peers(1)), 0)).length, 1);
  assert.is(accepted(pex.accept(message(peers(1)), 1)).length, 1);
  assert.is(accepted(pex.accept(message(peers(1)), 2)).length, 0);
  assert.is(accepted(pex.accept(message(peers(1)), 30_001)).length, 1);
  for (let i = 0; i < 31; i++) assert.is(accepted(pex.accept(message(peers(1)), 30_002)).length, 0);
  assert.instance(pex.accept(message(peers(1)), 30_002), Malformed);
});

test('a stranger cannot send us to our own machine or network, a neighbour can name neighbours', () => {
  const addresses = [
    { host: '127.0.0.1', port: 22 },
    { host: '192.168.1.1', port: 80 },
    { host: '8.8.4.4', port: 53 },
  ];
  const hosts = (sender: string): string[] => accepted(new PeerExchange(sender).accept(message(addresses), 0)).map(({ host }) => host);
  assert.equal(hosts('8.8.8.8'), ['8.8.4.4']);
  assert.equal(hosts('192.168.1.7'), ['192.168.1.1', '8.8.4.4']);
  assert.equal(hosts('127.0.0.1'), ['127.0.0.1', '192.168.1.1', '8.8.4.4']);
});

test('nonsense is malformed', () => {
  for (const bytes of ['le', 'd5:addedi1ee', 'd5:added3:abce', 'd6:added66:abcdefe', 'x']) {
    assert.instance(new PeerExchange('8.8.8.8').accept(Buffer.from(bytes), 0), Malformed, bytes);
  }
});

test.run();

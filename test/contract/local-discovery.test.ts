/** Local discovery by multicast on the loopback interface alone. */
import { createSocket } from 'node:dgram';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LocalDiscovery } from '../../src/io/peers/local-discovery.js';
import { formatAddress } from '../../src/kernel/peer-address.js';
import { MemoryLog } from '../support/memory-log.js';
import { until } from '../support/until.js';

const HASH = '77'.repeat(20);

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

async function withDiscovery(
  count: number,
  announceMs: number,
  task: (all: LocalDiscovery[], port: number) => Promise<void>,
): Promise<void> {
  const port = await freeUdpPort();
  const options = { interfaces: ['127.0.0.1'], log: new MemoryLog(), port, announceMs };
  const all = await Promise.all(Array.from({ length: count }, (_, i) => LocalDiscovery.start({ ...options, peerPort: 40_001 + i })));
  try {
    await task(all, port);
  } finally {
    await Promise.all(all.map((one) => one.stop()));
  }
}

test('those of one torrent find each other, never themselves, and nobody hears of other torrents', () =>
  withDiscovery(3, 100, async ([a, b, c]) => {
    const heard = { a: new Set<string>(), b: new Set<string>(), c: new Set<string>() };
    a?.join(HASH, (peer) => heard.a.add(formatAddress(peer).replace(/.*:/, '')));
    b?.join(HASH, (peer) => heard.b.add(formatAddress(peer).replace(/.*:/, '')));
    c?.join('88'.repeat(20), (peer) => heard.c.add(formatAddress(peer)));
    await until('both heard', () => heard.a.size === 1 && heard.b.size === 1);
    assert.equal([...heard.a], ['40002']);
    assert.equal([...heard.b], ['40001']);
    assert.is(heard.c.size, 0);
  }));

test('a torrent is announced again and again, and no more once it is left', () =>
  withDiscovery(2, 50, async ([a, b]) => {
    let count = 0;
    a?.join(HASH, () => {});
    b?.join(HASH, () => {
      count++;
    });
    await until('it is heard several times', () => count >= 3);
    a?.leave(HASH);
    await new Promise((resolve) => setTimeout(resolve, 60));
    const heard = count;
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.is(count, heard);
  }));

test('more torrents than one datagram holds are all announced', () =>
  withDiscovery(2, 300_000, async ([a, b]) => {
    const hashes = Array.from({ length: 45 }, (_, i) => i.toString(16).padStart(2, '0').repeat(20));
    const heard = new Set<string>();
    for (const hash of hashes) b?.join(hash, () => heard.add(hash));
    for (const hash of hashes) a?.join(hash, () => {});
    await until('all are heard', () => heard.size === hashes.length, 10_000);
  }));

test('an address that is none of this machine costs a line in the log, and the others work', async () => {
  const log = new MemoryLog();
  const port = await freeUdpPort();
  const options = { interfaces: ['203.0.113.77', '127.0.0.1'], log, port, announceMs: 100 };
  const [a, b] = await Promise.all([1, 2].map((peerPort) => LocalDiscovery.start({ ...options, peerPort })));
  let count = 0;
  a?.join(HASH, () => {
    count++;
  });
  b?.join(HASH, () => {});
  await until('it is heard', () => count > 0);
  assert.match(log.text, 'no local discovery on an interface');
  await Promise.all([a?.stop(), b?.stop()]);
});

test('floods and nonsense are ignored', () =>
  withDiscovery(1, 300_000, async ([a], port) => {
    let count = 0;
    a?.join(HASH, () => {
      count++;
    });
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    socket.setMulticastInterface('127.0.0.1');
    const announce = Buffer.from(`BT-SEARCH * HTTP/1.1\r\nHost: x\r\nPort: 5\r\nInfohash: ${HASH}\r\n\r\n\r\n`);
    const send = (bytes: Uint8Array): Promise<void> =>
      new Promise((resolve) => socket.send(bytes, port, '239.192.152.143', () => resolve()));
    for (const bytes of [Buffer.from('x'), Buffer.alloc(3000, 65), Buffer.from(announce.toString().replace('Port: 5', 'Port: 99999'))])
      await send(bytes);
    for (let i = 0; i < 200; i++) await send(announce);
    await until('some came', () => count > 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.close();
    assert.ok(count <= 45, `${count} of 200`);
  }));

test.run();

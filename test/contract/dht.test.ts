/** Real DHT nodes on loopback that know one another through one of them; and what a node does with nonsense. */
import { createSocket } from 'node:dgram';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Dht, type DhtOptions } from '../../src/io/peers/dht.js';
import { encodeBencode } from '../../src/kernel/bencode.js';
import { ShoalError } from '../../src/kernel/errors.js';
import { formatAddress, type PeerAddress } from '../../src/kernel/peer-address.js';
import { MemoryLog } from '../support/memory-log.js';
import { until } from '../support/until.js';

const HASH = '5a'.repeat(20);
const ID = new Uint8Array(20).fill(7);

let nextPeerPort = 30_001;

async function withDht(
  count: number,
  task: (nodes: Dht[], peerPorts: number[]) => Promise<void>,
  changes: Partial<DhtOptions> = {},
): Promise<void> {
  const nodes: Dht[] = [];
  const peerPorts: number[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const bootstrap = nodes[0] === undefined ? [] : [`127.0.0.1:${nodes[0].port}`];
      peerPorts.push(nextPeerPort);
      const options = {
        host: '127.0.0.1',
        port: 0,
        peerPort: nextPeerPort++,
        bootstrap,
        saved: [],
        allowsLocal: true,
        log: new MemoryLog(),
      };
      nodes.push(await Dht.start({ ...options, timings: { firstRetryMs: 100, announceMs: 400 }, ...changes }));
    }
    await task(nodes, peerPorts);
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
  }
}

test('nodes that know one of them find each other, and peers of a torrent through them', () =>
  withDht(6, async (nodes, peerPorts) => {
    await until('all know some', () => nodes.every(({ nodeCount }) => nodeCount >= 3));
    const found: Set<string>[] = [new Set(), new Set(), new Set()];
    for (const [i, names] of found.entries()) nodes[i + 2]?.join(HASH, (peer) => names.add(formatAddress(peer)));
    const others = (i: number): string[] => [2, 3, 4].filter((j) => j !== i + 2).map((j) => `127.0.0.1:${peerPorts[j]}`);
    await until('each found both others', () => found.every((names, i) => others(i).every((other) => names.has(other))), 15_000);
  }));

test('the table is given out to be saved, and with it a node finds back without bootstrap nodes', () =>
  withDht(3, async (nodes) => {
    await until('all know some', () => nodes.every(({ nodeCount }) => nodeCount >= 1));
    let saved: readonly PeerAddress[] = [];
    await withDht(
      1,
      async ([other]) => {
        await until('it knows them', () => (other?.nodeCount ?? 0) > 0);
      },
      {
        bootstrap: [`127.0.0.1:${nodes[0]?.port}`],
        onSave: (addresses) => {
          saved = addresses;
        },
      },
    );
    assert.ok(saved.length > 0);
    await withDht(1, async ([back]) => until('it is back', () => (back?.nodeCount ?? 0) > 0), { bootstrap: [], saved });
  }));

test('nonsense, flooding and wrong types neither end a node nor cost an answer', () =>
  withDht(1, async ([node]) => {
    const socket = createSocket('udp4');
    const answers: string[] = [];
    socket.on('message', (bytes) => answers.push(bytes.toString('latin1')));
    const send = (bytes: Uint8Array): void => socket.send(bytes, node?.port ?? 0, '127.0.0.1');
    const query = (q: string, a: object): Uint8Array => encodeBencode({ t: 'aa', y: 'q', q, a: { id: ID, ...a } });
    try {
      const hostile = [
        query('announce_peer', { info_hash: ID, token: 5, port: 80 }),
        query('find_node', { target: 'abc' }),
        query('get_peers', { info_hash: 7 }),
        query('put', { v: 'x', token: 'x' }),
        encodeBencode({ t: 5, y: 'q', q: 'ping', a: { id: ID } }),
        encodeBencode({ t: 'aa', y: 'r', r: { id: 5, values: [3], nodes: 'x' } }),
        encodeBencode({ t: 'aa', y: 'e', e: [] }),
        Buffer.from(`d1:a${'l'.repeat(1000)}`),
        new Uint8Array(0),
      ];
      for (const bytes of hostile) send(bytes);
      send(query('ping', {}));
      await until('the ping is answered', () => answers.length > 0);
      assert.is(answers.length, 1);
      for (let i = 0; i < 400; i++) send(query('ping', {}));
      await until('the flood is over', () => answers.length >= 90);
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.ok(answers.length <= 160, `${answers.length} answers to 400 queries`);
    } finally {
      socket.close();
    }
  }));

test('a taken port is refused with a sentence that names the setting', () =>
  withDht(1, async ([node]) => {
    try {
      await Dht.start({ host: '127.0.0.1', port: node?.port ?? 0, peerPort: 1, bootstrap: [], saved: [], log: new MemoryLog() });
      assert.unreachable();
    } catch (error) {
      assert.is((error as ShoalError).code, 'PORT_TAKEN');
      assert.instance(error, ShoalError);
    }
  }));

test('who knew nobody asks as soon as it hears of a node, not when its pause is over', () =>
  withDht(
    3,
    async ([between, known, stranger], peerPorts) => {
      const found = new Set<string>();
      const node = { host: '127.0.0.1', port: between?.port ?? 0 };
      known?.join(HASH, () => {});
      stranger?.join(HASH, (peer) => found.add(formatAddress(peer)));
      await new Promise((resolve) => setTimeout(resolve, 100));
      known?.addNode(node);
      await new Promise((resolve) => setTimeout(resolve, 500));
      stranger?.addNode(node);
      await until('it is found', () => found.has(`127.0.0.1:${peerPorts[1]}`));
    },
    { bootstrap: [], timings: { firstRetryMs: 60_000, announceMs: 60_000 } },
  ));

test('a torrent that waits for its turn gets it though those before it were left', () =>
  withDht(
    3,
    async ([, seeker, sought], peerPorts) => {
      await until('all know some', () => [seeker, sought].every((node) => (node?.nodeCount ?? 0) > 0));
      const hashes = Array.from({ length: 12 }, (_, index) => index.toString(16).repeat(40));
      const found = new Set<string>();
      sought?.join(HASH, () => {});
      await new Promise((resolve) => setTimeout(resolve, 300));
      for (const hash of hashes) seeker?.join(hash, () => {});
      seeker?.join(HASH, (peer) => found.add(formatAddress(peer)));
      // Four are under way.
      for (const hash of hashes.slice(4)) seeker?.leave(hash);
      await until('it is found', () => found.has(`127.0.0.1:${peerPorts[2]}`));
    },
    { timings: { firstRetryMs: 60_000, announceMs: 60_000 } },
  ));

test('a torrent that is left during its look-up, since it is private, is not announced', () =>
  withDht(3, async ([, leaver, seeker], peerPorts) => {
    await until('all know some', () => [leaver, seeker].every((node) => (node?.nodeCount ?? 0) > 0));
    leaver?.join(HASH, () => {});
    leaver?.leave(HASH);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const found = new Set<string>();
    seeker?.join(HASH, (peer) => found.add(formatAddress(peer)));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.not(found.has(`127.0.0.1:${peerPorts[1]}`));
  }));

test('a node may be named by its name', async () => {
  const log = new MemoryLog();
  const options = { host: '127.0.0.1', port: 0, saved: [], allowsLocal: true, log };
  const node = await Dht.start({ ...options, peerPort: nextPeerPort++, bootstrap: [] });
  const other = await Dht.start({ ...options, peerPort: nextPeerPort++, bootstrap: [`localhost:${node.port}`] });
  other.join(HASH, () => {});
  await until('they know each other', () => node.nodeCount > 0 && other.nodeCount > 0);
  await Promise.all([node.stop(), other.stop()]);
});

test.run();

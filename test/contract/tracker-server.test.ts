/** The embedded tracker over real sockets: what it answers, whom it refuses, and what it survives. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TrackerServer } from '../../src/io/trackers/tracker-server.js';
import { type BencodeDictionary, bencodeText, decodeBencode } from '../../src/kernel/bencode.js';
import { ShoalError } from '../../src/kernel/errors.js';
import { MemoryLog } from '../support/memory-log.js';
import { until } from '../support/until.js';

const KNOWN = 'ab'.repeat(20);
const UNKNOWN = 'cd'.repeat(20);
const HOST = '127.0.0.1';

const start = (changes: Partial<Parameters<typeof TrackerServer.start>[0]> = {}): Promise<TrackerServer> =>
  TrackerServer.start({
    host: HOST,
    httpPort: 0,
    udpPort: 0,
    intervalMs: 30_000,
    allow: (infoHash) => infoHash === KNOWN,
    log: new MemoryLog(),
    ...changes,
  });

/** Runs `body` with a tracker, and closes it whatever happens. */
const withTracker =
  (body: (tracker: TrackerServer) => Promise<void>): (() => Promise<void>) =>
  async () => {
    const tracker = await start();
    try {
      await body(tracker);
    } finally {
      await tracker.stop();
    }
  };

const escaped = (hex: string): string => hex.replace(/../g, '%$&');
const peerId = (number: number): string => Buffer.from(`-SH0001-${String(number).padStart(12, '0')}`).toString('hex');

async function announce(tracker: TrackerServer, parameters: Record<string, string>): Promise<BencodeDictionary> {
  const all = { info_hash: escaped(KNOWN), peer_id: escaped(peerId(1)), port: '6881', left: '1', compact: '1', ...parameters };
  const query = Object.entries(all).map(([key, value]) => `${key}=${value}`);
  const response = await fetch(`http://${HOST}:${tracker.httpPort}/announce?${query.join('&')}`);
  const decoded = decodeBencode(new Uint8Array(await response.arrayBuffer()));
  assert.ok(decoded instanceof Map);
  return decoded;
}

/** One datagram to the tracker's UDP port and the first that comes back; undefined when none does within `timeoutMs`. */
async function exchange(tracker: TrackerServer, messages: (id: Buffer) => Buffer, timeoutMs = 2000): Promise<Buffer | undefined> {
  const socket = createSocket('udp4');
  const ask = async (message: Buffer): Promise<Buffer | undefined> => {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    socket.send(message, tracker.udpPort ?? 0, HOST);
    const [answer] = await once(socket, 'message', { signal: controller.signal }).catch(() => [undefined]);
    clearTimeout(timer);
    return answer as Buffer | undefined;
  };
  try {
    const connected = await ask(Buffer.from('00000417271019800000000000000007', 'hex'));
    assert.ok(connected?.length === 16 && connected.readUInt32BE(4) === 7);
    return await ask(messages(connected.subarray(8, 16)));
  } finally {
    socket.close();
  }
}

function udpAnnounce(id: Buffer, changes: { infoHash?: string; port?: number; address?: number; peer?: number } = {}): Buffer {
  const message = Buffer.alloc(98);
  id.copy(message);
  message.writeUInt32BE(1, 8);
  message.writeUInt32BE(9, 12);
  message.write(changes.infoHash ?? KNOWN, 16, 'hex');
  message.write(peerId(changes.peer ?? 2), 36, 'hex');
  message.writeUInt32BE(1, 68);
  message.writeUInt32BE(2, 80);
  message.writeUInt32BE(changes.address ?? 0, 84);
  message.writeUInt32BE(50, 92);
  message.writeUInt16BE(changes.port ?? 6882, 96);
  return message;
}

const peersOf = (response: BencodeDictionary): number[] => {
  const bytes = Buffer.from(response.get('peers') as Uint8Array);
  return Array.from({ length: bytes.length / 6 }, (_, index) => bytes.readUInt16BE(index * 6 + 4)).sort();
};

test(
  'a port of 0 gives HTTP and UDP a free port, and the same number if it can be had',
  withTracker(async (tracker) => {
    assert.ok(tracker.httpPort > 0);
    assert.is(tracker.udpPort, tracker.httpPort);
  }),
);

test(
  'peers that announce learn of each other, over HTTP and UDP, and not of themselves',
  withTracker(async (tracker) => {
    const first = await announce(tracker, { event: 'started' });
    assert.equal(peersOf(first), []);
    assert.is(first.get('interval'), 30);
    const answer = await exchange(tracker, (id) => udpAnnounce(id));
    assert.is(answer?.toString('hex', 20), '7f0000011ae1');
    assert.equal(peersOf(await announce(tracker, {})), [6882]);
    assert.is(tracker.peerCount(KNOWN), 2);
    await announce(tracker, { event: 'stopped' });
    assert.is(tracker.peerCount(KNOWN), 1);
  }),
);

test(
  'first announces at the same moment end up in one swarm',
  withTracker(async (tracker) => {
    await Promise.all(
      [1, 2, 3, 4, 5].map((number) => announce(tracker, { peer_id: escaped(peerId(number)), port: String(7000 + number) })),
    );
    assert.is(tracker.peerCount(KNOWN), 5);
  }),
);

test(
  'a channel of somebody else is not tracked, over HTTP or UDP',
  withTracker(async (tracker) => {
    const response = await announce(tracker, { info_hash: escaped(UNKNOWN) });
    assert.match(bencodeText(response.get('failure reason')) ?? '', /does not know the channel/);
    const answer = await exchange(tracker, (id) => udpAnnounce(id, { infoHash: UNKNOWN }));
    assert.is(answer?.readUInt32BE(0), 3);
    assert.match(answer?.toString('utf8', 8) ?? '', /does not know the channel/);
    assert.is(tracker.peerCount(UNKNOWN), 0);
  }),
);

const BAD_ANNOUNCES: readonly Record<string, string>[] = [
  { port: '1.5' },
  { port: '0' },
  { port: '70000' },
  { port: 'abc' },
  { peer_id: 'short' },
  { info_hash: 'short' },
  { info_hash: `x&info_hash=${escaped(KNOWN)}` },
  { event: 'invented' },
  { event: '__proto__' },
  { event: 'error' },
];

for (const parameters of BAD_ANNOUNCES) {
  test(
    `an announce with ${JSON.stringify(parameters)} is refused with a reason and harms nobody`,
    withTracker(async (tracker) => {
      await announce(tracker, { peer_id: escaped(peerId(3)), port: '6883' });
      const response = await announce(tracker, parameters);
      assert.ok(bencodeText(response.get('failure reason')));
      assert.equal(peersOf(await announce(tracker, {})), [6883]);
    }),
  );
}

test(
  'an announce that asks for a list of dictionaries, a negative number of peers or none gets a compact answer',
  withTracker(async (tracker) => {
    await announce(tracker, { peer_id: escaped(peerId(3)), port: '6883' });
    assert.equal(peersOf(await announce(tracker, { compact: '0' })), [6883]);
    assert.equal(peersOf(await announce(tracker, { numwant: '-5' })), []);
  }),
);

test(
  'the address field of a UDP announce is ignored, so nobody can be named a peer by others',
  withTracker(async (tracker) => {
    await exchange(tracker, (id) => udpAnnounce(id, { address: 0x08080808 }));
    const response = await announce(tracker, {});
    assert.is(Buffer.from(response.get('peers') as Uint8Array).toString('hex'), '7f0000011ae2');
  }),
);

test(
  'a UDP announce needs the connection id that was sent to its address',
  withTracker(async (tracker) => {
    assert.is(await exchange(tracker, () => udpAnnounce(Buffer.from('0000041727101980', 'hex')), 150), undefined);
    assert.is(await exchange(tracker, (id) => udpAnnounce(id).subarray(0, 97), 150), undefined);
    assert.is(tracker.peerCount(KNOWN), 0);
  }),
);

test(
  'statistics, scrape and other methods are not offered',
  withTracker(async (tracker) => {
    for (const path of ['/stats', '/stats.json', '/scrape', '/', '/announce/../stats']) {
      const response = await fetch(`http://${HOST}:${tracker.httpPort}${path}`);
      await response.arrayBuffer();
      assert.is(response.status, 404, path);
    }
    const response = await fetch(`http://${HOST}:${tracker.httpPort}/announce`, { method: 'POST', body: 'x' });
    await response.arrayBuffer();
    assert.is(response.status, 405);
  }),
);

test(
  'garbage on either port is survived',
  withTracker(async (tracker) => {
    const socket = connect(tracker.httpPort, HOST, () => socket.end('\x00\xff garbage\r\n\r\n'));
    socket.resume();
    await once(socket, 'close');
    const large = await fetch(`http://${HOST}:${tracker.httpPort}/announce?${'x'.repeat(20_000)}`).then((response) => response.status);
    assert.is(large, 431);
    const udp = createSocket('udp4');
    for (const size of [0, 1, 15, 16, 40, 98, 1400]) udp.send(Buffer.alloc(size, 0xff), tracker.udpPort ?? 0, HOST);
    const answer = await exchange(tracker, (id) => udpAnnounce(id));
    udp.close();
    assert.is(answer?.readUInt32BE(0), 1);
  }),
);

test(
  'an address that announces too often is slowed down',
  withTracker(async (tracker) => {
    const udp = createSocket('udp4');
    const connectMessage = Buffer.from('00000417271019800000000000000007', 'hex');
    for (let count = 0; count < 400; count++) udp.send(connectMessage, tracker.udpPort ?? 0, HOST);
    let answerCount = 0;
    udp.on('message', () => answerCount++);
    await until('the burst to be answered', () => answerCount >= 150);
    const response = await fetch(`http://${HOST}:${tracker.httpPort}/announce`);
    await response.arrayBuffer();
    udp.close();
    assert.ok(answerCount <= 250, `${answerCount} of 400 were answered`);
    assert.is(response.status, 429);
  }),
);

test('a taken port is said in words that name the port and the key', async () => {
  const other = createServer().listen(0, HOST);
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  try {
    await start({ httpPort: port, udpPort: port });
    assert.unreachable('the tracker listened on a taken port');
  } catch (error) {
    assert.instance(error, ShoalError);
    assert.is((error as ShoalError).code, 'PORT_TAKEN');
    assert.match((error as ShoalError).message, new RegExp(`Port ${port} on 127.0.0.1 is taken .*tracker.port`));
  } finally {
    other.close();
  }
});

test('a host that is not of this machine is said in words', async () => {
  try {
    await start({ host: '192.0.2.77' });
    assert.unreachable('the tracker listened on a foreign address');
  } catch (error) {
    assert.instance(error, ShoalError);
    assert.is((error as ShoalError).code, 'ADDRESS_UNUSABLE');
  }
});

test('a UDP port that is taken costs a warning, not the tracker', async () => {
  const other = createSocket('udp4');
  other.bind(0, HOST);
  await once(other, 'listening');
  const log = new MemoryLog();
  const tracker = await start({ httpPort: 0, udpPort: other.address().port, log });
  try {
    assert.is(tracker.udpPort, null);
    assert.match(log.complaints[0] ?? '', /over HTTP only: UDP port \d+ could not be bound \(EADDRINUSE\)/);
    assert.ok((await announce(tracker, {})).has('interval'));
  } finally {
    await tracker.stop();
    other.close();
  }
});

test('the tracker starts on every address, with or without IPv6', async () => {
  const tracker = await start({ host: '::' });
  try {
    assert.ok((await announce(tracker, {})).has('interval'));
    assert.is((await exchange(tracker, (id) => udpAnnounce(id)))?.readUInt32BE(0), 1);
  } finally {
    await tracker.stop();
  }
});

test('stopping twice is fine, and closes connections that are still open', async () => {
  const tracker = await start();
  const socket = connect(tracker.httpPort, HOST);
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  await Promise.all([tracker.stop(), tracker.stop()]);
  await closed;
});

test.run();

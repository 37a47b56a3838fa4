/** The tracker client against our tracker, and against trackers that are down, slow, hostile or nonsense. */
import { spawn } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type PeerAddress, TrackerClient, type TrackerClientOptions } from '../../src/io/trackers/tracker-client.js';
import { TrackerServer } from '../../src/io/trackers/tracker-server.js';
import { encodeBencode } from '../../src/kernel/bencode.js';
import { MemoryLog } from '../support/memory-log.js';
import { until } from '../support/until.js';

const ID = 'ab'.repeat(20);
const HOST = '127.0.0.1';

/** What a test opened; closed after it, whatever happened. */
const closers: (() => Promise<unknown> | unknown)[] = [];

interface Client {
  readonly client: TrackerClient;
  readonly peers: PeerAddress[];
  readonly log: MemoryLog;
}

let nextPort = 20_001;

function makeClient(trackers: readonly string[], changes: Partial<TrackerClientOptions> = {}): Client {
  const peers: PeerAddress[] = [];
  const log = new MemoryLog();
  const port = nextPort++;
  const client = new TrackerClient({
    infoHash: ID,
    peerId: Buffer.from(`-SH0001-${String(port).padStart(12, '0')}`).toString('hex'),
    port,
    trackers,
    log,
    onPeer: (address) => peers.push(address),
    intervalMinMs: 40,
    pauseMinMs: 20,
    retryMinMs: 20,
    retryMaxMs: 100,
    ...changes,
  });
  closers.unshift(() => client.stop());
  return { client, peers, log };
}

async function startTracker(httpPort = 0): Promise<TrackerServer> {
  const options = { host: HOST, httpPort, udpPort: httpPort, intervalMs: 60_000, allow: () => true, log: new MemoryLog() };
  const tracker = await TrackerServer.start(options);
  closers.push(() => tracker.stop());
  return tracker;
}

interface FakeTracker {
  readonly url: string;
  /** Query parameters of each announce, in order. */
  readonly announces: URLSearchParams[];
  readonly server: Server;
}

/** A tracker that misbehaves as `answer` says. */
async function startFake(answer: (response: ServerResponse, request: IncomingMessage) => void): Promise<FakeTracker> {
  const announces: URLSearchParams[] = [];
  const server = createServer((request, response) => {
    announces.push(new URL(request.url ?? '', 'http://x').searchParams);
    answer(response, request);
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://${HOST}:${(server.address() as AddressInfo).port}/announce`, announces, server };
}

async function startUdpFake(answer: (socket: UdpSocket, message: Buffer, port: number) => void, host = HOST): Promise<string> {
  const socket = createSocket(host === HOST ? 'udp4' : 'udp6');
  socket.on('message', (message, sender) => answer(socket, message, sender.port));
  socket.bind(0, host);
  await once(socket, 'listening');
  closers.push(() => socket.close());
  return `udp://${host === HOST ? host : `[${host}]`}:${socket.address().port}/announce`;
}

/** A UDP tracker that gives a connection and then answers with these peers, but for the first `lost` datagrams, which get lost. */
async function startHonestUdp(
  peers: Buffer,
  { host = HOST, lost = 0 } = {},
): Promise<{ readonly url: string; readonly announces: Buffer[] }> {
  const announces: Buffer[] = [];
  let count = 0;
  const url = await startUdpFake((socket, message, port) => {
    if (count++ < lost) return;
    const isConnect = message.readUInt32BE(8) === 0;
    if (!isConnect) announces.push(message);
    const head = message.subarray(8, 16);
    const body = isConnect
      ? Buffer.from('0102030405060708', 'hex')
      : Buffer.concat([Buffer.from('00000e100000000000000001', 'hex'), peers]);
    socket.send(Buffer.concat([head, body]), port, host);
  }, host);
  return { url, announces };
}

const httpUrl = (tracker: TrackerServer): string => `http://${HOST}:${tracker.httpPort}/announce`;
const udpUrl = (tracker: TrackerServer): string => `udp://${HOST}:${tracker.udpPort}`;
const bencoded = (fields: Parameters<typeof encodeBencode>[0]): Buffer => Buffer.from(encodeBencode(fields));
const stateOf = ({ client }: Client): string | undefined => client.status()[0]?.state;

test.after.each(async () => {
  for (const close of closers.splice(0)) await close();
});

for (const [protocol, urlOf] of [
  ['HTTP', httpUrl],
  ['UDP', udpUrl],
] as const) {
  test(`two peers find each other over ${protocol}, and the tracker forgets them when they stop`, async () => {
    const tracker = await startTracker();
    const first = makeClient([urlOf(tracker)], { seeding: true });
    first.client.start();
    await until('the first peer to be tracked', () => tracker.peerCount(ID) === 1);
    const second = makeClient([urlOf(tracker)]);
    second.client.start();
    await until('the second to learn of the first', () => second.peers.length > 0);
    assert.is(second.peers[0]?.host, HOST);
    assert.is(second.client.status()[0]?.state, 'ok');
    await first.client.stop();
    await second.client.stop();
    assert.is(tracker.peerCount(ID), 0);
    assert.equal(second.log.complaints, []);
  });
}

test('a client with wishes asks again soon, one without keeps to the interval', async () => {
  const tracker = await startTracker();
  const eager = makeClient([httpUrl(tracker)], { wanted: () => true });
  const content = makeClient([httpUrl(tracker)], { wanted: () => false });
  eager.client.start();
  content.client.start();
  await until('both to be tracked', () => tracker.peerCount(ID) === 2);
  makeClient([udpUrl(tracker)]).client.start();
  await until('the eager one to learn of the third', () => new Set(eager.peers.map(({ port }) => port)).size === 2);
  assert.ok(content.peers.length <= 1, 'the content one announced before the interval of a minute was over');
});

test('announceNow asks at once, but not more often than the pause', async () => {
  const arrivedMs: number[] = [];
  const fake = await startFake((response) => {
    arrivedMs.push(performance.now());
    response.end(bencoded({ interval: 3600, peers: '' }));
  });
  const made = makeClient([fake.url], { pauseMinMs: 400 });
  made.client.start();
  await until('the first announce', () => stateOf(made) === 'ok');
  for (let count = 0; count < 50; count++) made.client.announceNow();
  await until('the second announce', () => fake.announces.length === 2);
  const [firstMs = 0, secondMs = 0] = arrivedMs;
  assert.ok(secondMs - firstMs > 200, 'the pause was not kept');
});

test('a tracker that is down is asked until it is up, with one line for each change', async () => {
  const early = await startTracker();
  const port = early.httpPort;
  await early.stop();
  const made = makeClient([`http://${HOST}:${port}/announce?passkey=secret`]);
  made.client.start();
  await until('the failure', () => stateOf(made) === 'failing');
  assert.match(made.client.status()[0]?.lastError ?? '', /cannot be reached \(ECONNREFUSED\)/);
  const tracker = await startTracker(port);
  await until('the recovery', () => stateOf(made) === 'ok');
  assert.is(tracker.peerCount(ID), 1);
  assert.is(made.client.status()[0]?.lastError, undefined);
  assert.equal(
    made.log.lines.map(({ level, message }) => `${level} ${message}`),
    [
      `warn Tracker http://${HOST}:${port}/announce cannot be reached (ECONNREFUSED). It is asked again and again; peers already known go on.`,
      `info Tracker http://${HOST}:${port}/announce answers again.`,
    ],
  );
});

test('a tracker that goes down and comes back learns of us again', async () => {
  const early = await startTracker();
  const port = early.httpPort;
  const made = makeClient([httpUrl(early)], { intervalMaxMs: 60 });
  made.client.start();
  await until('the first announce', () => early.peerCount(ID) === 1);
  await early.stop();
  await until('the failure', () => stateOf(made) === 'failing');
  const late = await startTracker(port);
  await until('the recovery', () => late.peerCount(ID) === 1);
});

test('a tracker that answers with nonsense is a failing tracker and no more', async () => {
  const fake = await startFake((response) => response.end('<html>hello</html>'));
  const made = makeClient([fake.url]);
  made.client.start();
  await until('the second try', () => fake.announces.length >= 2);
  assert.is(stateOf(made), 'failing');
  assert.match(made.client.status()[0]?.lastError ?? '', /no announce response \(bencode: "<"/);
  assert.is(made.log.complaints.length, 1);
  assert.equal(made.peers, []);
});

for (const [what, answer] of [
  ['never answers', () => undefined],
  ['sends a header and then nothing', (response: ServerResponse) => void response.writeHead(200).write('d')],
] as const) {
  test(`a tracker that ${what} is given up after the time limit`, async () => {
    const fake = await startFake(answer);
    const made = makeClient([fake.url], { timeoutMs: 60 });
    made.client.start();
    await until('the second try', () => fake.announces.length >= 2);
    assert.match(made.client.status()[0]?.lastError ?? '', /does not answer in time/);
  });
}

test('of the peers in a response only usable ones count, and no more than 200', async () => {
  const entry = (address: string, port: number): Buffer => Buffer.from([...address.split('.').map(Number), port >> 8, port & 0xff]);
  const made: Client[] = [];
  const fake = await startFake((response, request) => {
    const ownPort = Number(new URL(request.url ?? '', 'http://x').searchParams.get('port'));
    const bad = [entry('192.0.2.1', 0), entry('0.0.0.0', 80), entry('224.0.0.1', 80), entry('255.255.255.255', 80), entry(HOST, ownPort)];
    const good = Array.from({ length: 300 }, (_, index) => entry('192.0.2.9', 1000 + index));
    response.end(bencoded({ interval: 60, peers: Buffer.concat([...bad, ...good, Buffer.from([1, 2, 3])]) }));
  });
  made.push(makeClient([fake.url]));
  made[0]?.client.start();
  await until('the answer', () => made[0] !== undefined && stateOf(made[0]) === 'ok');
  const peers = made[0]?.peers ?? [];
  assert.is(peers.length, 195);
  assert.ok(peers.every(({ host, port }) => host === '192.0.2.9' && port >= 1000));
  assert.is(made[0]?.client.status()[0]?.peers, 195);
});

test('both written forms of peers are read, IPv4 and IPv6', async () => {
  const peers6 = Buffer.from('20010db8000000000000000000000001' + '1ae1', 'hex');
  const listed = [
    { ip: '192.0.2.7', port: 6881, 'peer id': 'x' },
    { ip: 'host.example', port: 6881 },
    { ip: '192.0.2.8', port: 70_000 },
    { ip: '192.0.2.8', port: -1 },
    { port: 5 },
    7,
  ];
  const fake = await startFake((response) => response.end(bencoded({ interval: 60, peers: listed, peers6 })));
  const made = makeClient([fake.url]);
  made.client.start();
  await until('the answer', () => stateOf(made) === 'ok');
  assert.equal(made.peers, [
    { host: '192.0.2.7', port: 6881 },
    { host: '2001:db8::1', port: 6881 },
  ]);
});

for (const interval of [4_294_967_295, 1, 0, -5, Number.MAX_SAFE_INTEGER]) {
  test(`an interval of ${interval} s does not make us announce in a loop`, async () => {
    const fake = await startFake((response) => response.end(bencoded({ interval, peers: '' })));
    const made = makeClient([fake.url], { intervalMinMs: 5000 });
    made.client.start();
    await until('the answer', () => stateOf(made) === 'ok');
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.is(fake.announces.length, 1);
  });
}

test('a min interval is kept, also by who wants neighbours', async () => {
  const fake = await startFake((response) => response.end(bencoded({ interval: 3600, 'min interval': 1800, peers: '' })));
  const made = makeClient([fake.url], { wanted: () => true });
  made.client.start();
  await until('the answer', () => stateOf(made) === 'ok');
  made.client.announceNow();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.is(fake.announces.length, 1);
});

test('started and stopped are each said once, with what we are and have done', async () => {
  const fake = await startFake((response) => response.end(bencoded({ interval: 1, peers: '', 'tracker id': 'T1' })));
  const stats = { uploadedBytes: 12.7, downloadedBytes: 5_000_000_000 };
  const made = makeClient([fake.url], { intervalMaxMs: 40, announceStats: () => stats });
  made.client.start();
  made.client.start();
  await until('three announces', () => fake.announces.length >= 3);
  await Promise.all([made.client.stop(), made.client.stop()]);
  const events = fake.announces.map((announce) => announce.get('event'));
  assert.is(events[0], 'started');
  assert.is(events.at(-1), 'stopped');
  assert.ok(events.slice(1, -1).every((event) => event === null));
  const last = fake.announces.at(-1);
  assert.equal(
    ['uploaded', 'downloaded', 'left', 'compact', 'trackerid'].map((key) => last?.get(key)),
    ['12', '5000000000', '16384', '1', 'T1'],
  );
});

test('who holds the source has nothing left', async () => {
  const fake = await startFake((response) => response.end(bencoded({ interval: 60, peers: '' })));
  const made = makeClient([fake.url], { seeding: true });
  made.client.start();
  await until('the answer', () => stateOf(made) === 'ok');
  assert.is(fake.announces[0]?.get('left'), '0');
});

test('started is repeated until it is answered', async () => {
  let count = 0;
  const fake = await startFake((response) => (count++ < 2 ? response.destroy() : response.end(bencoded({ interval: 60, peers: '' }))));
  const made = makeClient([fake.url]);
  made.client.start();
  await until('the answer', () => stateOf(made) === 'ok');
  assert.equal(
    fake.announces.map((announce) => announce.get('event')),
    ['started', 'started', 'started'],
  );
});

test('stopping takes no more than a second when the tracker does not answer any more', async () => {
  let isSilent = false;
  const fake = await startFake((response) => {
    if (!isSilent) response.end(bencoded({ interval: 60, peers: '' }));
  });
  const silentUdp = await startUdpFake(() => undefined);
  const made = makeClient([fake.url, silentUdp]);
  made.client.start();
  await until('the answer', () => stateOf(made) === 'ok');
  isSilent = true;
  const startedMs = performance.now();
  await made.client.stop();
  assert.ok(performance.now() - startedMs < 1000);
  assert.is(fake.announces.at(-1)?.get('event'), 'stopped');
});

test('a client that was never started stops at once and says nothing', async () => {
  const fake = await startFake((response) => response.end());
  const made = makeClient([fake.url]);
  await made.client.stop();
  made.client.start();
  assert.is(stateOf(made), 'waiting');
  assert.is(fake.announces.length, 0);
});

const UDP_NONSENSE: readonly (readonly [what: string, answer: (message: Buffer) => Buffer])[] = [
  ['one byte', () => Buffer.from([0])],
  ['another transaction', () => Buffer.alloc(16, 0xee)],
  ['an unknown action', (message) => Buffer.concat([Buffer.from([0, 0, 0, 9]), message.subarray(12, 16), Buffer.alloc(8)])],
  ['a short handshake', (message) => Buffer.concat([Buffer.alloc(4), message.subarray(12, 16)])],
  ['an error', (message) => Buffer.concat([Buffer.from([0, 0, 0, 3]), message.subarray(12, 16), Buffer.from('go away')])],
  ['a short announce', (message) => Buffer.concat([Buffer.from([0, 0, 0, 1]), message.subarray(12, 16), Buffer.alloc(2)])],
];

test('a UDP tracker is told one key by one client, and what stands behind its host', async () => {
  const { url, announces } = await startHonestUdp(Buffer.from('c00002071ae1', 'hex'));
  const made = makeClient([url.replace('/announce', '/5ecret/announce')], { wanted: () => true });
  made.client.start();
  await until('two announces', () => announces.length >= 2);
  await made.client.stop();
  const keys = announces.map((announce) => announce.readUInt32BE(88));
  assert.is(new Set(keys).size, 1);
  const other = makeClient([url]);
  other.client.start();
  await until('another client', () => stateOf(other) === 'ok');
  assert.is.not(announces.at(-1)?.readUInt32BE(88), keys[0]);
  assert.match(announces[0]?.subarray(98).toString('latin1') ?? '', '/5ecret/announce');
  assert.equal(
    [announces[0], announces.at(-2)].map((announce) => announce?.readUInt32BE(80)),
    [2, 3],
  );
  assert.equal(made.peers[0], { host: '192.0.2.7', port: 6881 });
  assert.not.match(JSON.stringify(made.log), '5ecret');
});

for (const [wire, start] of [
  [
    'an HTTP',
    async (words: string) =>
      (await startFake((response) => response.end(bencoded({ 'failure reason': words })))).url.replace(
        /\/announce$/,
        '/announce/5ecretkey',
      ),
  ],
  [
    'a UDP',
    async (words: string) => {
      const refuse = (message: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0, 0, 3]), message.subarray(12, 16), Buffer.from(words)]);
      return (await startUdpFake((socket, message, port) => socket.send(refuse(message), port, HOST))).replace(
        /\/announce$/,
        '/announce/5ecretkey',
      );
    },
  ],
] as const)
  test(`${wire} tracker that refuses is quoted, but for the key that its address holds`, async () => {
    const made = makeClient([await start('passkey 5ecretkey is not known')]);
    made.client.start();
    await until('the refusal', () => stateOf(made) === 'failing');
    const [status] = made.client.status();
    assert.is(status?.lastError, 'refuses: "passkey … is not known"');
    assert.match(status?.url ?? '', /\/announce\/…$/);
    assert.not.match(made.log.complaints.join(), '5ecretkey');
  });

test('a UDP tracker is asked over IPv6, and names peers there', async () => {
  const { url } = await startHonestUdp(Buffer.from(`20010db8${'00'.repeat(11)}011ae1`, 'hex'), { host: '::1' });
  const made = makeClient([url]);
  made.client.start();
  await until('the answer', () => stateOf(made) === 'ok');
  assert.equal(made.peers, [{ host: '2001:db8::1', port: 6881 }]);
});

test('a datagram that is lost is sent again within the same announce', async () => {
  const { url, announces } = await startHonestUdp(Buffer.alloc(0), { lost: 1 });
  const made = makeClient([url]);
  made.client.start();
  await until('the answer', () => stateOf(made) === 'ok');
  assert.equal([announces.length, made.log.complaints], [1, []]);
});

test('nobody at the port of a UDP tracker is noticed at once', async () => {
  const { url } = await startHonestUdp(Buffer.alloc(0));
  await closers.pop()?.();
  const made = makeClient([url], { retryMinMs: 60_000, retryMaxMs: 60_000 });
  made.client.start();
  await until('the failure', () => stateOf(made) === 'failing');
  assert.match(made.client.status()[0]?.lastError ?? '', /^cannot be reached \(ECONNREFUSED\)$/);
});

for (const [what, answer] of UDP_NONSENSE) {
  test(`a UDP tracker that answers with ${what} is a failing tracker and no more`, async () => {
    let count = 0;
    const url = await startUdpFake((socket, message, port) => {
      count++;
      socket.send(answer(message), port, HOST);
    });
    const made = makeClient([url], { timeoutMs: 200 });
    made.client.start();
    await until('the second try', () => count >= 2);
    assert.is(stateOf(made), 'failing');
    assert.is(made.log.complaints.length, 1);
  });
}

test('trackers of other schemes are left out with a warning, and the rest go on', async () => {
  const fake = await startFake((response) => response.end(bencoded({ interval: 60, peers: '' })));
  const made = makeClient(['wss://tracker.example', 'nonsense', 'udp://tracker.example:0', fake.url, fake.url]);
  made.client.start();
  await until('the answer', () => stateOf(made) === 'ok');
  assert.is(made.client.status().length, 1);
  assert.match(made.log.complaints[0] ?? '', /wss:\/\/tracker.example, nonsense, udp:\/\/tracker.example:0 is left out; expected an http/);
});

test('after stop nothing keeps the process alive', async () => {
  const tracker = await startTracker();
  const module = fileURLToPath(new URL('../../src/io/trackers/tracker-client.js', import.meta.url));
  const script = `
    const { TrackerClient } = await import(${JSON.stringify(module)});
    const log = { debug() {}, info() {}, warn() {}, error() {}, child() { return log; } };
    const trackers = ${JSON.stringify([httpUrl(tracker), udpUrl(tracker), 'http://127.0.0.1:1/announce', 'udp://127.0.0.1:1'])};
    const client = new TrackerClient({ infoHash: '${ID}', peerId: '${'11'.repeat(20)}', port: 7, trackers, log, onPeer() {} });
    client.start();
    setTimeout(() => client.stop(), 300);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
  closers.push(() => child.kill());
  const startedMs = performance.now();
  const [code] = await once(child, 'exit');
  assert.is(code, 0);
  assert.ok(performance.now() - startedMs < 4000, 'the process stayed');
  assert.is(tracker.peerCount(ID), 0);
});

test.run();

/** The MMS service against players that misbehave, over real sockets: the others never notice. */
import { connect, type Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MmsServer } from '../../src/io/mms/mms-server.js';
import { ShoalError } from '../../src/kernel/errors.js';
import { type MmshChunk, MmshChunkReader } from '../../src/media/mmsh-chunk.js';
import { encodeMmstCommand, FROM_CLIENT } from '../../src/media/mmst-message.js';
import { AsfFeed } from '../../src/relay/endpoints/asf-feed.js';
import { simpleHeader } from '../support/asf-writer.js';
import { MemoryLog } from '../support/memory-log.js';
import { until } from '../support/until.js';

const PACKET_BYTES = 4096;
const PLAY = 'GET /x HTTP/1.0\r\nPragma: xPlayStrm=1\r\n\r\n';

/** A player of few words. */
class RawPlayer {
  readonly socket: Socket;
  readonly chunks: MmshChunk[] = [];
  head = '';
  isClosed = false;

  constructor(port: number, request: string | Uint8Array, options: { readonly reads?: boolean } = {}) {
    const reader = new MmshChunkReader();
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => this.socket.write(request));
    this.socket.on('error', () => this.socket.destroy());
    this.socket.once('close', () => {
      this.isClosed = true;
    });
    if (options.reads === false) return;
    let isBody = false;
    this.socket.on('data', (bytes) => {
      if (isBody) return void reader.push(bytes, (chunk) => this.chunks.push(chunk));
      const text = this.head + bytes.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      this.head = end < 0 ? text : text.slice(0, end);
      isBody = end >= 0;
      if (isBody) reader.push(Buffer.from(text.slice(end + 4), 'latin1'), (chunk) => this.chunks.push(chunk));
      return undefined;
    });
    this.socket.once('end', () => this.socket.end());
  }

  get numbers(): number[] {
    return this.chunks.flatMap((chunk) => (chunk.kind === 'data' ? [chunk.locationId] : []));
  }
}

async function withServer(
  options: { readonly overfullMsMax?: number; readonly requestsPerSecondMax?: number },
  task: (server: MmsServer, feed: AsfFeed, log: MemoryLog) => Promise<void>,
): Promise<void> {
  const log = new MemoryLog();
  const server = await MmsServer.start({ host: '127.0.0.1', port: 0, log, ...options });
  const feed = new AsfFeed();
  feed.setHeader(simpleHeader({ packetBytes: PACKET_BYTES }));
  server.offer('/x', feed);
  try {
    await task(server, feed, log);
  } finally {
    await server.stop();
  }
}

function push(feed: AsfFeed, count: number): void {
  for (let index = 0; index < count; index++) feed.push(index, new Uint8Array(PACKET_BYTES), false);
}

test('every player gets header, prelude and all packets behind it once, in order', async () => {
  await withServer({}, async (server, feed) => {
    push(feed, 3);
    const first = new RawPlayer(server.port, PLAY);
    await until('the first has the prelude', () => first.numbers.length > 0);
    push(feed, 5);
    const second = new RawPlayer(server.port, PLAY);
    await until('both have the newest packet', () => [first, second].every(({ numbers }) => numbers.at(-1) === 7));
    push(feed, 2);
    await until('both go on', () => [first, second].every(({ numbers }) => numbers.at(-1) === 9));
    for (const { numbers, chunks } of [first, second]) {
      assert.is(chunks[0]?.kind, 'header');
      assert.equal(
        numbers,
        Array.from({ length: 10 - (numbers[0] ?? 0) }, (_, index) => (numbers[0] ?? 0) + index),
      );
    }
    assert.is(server.counts('/x')?.players, 2);
  });
});

test('a player that never reads costs a bounded queue and is closed; its neighbour loses nothing', async () => {
  await withServer({ overfullMsMax: 500 }, async (server, feed, log) => {
    push(feed, 1);
    const stuck = new RawPlayer(server.port, PLAY, { reads: false });
    const good = new RawPlayer(server.port, PLAY);
    await until('both play', () => server.counts('/x')?.players === 2);
    const memoryBefore = process.memoryUsage().arrayBuffers;
    const timer = setInterval(() => push(feed, 100), 20);
    await until('the stuck one is closed', () => server.counts('/x')?.closedSlow === 1, 20_000);
    clearInterval(timer);
    assert.ok(process.memoryUsage().arrayBuffers - memoryBefore < 64 * 1024 * 1024);
    const count = feed.packetCount;
    await until('the good one has the newest packet', () => good.numbers.at(-1) === count - 1);
    assert.is(good.numbers.length, count - (good.numbers[0] ?? 0));
    assert.ok(log.text.includes('did not read'));
    stuck.socket.destroy();
  });
});

test('a new header, the end of the feed and a withdrawal end every player with an $E', async () => {
  const endings: ((server: MmsServer, feed: AsfFeed) => void)[] = [
    (_server, feed) => feed.setHeader(simpleHeader({ packetBytes: 1024 })),
    (_server, feed) => feed.end(),
    (server) => server.withdraw('/x'),
  ];
  for (const end of endings) {
    await withServer({}, async (server, feed) => {
      push(feed, 1);
      const player = new RawPlayer(server.port, PLAY);
      await until('it plays', () => player.numbers.length === 1);
      end(server, feed);
      await until('it is closed', () => player.isClosed);
      assert.equal(player.chunks.at(-1), { kind: 'end', reasonCode: 0 });
    });
  }
});

test('a half-closed player is served on until it breaks off', async () => {
  await withServer({}, async (server, feed) => {
    push(feed, 1);
    const player = new RawPlayer(server.port, PLAY);
    await until('it plays', () => player.numbers.length === 1);
    player.socket.end();
    push(feed, 4);
    await until('it goes on', () => player.numbers.at(-1) === 4);
    assert.not.ok(player.isClosed);
    player.socket.resetAndDestroy();
    // Only a write tells: there is nothing left to read of it.
    const timer = setInterval(() => push(feed, 1), 20);
    await until('it is gone', () => server.connectionCount === 0);
    clearInterval(timer);
  });
});

test('garbage, a TLS hello and resets in mid-write harm nobody', async () => {
  await withServer({}, async (server, feed, log) => {
    push(feed, 1);
    const good = new RawPlayer(server.port, PLAY);
    await until('the good one plays', () => good.numbers.length === 1);
    const bad = [
      Uint8Array.of(0x16, 3, 1),
      'hello\r\n',
      Uint8Array.of(1, 0, 0, 0, 9, 9, 9, 9),
      encodeMmstCommand(7, FROM_CLIENT, new Uint8Array(32)),
    ];
    const players = bad.map((bytes) => new RawPlayer(server.port, bytes));
    await until('all bad ones are closed', () => players.every(({ isClosed }) => isClosed));
    const resets = Array.from({ length: 20 }, () => new RawPlayer(server.port, PLAY));
    await until('they play', () => server.counts('/x')?.players === 21);
    for (const { socket } of resets) socket.resetAndDestroy();
    push(feed, 3);
    await until('the good one goes on', () => good.numbers.at(-1) === 3);
    await until('only it is left', () => server.connectionCount === 1);
    assert.equal(log.complaints, []);
  });
});

test('6.2 row 27: an address that describes too often is told to wait', async () => {
  await withServer({ requestsPerSecondMax: 1 }, async (server, feed) => {
    push(feed, 1);
    const players = Array.from({ length: 20 }, () => new RawPlayer(server.port, 'GET /x HTTP/1.0\r\n\r\n'));
    await until('all are answered', () => players.every(({ isClosed }) => isClosed));
    const statuses = players.map(({ head }) => head.slice(9, 12));
    assert.is(statuses.filter((status) => status === '200').length, 10);
    assert.is(statuses.filter((status) => status === '503').length, 10);
  });
});

test('a port that is taken is refused with a sentence', async () => {
  await withServer({}, async (server) => {
    try {
      await MmsServer.start({ host: '127.0.0.1', port: server.port, log: new MemoryLog() });
      assert.unreachable();
    } catch (error) {
      assert.ok(error instanceof ShoalError && error.code === 'PORT_TAKEN');
    }
  });
});

test.run();

/**
 * Clients that no encoder resembles: each ends with one line in the log that says what was wrong, and the host serves the next one.
 *
 * The rows of the protocols sheet 6.4 that concern what arrives.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MediaHost, type MediaHostOptions } from '../../src/io/rtmp/media-host.js';
import { hostContext } from '../../src/io/rtmp/node-media-server.js';
import type { AmfValue } from '../../src/media/amf0.js';
import { videoHeaderTag, videoTag } from '../support/media-fixture.js';
import { MemoryLog } from '../support/memory-log.js';
import { connectOptions, encodeAmf0, encodeMessage, handshakeBytes, RtmpClient, waitUntil } from '../support/rtmp-client.js';

interface Scene {
  readonly host: MediaHost;
  readonly log: MemoryLog;
  readonly clients: RtmpClient[];
}

async function withHost(run: (scene: Scene) => Promise<void>, options: Partial<MediaHostOptions> = {}): Promise<void> {
  const log = new MemoryLog();
  const authorisePublish: MediaHostOptions['authorisePublish'] = () => ({ allowed: true, streamPath: '/live/main' });
  const host = await MediaHost.start({ host: '127.0.0.1', port: 0, log, authorisePublish, ...options });
  const scene: Scene = { host, log, clients: [] };
  try {
    await run(scene);
    await proveAlive(scene);
  } finally {
    for (const client of scene.clients) client.destroy();
    await host.stop();
  }
}

/** After whatever happened, an ordinary client plays. */
async function proveAlive({ host, clients }: Scene): Promise<void> {
  const client = await RtmpClient.open(host.port);
  clients.push(client);
  assert.is(await client.play('alive'), 'NetStream.Play.Start');
}

/** Sends `bytes` from the given step on, and asserts that the client ends with exactly one complaint that matches. */
async function assertDropped(from: 'connect' | 'shake' | 'open', bytes: Uint8Array, complaint: string | RegExp): Promise<void> {
  await withHost(async (scene) => {
    const client = await RtmpClient[from](scene.host.port);
    scene.clients.push(client);
    client.send(bytes);
    await client.waitClosed();
    assert.is(scene.log.complaints.length, 1, scene.log.complaints.join('\n'));
    assert.match(scene.log.complaints[0] ?? '', complaint);
    assert.is(hostContext.sessions.size, 0);
  });
}

function command(...values: readonly AmfValue[]): Uint8Array {
  return encodeMessage({ type: 20, body: encodeAmf0(values) });
}

function control(type: number, value: number): Uint8Array {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(value);
  return encodeMessage({ type, body, chunkStream: 2, streamId: 0 });
}

/** A format-0 chunk header that promises a message and sends `dataBytes` of it. */
function promise(chunkStream: number, lengthBytes: number, dataBytes: number, type = 9): Uint8Array {
  const header = Buffer.alloc(14 + dataBytes);
  header.set([1, (chunkStream - 64) & 0xff, (chunkStream - 64) >> 8]);
  header.writeUIntBE(lengthBytes, 6, 3);
  header[9] = type;
  return header;
}

/** The same string key again and again, each the start of another object. */
function depthBomb(depth: number): Uint8Array {
  return Buffer.concat([encodeAmf0(['connect', 1]), ...Array.from({ length: depth }, () => Uint8Array.of(3, 0, 1, 0x61))]);
}

test('TLS, HTTP and noise are told apart from RTMP by their first byte', async () => {
  await assertDropped('connect', Uint8Array.of(0x16, 3, 1), 'rtmps://');
  await assertDropped('connect', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'HTTP');
  await assertDropped('connect', Uint8Array.of(0), 'expected 3');
});

test('a client that is late with its handshake, or with publish and play, is dropped', async () => {
  await withHost(
    async (scene) => {
      const silent = await RtmpClient.connect(scene.host.port);
      const half = await RtmpClient.connect(scene.host.port);
      const idle = await RtmpClient.open(scene.host.port);
      scene.clients.push(silent, half, idle);
      half.send(handshakeBytes().subarray(0, 2000));
      for (const client of scene.clients) await client.waitClosed();
      const complaints = [...scene.log.complaints].sort();
      assert.equal(complaints, [
        'RTMP client dropped: neither publish nor play within 0.2 s',
        'RTMP client dropped: no RTMP handshake within 0.2 s',
        'RTMP client dropped: no RTMP handshake within 0.2 s',
      ]);
    },
    { clientTimeoutMs: 200 },
  );
});

test('chunk sizes outside 1 to 16 MiB are refused', async () => {
  for (const size of [0, 0x80000000, 0x01000001]) await assertDropped('shake', control(1, size), 'chunk size');
  await assertDropped('shake', encodeMessage({ type: 1, body: Uint8Array.of(1) }), 'chunk size');
});

test('a chunk stream that starts in the middle is refused', async () => {
  await assertDropped('shake', Uint8Array.of(0xc5), 'chunk stream 5 starts with format 3');
  await assertDropped('shake', Uint8Array.of(0x85, 0, 0, 0), 'starts with format 2');
});

test('a message that is too long, and too many unfinished ones, are refused', async () => {
  await assertDropped('open', promise(70, 16_777_215, 10), 'at most 65536 accepted');
  await assertDropped('open', Buffer.concat([command('publish', 3, null, 'key'), promise(70, 8_388_609, 10)]), 'at most 8388608 accepted');
  const streams = Array.from({ length: 65 }, (_, index) => promise(100 + index, 1, 1, 77));
  await assertDropped('open', Buffer.concat(streams), 'more than 64 chunk streams');
  const unfinished = Array.from({ length: 20 }, (_, index) => promise(100 + index, 60_000, 128));
  await assertDropped('open', Buffer.concat(unfinished), 'unfinished messages');
});

test('the memory of a publisher that finishes nothing is bounded', async () => {
  const promises = Array.from({ length: 4 }, (_, index) => promise(100 + index, 8_000_000, 5_000_000));
  const bytes = [command('publish', 3, null, 'key'), control(1, 5_000_000), ...promises];
  await assertDropped('open', Buffer.concat(bytes), 'unfinished messages of more than 16777216 bytes');
});

test('malformed commands are refused: not AMF, cut off, too deep, too many, too long', async () => {
  await assertDropped('shake', encodeMessage({ type: 20, body: Uint8Array.of(0xff) }), 'malformed command');
  await assertDropped('shake', encodeMessage({ type: 20, body: Uint8Array.of(2, 0) }), 'malformed command');
  await assertDropped('shake', encodeMessage({ type: 20, body: depthBomb(10_000) }), 'nested deeper');
  await assertDropped('shake', encodeMessage({ type: 20, body: Buffer.alloc(60_000, 5) }), 'more than');
  const array = Uint8Array.of(...encodeAmf0(['connect', 1]), 0x0a, 0xff, 0xff, 0xff, 0xff, 3);
  await assertDropped('shake', encodeMessage({ type: 20, body: array }), 'connect without');
});

test('connect needs an app and an address that is a URL, once', async () => {
  await assertDropped('shake', command('connect', 1), 'connect without its options');
  await assertDropped('shake', command('connect', 1, new Map([['tcUrl', 'rtmp://x/live']])), 'without the name of an app');
  await assertDropped('shake', command('connect', 1, new Map<string, AmfValue>([['app', 7]])), 'without the name of an app');
  await assertDropped('shake', command('connect', 1, new Map([['app', 'live']])), 'no URL');
  await assertDropped(
    'shake',
    command('connect', 1, new Map([...(connectOptions('live') as Map<string, AmfValue>), ['tcUrl', '%']])),
    'no URL',
  );
  await assertDropped('open', command('connect', 1, connectOptions('live')), 'connect twice');
});

test('commands and media in the wrong order are refused', async () => {
  await assertDropped('shake', command('createStream', 1, null), 'createStream before connect');
  await assertDropped('shake', command('publish', 1, null, 'key'), 'publish before connect');
  await assertDropped('shake', command('play', 1, null, 'main'), 'play before connect');
  await assertDropped('open', encodeMessage(videoTag(0, true)), 'media before publish');
  await assertDropped('open', Buffer.concat([command('play', 3, null, 'main'), command('publish', 4, null, 'key')]), 'is a player already');
});

test('names of streams must be safe strings', async () => {
  await assertDropped('open', command('publish', 3, null, 7), 'without the name of a stream');
  await assertDropped('open', command('play', 3, null, new Map()), 'without the name of a stream');
  await assertDropped('open', command('publish', 3, null, '../../etc'), 'stream key is not');
  await assertDropped('open', command('publish', 3, null, 'x'.repeat(60_000)), 'stream key is not');
  await assertDropped('open', command('play', 3, null, '..?x'), 'not /app/name');
});

test('a flood of commands is refused', async () => {
  const flood = Array.from({ length: 2000 }, () => command('createStream', 1, null));
  await assertDropped('open', Buffer.concat(flood), 'commands a second');
});

test('keys like __proto__ are only keys', async () => {
  await withHost(async (scene) => {
    const client = await RtmpClient.shake(scene.host.port);
    scene.clients.push(client);
    const evil = new Map<string, AmfValue>([['isAdmin', true]]);
    const options = new Map([...(connectOptions('live') as Map<string, AmfValue>), ['__proto__', evil], ['constructor', evil]]);
    client.command('connect', 1, options);
    client.command('createStream', 2, null);
    client.command('__proto__', 3, null);
    client.command('publish', 4, null, 'key?__proto__=1&constructor=2', 'live');
    assert.is(await client.status(), 'NetStream.Publish.Start');
    assert.is(({} as { isAdmin?: boolean }).isAdmin, undefined);
  });
});

test('control floods, aborts of nothing and unknown messages change nothing', async () => {
  await withHost(async (scene) => {
    const client = await RtmpClient.open(scene.host.port);
    scene.clients.push(client);
    const flood = Array.from({ length: 3000 }, () =>
      Buffer.concat([control(3, 1), control(4, 6), control(5, 0), control(2, 99), control(6, 0)]),
    );
    client.send(Buffer.concat(flood));
    client.message({ type: 77, body: Uint8Array.of(1, 2, 3) });
    assert.is(await client.publish('key'), 'NetStream.Publish.Start');
    assert.equal(scene.log.complaints, []);
  });
});

test('hostile script tags of an authorised publisher neither end it nor reach the players as metadata', async () => {
  await withHost(async (scene) => {
    const publisher = await RtmpClient.open(scene.host.port);
    const player = await RtmpClient.open(scene.host.port);
    scene.clients.push(publisher, player);
    await player.play('main');
    await publisher.publish('key');
    const bomb = Buffer.concat([encodeAmf0(['onMetaData']), ...Array.from({ length: 4000 }, () => Uint8Array.of(3, 0, 1, 0x61))]);
    publisher.message({ type: 18, body: bomb });
    publisher.message({ type: 18, body: encodeAmf0(['@setDataFrame', 'onMetaData']) });
    publisher.message({ type: 15, body: Uint8Array.of(0) });
    publisher.tag(videoHeaderTag());
    publisher.tag(videoTag(0, true, 3));
    await player.waitUntil(() => player.tags.some(({ type, body }) => type === 9 && body[6] === 3), 'the frame');
    assert.is(hostContext.broadcasts.get('/live/main')?.rtmpMetaData, null);
    assert.equal(scene.log.complaints, []);
  });
});

test('a group of pictures without end is not kept in memory', async () => {
  await withHost(async (scene) => {
    const feed = scene.host.openPublisher('/live/main');
    feed.push(videoHeaderTag());
    feed.push(videoTag(0, true));
    for (let i = 1; i <= 40; i++) feed.push(videoTag(i * 40, false, 0, 1024 * 1024));
    assert.is(hostContext.broadcasts.get('/live/main')?.rtmpGopCache, null);
    feed.push(videoTag(2000, true));
    assert.is(hostContext.broadcasts.get('/live/main')?.rtmpGopCache?.size, 1);
  });
});

test('a player that never reads is closed when its queue has been full for too long, and the log says so', async () => {
  await withHost(
    async (scene) => {
      const feed = scene.host.openPublisher('/live/main');
      const player = await RtmpClient.open(scene.host.port);
      scene.clients.push(player);
      await player.play('main');
      player.pause();
      const before = process.memoryUsage().arrayBuffers;
      const feeder = setInterval(() => {
        for (let i = 0; i < 10; i++) feed.push(videoTag(i, true, 0, 100_000));
      }, 10);
      await waitUntil(() => scene.log.complaints.length > 0, 'the complaint', 20_000);
      clearInterval(feeder);
      assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 1024 * 1024, 'memory stays bounded');
      assert.equal(scene.log.complaints, ['RTMP client dropped: the player has stopped reading: its queue was full for 1 s']);
      assert.is(scene.host.playerCount('/live/main'), 0);
    },
    { playerQueueBytesMax: 256 * 1024, stuckPlayerMs: 1000 },
  );
});

test('one address gets 64 connections, and a flood of clients does not become a flood of lines', async () => {
  await withHost(async (scene) => {
    const clients = await Promise.all(Array.from({ length: 64 }, () => RtmpClient.connect(scene.host.port)));
    scene.clients.push(...clients);
    for (let i = 0; i < 100; i++) await (await RtmpClient.connect(scene.host.port)).waitClosed();
    assert.ok(clients.every(({ isClosed }) => !isClosed));
    assert.match(scene.log.complaints[0] ?? '', 'its address has 64 connections already');
    assert.ok(scene.log.complaints.length < 70, `${scene.log.complaints.length} lines`);
    clients[0]?.destroy();
    await waitUntil(() => hostContext.sessions.size < 64, 'a free place');
  });
});

test('paths that only players asked for go away with them', async () => {
  await withHost(async (scene) => {
    const player = await RtmpClient.open(scene.host.port);
    await player.play('nowhere');
    assert.ok(hostContext.broadcasts.has('/live/nowhere'));
    player.destroy();
    await waitUntil(() => !hostContext.broadcasts.has('/live/nowhere'), 'the path to go');
  });
});

test('an authorisation that throws refuses the publisher', async () => {
  await withHost(
    async (scene) => {
      const client = await RtmpClient.open(scene.host.port);
      scene.clients.push(client);
      assert.is(await client.publish('key'), 'NetStream.Publish.BadName');
      await client.waitClosed();
    },
    {
      authorisePublish: () => {
        throw new Error('keys file gone');
      },
    },
  );
});

test.run();

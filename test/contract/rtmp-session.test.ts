/** The media host's RTMP side, spoken to by a client that behaves: what it answers, passes on and keeps. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MediaHost, type MediaHostOptions } from '../../src/io/rtmp/media-host.js';
import { RtmpSession } from '../../src/io/rtmp/rtmp-session.js';
import type { FlvTag } from '../../src/media/flv.js';
import { AUDIO_HEADER, audioHeaderTag, audioTag, metadataTag, VIDEO_HEADER, videoHeaderTag, videoTag } from '../support/media-fixture.js';
import { MemoryLog } from '../support/memory-log.js';
import { encodeAmf0, encodeMessage, RtmpClient, waitUntil } from '../support/rtmp-client.js';

const PATH = '/live/main';
const KEY = 'sk_secret-key';

interface Scene {
  readonly host: MediaHost;
  readonly log: MemoryLog;
  readonly tags: FlvTag[];
  readonly events: string[];
  readonly clients: RtmpClient[];
}

/** A host that lets `KEY` publish to `PATH`, with a tap on it. */
async function withHost(run: (scene: Scene) => Promise<void>, options: Partial<MediaHostOptions> = {}): Promise<void> {
  const log = new MemoryLog();
  const host = await MediaHost.start({
    host: '127.0.0.1',
    port: 0,
    log,
    authorisePublish: ({ name }) => (name === KEY ? { allowed: true, streamPath: PATH } : { allowed: false, reason: 'unknown stream key' }),
    ...options,
  });
  const scene: Scene = { host, log, tags: [], events: [], clients: [] };
  host.tap(PATH, {
    onTag: (tag) => scene.tags.push(tag),
    onPublisherStart: () => scene.events.push('start'),
    onPublisherEnd: (reason) => scene.events.push(`end: ${reason}`),
  });
  try {
    await run(scene);
  } finally {
    for (const client of scene.clients) client.destroy();
    await host.stop();
  }
}

async function openClient({ host, clients }: Scene): Promise<RtmpClient> {
  const client = await RtmpClient.open(host.port);
  clients.push(client);
  return client;
}

async function openPublisher(scene: Scene): Promise<RtmpClient> {
  const client = await openClient(scene);
  assert.is(await client.publish(KEY), 'NetStream.Publish.Start');
  return client;
}

function sendStart(client: RtmpClient): void {
  for (const tag of [metadataTag(), videoHeaderTag(), audioHeaderTag()]) client.tag(tag);
}

const isVideoFrame = (mark: number) => (tag: { readonly type: number; readonly body: Uint8Array }) =>
  tag.type === 9 && tag.body[6] === mark;

test('a tap gets every tag of the publisher, with its bytes, its order and its timestamp', async () => {
  await withHost(async (scene) => {
    const publisher = await openPublisher(scene);
    const sent = [
      metadataTag(),
      videoHeaderTag(),
      audioHeaderTag(),
      videoTag(40, true, 1, 70_000),
      audioTag(43, 2),
      videoTag(0xfffffff0, false, 3, 300),
    ];
    for (const tag of sent) publisher.tag(tag);
    await waitUntil(() => scene.tags.length === sent.length, 'all tags');
    assert.equal(scene.tags, sent);
    assert.equal(scene.events, ['start']);
  });
});

test('a player that joins late gets metadata without @setDataFrame, the headers, and the pictures since the last key frame', async () => {
  await withHost(async (scene) => {
    const publisher = await openPublisher(scene);
    sendStart(publisher);
    for (const tag of [videoTag(0, true, 1), videoTag(40, false, 2), videoTag(80, true, 3), audioTag(90, 4), videoTag(120, false, 5)])
      publisher.tag(tag);
    await waitUntil(() => scene.tags.length === 8, 'the tags');
    const player = await openClient(scene);
    assert.is(await player.play('main'), 'NetStream.Play.Start');
    await player.waitUntil(() => player.tags.length === 6, 'the first tags');
    const [metadata, audioHeader, videoHeader, ...frames] = player.tags;
    assert.equal(metadata?.body, Uint8Array.from(metadataTag().body.subarray(16)));
    assert.equal(audioHeader?.body, AUDIO_HEADER);
    assert.equal(videoHeader?.body, VIDEO_HEADER);
    assert.equal(
      frames.map(({ timestampMs }) => timestampMs),
      [80, 90, 120],
    );
    assert.is(scene.host.playerCount(PATH), 1);
  });
});

test('a player that was there first waits, and starts with the headers and the first key frame', async () => {
  await withHost(async (scene) => {
    const player = await openClient(scene);
    await player.play('main');
    const publisher = await openPublisher(scene);
    sendStart(publisher);
    publisher.tag(videoTag(0, false, 1));
    publisher.tag(audioTag(10, 2));
    publisher.tag(videoTag(40, true, 3));
    await player.waitUntil(() => player.tags.some(isVideoFrame(3)), 'the key frame');
    assert.equal(
      player.tags.map(({ type }) => type),
      [18, 9, 8, 9],
    );
  });
});

test('a player of a stream without video starts with any audio', async () => {
  await withHost(async (scene) => {
    const player = await openClient(scene);
    await player.play('main');
    const publisher = await openPublisher(scene);
    publisher.tag(audioHeaderTag());
    publisher.tag(audioTag(10, 2));
    await player.waitUntil(() => player.tags.length === 2, 'header and frame');
  });
});

test('a refused publisher reads why, its reason is in the log, its key is not, and none of its tags reaches anybody', async () => {
  await withHost(async (scene) => {
    const player = await openClient(scene);
    await player.play('main');
    const intruder = await openClient(scene);
    intruder.command('publish', 3, null, 'sk_wrong-key', 'live');
    for (let i = 0; i < 20; i++) intruder.tag(videoTag(i, true, i));
    assert.is(await intruder.status(), 'NetStream.Publish.BadName');
    await intruder.waitClosed();
    assert.equal(scene.tags, []);
    assert.equal(scene.events, []);
    assert.equal(player.tags, []);
    assert.equal(scene.log.complaints, ['RTMP client refused: unknown stream key']);
    assert.not.match(scene.log.text, 'sk_wrong-key');
  });
});

test('an accepted key is in no log line and not in the answer', async () => {
  await withHost(async (scene) => {
    const publisher = await openPublisher(scene);
    assert.not.match(JSON.stringify(publisher.commands('onStatus').map((values) => [...(values[3] as Map<string, unknown>)])), KEY);
    assert.not.match(scene.log.text, KEY);
  });
});

test('a second publisher is refused and the first goes on', async () => {
  await withHost(async (scene) => {
    const first = await openPublisher(scene);
    const second = await openClient(scene);
    assert.is(await second.publish(KEY), 'NetStream.Publish.BadName');
    await second.waitClosed();
    first.tag(videoHeaderTag());
    await waitUntil(() => scene.tags.length === 1, 'the tag of the first');
    assert.equal(scene.log.complaints, [`RTMP client refused: ${PATH} already has a publisher`]);
    assert.equal(scene.events, ['start']);
  });
});

test('a publisher that comes back starts anew at once, with its own timestamps and its own headers', async () => {
  await withHost(async (scene) => {
    const first = await openPublisher(scene);
    sendStart(first);
    first.tag(videoTag(90_000, true, 1));
    await waitUntil(() => scene.tags.length === 4, 'the first run');
    first.destroy();
    await waitUntil(() => scene.events.length === 2, 'its end');
    const second = await openPublisher(scene);
    const player = await openClient(scene);
    await player.play('main');
    assert.equal(player.tags, []);
    second.tag(videoHeaderTag());
    second.tag(videoTag(5, true, 2));
    await player.waitUntil(() => player.tags.length === 2, 'the second run');
    assert.is(player.tags[1]?.timestampMs, 5);
    assert.is(scene.tags.at(-1)?.timestampMs, 5);
    assert.equal(scene.events, ['start', 'end: the connection ended', 'start']);
  });
});

test('an unpublish ends the publish before the connection ends', async () => {
  await withHost(async (scene) => {
    const publisher = await openPublisher(scene);
    publisher.command('deleteStream', 4, null, 1);
    await publisher.waitClosed();
    assert.equal(scene.events, ['start', 'end: the publisher stopped']);
    assert.equal(scene.log.complaints, []);
  });
});

test('a publisher without audio or video is dropped, whatever else it sends', async () => {
  await withHost(
    async (scene) => {
      const publisher = await openPublisher(scene);
      const chatter = setInterval(() => publisher.tag(metadataTag()), 40);
      await publisher.waitClosed();
      clearInterval(chatter);
      assert.equal(scene.events, ['start', 'end: the publisher sent no audio or video for 0.2 s']);
      assert.is(scene.log.complaints.length, 1);
    },
    { silentPublisherMs: 200 },
  );
});

test('frames that nobody can decode, empty messages and a flood of script tags do not pass', async () => {
  await withHost(async (scene) => {
    const publisher = await openPublisher(scene);
    publisher.tag(videoTag(0, true, 1));
    publisher.tag({ type: 9, timestampMs: 0, body: new Uint8Array(0) });
    publisher.tag({ type: 18, timestampMs: 0, body: encodeAmf0(['onMetaData', 'x'.repeat(65_000), 'y'.repeat(1000)]) });
    for (let i = 0; i < 50; i++) publisher.tag(metadataTag());
    publisher.tag(videoHeaderTag());
    publisher.tag(videoTag(40, true, 2));
    await waitUntil(() => scene.tags.some(isVideoFrame(2)), 'the good frame');
    const scriptCount = scene.tags.filter(({ type }) => type === 18).length;
    assert.ok(scriptCount >= 4 && scriptCount <= 6, `${scriptCount} script tags`);
    assert.is(scene.tags.length, scriptCount + 2);
  });
});

test('an aggregate message becomes its tags', async () => {
  await withHost(async (scene) => {
    const publisher = await openPublisher(scene);
    const part = (type: number, timestampMs: number, body: Uint8Array): Uint8Array => {
      const bytes = Buffer.alloc(15 + body.length);
      bytes[0] = type;
      bytes.writeUIntBE(body.length, 1, 3);
      bytes.writeUIntBE(timestampMs, 4, 3);
      bytes.set(body, 11);
      bytes.writeUInt32BE(11 + body.length, 11 + body.length);
      return bytes;
    };
    const body = Buffer.concat([part(8, 100, AUDIO_HEADER), part(8, 123, audioTag(0, 7).body)]);
    publisher.message({ type: 22, timestampMs: 5000, body });
    await waitUntil(() => scene.tags.length === 2, 'both tags');
    assert.equal(
      scene.tags.map(({ timestampMs }) => timestampMs),
      [5000, 5023],
    );
  });
});

test('timestamps that steps carry past 2^32 wrap', async () => {
  await withHost(async (scene) => {
    const publisher = await openPublisher(scene);
    publisher.tag(audioHeaderTag());
    publisher.message({ type: 8, timestampMs: 0xffffffff, body: audioTag(0, 1).body, chunkStream: 6 });
    // Format 1: step 24 ms, length 4, type 8.
    publisher.send(Uint8Array.of(0x46, 0, 0, 24, 0, 0, 4, 8, ...audioTag(0, 2).body));
    await waitUntil(() => scene.tags.length === 3, 'the tag behind the wrap');
    assert.equal(
      scene.tags.map(({ timestampMs }) => timestampMs),
      [0, 0xffffffff, 23],
    );
  });
});

test('a codec that the host does not know neither hides the audio header nor stops the stream', async () => {
  await withHost(async (scene) => {
    const publisher = await openPublisher(scene);
    publisher.tag(audioHeaderTag());
    // Enhanced RTMP, "vvc1": sequence start, key frame.
    publisher.tag({ type: 9, timestampMs: 0, body: Uint8Array.of(0x90, 0x76, 0x76, 0x63, 0x31, 1, 2, 3, 4) });
    publisher.tag({ type: 9, timestampMs: 0, body: Uint8Array.of(0x93, 0x76, 0x76, 0x63, 0x31, 1, 2, 3, 4) });
    await waitUntil(() => scene.tags.length === 3, 'the tags');
    const player = await openClient(scene);
    await player.play('main');
    await player.waitUntil(() => player.tags.length === 3, 'the stream');
    assert.equal(player.tags[0]?.body, AUDIO_HEADER);
  });
});

test('a peer that asks for acknowledgements gets them', async () => {
  await withHost(async (scene) => {
    const publisher = await openPublisher(scene);
    publisher.message({ type: 5, body: Uint8Array.of(0, 1, 0, 0), chunkStream: 2, streamId: 0 });
    publisher.tag(videoHeaderTag());
    publisher.tag(videoTag(0, true, 1, 70_000));
    await publisher.waitUntil(() => publisher.messages.some(({ type }) => type === 3), 'an acknowledgement');
  });
});

test('a slow player skips to a key frame and its queue stays small, while another one gets everything', async () => {
  await withHost(
    async (scene) => {
      const publisher = await openPublisher(scene);
      sendStart(publisher);
      const slow = await openClient(scene);
      const quick = await openClient(scene);
      await slow.play('main');
      await quick.play('main');
      slow.pause();
      const frameBytes = 60_000;
      const frameCount = 400;
      for (let i = 0; i < frameCount; i++) {
        publisher.tag(videoTag(i * 40, i % 10 === 0, i % 10, frameBytes));
        if (i % 4 === 3) await quick.waitUntil(() => quick.tags.length >= i + 1, 'the frames at the quick player');
      }
      slow.resume();
      await waitUntil(() => slow.tags.length > 20, 'what was queued');
      publisher.tag(videoTag(400 * 40, false, 11));
      publisher.tag(videoTag(401 * 40, true, 12));
      await slow.waitUntil(() => slow.tags.some(isVideoFrame(12)), 'the key frame after the gap');
      const frames = slow.tags.filter(({ type, body }) => type === 9 && body[1] === 1);
      assert.ok(frames.length < frameCount, `${frames.length} frames`);
      frames.forEach(({ timestampMs, body }, index) => {
        const before = frames[index - 1];
        const followsOn = before === undefined || timestampMs - before.timestampMs === 40;
        assert.ok(followsOn || body[0] === 0x17, 'the picture goes on with a key frame after every gap');
      });
    },
    { playerQueueBytesMax: 512 * 1024 },
  );
});

test('an own publisher feeds players, keeps others off its path, and frees it at its end', async () => {
  await withHost(async (scene) => {
    const feed = scene.host.openPublisher(PATH);
    assert.throws(
      () => scene.host.openPublisher(PATH),
      (error: { code: string }) => error.code === 'HOST_PATH_TAKEN',
    );
    const rival = await openClient(scene);
    assert.is(await rival.publish(KEY), 'NetStream.Publish.BadName');
    const player = await openClient(scene);
    await player.play('main');
    for (const tag of [metadataTag(), videoHeaderTag(), videoTag(0, true, 1)]) feed.push(tag);
    feed.push({ type: 18, timestampMs: 0, body: Uint8Array.of(2, 0, 10, 0x6f, 0x6e, 0xff, 0xff) });
    await player.waitUntil(() => player.tags.length >= 3, 'the feed');
    feed.end();
    feed.push(videoTag(40, true, 2));
    await openPublisher(scene);
  });
});

/** A session whose client seems to be at `address`, on a socket of our own, so that no traffic leaves this machine. */
async function playFrom(address: string, allowRemotePlayers: boolean): Promise<string> {
  const server = createServer((socket) => {
    Object.defineProperty(socket, 'remoteAddress', { value: address });
    new RtmpSession(socket, {
      authorisePublish: () => ({ allowed: false, reason: 'nobody publishes here' }),
      clientTimeoutMs: 10_000,
      silentPublisherMs: 10_000,
      stuckPlayerMs: 10_000,
      playerQueueBytesMax: 1 << 20,
      allowRemotePlayers,
      log: new MemoryLog(),
      nowMs: () => performance.now(),
      onPublisherStart: () => {},
      onTag: () => {},
      onPublisherEnd: () => {},
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = await RtmpClient.open((server.address() as AddressInfo).port);
  const status = await client.play('main');
  client.destroy();
  server.close();
  await once(server, 'close');
  return status;
}

test('players on other machines are refused unless they are allowed', async () => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])
    assert.is(await playFrom(address, false), 'NetStream.Play.Start');
  for (const address of ['192.0.2.7', '::ffff:192.0.2.7', '2001:db8::1', '1127.0.0.1']) {
    assert.is(await playFrom(address, false), 'NetStream.Play.Failed');
  }
  assert.is(await playFrom('192.0.2.7', true), 'NetStream.Play.Start');
});

test('a message is read the same however TCP cuts it', async () => {
  await withHost(async (scene) => {
    const publisher = await openPublisher(scene);
    const bytes = Buffer.concat([
      encodeMessage({ type: 9, body: VIDEO_HEADER }),
      encodeMessage({ type: 9, timestampMs: 0x1234567, body: videoTag(0, true, 5, 400).body }),
    ]);
    for (const byte of bytes) publisher.send(Uint8Array.of(byte));
    await waitUntil(() => scene.tags.length === 2, 'both tags');
    assert.equal(scene.tags[1], videoTag(0x1234567, true, 5, 400));
  });
});

test.run();

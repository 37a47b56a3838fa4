import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FlvEgress, type FlvEgressOptions } from '../../src/io/web/flv-egress.js';
import { HttpServer } from '../../src/io/web/http-server.js';
import { WebSocketServer } from '../../src/io/web/websocket-server.js';
import { Malformed } from '../../src/kernel/errors.js';
import { AUDIO, classifyTag, FlvParser, type FlvTag, SCRIPT, VIDEO } from '../../src/media/flv.js';
import { TagFeed } from '../../src/relay/endpoints/tag-feed.js';
import { publishLive, pushAll, type Recipe, recordFlv } from '../support/flv-recording.js';
import { audioHeaderTag, audioTag, metadataTag, videoHeaderTag, videoTag } from '../support/media-fixture.js';
import { MemoryLog } from '../support/memory-log.js';
import { ask, RawClient, request } from '../support/raw-http.js';
import { until } from '../support/until.js';

const run = promisify(execFile);
const HEADERS = [metadataTag(), videoHeaderTag(), audioHeaderTag()];
const WS_HANDSHAKE = [
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

interface Stage {
  readonly feed: TagFeed;
  readonly egress: FlvEgress;
  readonly port: number;
  readonly clients: RawClient[];
  view(): RawClient;
}

/** Runs a scene with one channel at `/live/x.flv` and clears everything away. */
async function withStage(
  scene: (stage: Stage) => Promise<void>,
  options: Partial<FlvEgressOptions> = {},
  feed = new TagFeed(),
): Promise<void> {
  const log = new MemoryLog();
  const egress = new FlvEgress(feed, { log, ...options });
  const server = await HttpServer.start({ host: '127.0.0.1', port: 0, log });
  server.stream('/live/x.flv', ({ method }, response) => egress.serveHttp(method, response));
  const sockets = new WebSocketServer((path) => (path === '/live/x.flv' ? (socket) => egress.serveSocket(socket) : null));
  server.onUpgrade((incoming, socket, head) => sockets.handle(incoming, socket, head));
  const clients: RawClient[] = [];
  const view = (): RawClient => {
    const client = new RawClient(server.port, request('/live/x.flv'));
    clients.push(client);
    return client;
  };
  try {
    await scene({ feed, egress, port: server.port, clients, view });
  } finally {
    for (const client of clients) client.destroy();
    egress.stop();
    sockets.stop();
    await server.stop();
  }
}

function tagsOf(bytes: Uint8Array): readonly FlvTag[] {
  const tags = new FlvParser().push(bytes);
  if (tags instanceof Malformed) throw new Error(tags.reason);
  return tags;
}

function framesOf(tags: readonly FlvTag[]): readonly FlvTag[] {
  return tags.filter((tag) => classifyTag(tag).kind === 'frame');
}

function fingerprints(tags: readonly FlvTag[]): readonly string[] {
  return tags.map(({ type, timestampMs, body }) => `${type} ${timestampMs} ${createHash('sha1').update(body).digest('hex')}`);
}

async function probe(url: string): Promise<readonly string[]> {
  const { stdout, stderr } = await run(
    'ffprobe',
    ['-v', 'warning', '-analyzeduration', '500000', '-show_entries', 'stream=codec_name', '-of', 'csv=p=0', url],
    { timeout: 20_000 },
  );
  assert.is(stderr, '');
  return stdout.trim().split('\n').sort();
}

test('a player is answered with the headers that players and browsers need', async () => {
  await withStage(async ({ feed, port, view }) => {
    pushAll(feed, [...HEADERS, videoTag(0, true), audioTag(0)]);
    const client = view();
    await until('the header is there', () => client.receivedBytes > 300);
    const { status, headers, body } = client.answer();
    assert.is(status, 200);
    assert.is(headers['content-type'], 'video/x-flv');
    assert.match(headers['cache-control'] ?? '', /no-cache/);
    assert.is(headers['access-control-allow-origin'], '*');
    assert.is(headers['transfer-encoding'], undefined);
    assert.equal([...body.subarray(0, 13)], [0x46, 0x4c, 0x56, 1, 5, 0, 0, 0, 9, 0, 0, 0, 0]);
    assert.equal(
      tagsOf(body).map(({ type }) => type),
      [SCRIPT, VIDEO, AUDIO, VIDEO, AUDIO],
    );
    const options = await ask(port, request('/live/x.flv', { method: 'OPTIONS', headers: ['Connection: close'] }));
    assert.equal(
      [options.status, options.headers['access-control-allow-methods'], options.headers['access-control-allow-headers']],
      [204, 'GET, OPTIONS', 'range'],
    );
    const head = await ask(port, request('/live/x.flv', { method: 'HEAD', headers: ['Connection: close'] }));
    assert.equal([head.status, head.headers['content-type'], head.body.length], [200, 'video/x-flv', 0]);
    assert.is((await ask(port, request('/live/x.flv', { method: 'POST', headers: ['Connection: close'] }))).status, 405);
  });
});

test('ffprobe reads a live stream of both tracks', async () => {
  await withStage(async ({ feed, port }) => {
    const publisher = publishLive(feed, await recordFlv('h264-aac', 6), 4000);
    assert.equal(await probe(`http://127.0.0.1:${port}/live/x.flv`), ['aac', 'h264']);
    publisher.stop();
  });
});

for (const [recipe, codec, flags] of [
  ['h264-only', 'h264', 1],
  ['aac-only', 'aac', 4],
  ['mp3-only', 'mp3', 4],
] as const satisfies readonly (readonly [Recipe, string, number])[]) {
  test(`a channel of one track is told apart and read: ${recipe}`, async () => {
    await withStage(async ({ feed, port, view }) => {
      const publisher = publishLive(feed, await recordFlv(recipe, 4), 3000);
      const client = view();
      await until('the header is there', () => client.answer().body.length > 13);
      assert.is(client.answer().body[4], flags);
      assert.equal(await probe(`http://127.0.0.1:${port}/live/x.flv`), [codec]);
      publisher.stop();
    });
  });
}

test('every tag reaches a viewer once, in order, with its time and bytes', async () => {
  const recording = await recordFlv('h264-aac', 6);
  await withStage(async ({ feed, view }) => {
    const half = Math.floor(recording.length / 2);
    pushAll(feed, recording.slice(0, half));
    const client = view();
    await until('it has begun', () => client.receivedBytes > 1000);
    for (const tag of recording.slice(half)) {
      feed.push(tag);
      if (tag.timestampMs % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const wanted = framesOf(feed.prelude().map(({ tag }) => tag)).at(-1);
    await until('the last tag is there', () => fingerprints(tagsOf(client.answer().body)).at(-1) === fingerprints([wanted as FlvTag])[0]);
    const got = fingerprints(framesOf(tagsOf(client.answer().body)));
    const sent = fingerprints(framesOf(recording));
    assert.equal(got, sent.slice(sent.length - got.length));
    assert.ok(got.length > framesOf(recording.slice(half)).length);
  });
});

test('fifty viewers of both kinds get identical bytes', async () => {
  const recording = await recordFlv('h264-aac', 6);
  await withStage(async ({ feed, egress, port, clients, view }) => {
    pushAll(feed, recording.slice(0, 100));
    for (let count = 0; count < 40; count++) view();
    const sockets = Array.from({ length: 10 }, () => new RawClient(port, request('/live/x.flv', { headers: WS_HANDSHAKE })));
    clients.push(...sockets);
    await until('all are there', () => egress.counts.viewers === 50);
    for (const tag of recording.slice(100)) {
      feed.push(tag);
      if (tag.type === VIDEO) await new Promise((resolve) => setImmediate(resolve));
    }
    const bodies = (): readonly Buffer[] =>
      clients.map((client, index) => (index < 40 ? client.answer().body : unframe(client.answer().body)));
    const last = fingerprints(framesOf(recording)).at(-1);
    await until('all have the last tag', () => fingerprints(framesOf(tagsOf(bodies()[0] ?? Buffer.alloc(0)))).at(-1) === last);
    const full = bodies()[0]?.length ?? 0;
    await until('all have as much', () => bodies().every((body) => body.length === full));
    assert.is(new Set(bodies().map((body) => createHash('sha1').update(body).digest('hex'))).size, 1);
  });
});

/** Payloads of unmasked binary frames, joined. */
function unframe(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    assert.is(bytes[at], 0x82);
    const short = bytes[at + 1] ?? 0;
    const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
    if (start > bytes.length) break;
    const size = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
    if (start + size > bytes.length) break;
    parts.push(bytes.subarray(start, start + size));
    at = start + size;
  }
  return Buffer.concat(parts);
}

test('a viewer that does not read is bounded, comes back at a key frame, and the others lose nothing', async () => {
  const bound = 512 * 1024;
  await withStage(
    async ({ feed, egress, view }) => {
      pushAll(feed, [videoHeaderTag(), videoTag(0, true)]);
      feed.push(audioHeaderTag());
      const healthy = view();
      const slow = view();
      await until('both have begun', () => healthy.receivedBytes > 0 && slow.receivedBytes > 0 && egress.counts.viewers === 2);
      slow.freeze();
      const sent: FlvTag[] = [];
      const step = async (index: number): Promise<void> => {
        const tag = videoTag(index * 40, index % 25 === 0, index & 255, 60_000);
        sent.push(tag);
        feed.push(tag);
        await until('the healthy one keeps up', () => healthy.receivedBytes > sent.length * 60_000);
      };
      let index = 1;
      for (; egress.counts.drops === 0 && index < 1000; index++) await step(index);
      assert.is(egress.counts.drops, 1);
      for (const end = index + 30; index < end; index++) await step(index);
      slow.thaw();
      const before = slow.receivedBytes;
      await until('the slow one has read what waited', () => slow.receivedBytes > before);
      for (const end = index + 60; index < end; index++) await step(index);
      const got = (): readonly FlvTag[] => framesOf(tagsOf(slow.answer().body));
      await until('the slow one is back', () => got().at(-1)?.timestampMs === sent.at(-1)?.timestampMs);
      assert.equal(fingerprints(framesOf(tagsOf(healthy.answer().body)).slice(1)), fingerprints(sent));
      assertGapsAtKeyFrames(got());
    },
    { queueBytesMax: bound },
  );
});

/** Whatever is missing, the frame after the gap is a key frame, and nothing comes twice. */
function assertGapsAtKeyFrames(tags: readonly FlvTag[]): void {
  let gaps = 0;
  for (const [index, tag] of tags.entries()) {
    const previous = tags[index - 1];
    if (previous === undefined || tag.timestampMs === previous.timestampMs + 40) continue;
    assert.ok(tag.timestampMs > previous.timestampMs);
    assert.ok(classifyTag(tag).key);
    gaps += 1;
  }
  assert.is(gaps, 1);
}

test('a viewer that never reads again is closed', async () => {
  await withStage(
    async ({ feed, egress, view }) => {
      pushAll(feed, [...HEADERS, videoTag(0, true)]);
      const client = view();
      await until('it has begun', () => client.receivedBytes > 0);
      client.freeze();
      for (let index = 1; egress.counts.drops === 0 && index < 2000; index++) {
        feed.push(videoTag(index * 40, index % 25 === 0, 0, 60_000));
        if (index % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
      }
      await until('it is gone', () => egress.counts.viewers === 0, 8000);
      assert.is(egress.counts.closedSlow, 1);
    },
    { queueBytesMax: 128 * 1024, overfullMsMax: 200 },
  );
});

test('a viewer that comes before the publisher gets everything from its first key frame', async () => {
  await withStage(async ({ feed, egress, view }) => {
    const client = view();
    await until('it waits', () => egress.counts.viewers === 1);
    assert.is(client.receivedBytes, 0);
    pushAll(feed, [...HEADERS, videoTag(0, true), audioTag(10), videoTag(40, false)]);
    await until('all is there', () => tagsIn(client).length === 6);
    assert.equal(
      tagsIn(client).map(({ timestampMs }) => timestampMs),
      [0, 0, 0, 0, 10, 40],
    );
    assert.is(client.answer().body[4], 5);
  });
});

function tagsIn(client: RawClient): readonly FlvTag[] {
  return client.answer().body.length < 13 ? [] : tagsOf(client.answer().body);
}

test('the second track is waited for, so that the header tells the truth', async () => {
  await withStage(
    async ({ feed, egress, view }) => {
      const client = view();
      await until('it waits', () => egress.counts.viewers === 1);
      pushAll(feed, [videoHeaderTag(), videoTag(0, true)]);
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.is(client.receivedBytes, 0);
      pushAll(feed, [audioHeaderTag(), audioTag(40)]);
      await until('it has begun', () => client.answer().body.length > 13);
      assert.is(client.answer().body[4], 5);
    },
    { secondTrackWaitMs: 5000 },
  );
});

test('the second track is not waited for in vain', async () => {
  await withStage(
    async ({ feed, view }) => {
      const client = view();
      pushAll(feed, [videoHeaderTag(), videoTag(0, true)]);
      await until('it has begun', () => client.answer().body.length > 13);
      assert.is(client.answer().body[4], 1);
    },
    { secondTrackWaitMs: 100 },
  );
});

test('without a publisher a viewer is sent away in the end: 504 with a sentence, or a WebSocket close', async () => {
  await withStage(
    async ({ port, view }) => {
      const client = view();
      const socket = new RawClient(port, request('/live/x.flv', { headers: WS_HANDSHAKE }));
      await until('both are closed', () => client.closed && socket.receivedBytes > 0 && unmaskedClose(socket) !== undefined);
      assert.is(client.answer().status, 504);
      assert.match(client.answer().body.toString(), /Nobody publishes/);
      assert.is(unmaskedClose(socket), 1013);
      socket.destroy();
    },
    { mediaWaitMs: 150 },
  );
});

function unmaskedClose(client: RawClient): number | undefined {
  const { body } = client.answer();
  return body[0] === 0x88 && body.length >= 4 ? body.readUInt16BE(2) : undefined;
}

test('a joiner while the group of pictures is too large to keep waits for the next key frame', async () => {
  const feed = new TagFeed({ historyBytes: 2000 });
  await withStage(
    async ({ egress, view }) => {
      pushAll(feed, [...HEADERS, videoTag(0, true, 0, 1500), videoTag(40, false, 0, 1500)]);
      const client = view();
      await until('it waits', () => egress.counts.viewers === 1);
      pushAll(feed, [videoTag(80, false), videoTag(120, true), videoTag(160, false)]);
      await until('it has begun', () => framesOf(tagsIn(client)).length === 2);
      assert.equal(
        framesOf(tagsIn(client)).map(({ timestampMs }) => timestampMs),
        [120, 160],
      );
    },
    {},
    feed,
  );
});

test('a publisher that restarts is one more group of pictures to a viewer', async () => {
  await withStage(async ({ feed, view }) => {
    pushAll(feed, [...HEADERS, videoTag(9000, true), audioTag(9010)]);
    const client = view();
    await until('it has begun', () => framesOf(tagsIn(client)).length === 2);
    feed.discontinuity();
    pushAll(feed, [...HEADERS, audioTag(0), videoTag(0, true), videoTag(40, false)]);
    await until('it has all', () => framesOf(tagsIn(client)).length === 4);
    assert.equal(
      framesOf(tagsIn(client)).map(({ timestampMs }) => timestampMs),
      [9000, 9010, 9050, 9090],
    );
  });
});

test('the end of the channel ends every viewer', async () => {
  await withStage(async ({ feed, egress, view }) => {
    pushAll(feed, [...HEADERS, videoTag(0, true)]);
    const client = view();
    await until('it has begun', () => client.receivedBytes > 0);
    egress.stop();
    await until('it is closed', () => client.closed);
    assert.is(egress.counts.viewers, 0);
  });
});

test.run();

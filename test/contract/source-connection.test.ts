/** RTMP and HTTP-FLV sources over real sockets: servers that misbehave, redirect, freeze or speak TLS; and what the channel source makes of tags. */
import type { Socket } from 'node:net';
import { createServer } from 'node:tls';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SourceLifeEvent } from '../../src/ingest/source-life.js';
import { SourceConnection } from '../../src/io/sources/source-connection.js';
import { Rng } from '../../src/kernel/rng.js';
import { encodeFlvHeader, encodeTag, type FlvTag } from '../../src/media/flv.js';
import { makeCertificate } from '../support/certificate.js';
import { audioTag } from '../support/media-fixture.js';
import { MemoryLog } from '../support/memory-log.js';
import { ScriptedServer } from '../support/mmst-server.js';
import { encodeMessage } from '../support/rtmp-client.js';
import { RTMP_SHAKE, rtmpCommand, rtmpMedia, startRtmpServer } from '../support/scripted-rtmp-server.js';
import { until } from '../support/until.js';

const OK = 'HTTP/1.1 200 OK\r\n\r\n';
const FLV = Buffer.from(encodeFlvHeader({ audio: true, video: true }));
const TRICKLE_MS = 50;

class Recorded {
  readonly events: SourceLifeEvent[] = [];
  readonly log = new MemoryLog();
  readonly source: SourceConnection;

  constructor(url: string) {
    this.source = SourceConnection.open({ url, rng: new Rng(1), log: this.log, onEvent: (event) => this.events.push(event) });
  }

  get tags(): FlvTag[] {
    return this.events.flatMap((event) => (event.kind === 'tag' ? [event.tag] : []));
  }

  get details(): string {
    return this.events.flatMap((event) => (event.kind === 'state' ? [`${event.state}: ${event.detail}`] : [])).join(' | ');
  }

  /** Why it was lost first. */
  async lostBecause(timeoutMs = 5_000): Promise<string> {
    const losses = (): string[] => this.events.flatMap((event) => (event.kind === 'state' && event.state === 'lost' ? [event.detail] : []));
    await until(`the loss is noticed: ${this.details}`, () => losses().length > 0, timeoutMs);
    return losses()[0] ?? '';
  }
}

/** What a server does that sends this to every client at once. */
async function lossAfter(scheme: 'rtmp' | 'http', answer: (socket: Socket) => void): Promise<string> {
  const server = await ScriptedServer.start((socket) => answer(socket));
  const client = new Recorded(addressOf(scheme, server.port));
  const detail = await client.lostBecause();
  client.source.stop();
  await server.stop();
  return detail;
}

function addressOf(scheme: string, port: number): string {
  return `${scheme}://127.0.0.1:${port}/live/a${scheme.startsWith('http') ? '.flv' : ''}`;
}

test('tags come over sockets as they were sent, by RTMP and by HTTP-FLV', async () => {
  const tags = [audioTag(0xffffffff, 1), audioTag(3, 2), audioTag(26, 3)];
  const rtmp = await startRtmpServer((socket) => socket.write(Buffer.concat(tags.map(rtmpMedia))));
  const http = await ScriptedServer.start((socket) => socket.write(Buffer.concat([Buffer.from(OK), FLV, ...tags.map(encodeTag)])));
  const clients = [new Recorded(addressOf('rtmp', rtmp.port)), new Recorded(addressOf('http', http.port))];
  for (const client of clients) {
    await until(`tags come: ${client.details}`, () => client.tags.length === tags.length);
    assert.equal(
      client.tags.map(({ type, timestampMs, body }) => [type, timestampMs, ...body]),
      tags.map(({ type, timestampMs, body }) => [type, timestampMs, ...body]),
    );
    assert.match(client.details, /^connecting: .*live: live by (RTMP|HTTP-FLV)$/);
    client.source.stop();
  }
  await Promise.all([rtmp.stop(), http.stop()]);
});

test('garbage, oversize messages and early ends are told in words', async () => {
  const garbage = Buffer.from(Array.from({ length: 4000 }, (_, index) => (index * 89 + 7) & 0xff));
  const lines = Buffer.concat([garbage, Buffer.from('\n\n')]);
  assert.match(await lossAfter('rtmp', (socket) => socket.write(garbage)), /not RTMP: some other protocol/);
  assert.match(await lossAfter('http', (socket) => socket.write(lines)), /not an answer to a request for FLV/);
  assert.match(await lossAfter('rtmp', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')), /it looks like HTTP/);
  assert.match(
    await lossAfter('rtmp', (socket) => socket.write(Buffer.concat([RTMP_SHAKE, Buffer.alloc(64, 0xff)]))),
    /not RTMP: chunk stream/,
  );
  const oversize = Buffer.from([3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0]);
  assert.match(await lossAfter('rtmp', (socket) => socket.write(Buffer.concat([RTMP_SHAKE, oversize]))), /message of 16777215 bytes/);
  const bigChunks = encodeMessage({ type: 1, chunkStream: 2, streamId: 0, body: Uint8Array.of(0x7f, 0xff, 0xff, 0xff) });
  assert.match(
    await lossAfter('rtmp', (socket) => socket.write(Buffer.concat([RTMP_SHAKE, bigChunks]))),
    /chunk size 2147483647, expected/,
  );
  const bigTag = Buffer.concat([Buffer.from(OK), FLV, Buffer.of(9, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0)]);
  assert.match(await lossAfter('http', (socket) => socket.write(bigTag)), /not FLV: FLV tag of 16777215 bytes/);
  assert.match(await lossAfter('rtmp', (socket) => socket.end()), /closed the connection before the stream began/);
  assert.match(await lossAfter('http', (socket) => socket.end()), /closed the connection before it answered/);
  assert.match(await lossAfter('http', (socket) => socket.end(OK)), /before any FLV came/);
});

test('servers that trickle their bytes are given up after ten seconds, in whatever step', async () => {
  const timers: NodeJS.Timeout[] = [];
  const trickle = (socket: Socket, bytes: Uint8Array): void => {
    let offset = 0;
    timers.push(setInterval(() => socket.write(bytes.subarray(offset, ++offset)), TRICKLE_MS));
  };
  const slow = Buffer.alloc(100_000, 0x20);
  const servers = [
    await ScriptedServer.start((socket, _bytes, index) => index === 0 && trickle(socket, RTMP_SHAKE)),
    await ScriptedServer.start(
      (socket, _bytes, index) => index === 0 && trickle(socket, Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\nX:'), slow])),
    ),
    await ScriptedServer.start((socket, _bytes, index) => {
      if (index > 0) return;
      socket.write(Buffer.concat([Buffer.from(OK), FLV]));
      trickle(socket, encodeTag({ type: 9, timestampMs: 0, body: slow }));
    }),
    await startRtmpServer((socket) => trickle(socket, rtmpMedia({ type: 9, timestampMs: 0, body: slow }))),
  ];
  const schemes = ['rtmp', 'http', 'http', 'rtmp'];
  const clients = servers.map(({ port }, index) => new Recorded(addressOf(schemes[index] ?? '', port)));
  const losses = await Promise.all(clients.map((client) => client.lostBecause(12_000)));
  for (const client of clients) client.source.stop();
  for (const timer of timers) clearInterval(timer);
  assert.equal(losses, ['the server does not answer', 'the server does not answer', 'no media came for 10 s', 'no media came for 10 s']);
  await Promise.all(servers.map((server) => server.stop()));
});

test('a redirect to another address of this machine is not followed, over HTTP and over RTMP', async () => {
  const victim = await ScriptedServer.start(() => {});
  const http = await ScriptedServer.start((socket) =>
    socket.end(`HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:${victim.port}/a.flv\r\n\r\n`),
  );
  const extra = new Map<string, number | string>([
    ['code', 302],
    ['redirect', `rtmp://127.0.0.2:${victim.port}/live`],
  ]);
  const info = new Map<string, string | typeof extra>([['code', 'NetConnection.Connect.Rejected']]).set('ex', extra);
  const rtmp = await ScriptedServer.start((socket) => socket.write(Buffer.concat([RTMP_SHAKE, rtmpCommand('_error', 1, null, info)])));
  const clients = [new Recorded(addressOf('http', http.port)), new Recorded(addressOf('rtmp', rtmp.port))];
  for (const client of clients) assert.match(await client.lostBecause(), /redirects to 127\.0\.0\.2, an address of a private network/);
  for (const client of clients) client.source.stop();
  assert.is(victim.connectionCount, 0);
  await Promise.all([http.stop(), rtmp.stop(), victim.stop()]);
});

test('a redirect loop ends after three hops', async () => {
  const server: ScriptedServer = await ScriptedServer.start((socket) =>
    socket.end(`HTTP/1.1 302 Found\r\nLocation: /again${server.connectionCount}.flv\r\n\r\n`),
  );
  const client = new Recorded(addressOf('http', server.port));
  assert.match(await client.lostBecause(), /redirects more than 3 times/);
  assert.is(server.connectionCount, 4);
  client.source.stop();
  await server.stop();
});

test('reading is paused at a source that sends more than any stream has', async () => {
  const tag = encodeTag({ type: 9, timestampMs: 0, body: new Uint8Array(1 << 20).fill(0x27) });
  const server = await ScriptedServer.start((socket) => {
    socket.write(Buffer.concat([Buffer.from(OK), FLV]));
    const pour = (): void => {
      while (!socket.destroyed && socket.write(tag));
    };
    socket.on('drain', pour);
    pour();
  });
  let tagCount = 0;
  const url = addressOf('http', server.port);
  const source = SourceConnection.open({
    url,
    rng: new Rng(1),
    log: new MemoryLog(),
    onEvent: ({ kind }) => (tagCount += kind === 'tag' ? 1 : 0),
  });
  await until('reading is paused', () => source.pauses > 0, 20_000);
  assert.ok(tagCount >= 70, `${tagCount} tags of 1 MiB`);
  source.stop();
  await server.stop();
});

test('a certificate that nobody trusts, or a server without TLS, is refused before anything is sent', async () => {
  const certificate = makeCertificate('DNS:elsewhere.example');
  let receivedBytes = 0;
  const secure = createServer({ key: certificate.key, cert: certificate.certificate }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      receivedBytes += bytes.length;
    });
  });
  secure.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
  const { port } = secure.address() as { port: number };
  for (const scheme of ['rtmps', 'https']) {
    const client = new Recorded(addressOf(scheme, port));
    assert.match(await client.lostBecause(), /^the server's certificate was made by nobody this machine trusts/);
    client.source.stop();
  }
  assert.is(receivedBytes, 0);
  await new Promise((resolve) => secure.close(resolve));
  const plain = await ScriptedServer.start((socket) => socket.end(RTMP_SHAKE));
  const client = new Recorded(addressOf('rtmps', plain.port));
  assert.match(await client.lostBecause(), /^the server does not speak TLS there/);
  client.source.stop();
  await plain.stop();
});

test('after stop nothing is said and nothing stays open', async () => {
  const server = await startRtmpServer((socket) => socket.write(rtmpMedia(audioTag(1))));
  const client = new Recorded(addressOf('rtmp', server.port));
  await until(`a tag comes: ${client.details}`, () => client.tags.length === 1);
  const { length } = client.events;
  client.source.stop();
  client.source.stop();
  await until('the server sees the end', () => server.openCount === 0);
  assert.is(client.events.length, length);
  await server.stop();
});

test.run();

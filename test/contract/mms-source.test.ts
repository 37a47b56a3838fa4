/** The MMS source against VLC, against our own server over both protocols, and against servers that misbehave. */
import { chmodSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SourcePacket } from '../../src/ingest/source-client.js';
import type { SourceLifeEvent } from '../../src/ingest/source-life.js';
import { SourceConnection } from '../../src/io/sources/source-connection.js';
import { Rng } from '../../src/kernel/rng.js';
import { encodeMmshData, encodeMmshHeader } from '../../src/media/mmsh-chunk.js';
import { recordAsf } from '../support/asf-recording.js';
import { freePort } from '../support/free-port.js';
import { MemoryLog } from '../support/memory-log.js';
import { MmstTestServer, ScriptedServer } from '../support/mmst-server.js';
import { Program, temporaryFolder } from '../support/program.js';
import { until } from '../support/until.js';

/** VLC refuses to run as root. */
const NOBODY_ID = 65_534;

/** A source and everything it said. */
class Recorded {
  readonly events: SourceLifeEvent[] = [];
  readonly log = new MemoryLog();
  readonly source: SourceConnection;

  constructor(url: string, onDemand: 'refuse' | 'accept' = 'accept') {
    this.source = SourceConnection.open({ url, rng: new Rng(1), log: this.log, onDemand, onEvent: (event) => this.events.push(event) });
  }

  get packets(): SourcePacket[] {
    return this.events.filter((event) => event.kind === 'packet');
  }

  get states(): string[] {
    return this.events.flatMap((event) => (event.kind === 'state' ? [event.state] : []));
  }

  get details(): string {
    return this.events.flatMap((event) => (event.kind === 'state' ? [event.detail] : [])).join(' | ');
  }

  get header(): Uint8Array | undefined {
    return this.events.find((event) => event.kind === 'header')?.header;
  }
}

/** Asserts that two clients got the same bytes under the same numbers, and at least `countMin` of them. */
function assertSamePackets(a: Recorded, b: Recorded, countMin: number): void {
  const byNumber = new Map(a.packets.map(({ locationId, payload }) => [locationId, payload]));
  const shared = b.packets.filter(({ locationId }) => byNumber.has(locationId));
  assert.ok(shared.length >= countMin, `${shared.length} packets in common`);
  for (const { locationId, payload } of shared)
    assert.is(Buffer.compare(byNumber.get(locationId) ?? Buffer.alloc(0), payload), 0, `packet ${locationId}`);
}

function vlcServer(port: number): Program {
  const { path } = recordAsf('wmv', 10);
  const folder = temporaryFolder('vlc-home');
  chmodSync(folder, 0o777);
  chmodSync(path, 0o644);
  chmodSync(path.slice(0, path.lastIndexOf('/')), 0o755);
  const output = `#gather:std{access=mmsh,mux=asfh,dst=127.0.0.1:${port}}`;
  const words = ['-I', 'dummy', path, '--loop', '--sout-keep', '--sout', output];
  return new Program('cvlc', words, { userId: NOBODY_ID, env: { ...process.env, HOME: folder } });
}

test('two clients of a VLC server get equal packets, and come back when it is restarted', async () => {
  const port = await freePort();
  let vlc = vlcServer(port);
  const first = new Recorded(`mmsh://127.0.0.1:${port}/`);
  await until('the first client gets packets', () => first.packets.length > 20, 20_000);
  const second = new Recorded(`http://127.0.0.1:${port}/`);
  await until('the second client gets packets', () => second.packets.length > 40, 20_000);
  assertSamePackets(first, second, 30);
  assert.equal(first.log.complaints, []);
  await vlc.stop();
  await until('the loss is noticed', () => first.states.includes('lost'), 20_000);
  const countBefore = first.packets.length;
  vlc = vlcServer(port);
  await until(`packets come again: ${first.details}`, () => first.packets.length > countBefore + 10, 30_000);
  first.source.stop();
  second.source.stop();
  await vlc.stop();
});

test('MMST and MMSH of one server give the same header and the same bytes, and mms:// prefers MMST', async () => {
  const server = await MmstTestServer.start({ seconds: 20 });
  const mmst = new Recorded(server.url('mmst'));
  const mmsh = new Recorded(server.url('mmsh'));
  const either = new Recorded(server.url('mms'));
  await until('all three get packets', () => [mmst, mmsh, either].every(({ packets }) => packets.length > 80), 20_000);
  assertSamePackets(mmst, mmsh, 60);
  assertSamePackets(mmst, either, 60);
  assert.equal(mmst.header, mmsh.header);
  assert.match(either.details, /live by MMST/);
  const { packets } = server.recording;
  for (const { locationId, payload } of mmst.packets)
    assert.is(Buffer.compare(payload, packets[locationId]?.payload ?? Buffer.alloc(0)), 0);
  for (const { source } of [mmst, mmsh, either]) source.stop();
  await server.stop();
});

test('mms:// falls back to MMSH at a server that speaks no MMST', async () => {
  const header = recordAsf('wmv', 10);
  const server = await ScriptedServer.start((socket, bytes) => {
    if (bytes[0] === 1) return socket.destroy();
    const isPlay = bytes.includes('xPlayStrm=1');
    socket.write(`HTTP/1.0 200 OK\r\nPragma: features="broadcast"\r\n\r\n`);
    socket.write(encodeMmshHeader(header.headerBytes));
    if (isPlay) socket.write(encodeMmshData(7, 0, Uint8Array.of(1, 2, 3)));
    else socket.end();
  });
  const client = new Recorded(`mms://127.0.0.1:${server.port}/x`);
  await until(`a packet comes: ${client.details}`, () => client.packets.length === 1);
  assert.equal([...(client.packets[0]?.payload ?? [])], [1, 2, 3]);
  assert.match(client.details, /live by MMSH/);
  client.source.stop();
  await server.stop();
});

test('a file on demand is refused for good with a plain message', async () => {
  const { headerBytes } = recordAsf('wmv', 10);
  // Most recordings carry no broadcast flag: ffmpeg sets it for streams, so it is taken away here.
  const header = headerBytes.slice();
  const flagsOffset = Buffer.from(header).indexOf(Buffer.from('a1dcab8c47a9cf118ee400c00c205365', 'hex')) + 88;
  header[flagsOffset] = 2;
  const server = await ScriptedServer.start((socket) => {
    socket.write(`HTTP/1.0 200 OK\r\nPragma: features="seekable,stridable"\r\n\r\n`);
    socket.end(encodeMmshHeader(header));
  });
  const client = new Recorded(`mmsh://127.0.0.1:${server.port}/x`, 'refuse');
  await until('it is refused', () => client.states.includes('refused'));
  assert.match(client.details, /a file on demand, not a broadcast; only live sources can be published/);
  client.source.stop();
  await server.stop();
});

test('a redirect to another address of this machine is not followed', async () => {
  const victim = await ScriptedServer.start(() => {});
  const server = await ScriptedServer.start((socket) =>
    socket.end(`HTTP/1.0 302 Found\r\nLocation: http://127.0.0.2:${victim.port}/\r\n\r\n`),
  );
  const client = new Recorded(`mmsh://127.0.0.1:${server.port}/x`);
  await until('the loss is noticed', () => client.states.includes('lost'));
  assert.match(client.details, /redirects to 127\.0\.0\.2, an address of a private network/);
  assert.is(victim.connectionCount, 0);
  client.source.stop();
  await Promise.all([server.stop(), victim.stop()]);
});

test('a redirect on the same address is followed, but not for ever', async () => {
  const server: ScriptedServer = await ScriptedServer.start((socket) =>
    socket.end(`HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:${server.port}/again\r\n\r\n`),
  );
  const client = new Recorded(`mmsh://127.0.0.1:${server.port}/x`);
  await until('the loss is noticed', () => client.states.includes('lost'));
  assert.match(client.details, /redirects more than 3 times/);
  assert.is(server.connectionCount, 4);
  client.source.stop();
  await server.stop();
});

test('reading is paused at a source that sends far more than it declares', async () => {
  const { headerBytes, packets } = recordAsf('wmv', 10);
  const flood = Buffer.concat(packets.slice(0, 64).map(({ locationId, payload }) => encodeMmshData(locationId, 0, payload)));
  const server = await ScriptedServer.start((socket, bytes) => {
    socket.write('HTTP/1.0 200 OK\r\nPragma: features="broadcast"\r\n\r\n');
    socket.write(encodeMmshHeader(headerBytes));
    if (!bytes.includes('xPlayStrm=1')) return socket.end();
    const pour = (): void => {
      while (!socket.destroyed && socket.write(flood));
    };
    socket.on('drain', pour);
    pour();
    return undefined;
  });
  const client = new Recorded(`mmsh://127.0.0.1:${server.port}/x`);
  await until('reading is paused', () => client.source.pauses > 0, 20_000);
  const receivedBytes = client.source.receivedBytes;
  const startMs = performance.now();
  await until('half a second passes', () => performance.now() - startMs > 500);
  const bytesPerSecond = (client.source.receivedBytes - receivedBytes) / ((performance.now() - startMs) / 1000);
  assert.ok(bytesPerSecond < 2_000_000, `${bytesPerSecond} bytes per second`);
  client.source.stop();
  await server.stop();
});

test('an address where nothing listens is tried again after a second or more', async () => {
  const client = new Recorded(`mmst://127.0.0.1:${await freePort()}/x`);
  await until('the loss is noticed', () => client.states.includes('lost'));
  const lost = client.events.find((event) => event.kind === 'state' && event.state === 'lost');
  assert.ok(lost?.kind === 'state' && (lost.retryMs ?? 0) >= 1000 && (lost.retryMs ?? 0) <= 2000);
  assert.match(client.details, /nothing listens at the address/);
  client.source.stop();
});

test.run();

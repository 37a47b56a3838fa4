/** What goes wrong at the start or comes from strangers, and what a person reads then. */
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rng } from '../../src/kernel/rng.js';
import { FfmpegPublisher } from '../support/ffmpeg-publisher.js';
import { FlvRecorder, longestGapMs } from '../support/flv-recorder.js';
import { freePort } from '../support/free-port.js';
import { temporaryFolder } from '../support/program.js';
import { runShoal, type ShoalProcess, type ShoalProcessOptions, startChannel, startStation, watch } from '../support/shoal-process.js';
import { extendedFrame, HalfPeer, handshakeBytes, randomPeerId } from '../support/swarm-fixture.js';
import { until } from '../support/until.js';

const ID = '0123456789abcdef0123456789abcdef01234567';

const closers: (() => Promise<void> | void)[] = [];

test.after.each(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Stopped when the test is over, whatever came of it. */
async function kept(starting: Promise<ShoalProcess>): Promise<ShoalProcess> {
  const shoal = await starting;
  closers.push(() => shoal.stop());
  return shoal;
}

function recorderOf(shoal: ShoalProcess): FlvRecorder {
  const recorder = new FlvRecorder(shoal.channel.watch.flv);
  closers.push(() => recorder.stop());
  return recorder;
}

function publisherOf(shoal: ShoalProcess): FfmpegPublisher {
  const publisher = new FfmpegPublisher(shoal.publishUrl(), { size: '320x180', videoKilobitsPerSecond: 300 });
  closers.push(() => publisher.stop());
  return publisher;
}

/** Another program that holds a port; it hangs up on everybody who says something. */
async function otherProgram(
  onQuestion: () => void = () => undefined,
  port = 0,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      onQuestion();
      socket.destroy();
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  closers.push(close);
  return { port: (server.address() as { port: number }).port, close };
}

function portIn(link: string, parameter: 'tr' | 'x.pe'): number {
  return Number(/:(\d+)(?:\/|$)/.exec(new URL(link).searchParams.get(parameter) ?? '')?.[1]);
}

const PORT_KEYS = [
  ['start', 'relay.http.port'],
  ['start', 'station.rtmp.port'],
  ['start', 'swarm.port'],
  ['start', 'tracker.port'],
  ['watch', 'relay.http.port'],
  ['watch', 'relay.rtmp.port'],
  ['watch', 'swarm.port'],
] as const;

for (const [command, key] of PORT_KEYS) {
  test(`shoal ${command}, and ${key} is taken: it names the port and the key, and ends`, async () => {
    const { port } = await otherProgram();
    const words = command === 'start' ? ['start', '--json'] : ['watch', ID, '--json'];
    const shoal = await runShoal(words, { settings: { [key]: port } });
    assert.is(shoal.program.exit?.code, 1);
    assert.match(shoal.program.errors, new RegExp(`^shoal: .*\\b${port}\\b.*taken`, 'm'));
    assert.match(shoal.program.errors, key);
    assert.is(shoal.program.output, '');
    assert.equal(shoal.processes, []);
  });
}

test('without ffmpeg the station starts all the same, says which command installs it, and takes publishers', async () => {
  const folder = temporaryFolder('path');
  writeFileSync(join(folder, 'apt-get'), '#!/bin/sh\nexit 1\n');
  chmodSync(join(folder, 'apt-get'), 0o755);
  const station = await kept(startStation({ env: { PATH: folder } }));
  await station.whenLogged(/ffmpeg is not installed, and the test card needs it\. Run: (sudo )?apt-get install -y ffmpeg/);
  const recorder = recorderOf(station);
  publisherOf(station);
  await recorder.whenFrames(50);
});

const BAD_LINKS: readonly (readonly [link: string, reason: RegExp])[] = [
  ['', /The link is empty; expected magnet:/],
  ['hello', /expected 40 hex digits/],
  [ID.slice(0, 39), /The channel id has 39 hex digits; expected 40\. Was the link cut short\?/],
  ['https://example.org/watch', /The link starts with "https:"; expected magnet:/],
  ['magnet:?dn=News', /The magnet link has no "xt"; expected xt=urn:btih:<id>/],
  ['magnet:?xt=urn:sha1:ABC', /"xt" is "urn:sha1:ABC"; expected urn:btih:<id>/],
  [`magnet:?xt=urn:btih:${ID}&dn=%E0%A4%A`, /broken percent sign/],
  ['shoal:', /The link has no channel id; expected 40 hex digits/],
];

test('a malformed link is told, and what would be right', async () => {
  const runs = await Promise.all(BAD_LINKS.map(([link]) => runShoal(['watch', link, '--json'])));
  for (const [index, { program }] of runs.entries()) {
    const [link, reason] = BAD_LINKS[index] ?? ['', /^$/];
    assert.is(program.exit?.code, 1, link);
    assert.match(program.errors, reason);
    assert.match(program.errors, /^shoal: /);
    assert.is(program.output, '', link);
  }
});

function configFile(text: string): string {
  const path = join(temporaryFolder('config'), 'shoal.json5');
  writeFileSync(path, text);
  return path;
}

const BAD_CONFIGURATIONS: readonly (readonly [words: readonly string[], options: ShoalProcessOptions, reason: RegExp])[] = [
  [[], { settings: { 'relay.http.prot': 0 } }, /unknown key "relay\.http\.prot", nearest known key is "relay\.http\.port"/],
  [[], { settings: { 'swarm.maxConnections': 0 } }, /swarm\.maxConnections: expected 1 to 1000, got 0/],
  [[], { settings: { 'tracker.enabled': 'perhaps' } }, /tracker\.enabled: expected true or false, got "perhaps"/],
  [
    [],
    { env: { SHOAL_RELAY_HTTP_PROT: '0' } },
    /unknown variable "SHOAL_RELAY_HTTP_PROT", nearest known variable is "SHOAL_RELAY_HTTP_PORT"/,
  ],
  [
    ['--config', configFile('{\n  swarm: {\n    uplaodBytesPerSecond: 5,\n  },\n}')],
    {},
    /shoal\.json5:3: unknown key "swarm\.uplaodBytesPerSecond", nearest/,
  ],
  [['--config', configFile('{ swarm: ')], {}, /shoal\.json5/],
  [['--config', '/nonexistent/shoal.json5'], {}, /\/nonexistent\/shoal\.json5/],
];

test('a wrong configuration is told with the place and the nearest known key, by every command alike', async () => {
  for (const command of [
    ['start', '--json'],
    ['config', 'check'],
  ]) {
    const runs = await Promise.all(BAD_CONFIGURATIONS.map(([words, options]) => runShoal([...command, ...words], options)));
    for (const [index, { program }] of runs.entries()) {
      assert.is(program.exit?.code, 1, program.output);
      assert.match(program.errors, BAD_CONFIGURATIONS[index]?.[2] ?? /^$/);
      assert.not.match(program.errors, /\n {4}at /);
    }
  }
});

test('with a dead tracker and a living peer in the link, the channel plays', async () => {
  const station = await kept(startChannel('Peer only'));
  publisherOf(station);
  const dead = await otherProgram();
  const link = new URL(station.channel.link);
  link.searchParams.delete('tr');
  const viewer = await kept(watch(`${link.href}&tr=${encodeURIComponent(`http://127.0.0.1:${dead.port}/announce`)}`));
  await recorderOf(viewer).whenFrames(100);
  await viewer.whenLogged(
    new RegExp(`Tracker http://127\\.0\\.0\\.1:${dead.port}/announce .*asked again and again; peers already known go on`),
  );
});

test('with a dead tracker alone, it is asked less and less often; when it comes up, the viewer joins by itself', async () => {
  const settings = { 'tracker.port': await freePort(), 'swarm.port': await freePort() };
  const first = await kept(startChannel('Later', { settings }));
  await first.stop();
  const askedMs: number[] = [];
  const dead = await otherProgram(() => askedMs.push(performance.now()), settings['tracker.port']);
  const viewer = await kept(
    watch(`magnet:?xt=urn:btih:${first.channel.id}&tr=${encodeURIComponent(`http://127.0.0.1:${dead.port}/announce`)}`),
  );
  await until('four attempts', () => askedMs.length >= 4, 15_000);
  const pausesMs = askedMs.slice(1).map((atMs, index) => atMs - (askedMs[index] ?? 0));
  assert.ok(
    pausesMs.every((pauseMs, index) => index === 0 || pauseMs > (pausesMs[index - 1] ?? 0) * 0.9),
    `pauses ${pausesMs.map(Math.round)} ms`,
  );
  assert.is(viewer.program.errors.match(/asked again and again/g)?.length, 1);
  await dead.close();
  const station = await kept(startChannel('Later', { dataDir: first.dataDir, settings }));
  publisherOf(station);
  await recorderOf(viewer).whenFrames(100, 25_000);
  assert.match(viewer.program.errors, /Tracker http:\S+ answers again/);
});

test('peers that send garbage are sent away, and nobody notices', async () => {
  const station = await kept(startChannel('Garbage'));
  publisherOf(station);
  const viewer = await kept(watch(station.channel.link));
  const recorder = recorderOf(viewer);
  await recorder.whenFrames(50);
  const rng = new Rng(2026);
  const noise = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, () => rng.below(256));
  const peers = Array.from({ length: 12 }, () => new HalfPeer(portIn(station.channel.link, 'x.pe')));
  closers.push(() => {
    for (const peer of peers) peer.destroy();
  });
  await Promise.all(
    peers.map(async (peer, index) => {
      // Noise from the first byte, noise behind a handshake, and noise as messages of the live exchange.
      if (index % 3 > 0) await peer.send(handshakeBytes(station.channel.id, randomPeerId()));
      if (index % 3 === 2) await peer.send(extendedFrame(0, Buffer.from('d1:md10:shoal_livei1eee')));
      for (let count = 0; count < 20; count++) await peer.send(index % 3 === 2 ? extendedFrame(1, noise(200)) : noise(5000));
    }),
  );
  await until('all of them are sent away', () => peers.every(({ closed }) => closed), 5000);
  await recorder.whenFrames(recorder.frames.length + 200);
  assert.ok(longestGapMs(recorder.frames) <= 1500, `no tag for ${Math.round(longestGapMs(recorder.frames))} ms`);
  assert.is(viewer.status.holes, 0);
  assert.is(station.status.peers, 1);
  assert.match(station.program.errors, /peer banned/);
  assert.not.match(station.program.errors, /"level":"error"/);
});

test.run();

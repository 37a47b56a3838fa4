/** Shoal for scripts: what `--json` prints, how it stops, where it keeps things, and what the small commands say. */
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FfmpegPublisher } from '../support/ffmpeg-publisher.js';
import { FlvRecorder } from '../support/flv-recorder.js';
import { runShoal, type ShoalProcess, startStation, watch } from '../support/shoal-process.js';
import { until } from '../support/until.js';

const TRAFFIC = ['control', 'manifest', 'map', 'media', 'request', 'total'];
const FIGURES = [
  'alignment',
  'authority',
  'bufferSeconds',
  'certificateUntil',
  'conflict',
  'delayMs',
  'downBytes',
  'downBytesPerSecond',
  'holes',
  'id',
  'inPart',
  'lineBytesPerSecond',
  'live',
  'name',
  'pacing',
  'peers',
  'players',
  'publisherKey',
  'publishers',
  'role',
  'shareFromPeers',
  'timeouts',
  'upBytes',
  'upBytesPerSecond',
  'windowsDelivered',
];

const farewells: (() => void)[] = [];
let station: ShoalProcess;
let viewer: ShoalProcess;

test.before(async () => {
  station = await startStation();
  viewer = await watch(station.channel.link);
});

test.after(async () => {
  for (const farewell of farewells) farewell();
  await Promise.all([viewer?.stop(), station?.stop()]);
});

function keysOf(value: unknown): string[] {
  return Object.keys(value as object).sort();
}

test('the first line of a station is "ready", in the promised shape', () => {
  const ready = JSON.parse(station.lines[0] ?? '') as Record<string, unknown>;
  assert.is(ready['event'], 'ready');
  assert.equal(keysOf(ready), ['channels', 'event', 'page', 'titles']);
  assert.equal(ready['titles'], []);
  assert.match(String(ready['page']), /^http:\/\/127\.0\.0\.1:\d+\/$/);
  const { channel } = station;
  for (const key of ['id', 'name', 'link', 'publish', 'watch']) assert.ok(key in channel, key);
  assert.match(channel.id, /^[0-9a-f]{40}$/);
  assert.is(channel.name, 'Test card');
  assert.match(channel.link, new RegExp(`^magnet:\\?xt=urn:btih:${channel.id}&`));
  assert.equal(keysOf(channel.publish), ['key', 'rtmp']);
  assert.match(channel.publish?.rtmp ?? '', /^rtmp:\/\/127\.0\.0\.1:\d+\/live$/);
  assert.match(channel.publish?.key ?? '', /^[A-Za-z0-9_-]{24}$/);
  assert.equal(keysOf(channel.watch), ['flv', 'hls', 'mms', 'rtmp', 'wsFlv']);
});

test('the first line of a viewer has the same shape, with the one channel that it watches', () => {
  const ready = JSON.parse(viewer.lines[0] ?? '') as Record<string, unknown>;
  assert.equal(keysOf(ready), ['channels', 'event', 'page']);
  assert.is(viewer.ready.channels.length, 1);
  assert.equal(keysOf(viewer.channel), keysOf(station.channel));
  assert.is(viewer.channel.id, station.channel.id);
  assert.is(viewer.channel.name, 'Test card');
  assert.is(viewer.channel.publish, null);
  assert.not.equal(viewer.channel.watch, station.channel.watch);
});

test('then comes a line of figures every second, the ones of the page, and nothing else', async () => {
  for (const shoal of [station, viewer]) {
    await until('five lines of figures', () => shoal.statuses.length >= 5);
    const stepsMs = shoal.statuses.slice(1, 5).map(({ atMs }, index) => atMs - (shoal.statuses[index]?.atMs ?? 0));
    assert.ok(Math.min(...stepsMs) > 600 && Math.max(...stepsMs) < 1600, `${stepsMs.map(Math.round)} ms apart`);
    const { line } = shoal.statuses.at(-1) ?? {};
    assert.equal(
      keysOf(line).filter((key) => key !== 'event' && key !== 'channels'),
      FIGURES,
    );
    assert.equal(keysOf(line?.channels[0]), FIGURES);
    assert.equal(keysOf(line?.upBytes), TRAFFIC);
    assert.equal(keysOf(line?.downBytes), TRAFFIC);
    assert.ok(shoal.lines.every((text) => /^\{"event":"(ready|status)",/.test(text)));
  }
  await viewer.whenStatus('the viewer plays', ({ windowsDelivered }) => windowsDelivered > 2);
  const { role, live, peers, shareFromPeers, holes, delayMs, downBytes } = viewer.status;
  assert.equal({ role, live, peers, shareFromPeers, holes }, { role: 'viewer', live: true, peers: 1, shareFromPeers: 0, holes: 0 });
  assert.ok(delayMs !== null && delayMs > 0 && delayMs < 5000, `${delayMs} ms`);
  assert.ok(downBytes.media > 0 && downBytes.total > downBytes.media);
  const { publishers, conflict, alignment } = viewer.status;
  assert.equal([publishers.map(({ key }) => key), conflict, alignment], [[station.status.publisherKey], null, null]);
  assert.equal(
    [keysOf(publishers[0]), keysOf(station.status.alignment)],
    [
      ['key', 'lastSeconds', 'windows'],
      ['detail', 'offsetMs', 'state'],
    ],
  );
  assert.is(station.status.alignment?.state, 'leading');
});

test('the page answers with the same figures under /api/, and describes them', async () => {
  const read = async (path: string): Promise<unknown> => (await fetch(new URL(path, viewer.ready.page))).json();
  const { channels } = (await read('/api/channels')) as { channels: { id: string; status: object }[] };
  assert.is(channels[0]?.id, viewer.channel.id);
  assert.equal(
    keysOf(channels[0]?.status),
    FIGURES.filter((key) => key !== 'id' && key !== 'name'),
  );
  const { openapi } = (await read('/api/openapi.json')) as { openapi: string };
  assert.match(openapi, /^3\.1\./);
});

test('a channel made on the command line is there within seconds, and its key publishes', async () => {
  const made = await runShoal(['channel', 'create', 'Second stage'], { dataDir: station.dataDir });
  assert.is(made.program.exit?.code, 0, made.program.errors);
  const key = /Stream key +(\S+)/.exec(made.program.output)?.[1] ?? '';
  const madeMs = performance.now();
  const names = (): string[] => station.statuses.at(-1)?.line.channels.map(({ name }) => name) ?? [];
  await until('the station has it', () => names().includes('Second stage'), 6000);
  assert.ok(performance.now() - madeMs < 5000);
  assert.not.ok('peers' in (station.statuses.at(-1)?.line ?? {}), 'with two channels, no figures of one of them at the top');
  const publisher = new FfmpegPublisher(`${station.channel.publish?.rtmp}/${key}`, { size: '320x180', videoKilobitsPerSecond: 300 });
  const recorder = new FlvRecorder(station.channel.watch.flv.replace('test-card', 'second-stage'));
  await recorder.whenFrames(50);
  recorder.stop();
  await publisher.stop();
  const again = await runShoal(['channel', 'create', 'Second stage'], { dataDir: station.dataDir });
  assert.is(again.program.exit?.code, 1);
  assert.match(again.program.errors, /there is a channel "second-stage" already; choose another name/);
  const pulled = await runShoal(
    ['channel', 'create', 'Pulled', '--source', 'rtmp://h.example/a/b', '--pull', 'rtmp://10.0.0.5/a/b?token=x'],
    {
      dataDir: station.dataDir,
    },
  );
  assert.is(pulled.program.exit?.code, 0, pulled.program.errors);
  assert.not.match(pulled.program.output, /Stream key|token/);
  const list = await runShoal(['channel', 'list'], { dataDir: station.dataDir });
  assert.match(list.program.output, `Second stage   stream key ${key}`);
});

test('everything is kept in the data folder, and the keys are for the owner alone', () => {
  assert.equal(readdirSync(dirname(station.dataDir)), ['data']);
  assert.is(statSync(join(station.dataDir, 'keys.json')).mode & 0o777, 0o600);
  assert.not.match(station.program.errors, station.channel.publish?.key ?? '');
});

test('two data folders are two stations', async () => {
  const other = await startStation();
  assert.is.not(other.channel.id, station.channel.id);
  assert.is.not(other.channel.publish?.key, station.channel.publish?.key);
  const [one, two] = [station, other].map(({ dataDir }) => readFileSync(join(dataDir, 'keys.json'), 'utf8'));
  assert.is.not(one, two);
  await other.whenStatus('the other one broadcasts too', ({ live }) => live);
  assert.ok(station.statuses.at(-1)?.line.channels[0]?.live);
  await other.stop();
});

test('config check says when all is right', async () => {
  const { program } = await runShoal(['config', 'check']);
  assert.is(program.exit?.code, 0);
  assert.is(program.output, 'The configuration is right.\n');
  assert.is(program.errors, '');
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} stops station and viewer within three seconds, and nothing of them stays`, async () => {
    const own = await startStation();
    const watching = await watch(own.channel.link);
    await watching.whenStatus('it plays', ({ windowsDelivered }) => windowsDelivered > 0);
    const player = new FlvRecorder(watching.channel.watch.flv);
    await player.whenFrames(10);
    assert.ok(own.processes.length >= 2, 'the station runs ffmpeg');
    for (const shoal of [own, watching]) {
      const askedMs = performance.now();
      shoal.signal(signal);
      const { code, atMs } = await shoal.program.whenExited(5000);
      assert.is(code, 0, shoal.program.errors);
      assert.ok(atMs - askedMs < 3000, `${Math.round(atMs - askedMs)} ms`);
      assert.equal(shoal.processes, []);
    }
    player.stop();
  });
}

test('a second SIGINT ends it at once', async () => {
  // A tracker that does not answer the farewell makes the stop take most of a second.
  const tracker = createServer((request, response) => {
    if (!request.url?.includes('event=stopped')) response.end('d8:intervali60e5:peers0:e');
  });
  tracker.listen(0, '127.0.0.1');
  farewells.push(() => {
    tracker.closeAllConnections();
    tracker.close();
  });
  await once(tracker, 'listening');
  const { port } = tracker.address() as { port: number };
  const announced = once(tracker, 'request');
  const shoal = await watch(`magnet:?xt=urn:btih:${'ab'.repeat(20)}&tr=${encodeURIComponent(`http://127.0.0.1:${port}/announce`)}`);
  await announced;
  await until('a line of figures', () => shoal.statuses.length > 0);
  const askedMs = performance.now();
  shoal.signal('SIGINT');
  await until('the two signals are two', () => performance.now() - askedMs > 400);
  assert.is(shoal.program.exit, undefined, 'it is still stopping');
  shoal.signal('SIGINT');
  // One that has said farewell in time, or given it up, ends with 0.
  const { code } = await shoal.program.whenExited(1000);
  assert.is(code, 130);
});

test.run();

/**
 * Stations that pull from origins of other makes: node-media-server by RTMP and by HTTP-FLV, nginx-rtmp by RTMP, and both over TLS.
 *
 * What is pulled is compared with what a second client pulls and with the file that the encoder wrote. Then encoder and origin die, and the
 * station goes on by itself.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { canonicalSource, channelId, encodeDescriptor } from '../../src/ingest/channel.js';
import { nodeHasher } from '../../src/io/crypto.js';
import { SourceConnection } from '../../src/io/sources/source-connection.js';
import { Malformed } from '../../src/kernel/errors.js';
import { Rng } from '../../src/kernel/rng.js';
import { AUDIO, decodeTags, type FlvTag, VIDEO } from '../../src/media/flv.js';
import { makeCertificate } from '../support/certificate.js';
import { FfmpegPublisher } from '../support/ffmpeg-publisher.js';
import { differenceWithin, FlvRecorder, type RecordedTag, recordTag } from '../support/flv-recorder.js';
import { MemoryLog } from '../support/memory-log.js';
import { NginxRtmpOrigin } from '../support/nginx-rtmp-origin.js';
import { NodeMediaServerOrigin } from '../support/node-media-server-origin.js';
import { playWithFfmpeg, probe } from '../support/players.js';
import { RtmpClient } from '../support/rtmp-client.js';
import { type ShoalProcess, startStation, watch } from '../support/shoal-process.js';
import { until } from '../support/until.js';
import { commonNumbers, differingNumbers, WindowCollector } from '../support/window-collector.js';

const CHANNELS = ['NMS by RTMP', 'NMS by HTTP-FLV', 'nginx by RTMP'] as const;
const STREAMS = ['aac 44100', 'h264 640x360'];
const TOKEN = 'very-secret-token';
const PLAY_SECONDS = 3;
/** 3 to 4 s when measured: encoder start, a try, and a second or two in which we may have missed something. */
const BACK_MS = 10_000;

const certificate = makeCertificate('IP:127.0.0.1');
let nms: NodeMediaServerOrigin;
let nginx: NginxRtmpOrigin;
let toNms: FfmpegPublisher;
let toNginx: FfmpegPublisher;
let station: ShoalProcess;
const collectors = new Map<string, WindowCollector>();

test.before(async () => {
  nms = await NodeMediaServerOrigin.start({ certificate });
  nginx = await NginxRtmpOrigin.start();
  publishToBoth();
  const sources = [nms.url('rtmp', 'a'), nms.url('http', 'a'), nginx.url('a')];
  const channels = CHANNELS.map((name, index) => ({ name, source: sources[index] }));
  station = await startStation({ settings: { 'station.testCard': false, 'station.channels': JSON.stringify(channels) } });
  for (const { name, link } of station.ready.channels) collectors.set(name, await WindowCollector.join(link));
});

test.after(async () => {
  for (const collector of collectors.values()) await collector.stop();
  await Promise.all([station?.stop(), toNms?.stop(), toNginx?.stop()]);
  await Promise.all([nms?.stop(), nginx?.stop()]);
});

function publishToBoth(): void {
  toNms = new FfmpegPublisher(nms.url('rtmp', 'a'));
  toNginx = new FfmpegPublisher(nginx.url('a'));
}

function collectorOf(name: string): WindowCollector {
  const collector = collectors.get(name);
  if (collector === undefined) throw new Error(`no channel ${name}`);
  return collector;
}

function lastNumber(name: string): number {
  return Math.max(-1, ...collectorOf(name).windows.map(({ number }) => number));
}

/** Until this many windows have come above the last one before. */
async function whenOn(before: ReadonlyMap<string, number>, count: number): Promise<void> {
  for (const [name, last] of before)
    await until(`${name} goes on`, () => collectorOf(name).windows.filter(({ number }) => number > last).length >= count, 20_000);
}

function lastNumbers(): ReadonlyMap<string, number> {
  return new Map(CHANNELS.map((name) => [name, lastNumber(name)]));
}

/** Pulls as a station does, and keeps what came. */
function pull(url: string): { readonly frames: RecordedTag[]; readonly tags: FlvTag[]; readonly source: SourceConnection } {
  const frames: RecordedTag[] = [];
  const tags: FlvTag[] = [];
  const source = SourceConnection.open({
    url,
    rng: new Rng(1),
    log: new MemoryLog(),
    onEvent: (event) => {
      if (event.kind !== 'tag') return;
      tags.push(event.tag);
      const recorded = recordTag(event.tag, 0);
      if (recorded.kind === 'frame') frames.push(recorded);
    },
  });
  return { frames, tags, source };
}

for (const name of CHANNELS) {
  test(`${name}: a viewer plays what the station pulls, and nobody can publish to it`, async () => {
    const channel = station.ready.channels.find((each) => each.name === name);
    assert.ok(channel);
    assert.is(channel.publish, null);
    const viewer = await watch(channel.link);
    await viewer.whenStatus('the viewer plays', ({ windowsDelivered }) => windowsDelivered > 4, 20_000);
    assert.equal(await probe(viewer.channel.watch.flv), STREAMS);
    assert.equal(await probe(viewer.channel.watch.rtmp), STREAMS);
    const { seconds, complaints } = await playWithFfmpeg(viewer.channel.watch.flv, PLAY_SECONDS);
    assert.ok(seconds >= PLAY_SECONDS - 0.5, `${seconds} s`);
    assert.is(complaints, '');
    assert.equal(await probe(channel.watch.rtmp ?? ''), STREAMS);
    await viewer.stop();
  });
}

test('every endpoint of the station serves a pulled channel', async () => {
  const { watch: addresses } = station.channel;
  assert.equal(await probe(addresses.hls), STREAMS);
  assert.equal(await probe(addresses.mms.replace(/^mms:/, 'mmsh:')), STREAMS);
});

test('two ways to one origin give the same windows under the same numbers', async () => {
  const [one, other] = [collectorOf('NMS by RTMP'), collectorOf('NMS by HTTP-FLV')];
  await until('both have windows', () => commonNumbers(one, other).length > 10, 20_000);
  assert.equal(differingNumbers(one, other), []);
});

test('what is pulled equals what another client pulls, and what the encoder wrote', async () => {
  const pulled = [nms.url('rtmp', 'a'), nms.url('http', 'a'), nginx.url('a')].map(pull);
  const recorder = new FlvRecorder(nms.url('http', 'a'));
  const player = await RtmpClient.open(nginx.port);
  assert.is(await player.play('a'), 'NetStream.Play.Start');
  await until('enough has come', () => pulled.every(({ frames }) => frames.length > 250), 30_000);
  for (const { source } of pulled) source.stop();
  await recorder.whenFrames(260);
  recorder.stop();
  const others = [recorder.frames, recorder.frames, framesOf(player)];
  const written = [await toNms.sentFrames(), await toNms.sentFrames(), await toNginx.sentFrames()];
  for (const [index, { frames }] of pulled.entries()) {
    // nginx-rtmp sends sound alone until the first key frame; from there on every client has everything.
    const whole = frames.slice(frames.findIndex(({ key }) => key));
    assert.is(differenceWithin(written[index] ?? [], whole), null);
    const both = commonTo(whole, others[index] ?? []);
    assert.ok(both.length > 150, String(both.length));
    for (const [mine, theirs] of both) assert.equal({ ...mine, arrivedMs: 0 }, { ...theirs, arrivedMs: 0 });
  }
  player.destroy();
});

/** The coded media that the test's own RTMP client got. */
function framesOf(player: RtmpClient): RecordedTag[] {
  const tags = player.tags.flatMap(({ type, timestampMs, body }) =>
    type === AUDIO || type === VIDEO ? [recordTag({ type, timestampMs, body }, 0)] : [],
  );
  return tags.filter(({ kind }) => kind === 'frame');
}

/** Pairs in order, from the first frame that both have. */
function commonTo(one: readonly RecordedTag[], other: readonly RecordedTag[]): [RecordedTag, RecordedTag][] {
  const start = one.findIndex(({ hash }) => other.some((frame) => frame.hash === hash));
  const otherStart = other.findIndex(({ hash }) => hash === one[start]?.hash);
  const length = Math.min(one.length - start, other.length - otherStart);
  return Array.from({ length }, (_, index) => [one[start + index] as RecordedTag, other[otherStart + index] as RecordedTag]);
}

test('windows hold the tags that the encoder sent, with its own times', async () => {
  for (const [name, publisher] of [
    ['NMS by HTTP-FLV', toNms],
    ['nginx by RTMP', toNginx],
  ] as const) {
    const sent = new Set((await publisher.sentFrames()).map(({ type, timestampMs, hash }) => `${type} ${timestampMs} ${hash}`));
    const tags = collectorOf(name)
      .windows.slice(0, 10)
      .flatMap(({ bytes }) => decodeTags(bytes) as readonly FlvTag[]);
    const frames = tags.map((tag) => recordTag(tag, 0)).filter(({ kind }) => kind === 'frame');
    assert.ok(frames.length > 200, `${name}: ${frames.length}`);
    assert.equal(
      frames.filter(({ type, timestampMs, hash }) => !sent.has(`${type} ${timestampMs} ${hash}`)),
      [],
    );
  }
});

test('the encoder is started again, and the channels go on', async () => {
  await Promise.all([toNms.stop(), toNginx.stop()]);
  await station.whenLogged(/the source's publisher has left; waiting for the next/);
  const before = lastNumbers();
  publishToBoth();
  await whenOn(before, 5);
});

test('the origin is started again, and the channels go on within seconds', async () => {
  const before = lastNumbers();
  nms.program.signal('SIGKILL');
  nginx.program.signal('SIGKILL');
  await Promise.all([nms.program.whenExited(5_000), nginx.program.whenExited(5_000), toNms.stop(), toNginx.stop()]);
  await station.whenLogged(/the source is lost/);
  nms = await NodeMediaServerOrigin.start({ certificate, ports: nms.ports });
  nginx = await NginxRtmpOrigin.start(nginx.port);
  publishToBoth();
  const startedMs = performance.now();
  await whenOn(before, 1);
  const backMs = performance.now() - startedMs;
  assert.ok(backMs < BACK_MS, `${backMs} ms`);
  await whenOn(before, 5);
  for (const { windows } of collectors.values()) {
    const backward = windows.filter(({ number }, index) => number <= (windows[index - 1]?.number ?? -1));
    assert.equal(backward, []);
  }
});

test('a source fetched over TLS from another address makes the channel of the public one, and the token stays secret', async () => {
  const source = 'rtmp://origin.example/live/a';
  const [rtmps, https] = [`${nms.url('rtmps', 'a')}?token=${TOKEN}`, `${nms.url('https', 'a')}?token=${TOKEN}`];
  const channels = [
    { name: 'One', source, pull: rtmps, open: true },
    { name: 'Two', source: 'https://origin.example/live/a.flv', pull: https, open: true },
    { name: 'Three', source, pull: https, open: false },
  ];
  const settings = { 'station.testCard': false, 'log.level': 'debug', 'station.channels': JSON.stringify(channels) };
  const secure = await startStation({ settings, env: { NODE_EXTRA_CA_CERTS: certificate.certificatePath } });
  await until('all are live', () => secure.statuses.at(-1)?.line.channels.every(({ live }) => live) === true, 20_000);
  const canonical = canonicalSource(source);
  if (canonical instanceof Malformed) throw new Error(canonical.reason);
  const descriptor = encodeDescriptor({ container: 'flv', source: canonical, windowMs: 500, pieceBytes: 16_384, owner: null });
  assert.is(secure.channel.id, channelId(descriptor, nodeHasher));
  await secure.stop();
  assert.not.match(secure.program.output + secure.program.errors, new RegExp(TOKEN));
});

test('a certificate that nobody trusts is refused, in words', async () => {
  const channels = JSON.stringify([{ name: 'One', source: nms.url('rtmps', 'a') }]);
  const distrustful = await startStation({ settings: { 'station.testCard': false, 'station.channels': channels } });
  await distrustful.whenLogged(/the source is lost: the server's certificate was made by nobody this machine trusts/);
  await distrustful.stop();
});

test.run();

/** Encoders that are refused, that send garbage, that freeze, that come back: real ones where there is a real one for it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rng } from '../../src/kernel/rng.js';
import { FfmpegPublisher } from '../support/ffmpeg-publisher.js';
import { FlvRecorder, largestStepBackMs, longestGapMs, type RecordedTag } from '../support/flv-recorder.js';
import { audioHeaderTag, metadataTag, videoHeaderTag, videoTag } from '../support/media-fixture.js';
import { probe } from '../support/players.js';
import { RtmpClient } from '../support/rtmp-client.js';
import { type ShoalProcess, startStation, watch } from '../support/shoal-process.js';
import { until } from '../support/until.js';

const SMALL = { size: '320x180', videoKilobitsPerSecond: 300 } as const;

let station: ShoalProcess;
let viewer: ShoalProcess;
let cardViewer: ShoalProcess;
let recorder: FlvRecorder;
let atStation: FlvRecorder;
let publisher: FfmpegPublisher | undefined;

test.before(async () => {
  station = await startStation({
    settings: { 'station.channels': JSON.stringify([{ name: 'Studio' }]), 'station.silentPublisherMs': 2000 },
  });
  [viewer, cardViewer] = await Promise.all([watch(channelNamed('Studio').link), watch(channelNamed('Test card').link)]);
  recorder = new FlvRecorder(viewer.channel.watch.flv);
  atStation = new FlvRecorder(channelNamed('Studio').watch.flv);
});

test.after(async () => {
  recorder?.stop();
  atStation?.stop();
  await publisher?.stop();
  await Promise.all([viewer?.stop(), cardViewer?.stop(), station?.stop()]);
});

function channelNamed(name: string): ShoalProcess['channel'] {
  const found = station.ready.channels.find((channel) => channel.name === name);
  if (found === undefined) throw new Error(`no channel ${name}`);
  return found as ShoalProcess['channel'];
}

function rtmpPort(): number {
  return Number(/:(\d+)\//.exec(channelNamed('Studio').publish?.rtmp ?? '')?.[1]);
}

function framesSince(sinceMs: number): RecordedTag[] {
  return recorder.frames.filter(({ arrivedMs }) => arrivedMs > sinceMs);
}

async function publish(): Promise<FfmpegPublisher> {
  const sinceMs = performance.now();
  const started = new FfmpegPublisher(station.publishUrl('Studio'), SMALL);
  await until('the viewer has the broadcast', () => framesSince(sinceMs).length > 100, 15_000);
  return started;
}

test('a publisher with a wrong key is refused, the log says why without the key, and not one of its tags reaches anybody', async () => {
  const { rtmp = '', key = '' } = channelNamed('Studio').publish ?? {};
  const wrong = `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`;
  const encoder = new FfmpegPublisher(`${rtmp}/${wrong}`, { ...SMALL, seconds: 10 });
  const exit = await encoder.program.whenExited(8000);
  assert.is.not(exit.code, 0);
  await station.whenLogged(/RTMP client refused: the stream key belongs to no channel of this station/);
  const rude = await RtmpClient.open(rtmpPort());
  assert.is(await rude.publish(`studio?key=${wrong}`), 'NetStream.Publish.BadName');
  for (const tag of [metadataTag(), videoHeaderTag(), audioHeaderTag(), videoTag(0, true), videoTag(40, false)]) rude.tag(tag);
  await station.whenLogged(/RTMP client refused: the stream key of channel \\"studio\\" is missing or wrong/);
  rude.destroy();
  // What had got through would lie before the first tag of the next, allowed one.
  publisher = await publish();
  const sent = await publisher.stop().then(() => publisher?.sentFrames() ?? []);
  const own = new Set(sent.map(({ hash }) => hash));
  for (const { frames } of [recorder, atStation]) assert.equal(frames.filter(({ hash }) => !own.has(hash)).length, 0);
  assert.not.match(station.program.errors, wrong);
  assert.not.match(station.program.errors, key);
});

test('an encoder that sends garbage is dropped, and its place is free for the next', async () => {
  const rng = new Rng(7);
  const noise = Uint8Array.from({ length: 60_000 }, () => rng.below(256));
  const [stranger, insider] = [await RtmpClient.connect(rtmpPort()), await RtmpClient.open(rtmpPort())];
  assert.is(await insider.publish(channelNamed('Studio').publish?.key ?? ''), 'NetStream.Publish.Start');
  insider.send(noise);
  stranger.send(noise);
  await until('both are sent away', () => insider.isClosed && stranger.isClosed, 5000);
  await station.whenLogged(/RTMP client dropped: this is not RTMP: the first byte is \d+, expected 3/);
  await station.whenLogged(/RTMP client dropped: .*"role":"publisher"|"role":"publisher".*RTMP client dropped: /);
  publisher = await publish();
  assert.is(recorder.fault, undefined);
});

test('an encoder that freezes is dropped after the configured time, and the viewer goes on with the next', async () => {
  const frozen = publisher as FfmpegPublisher;
  const frozenMs = performance.now();
  frozen.freeze();
  await station.whenLogged(/the publisher sent no audio or video for 2 s/);
  const afterMs = performance.now() - frozenMs;
  assert.ok(afterMs > 1500 && afterMs < 4000, `dropped after ${Math.round(afterMs)} ms`);
  publisher = await publish();
  await frozen.stop();
  assert.is(recorder.fault, undefined);
});

test('an encoder that dies and comes back is a moment of silence to the viewer, and times never go back', async () => {
  publisher?.program.signal('SIGKILL');
  await publisher?.program.whenExited(2000);
  const diedMs = performance.now();
  publisher = await publish();
  const [first] = framesSince(diedMs + 500);
  assert.ok(first && first.arrivedMs - diedMs < 5000, `${Math.round((first?.arrivedMs ?? 0) - diedMs)} ms until the next tag`);
  assert.is(largestStepBackMs(recorder.frames), 0);
  assert.is(largestStepBackMs(atStation.frames), 0);
  assert.is(viewer.program.exit, undefined);
});

test("who publishes to the test card's channel takes its place, and it comes back when he has left", async () => {
  const { watch: addresses } = cardViewer.channel;
  const card = new FlvRecorder(addresses.flv);
  await card.whenFrames(50);
  assert.equal(await probe(addresses.flv), ['aac 44100', 'h264 640x360']);
  const person = new FfmpegPublisher(station.publishUrl('Test card'), SMALL);
  const switched = (size: string) => (): boolean =>
    card.tags.filter(({ type, kind }) => type === 9 && kind === 'header').length >= Number(size);
  await until('the picture changes', switched('2'), 10_000);
  assert.equal(await probe(addresses.flv), ['aac 44100', 'h264 320x180']);
  await card.whenFrames(card.frames.length + 100);
  await person.stop();
  await until('the test card is back', switched('3'), 12_000);
  assert.equal(await probe(addresses.flv), ['aac 44100', 'h264 640x360']);
  card.stop();
  assert.is(largestStepBackMs(card.frames), 0);
  assert.is(card.fault, undefined);
  assert.ok(longestGapMs(card.frames) < 10_000, `${Math.round(longestGapMs(card.frames))} ms without a tag`);
});

test('none of this was an error of our own', () => {
  for (const shoal of [station, viewer, cardViewer]) assert.not.match(shoal.program.errors, /"level":"error"/);
});

test.run();

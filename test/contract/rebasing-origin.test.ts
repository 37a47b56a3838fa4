/** The rebasing origin does to times what SRS does, for real players and for our own, and to nothing else. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FlvRecorder, largestStepBackMs, type RecordedTag, recordTag } from '../support/flv-recorder.js';
import { audioHeaderTag, audioTag, metadataTag, videoHeaderTag, videoTag } from '../support/media-fixture.js';
import { Program } from '../support/program.js';
import { RebasingOrigin } from '../support/rebasing-origin.js';
import { RtmpClient } from '../support/rtmp-client.js';
import { SrsJitter } from '../support/srs-jitter.js';
import { until } from '../support/until.js';

let origin: RebasingOrigin;
let quiet: RebasingOrigin;

test.before(async () => {
  [origin, quiet] = await Promise.all([RebasingOrigin.start(), RebasingOrigin.start({ encoder: false })]);
});

test.after(async () => {
  await Promise.all([origin?.stop(), quiet?.stop()]);
});

/** The same tag at both, by its body. */
function offsetsMs(one: readonly RecordedTag[], other: readonly RecordedTag[]): readonly number[] {
  const times = new Map(other.map(({ hash, timestampMs }) => [hash, timestampMs]));
  return one.flatMap(({ hash, timestampMs }) => {
    const otherMs = times.get(hash);
    return otherMs === undefined ? [] : [timestampMs - otherMs];
  });
}

test('steps of up to 250 ms are kept, others become 10 ms, and times never fall below 0', () => {
  const jitter = new SrsJitter();
  const seen = [7_000, 7_040, 7_023, 7_273, 7_524, 7_474, 100, 0].map((timestampMs) => jitter.correct(timestampMs));
  assert.equal(seen, [10, 50, 33, 283, 293, 243, 253, 153]);
  assert.is(new SrsJitter().correct(-200), 0);
});

for (const protocol of ['rtmp', 'http'] as const) {
  test(`ffprobe plays it over ${protocol}, from about 0 on`, async () => {
    const url = protocol === 'rtmp' ? origin.rtmpUrl : origin.flvUrl;
    const words = ['-v', 'error', '-read_intervals', '%+2', '-show_entries', 'packet=codec_type,dts_time', '-of', 'csv=p=0', url];
    const probe = new Program('ffprobe', words);
    await probe.whenExited(20_000);
    const packets = probe.output.trim().split('\n');
    assert.ok(packets.filter((line) => line.startsWith('video')).length > 40, probe.errors);
    assert.ok(packets.filter((line) => line.startsWith('audio')).length > 70);
    assert.ok(Number(packets[0]?.split(',')[1]) < 0.2, packets[0]);
  });
}

test('players that came at different times get the same bodies, shifted by a constant', async () => {
  const early = new FlvRecorder(origin.flvUrl);
  await early.whenFrames(150);
  const late = new FlvRecorder(origin.flvUrl);
  await late.whenFrames(150);
  const offsets = offsetsMs(early.frames, late.frames);
  assert.ok(offsets.length > 100, `${offsets.length} in common`);
  assert.is(new Set(offsets).size, 1);
  assert.ok((offsets[0] ?? 0) > 1_000);
  assert.equal(
    early.tags.slice(0, 3).map(({ kind, timestampMs }) => `${kind} ${timestampMs}`),
    ['metadata 0', 'header 0', 'header 0'],
  );
  early.stop();
  late.stop();
});

test('a gap leaves no trace in the times, and shifts the offset to whoever came after it', async () => {
  for (const tag of [metadataTag(), videoHeaderTag(), audioHeaderTag()]) quiet.push(tag);
  for (let at = 5_000; at < 5_400; at += 40) quiet.push(videoTag(at, at === 5_000, at % 251));
  const before = await RtmpClient.open(Number(new URL(quiet.rtmpUrl).port));
  await before.play('origin');
  await until('it has the group', () => before.tags.length === 13);
  quiet.insertGap(1_000);
  for (let at = 5_400; at < 7_000; at += 20) quiet.push(at % 40 === 0 ? videoTag(at, at === 6_800, at % 251) : audioTag(at, at % 251));
  const after = new FlvRecorder(quiet.flvUrl);
  await until('both have the rest', () => after.frames.length === 10 && before.tags.length > 40);
  const frames = before.tags
    .filter(({ type }) => type === 9 || type === 8)
    .slice(2)
    .map(({ type, timestampMs, body }) => recordTag({ type: type as 8 | 9, timestampMs, body }, 0));
  assert.is(largestStepBackMs(frames), 0);
  const steps = frames.slice(1).map(({ timestampMs }, index) => timestampMs - (frames[index]?.timestampMs ?? 0));
  assert.ok(Math.max(...steps) <= 40);
  assert.is(new Set(offsetsMs(after.frames, frames)).size, 1);
  after.stop();
  before.destroy();
});

test('cut connections and a new encoder: whoever comes back gets times near 0 again', async () => {
  const cut = new FlvRecorder(origin.flvUrl);
  await cut.whenFrames(20);
  origin.dropPlayers();
  await until('it was cut', () => cut.fault !== undefined);
  const through = new FlvRecorder(origin.flvUrl);
  await through.whenFrames(20);
  const known = through.frames.length;
  await origin.restartEncoder();
  await through.whenFrames(known + 50);
  assert.ok(largestStepBackMs(through.frames) < 250, 'the restart hides in the times too');
  assert.is(through.tags.filter(({ kind }) => kind === 'header').length, 4);
  through.stop();
});

test.run();

/**
 * Publishers of one channel that do not show the same: who is followed, who stands by, who takes over, and what people are told of it. And a
 * delegated publisher beside the owner's, which does show the same.
 */
import { join } from 'node:path';
import { stdout } from 'node:process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { longestGapWithin } from '../support/continuity.js';
import { FfmpegPublisher } from '../support/ffmpeg-publisher.js';
import { FlvRecorder, largestStepBackMs, type RecordedTag } from '../support/flv-recorder.js';
import { freePort } from '../support/free-port.js';
import { PieceCollector } from '../support/piece-collector.js';
import { compareAll } from '../support/piece-table.js';
import { temporaryFolder } from '../support/program.js';
import { type Publisher, PublisherFleet } from '../support/publisher-fleet.js';
import { runShoal, type ShoalProcess, startStation, watch } from '../support/shoal-process.js';
import { TeeEncoder } from '../support/tee-encoder.js';
import { until } from '../support/until.js';

const VIDEO = 9;
const FRAMES_PER_SECOND = 25;
const TAKE_OVER_MS_MAX = 5_000;
/** Tags of ten seconds: 25 pictures and 43 of sound each. */
const SETTLED_TAGS = 680;
const ENCODER = { size: '320x180', videoKilobitsPerSecond: 300 };

const closers: (() => Promise<void> | void)[] = [];

test.after.each(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Closed after the test, the latest first. */
function kept<Thing extends { stop(): Promise<void> | void }>(thing: Thing): Thing {
  closers.push(() => thing.stop());
  return thing;
}

function recorderOf(shoal: ShoalProcess): FlvRecorder {
  return kept(new FlvRecorder(shoal.channel.watch.flv));
}

/** The runner shows such lines of a file that passes too. */
function print(text: string): void {
  stdout.write(`measured: ${text}\n`);
}

/** Two stations with the owner's keys, up and without a source. */
async function startPair(settings: Readonly<Record<string, string>> = {}): Promise<readonly [PublisherFleet, Publisher, Publisher]> {
  const fleet = kept(await PublisherFleet.prepare({ count: 2, settings }));
  const [one, other] = fleet.publishers as readonly [Publisher, Publisher];
  await Promise.all([one.launch().whenReady(), other.launch().whenReady()]);
  return [fleet, one, other];
}

async function watchAll(link: string): Promise<readonly ShoalProcess[]> {
  return (await Promise.all([watch(link), watch(link)])).map((viewer) => kept(viewer));
}

function encoderFor({ pushUrl }: Publisher, other: boolean): FfmpegPublisher {
  return kept(new FfmpegPublisher(pushUrl, { ...ENCODER, other }));
}

function keyOf({ process }: Publisher): string {
  return process.status.publisherKey ?? '';
}

function hashes(frames: readonly RecordedTag[]): ReadonlySet<string> {
  return new Set(frames.map(({ hash }) => hash));
}

/** Whose frames the player got, in order: each change of hands once. Frames that both encoders sent say nothing. */
function handsOf(played: readonly RecordedTag[], sent: readonly (readonly RecordedTag[])[]): readonly number[] {
  const known = sent.map(hashes);
  const owners = played.map(({ hash }) => known.flatMap((of, index) => (of.has(hash) ? [index] : [])));
  assert.is(owners.filter(({ length }) => length === 0).length, 0, 'frames that no encoder sent');
  const certain = owners.flatMap(([first = -1, ...rest]) => (rest.length === 0 ? [first] : []));
  return certain.filter((owner, index) => owner !== certain[index - 1]);
}

/** Nobody was banned for having another opinion, and nothing broke. */
function assertPeace(processes: readonly ShoalProcess[]): void {
  for (const { program } of processes) {
    assert.not.match(program.errors, /banned/);
    assert.not.match(program.errors, /"level":"error"/);
  }
}

test('two publishers that began unseen show two pictures: each viewer follows one of them, and is told of both', async () => {
  // Without a tracker the stations know nothing of each other before viewers know both.
  const [fleet, one, other] = await startPair({ 'tracker.announce': '[]' });
  const encoders = [encoderFor(one, false), encoderFor(other, true)];
  await Promise.all([one, other].map((publisher) => publisher.whenPublishing(15_000)));
  for (const { process } of [one, other]) assert.is(process.status.alignment?.state, 'leading');
  const viewers = await watchAll(fleet.link);
  const recorders = viewers.map(recorderOf);
  const keys = [one, other].map(keyOf).sort();
  assert.is(new Set(keys).size, 2);
  const conflicts = viewers.map((viewer) =>
    viewer.whenStatus('the viewer knows of the conflict', ({ conflict }) => conflict !== null, 15_000),
  );
  await Promise.all(conflicts);
  const knownAt = recorders.map(({ frames }) => frames.length);
  // Stations have judged too by then, and evidence has come several times.
  await Promise.all(recorders.map((recorder, index) => recorder.whenFrames((knownAt[index] ?? 0) + 900, 25_000)));
  for (const viewer of viewers) {
    const { conflict, holes } = viewer.status;
    assert.equal([...(conflict?.publishers ?? [])].sort(), keys);
    assert.is(holes, 0);
    for (const key of keys) assert.match(viewer.program.errors, new RegExp(`publishers .*${key}.*show different content`));
  }
  for (const recorder of recorders) recorder.stop();
  await Promise.all(encoders.map((encoder) => encoder.stop()));
  const sent = await Promise.all(encoders.map((encoder) => encoder.sentFrames()));
  for (const [index, { frames, fault }] of recorders.entries()) {
    const hands = handsOf(frames, sent);
    print(`two pictures: viewer ${index} followed publisher ${hands.join(', then ')}, ${frames.length} frames`);
    // Who has only begun to watch goes over to the lower key, once, so that all who begin at the same time are one swarm.
    assert.ok(hands.length <= 2, `followed ${hands.join(', then ')}`);
    const followed = [one, other][hands.at(-1) ?? 0];
    const settled = handsOf(frames.slice(SETTLED_TAGS), sent);
    assert.is(settled.length, 1, 'nobody changes later');
    assert.is(followed && keyOf(followed), keys[0], 'the lower key');
    assert.is(viewers[index]?.status.conflict?.publishers[0], followed && keyOf(followed), 'the first one is the followed one');
    assert.is(largestStepBackMs(frames), 0);
    assert.is(fault, undefined);
  }
  assertPeace([one.process, other.process, ...viewers]);
});

test('a publisher with another picture that comes later stands by, and takes over when the first one dies', async () => {
  const [fleet, one, other] = await startPair();
  const first = encoderFor(one, false);
  await one.whenPublishing(15_000);
  const viewers = await watchAll(fleet.link);
  const recorders = viewers.map(recorderOf);
  const videoCount = (): number => (recorders[0]?.frames ?? []).filter(({ type }) => type === VIDEO).length;
  await until('ten seconds of the first picture', () => videoCount() >= 10 * FRAMES_PER_SECOND, 20_000);
  const second = encoderFor(other, true);
  await other.process.whenStatus('the second stands by', ({ alignment }) => alignment?.state === 'standby', 20_000);
  await other.process.whenStatus('it knows why', ({ conflict }) => conflict !== null);
  const followed = keyOf(one);
  const waiting = keyOf(other);
  assert.equal(other.process.status.conflict?.publishers, [followed, waiting], 'the first one is the followed one');
  await other.process.whenLogged(new RegExp(`publishers ${followed} and ${waiting} show different content`));
  assert.is(other.process.status.live, false);
  // Longer than a conflict is remembered: what stands is said for as long as it stands.
  const before = videoCount();
  await until('17 s more', () => videoCount() >= before + 17 * FRAMES_PER_SECOND, 25_000);
  assert.is(other.process.status.alignment?.state, 'standby');
  assert.equal(other.process.status.conflict?.publishers, [followed, waiting]);
  for (const { status } of viewers) assert.equal(status.conflict?.publishers, [followed, waiting], 'who stands by says so to all');
  const sentBytes = other.process.status.upBytes.media;
  assert.is(sentBytes, 0, 'nothing of the second picture went out');

  const counts = recorders.map(({ frames }) => frames.length);
  const killedMs = performance.now();
  await one.kill();
  await other.whenPublishing(10_000);
  const publishesMs = performance.now() - killedMs;
  await Promise.all(recorders.map((each, index) => each.whenFrames((counts[index] ?? 0) + 400, 20_000)));
  for (const each of recorders) each.stop();
  await Promise.all([first.stop(), second.stop()]);
  const sent = await Promise.all([first.sentFrames(), second.sentFrames()]);
  const secondHashes = hashes(sent[1] ?? []);
  for (const [index, { frames, fault }] of recorders.entries()) {
    assert.equal(handsOf(frames, sent), [0, 1]);
    const startMs = frames.find(({ hash, arrivedMs }) => arrivedMs > killedMs && secondHashes.has(hash))?.arrivedMs ?? Number.NaN;
    const gapMs = longestGapWithin(frames, killedMs, performance.now())?.lengthMs ?? Number.NaN;
    print(
      `standby: viewer ${index}: second picture ${Math.round(startMs - killedMs)} ms after the kill, longest gap ${Math.round(gapMs)} ms; ` +
        `the station publishes after ${Math.round(publishesMs)} ms`,
    );
    assert.ok(startMs - killedMs <= TAKE_OVER_MS_MAX, `${Math.round(startMs - killedMs)} ms`);
    assert.is(largestStepBackMs(frames), 0);
    assert.is(fault, undefined);
    assert.is(viewers[index]?.status.holes, 0);
  }
  assertPeace([other.process, ...viewers]);
});

/** A station with a data folder of its own: its settings, and what `shoal` says there. */
class Desk {
  readonly dataDir = join(temporaryFolder('desk'), 'data');
  readonly swarmPort: number;
  readonly settings: Readonly<Record<string, string | number | boolean>>;

  private constructor(swarmPort: number, trackerPort: number) {
    this.swarmPort = swarmPort;
    this.settings = { 'station.testCard': false, 'swarm.port': swarmPort, 'tracker.port': trackerPort };
  }

  static async open(): Promise<Desk> {
    return new Desk(await freePort(), await freePort());
  }

  async say(...words: readonly string[]): Promise<string> {
    const { program } = await runShoal(words, this);
    assert.is(program.exit?.code, 0, program.errors);
    return program.output.trim();
  }
}

test("a delegated station beside the owner's makes the same pieces, and viewers see both keys", async () => {
  const [owner, helper] = [await Desk.open(), await Desk.open()];
  await owner.say('channel', 'create', 'Shared');
  const { publisherKey } = JSON.parse(await helper.say('channel', 'show', '--json')) as { publisherKey: string };
  await helper.say('channel', 'accept', await owner.say('channel', 'delegate', 'Shared', publisherKey));
  const stations = (await Promise.all([startStation(owner), startStation(helper)])).map((station) => kept(station));
  const { id, link } = (stations[0] as ShoalProcess).channel;
  kept(new TeeEncoder(stations.map((station) => station.publishUrl())));
  const desks = [owner, helper];
  const collectors = await Promise.all(desks.map(async ({ swarmPort }) => kept(await PieceCollector.start({ id, port: swarmPort }))));
  const viewers = await watchAll(link);
  const recorders = viewers.map(recorderOf);
  await until('both made windows', () => collectors.every(({ windows }) => windows.length >= 40), 40_000);
  const keys = stations.map(({ status }) => status.publisherKey ?? '');
  assert.is(keys[1], publisherKey);
  assert.equal(
    stations.map(({ status }) => status.authority),
    ['owner', 'delegated'],
  );
  const seesBoth = ({ publishers }: ShoalProcess['status']): boolean => keys.every((key) => publishers.some((known) => known.key === key));
  await Promise.all(viewers.map((viewer) => viewer.whenStatus('both keys are seen', seesBoth, 20_000)));
  const [pair] = compareAll(collectors.map(({ windows }) => windows));
  print(`delegated: ${pair?.equal} of ${pair?.compared} pieces equal`);
  assert.ok((pair?.compared ?? 0) > 30);
  assert.is(pair?.equal, pair?.compared, `windows ${pair?.differing.join(', ')}`);
  assert.equal(
    collectors.map(({ windows }) => [...new Set(windows.map(({ signer }) => signer))].length),
    [1, 1],
  );
  for (const [index, { status }] of viewers.entries()) {
    print(`delegated: viewer ${index}: windows by key ${status.publishers.map(({ windows }) => windows).join(' and ')}`);
    assert.is(status.holes, 0);
    assert.is(status.conflict, null);
    assert.is(recorders[index]?.fault, undefined);
    assert.is(largestStepBackMs(recorders[index]?.frames ?? []), 0);
  }
  assertPeace([...stations, ...viewers]);
});

test.run();

/** A neighbour that sends wrong bytes, with real processes: players never see one of them, and every viewer finds it out. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createSigner } from '../../src/io/crypto.js';
import { FfmpegPublisher, PUBLISHED_BYTES_PER_SECOND } from '../support/ffmpeg-publisher.js';
import { differenceFrom, FlvRecorder } from '../support/flv-recorder.js';
import { MisbehavingPeer } from '../support/misbehaving-peer.js';
import { type ShoalProcess, startChannel, watch } from '../support/shoal-process.js';
import { until } from '../support/until.js';

const VIEWERS = 3;
const STRANGER = createSigner(new Uint8Array(32).fill(66));
/** To be asked by everybody, again and again, takes some windows. */
const FOUND_OUT_MS = 60_000;
/** Of the broadcast after the polluter has gone. */
const FRAMES_AFTER = 100;

const closers: (() => Promise<void> | void)[] = [];

test.after(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function kept(starting: Promise<ShoalProcess>): Promise<ShoalProcess> {
  const shoal = await starting;
  closers.push(() => shoal.stop());
  return shoal;
}

test('a polluter is dropped with a reason by every viewer, after two wrong pieces at most, and not one wrong byte reaches a player', async () => {
  // With more upload the viewers would have little reason to ask each other.
  const settings = { 'swarm.uploadBytesPerSecond': Math.round(1.5 * PUBLISHED_BYTES_PER_SECOND) };
  const station = await kept(startChannel('Polluted', { settings }));
  const { link } = station.channel;
  const polluter = await MisbehavingPeer.start({ link, habit: 'flips a byte', publisher: STRANGER, stranger: STRANGER });
  closers.push(() => polluter.stop());
  const viewers = await Promise.all(Array.from({ length: VIEWERS }, () => kept(watch(link))));
  const recorders = viewers.map((viewer) => new FlvRecorder(viewer.channel.watch.flv));
  for (const recorder of recorders) closers.push(() => recorder.stop());
  const publisher = new FfmpegPublisher(station.publishUrl());
  closers.push(() => publisher.stop());
  const drop = new RegExp(`"peer":"${polluter.peerId}".*neighbour dropped: 2 pieces that do not match their hash`);
  await Promise.all(viewers.map((viewer) => viewer.whenLogged(drop, FOUND_OUT_MS)));
  await Promise.all(recorders.map((recorder) => recorder.whenFrames(recorder.frames.length + FRAMES_AFTER)));
  await publisher.stop();
  const sent = await publisher.sentFrames();
  const isComplete = (): boolean => recorders.every(({ frames }) => frames.at(-1)?.hash === sent.at(-1)?.hash);
  await until('everybody has the last frame', isComplete, 15_000);
  for (const recorder of recorders) {
    assert.is(differenceFrom(sent, recorder.frames), null);
    assert.is(recorder.fault, undefined);
  }
  // What was on its way when the second one was looked at is thrown away unread.
  assert.is([...polluter.wrong.values()].filter(({ pieces }) => pieces >= 2).length, VIEWERS);
  for (const { program, status } of viewers) {
    assert.is(program.errors.match(/neighbour dropped/g)?.length, 1, 'drops somebody honest');
    assert.is(status.holes, 0);
  }
});

test.run();

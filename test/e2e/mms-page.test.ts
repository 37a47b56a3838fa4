/** MMS channels at every other endpoint, the page first: through ffmpeg where they must, without it where they can; and RTMP channels in MMS players. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openBrowser, type TestBrowser } from '../support/browser.js';
import { FfmpegPublisher } from '../support/ffmpeg-publisher.js';
import { playLiveWithVlc, playWithFfmpeg, playWithMplayer, probe } from '../support/players.js';
import { temporaryFolder } from '../support/program.js';
import { ShoalProcess, startChannel, startStation, watch } from '../support/shoal-process.js';
import { until } from '../support/until.js';
import { VlcSource } from '../support/vlc-source.js';

/** A conversion goes on this long after its last player, and a little longer on a busy machine. */
const LINGER_MS = 12_000;
const PICTURE_MS = 20_000;
const PLAY_SECONDS = 4;
const PLAYED_SECONDS_MIN = 3;
const WMV = 'Old WMV';
const H264 = 'H.264 in ASF';

let wmv: VlcSource;
let h264: VlcSource;
/** Both MMS channels, with and without conversions. */
let station: ShoalProcess;
let plainStation: ShoalProcess;
let browser: TestBrowser;
const started: ShoalProcess[] = [];

test.before(async () => {
  [wmv, h264] = await Promise.all([VlcSource.start(), VlcSource.start({ path: mp4() })]);
  const channels = JSON.stringify([
    { name: WMV, source: wmv.url },
    { name: H264, source: h264.url },
  ]);
  const settings = { 'station.testCard': false, 'station.channels': channels };
  [station, plainStation] = await Promise.all([
    startStation({ settings }),
    startStation({ settings: { ...settings, 'relay.convert': false } }),
  ]);
  started.push(station, plainStation);
  browser = await openBrowser();
});

test.after(async () => {
  await browser?.close();
  await Promise.all([...started.map((shoal) => shoal.stop()), wmv?.stop(), h264?.stop()]);
});

/** Longer than the tests take: where VLC begins a file again, two pictures have one time. */
function mp4(): string {
  const path = join(temporaryFolder('mp4'), 'film.mp4');
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25'];
  const tone = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=44100'];
  const video = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-g', '50', '-bf', '2', '-b:v', '400k'];
  execFileSync('ffmpeg', ['-v', 'error', ...picture, ...tone, ...video, '-c:a', 'aac', '-b:a', '64k', '-ac', '2', '-t', '150', path]);
  return path;
}

function linkOf(shoal: ShoalProcess, name: string): string {
  return shoal.ready.channels.find((channel) => channel.name === name)?.link ?? '';
}

async function viewerOf(name: string, convert = true): Promise<ShoalProcess> {
  const viewer = await watch(linkOf(convert ? station : plainStation, name), { settings: { 'relay.convert': convert } });
  started.push(viewer);
  await viewer.whenStatus('the viewer plays', ({ windowsDelivered }) => windowsDelivered > 4, 30_000);
  return viewer;
}

/** How many ffmpeg a Shoal process has started that run now. */
function conversionsOf(shoal: ShoalProcess): number {
  return shoal.processes.filter((pid) => nameOf(pid) === 'ffmpeg').length;
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

/** Until an expression is true in the page. The page forbids Playwright's own way, which makes a function of a text there. */
async function holds(page: Page, expression: string): Promise<void> {
  for (const endMs = performance.now() + PICTURE_MS; !(await page.evaluate(expression)); ) {
    if (performance.now() > endMs) throw new Error(`Waited ${PICTURE_MS} ms in vain: ${expression}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Opens the page of a viewer: the picture must be there, move, and be of that size. Nothing may fail on the page. */
async function pagePlays(viewer: ShoalProcess): Promise<void> {
  const page = await browser.context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  await page.goto(viewer.ready.page);
  await page.waitForSelector('video[data-state="playing"]', { timeout: PICTURE_MS });
  const video = 'document.querySelector("video")';
  const [seconds, frames] = (await page.evaluate(`[${video}.currentTime, ${video}.getVideoPlaybackQuality().totalVideoFrames]`)) as [
    number,
    number,
  ];
  await holds(page, `${video}.currentTime > ${seconds + PLAY_SECONDS}`);
  assert.equal(await page.evaluate(`[${video}.videoWidth, ${video}.videoHeight]`), [320, 180]);
  const decoded = (await page.evaluate(`${video}.getVideoPlaybackQuality().totalVideoFrames`)) as number;
  assert.ok(decoded - frames > PLAYED_SECONDS_MIN * 25, `${decoded - frames} frames in ${PLAY_SECONDS} s`);
  assert.equal(faults, []);
  await page.close();
}

test('a WMV channel plays on the page; ffmpeg runs from its first player to a little after its last', async () => {
  const viewer = await viewerOf(WMV);
  assert.is(conversionsOf(viewer), 0);
  await pagePlays(viewer);
  assert.is(conversionsOf(viewer), 1);
  const leftMs = performance.now();
  await until('the conversion ends', () => conversionsOf(viewer) === 0, LINGER_MS);
  const lingeredMs = performance.now() - leftMs;
  assert.ok(lingeredMs > 1_000, `a player that comes back finds no conversion ${Math.round(lingeredMs)} ms later`);
});

test('a WMV channel is H.264 and AAC over HTTP-FLV, RTMP and HLS, from one ffmpeg for all', async () => {
  const viewer = await viewerOf(WMV);
  const { flv, rtmp, hls } = viewer.channel.watch;
  const seen = await Promise.all([flv, rtmp, hls].map(probe));
  for (const streams of seen) assert.equal(streams, ['aac 44100', 'h264 320x180']);
  assert.is(conversionsOf(viewer), 1);
});

test('an H.264 and AAC channel in ASF plays on the page and over HTTP-FLV, RTMP and HLS, without any ffmpeg', async () => {
  const viewer = await viewerOf(H264);
  let most = 0;
  const watching = setInterval(() => {
    most = Math.max(most, conversionsOf(viewer));
  }, 200);
  await pagePlays(viewer);
  const { flv, rtmp, hls } = viewer.channel.watch;
  for (const url of [flv, rtmp, hls]) assert.equal(await probe(url), ['aac 44100', 'h264 320x180'], url);
  const { seconds, complaints } = await playWithFfmpeg(flv, PLAY_SECONDS);
  clearInterval(watching);
  assert.ok(seconds >= PLAYED_SECONDS_MIN, `${seconds} s: ${complaints}`);
  assert.is(complaints, '');
  assert.is(most, 0);
  assert.is(conversionsOf(station), 0);
});

test('with conversions off, addresses that do not work are null, and those that need none are there', async () => {
  const channelOf = (name: string) => plainStation.ready.channels.find((channel) => channel.name === name)?.watch;
  const viewers = await Promise.all([viewerOf(WMV, false), viewerOf(H264, false)]);
  const [plainWmv, plainH264] = viewers.map((viewer) => viewer.channel.watch);
  for (const addresses of [channelOf(WMV), plainWmv]) {
    assert.equal({ ...addresses, mms: '' }, { flv: null, wsFlv: null, rtmp: null, hls: null, mms: '' });
    assert.match(addresses?.mms ?? '', /^mms:/);
  }
  for (const addresses of [channelOf(H264), plainH264]) {
    assert.equal(
      Object.entries(addresses ?? {}).filter(([, address]) => address === null),
      [],
    );
  }
});

test('with conversions off, only the addresses that work are printed', async () => {
  const viewer = new ShoalProcess(['watch', linkOf(plainStation, WMV)], { settings: { 'relay.convert': false } });
  started.push(viewer);
  await until('the instructions are there', () => viewer.program.output.includes('Ctrl+C stops it'), 20_000);
  assert.match(viewer.program.output, /mmsh?:\/\/127\.0\.0\.1/);
  assert.not.match(viewer.program.output, /rtmp:|\.flv|\.m3u8|null|undefined/);
});

test('an RTMP channel plays in mplayer over mms and in ffmpeg and VLC over mmsh, by one stream copy', async () => {
  const rtmpStation = await startChannel('Pushed');
  started.push(rtmpStation);
  const publisher = new FfmpegPublisher(rtmpStation.publishUrl(), { size: '320x180', videoKilobitsPerSecond: 400 });
  const viewer = await watch(rtmpStation.channel.link);
  started.push(viewer);
  await viewer.whenStatus('the viewer plays', ({ windowsDelivered }) => windowsDelivered > 4, 30_000);
  const { mms } = viewer.channel.watch;
  const mmsh = mms.replace('mms:', 'mmsh:');
  // Three players and two processes on one machine: they begin late.
  const forSeconds = 2 * PLAY_SECONDS;
  const runs = [playWithMplayer(mms, forSeconds), playWithFfmpeg(mmsh, forSeconds), playLiveWithVlc(mmsh, forSeconds)];
  await viewer.whenStatus('three players play', ({ players }) => players >= 3);
  assert.is(conversionsOf(viewer), 1);
  for (const { seconds, complaints } of await Promise.all(runs)) {
    assert.ok(seconds >= PLAYED_SECONDS_MIN, `${seconds} s: ${complaints}`);
    assert.is(complaints, '');
  }
  await publisher.stop();
});

test.run();

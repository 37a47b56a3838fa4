/** The page of a freshly started station and of a viewer, in real Chromium, with the test card's real picture. */
import type { Page } from 'playwright-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pacingOf } from '../../src/relay/exchange/viewing-mode.js';
import { holds, openBrowser, type TestBrowser } from '../support/browser.js';
import { type ShoalProcess, startStation, watch } from '../support/shoal-process.js';

const PICTURE_MS = 15_000;
/** As shipped. */
const PACING = pacingOf('balanced');
/** So much more than the most that it should have in hand. */
const BEHIND_MS = 600;
/** A second and a half, at a tenth more than its own pace. */
const CATCHES_UP_MS = 60_000;

let station: ShoalProcess;
let viewer: ShoalProcess;
let browser: TestBrowser;
let page: Page;
const faults: string[] = [];

test.before(async () => {
  station = await startStation();
  browser = await openBrowser();
  page = browser.context.pages()[0] ?? (await browser.context.newPage());
  page.setDefaultTimeout(PICTURE_MS);
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
});

test.after(async () => {
  await browser?.close();
  await Promise.all([viewer?.stop(), station?.stop()]);
});

/** The picture plays: time goes on at its own pace, and frames are decoded for it. */
async function plays(): Promise<void> {
  await page.waitForSelector('video[data-state="playing"]');
  const video = 'document.querySelector("video")';
  const [seconds, frames]: [number, number] = await page.evaluate(
    `[${video}.currentTime, ${video}.getVideoPlaybackQuality().totalVideoFrames]`,
  );
  const startedMs = performance.now();
  await holds(page, `${video}.currentTime > ${seconds + 4}`);
  const tookMs = performance.now() - startedMs;
  assert.ok(tookMs < 6000, `four seconds of picture took ${Math.round(tookMs)} ms`);
  assert.equal(await page.evaluate(`[${video}.videoWidth, ${video}.videoHeight]`), [640, 360]);
  const decoded: number = (await page.evaluate(`${video}.getVideoPlaybackQuality().totalVideoFrames`)) as number;
  assert.ok(decoded - frames > 75, `${decoded - frames} frames in four seconds`);
}

async function figureShows(name: string, pattern: RegExp): Promise<void> {
  await holds(page, `${pattern}.test(document.querySelector('[data-figure="${name}"]').textContent)`);
}

/** The line of a rate over time is drawn anew. */
async function drawingMoves(direction: 'up' | 'down'): Promise<void> {
  const path = `document.querySelector('[data-spark="${direction}"] .line').getAttribute('d')`;
  const before = await page.evaluate(path);
  await holds(page, `${path} !== ${JSON.stringify(before)}`);
}

test('the page of a fresh station plays the test card', async () => {
  await page.goto(station.ready.page);
  await plays();
  assert.is(await page.title(), 'Test card · Shoal');
});

test("the station's figures move when a viewer joins", async () => {
  await figureShows('peers', /^0$/);
  viewer = await watch(station.channel.link);
  await figureShows('peers', /^1$/);
  await figureShows('up', /^[1-9]/);
  await drawingMoves('up');
});

test("the viewer's page plays the same channel", async () => {
  await page.goto(viewer.ready.page);
  await plays();
  assert.is(await page.title(), 'Test card · Shoal');
  assert.is(await page.textContent('#name'), 'Test card');
});

test("the viewer's figures are there and move", async () => {
  await figureShows('peers', /^1$/);
  await figureShows('down', /^[1-9]/);
  await figureShows('share', /^0 %$/);
  await figureShows('delay', /^[0-9.]+ s$/);
  await figureShows('buffer', /[1-9]/);
  await drawingMoves('down');
});

test('a player that has fallen behind plays a little faster until its reserve is what it should be, and then as before', async () => {
  const video = 'document.querySelector("video")';
  const reserve = `(${video}.buffered.end(${video}.buffered.length - 1) - ${video}.currentTime)`;
  await holds(page, `${video}.playbackRate === 1`, CATCHES_UP_MS);
  await page.evaluate(`${video}.currentTime += ${reserve} - ${(PACING.maxMs + BEHIND_MS) / 1000}`);
  await holds(page, `${video}.playbackRate > 1`);
  assert.is(await page.evaluate(`${video}.playbackRate`), PACING.rateMax);
  await holds(page, `${video}.playbackRate === 1`, CATCHES_UP_MS);
  const reserveMs = 1000 * ((await page.evaluate(reserve)) as number);
  assert.ok(reserveMs <= PACING.maxMs && reserveMs > 0, `${reserveMs} ms in hand`);
});

test('a station that stops shows on its page, and nothing else fails there', async () => {
  assert.equal(faults, []);
  await page.goto(station.ready.page);
  await page.waitForSelector('video[data-state="playing"]');
  await station.stop();
  await page.waitForSelector('#offline:not([hidden])');
});

test.run();

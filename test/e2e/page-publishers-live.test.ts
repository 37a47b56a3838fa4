/** Two real stations of one channel on their pages: they agree while one encoder feeds both, and contradict each other when two do. */
import type { Page } from 'playwright-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { holds, openBrowser, type TestBrowser } from '../support/browser.js';
import { FfmpegPublisher } from '../support/ffmpeg-publisher.js';
import { PublisherFleet } from '../support/publisher-fleet.js';
import { type ShoalProcess, watch } from '../support/shoal-process.js';
import { TeeEncoder } from '../support/tee-encoder.js';
import { until } from '../support/until.js';

const CONFLICT_MS = 30_000;

let fleet: PublisherFleet;
let stations: readonly ShoalProcess[] = [];
let viewer: ShoalProcess;
let browser: TestBrowser;
let page: Page;
const faults: string[] = [];
const closers: (() => Promise<void>)[] = [];

test.before(async () => {
  fleet = await PublisherFleet.prepare({ count: 2 });
  stations = await Promise.all(fleet.publishers.map((publisher) => publisher.launch().whenReady()));
  viewer = await watch(fleet.link);
  await Promise.all(stations.map((station) => station.whenStatus('it has figures', ({ publisherKey }) => publisherKey !== null)));
  browser = await openBrowser();
  page = browser.context.pages()[0] ?? (await browser.context.newPage());
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
});

test.after(async () => {
  await browser?.close();
  for (const close of closers.splice(0)) await close();
  await viewer?.stop();
  await fleet?.stop();
});

function reads(selector: string, pattern: RegExp, timeoutMs = 15_000): Promise<void> {
  return holds(page, `${pattern}.test(document.querySelector('${selector}')?.innerText.replace(/\\s+/g, ' '))`, timeoutMs);
}

/** What windows of a station are signed with. */
function keyOf(station: ShoalProcess | undefined): string {
  return station?.status.publisherKey ?? '';
}

test('two stations with one encoder are both listed on the page of a viewer, and say that they are on the air', async () => {
  const encoder = new TeeEncoder(fleet.publishers.map(({ pushUrl }) => pushUrl));
  closers.push(() => encoder.stop());
  await page.goto(viewer.ready.page);
  const prefixes = stations.map((station) => keyOf(station).slice(0, 8)).sort();
  await reads('#publishers', new RegExp(`${prefixes[0]} Copy \\d+ % .* ${prefixes[1]} Copy \\d+ % `), 25_000);
  assert.is(await page.textContent('#notices'), '');
  const aligned = stations.find(({ status }) => status.alignment?.state === 'aligned');
  assert.ok(aligned, 'one of two goes by the other');
  await page.goto(aligned.ready.page);
  await reads('#publishers', /On the air together with others: aligned/);
  await encoder.stop();
  await until('the channel is silent', () => stations.every(({ status }) => !status.live), 15_000);
});

test('two encoders with different pictures: the viewer is warned, and one station stands by', async () => {
  for (const [index, other] of [false, true].entries()) {
    const url = fleet.publishers[index]?.pushUrl ?? '';
    const publisher = new FfmpegPublisher(url, { other, size: '320x180', videoKilobitsPerSecond: 300 });
    closers.push(() => publisher.stop());
  }
  await page.goto(viewer.ready.page);
  await reads('.notice', /Two publishers show different content/, CONFLICT_MS);
  await viewer.whenStatus('the next line of status says so too', ({ conflict }) => conflict !== null);
  const [followed = '', other = ''] = viewer.status.conflict?.publishers ?? [];
  assert.equal([followed, other].sort(), stations.map(keyOf).sort());
  await reads('.notice', new RegExp(`Followed here ${followed.slice(0, 8)} Copy Shows other content ${other.slice(0, 8)} Copy`));

  const standing = stations.find((station) => keyOf(station) === other);
  await standing?.whenStatus('it stands by', ({ alignment }) => alignment?.state === 'standby', CONFLICT_MS);
  await page.goto(standing?.ready.page ?? '');
  await reads('#publishers', /Standing by: the swarm shows other content than this source/);
  await reads('.notice', /stands by/);
});

test('nothing failed on the pages', () => {
  assert.equal(faults, []);
});

test.run();

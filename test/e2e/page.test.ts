import type { Page } from 'playwright-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { holds, openBrowser, type TestBrowser } from '../support/browser.js';
import { type LivePublisher, publishLive, recordFlv } from '../support/flv-recording.js';
import { holeFlv } from '../support/holed-stream.js';
import { IDLE_STATUS, type PortalFixture, startPortal } from '../support/portal-fixture.js';

let portal: PortalFixture;
let browser: TestBrowser;
let page: Page;
let publisher: LivePublisher;
const faults: string[] = [];
let seconds = 0;
let live = true;

test.before(async () => {
  const tags = await recordFlv('h264-aac', 6);
  portal = await startPortal();
  const channel = portal.channel('test-card', {
    name: 'Test card',
    status: () => {
      seconds += 1;
      return { ...IDLE_STATUS, live, peers: 4, shareFromPeers: 0.5, delayMs: 1500, downBytesPerSecond: 100_000 + seconds, players: 1 };
    },
  });
  publisher = publishLive(channel.feed, tags, 10_000);
  browser = await openBrowser();
  page = browser.context.pages()[0] ?? (await browser.context.newPage());
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
});

test.after(async () => {
  await browser.close();
  publisher.stop();
  await portal.stop();
});

function currentTime(): Promise<number> {
  return page.evaluate('document.querySelector("video").currentTime');
}

/** Until the picture has moved on by this much from where it is. */
async function moves(advanceSeconds: number): Promise<void> {
  await holds(page, `document.querySelector('video').currentTime > ${(await currentTime()) + advanceSeconds}`);
}

async function textOf(selector: string): Promise<string> {
  return (await page.textContent(selector)) ?? '';
}

async function isPlaying(): Promise<void> {
  await page.waitForSelector('video[data-state="playing"]');
}

test('the page lists the channel and plays it muted, by FLV', async () => {
  await page.goto(`${portal.origin}/`);
  await isPlaying();
  assert.is(await page.title(), 'Test card · Shoal');
  assert.match(await textOf('#cards .card'), /Test card/);
  assert.ok(await page.isChecked('input[value="flv"]'));
  await moves(2);
  assert.ok(await page.evaluate('document.querySelector("video").muted'));
  assert.is(await page.evaluate('document.querySelector("video").videoWidth'), 320);
});

test('the viewer is a moment behind the newest media, and counted', async () => {
  const behindMs: number = await page.evaluate(
    '(({ buffered, currentTime }) => buffered.end(buffered.length - 1) - currentTime)(document.querySelector("video")) * 1000',
  );
  assert.ok(behindMs < 3000, `${behindMs} ms`);
  assert.is(portal.portal.playersOf('test-card'), 1);
});

test('sound comes with one press of a button', async () => {
  await page.click('#unmute');
  await holds(page, '!document.querySelector("video").muted && document.querySelector("#unmute").hidden');
  await moves(0.5);
});

test('an address is copied, and the button says so', async () => {
  await page.click('button[aria-label="Copy VLC"]');
  await page.waitForSelector('button.copy.done');
  assert.is(await page.evaluate('navigator.clipboard.readText()'), `vlc ${portal.origin}/live/test-card.flv`);
  assert.is(await page.textContent('#said'), 'VLC copied');
});

test('figures change every second', async () => {
  assert.is(await page.textContent('[data-figure="peers"]'), '4');
  assert.is(await page.textContent('[data-figure="share"]'), '50 %');
  assert.is(await page.textContent('[data-figure="delay"]'), '1.5 s');
  const drawn = await page.getAttribute('[data-spark="down"] .line', 'd');
  await holds(page, `document.querySelector('[data-spark="down"] .line').getAttribute('d') !== ${JSON.stringify(drawn)}`);
});

test('the QR code of the link is a picture', async () => {
  await holds(page, 'document.querySelector("#qr").naturalWidth > 0');
});

test('the same channel plays by HLS through hls.js', async () => {
  await page.click('text=HLS');
  await isPlaying();
  await holds(page, 'performance.getEntriesByType("resource").some(({ name }) => name.endsWith(".m4s"))');
  await moves(2);
});

test('a channel that lacks a piece now and then plays on, by FLV and by HLS', async () => {
  const { units, mended } = holeFlv(await recordFlv('h264-aac', 6), 7);
  assert.ok(mended >= 2, `${mended} windows have gaps`);
  const channel = portal.channel('lossy', { name: 'Lossy', status: () => ({ ...IDLE_STATUS, live: true }) });
  const lossy = publishLive(channel.feed, units, 10_000);
  try {
    await page.goto(`${portal.origin}/#lossy`);
    await isPlaying();
    await moves(5);
    await page.click('text=HLS');
    await isPlaying();
    await moves(5);
  } finally {
    lossy.stop();
    portal.portal.remove('lossy');
    await page.goto(`${portal.origin}/#test-card`);
    await isPlaying();
  }
});

test('everything is reached with the keyboard, and has a name', async () => {
  const nameless = await page.$$eval(
    'a, button, input, img, video',
    (elements) =>
      elements.filter((element) => {
        const label = element.getAttribute('aria-label') ?? element.getAttribute('alt') ?? element.textContent ?? '';
        const labels = (element as unknown as { labels?: { length: number } }).labels;
        return label.trim() === '' && (labels?.length ?? 0) === 0 && element.getAttribute('alt') !== '';
      }).length,
  );
  assert.is(nameless, 0);
  await page.keyboard.press('Tab');
  assert.is.not(await page.evaluate('document.activeElement.tagName'), 'BODY');
});

test('a viewer is told that the publisher is gone, and sees it come back without doing anything', async () => {
  await page.click('text=Low delay');
  await isPlaying();
  publisher.stop();
  live = false;
  await page.waitForSelector('video[data-state="waiting"]');
  assert.match(await textOf('#state'), /Nobody publishes/);
  live = true;
  const feed = portal.channel('second').feed;
  publisher = publishLive(feed, await recordFlv('h264-aac', 6), 3000);
  await page.goto(`${portal.origin}/#second`);
  await isPlaying();
});

test('a page without channels tells how to publish', async () => {
  portal.portal.remove('test-card');
  portal.portal.remove('second');
  await page.waitForSelector('#empty:not([hidden])');
  assert.match(await textOf('#empty'), /rtmp:\/\/127\.0\.0\.1:1935\/live/);
});

test('nothing on the page failed or broke its content security policy', () => {
  assert.equal(faults, []);
});

test.run();

/** What the page tells of publishers, in real Chromium, with a status made up for each case. */
import type { Page } from 'playwright-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ChannelStatus } from '../../src/relay/endpoints/channel-status.js';
import { holds, openBrowser, type TestBrowser } from '../support/browser.js';
import { IDLE_STATUS, type PortalFixture, startPortal } from '../support/portal-fixture.js';

const ONE = 'aaaaaaaa'.padEnd(64, '0');
const TWO = 'bbbbbbbb'.padEnd(64, '1');
const VIEWER: ChannelStatus = { ...IDLE_STATUS, publishers: [{ key: ONE, windows: 30, lastSeconds: 0.4 }] };
const STATION: ChannelStatus = {
  ...IDLE_STATUS,
  role: 'publisher',
  authority: 'delegated',
  publisherKey: ONE,
  certificateUntil: '2099-01-31T12:00:00.000Z',
  alignment: { state: 'aligned', detail: 'on the timeline of the swarm', offsetMs: 2020 },
};
const CONFLICT: ChannelStatus = {
  ...VIEWER,
  publishers: [...VIEWER.publishers, { key: TWO, windows: 10, lastSeconds: 40 }],
  conflict: { publishers: [ONE, TWO], window: 7 },
};
const STANDBY: ChannelStatus = {
  ...STATION,
  alignment: { state: 'standby', detail: '<img src=x> shows other content', offsetMs: 0 },
};

let portal: PortalFixture;
let browser: TestBrowser;
let page: Page;
let status: ChannelStatus = VIEWER;
const faults: string[] = [];

test.before(async () => {
  portal = await startPortal();
  portal.channel('shared', { name: '<b>"Shared"</b> $(id)', status: () => status });
  browser = await openBrowser();
  page = browser.context.pages()[0] ?? (await browser.context.newPage());
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  await page.goto(`${portal.origin}/`);
});

test.after(async () => {
  await browser.close();
  await portal.stop();
});

/** Until a part of the page reads so. White space counts once. */
async function reads(selector: string, pattern: RegExp): Promise<void> {
  await holds(page, `${pattern}.test(document.querySelector('${selector}')?.innerText.replace(/\\s+/g, ' '))`);
}

async function copied(label: string): Promise<unknown> {
  await page.click(`button[aria-label="${label}"] >> nth=0`);
  await reads('#said', /copied$/);
  return page.evaluate('navigator.clipboard.readText()');
}

test('one publisher and nothing wrong: one folded line and no warning', async () => {
  await reads('#publishers', /^Publishers One, aaaaaaaa$/);
  assert.not(await page.evaluate('document.querySelector("#publishers").open'));
  assert.is(await page.textContent('#notices'), '');
});

test('two publishers are listed by the first digits of their keys, with their shares; the whole key is in the title', async () => {
  status = { ...CONFLICT, conflict: null };
  await reads('#publishers', /aaaaaaaa Copy 75 % 0\.4 s ago bbbbbbbb Copy 25 % 40 s ago/);
  assert.ok(await page.evaluate('document.querySelector("#publishers").open'), 'it unfolds by itself');
  assert.is(await page.getAttribute('#publisher-rows code', 'title'), ONE);
  assert.is(await copied('Copy publisher key bbbbbbbb'), TWO);
  assert.is(await page.textContent('#notices'), '');
});

test('figures go on changing while the focus and a folded part stay as they are', async () => {
  await page.focus('button[aria-label="Copy publisher key bbbbbbbb"]');
  status = { ...status, publishers: [VIEWER.publishers[0], { key: TWO, windows: 30, lastSeconds: 0.2 }] as ChannelStatus['publishers'] };
  await reads('#publishers', /bbbbbbbb Copy 50 % 0\.2 s ago/);
  assert.is(await page.evaluate('document.activeElement.ariaLabel'), 'Copy publisher key bbbbbbbb');
  await page.click('#publishers summary');
  status = { ...status, peers: 9 };
  await holds(page, 'document.querySelector("[data-figure=peers]").textContent === "9"');
  assert.not(await page.evaluate('document.querySelector("#publishers").open'));
});

test('a conflict warns, names both publishers and who is followed, and does not speak again every second', async () => {
  status = CONFLICT;
  await page.waitForSelector('.notice[role=alert]');
  await reads('.notice', /Two publishers show different content .* Followed here aaaaaaaa Copy Shows other content bbbbbbbb Copy$/);
  await reads('#cards', /Attention: publishers disagree/);
  await page.evaluate('document.querySelector(".notice").dataset.first = "yes"');
  status = { ...CONFLICT, conflict: { publishers: [ONE, TWO], window: 99 }, peers: 3 };
  await holds(page, 'document.querySelector("[data-figure=peers]").textContent === "3"');
  assert.is(await page.getAttribute('.notice', 'data-first'), 'yes');
  assert.is(await page.getAttribute('.notice dd code', 'title'), ONE);
  assert.is(await copied('Copy publisher key bbbbbbbb'), TWO);
});

test('a station says how it stands, by what right and with which key', async () => {
  status = STATION;
  await reads('#publishers', /On the air together with others: aligned, 2020 ms later than its own times/);
  await reads('#publishers', /right Delegated by the owner until 31 Jan 2099.* key aaaaaaaa Copy$/);
  assert.is(await page.textContent('#notices'), '');
});

test('a station that stands by says so, and text is text', async () => {
  status = STANDBY;
  await reads('.notice', /This station stands by <img src=x> shows other content\. It takes over/);
  await reads('#publishers', /Standing by: the swarm shows other content than this source/);
  status = { ...STANDBY, conflict: { publishers: [TWO, ONE], window: 7 } };
  await reads('.notice', /stands by: it publishes nothing now.* On the air bbbbbbbb Copy Stands by \(this station\) aaaaaaaa Copy$/);
  assert.is(await page.$$eval('.notice', (notices) => notices.length), 1);
});

test('a station that lost its right is told what to run', async () => {
  status = { ...STANDBY, authority: 'expired', certificateUntil: '2026-01-31T12:00:00.000Z' };
  await reads('.notice', /This station publishes no more Its certificate ended on 31 Jan 2026/);
  assert.is(await copied('Copy The owner'), `shoal channel delegate '<b>"Shared"</b> $(id)' ${ONE}`);
  status = { ...STANDBY, authority: 'withdrawn' };
  await reads('.notice', /withdrawn its key.* The owner shoal channel delegate .* Then here shoal channel accept GRANT/);
  await reads('#publishers', /Off the air: it has no right to publish now/);
});

test('on a narrow screen nothing is wider than the screen', async () => {
  await page.setViewportSize({ width: 320, height: 640 });
  const publishers = [ONE, TWO].map((key) => ({ key, windows: 5, lastSeconds: 119 }));
  for (const shown of [{ ...STATION, ...CONFLICT, publishers }, { ...STANDBY, conflict: CONFLICT.conflict }, status]) {
    status = { ...shown, peers: status.peers + 1 };
    await holds(page, `document.querySelector("[data-figure=peers]").textContent === "${status.peers}"`);
    assert.ok(((await page.evaluate('document.documentElement.scrollWidth')) as number) <= 320);
  }
});

test('nothing failed on the page or broke its content security policy', () => {
  assert.equal(faults, []);
});

test.run();

/** Titles on the page of a real station, in real Chromium: added in every way, watched while they come, removed with and without their files. */
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Page } from 'playwright-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { holds, openBrowser, type TestBrowser } from '../support/browser.js';
import { type KeptTitles, keepTitles } from '../support/kept-titles.js';
import { H264, makeMediaFile } from '../support/media-file.js';
import { temporaryFolder } from '../support/program.js';
import { type ShoalProcess, startStation } from '../support/shoal-process.js';
import { differences, writeTorrent } from '../support/title-fixture.js';
import { makeTorrent, type TestTorrent } from '../support/torrent-fixture.js';
import { until } from '../support/until.js';

const SECONDS = 60;
/** The film comes at about three times its own rate, and so is not complete before it has been watched and sought in. */
const UPLOAD_BYTES_PER_SECOND = 400_000;
const RATE = ['-b:v', '900k', '-maxrate', '1M', '-bufsize', '1M', '-g', '50'];
const VIDEO = 'document.querySelector("#title-video")';
const SRT = '1\n00:00:00,500 --> 00:00:20,000\nGood <i>morning</i>\n';

let station: ShoalProcess;
let seeder: KeptTitles;
let browser: TestBrowser;
let page: Page;
let film: TestTorrent;
let series: TestTorrent;
let filmPath = '';
let seriesPath = '';
const faults: string[] = [];
const folder = temporaryFolder('page-titles');

test.before(async () => {
  const [mp4, mkv] = await Promise.all([
    makeMediaFile({ name: 'Harbour.mp4', seconds: SECONDS, codecs: [...H264, ...RATE, '-c:a', 'aac'] }),
    makeMediaFile({ name: 'Part 1.mkv', seconds: 20, codecs: [...H264, ...RATE, '-c:a', 'ac3'] }),
  ]);
  filmPath = mp4;
  seriesPath = join(dirname(mkv), 'Series');
  mkdirSync(seriesPath);
  renameSync(mkv, join(seriesPath, 'Part 1.mkv'));
  writeFileSync(join(seriesPath, 'Part 1.en.srt'), SRT);
  writeFileSync(join(seriesPath, 'read me.txt'), 'hello');
  [film, series] = [makeTorrent(filmPath, { pieceLengthBytes: 65_536 }), makeTorrent(seriesPath, { pieceLengthBytes: 65_536 })];
  seeder = await keepTitles({ settings: [`swarm.uploadBytesPerSecond=${UPLOAD_BYTES_PER_SECOND}`] });
  const { library } = seeder.shoal.titles;
  await library.add({ torrent: film.file() }, { folder: dirname(filmPath) });
  await library.add({ torrent: series.file() }, { folder: dirname(seriesPath) });
  const settings = { 'titles.dht': false, 'titles.localDiscovery': false, 'station.testCard': false };
  [station, browser] = await Promise.all([startStation({ settings }), openBrowser()]);
  page = browser.context.pages()[0] ?? (await browser.context.newPage());
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    // Links that are refused on purpose.
    if (message.type() === 'error' && !/status of (?:4(?:00|15|22)|500)/.test(message.text())) faults.push(message.text());
  });
});

test.after(async () => {
  await browser?.close();
  await Promise.all([station?.stop(), seeder?.stop()]);
});

function magnetOf(torrent: TestTorrent): string {
  return torrent.magnet({ peers: [`127.0.0.1:${seeder.swarmPort}`] });
}

function onDisk(name: string): string {
  return join(station.dataDir, 'titles', 'files', name);
}

/** Until a part of the page reads so. White space counts once. */
async function reads(selector: string, pattern: RegExp, timeoutMs = 20_000): Promise<void> {
  await holds(page, `${pattern}.test(document.querySelector('${selector}')?.innerText.replace(/\\s+/g, ' '))`, timeoutMs);
}

async function textOf(selector: string): Promise<string> {
  return page.$eval(selector, (element) => element.textContent ?? '');
}

function progressOf(selector: string): Promise<number> {
  return page.evaluate(`document.querySelector(${JSON.stringify(selector)}).value`);
}

function currentTime(): Promise<number> {
  return page.evaluate(`${VIDEO}.currentTime`);
}

/** Until the picture has moved on by this much from where it is. */
async function moves(advanceSeconds: number): Promise<void> {
  await holds(page, `${VIDEO}.currentTime > ${(await currentTime()) + advanceSeconds} && !${VIDEO}.paused`);
}

async function paste(text: string): Promise<void> {
  await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(text)})`);
  await page.keyboard.press('Control+V');
}

/** Drags files or a text from elsewhere over the page and lets go, as the system does it. */
async function drop(what: readonly string[] | string): Promise<void> {
  const session = await browser.context.newCDPSession(page);
  const [items, files] = typeof what === 'string' ? [[{ mimeType: 'text/plain', data: what }], []] : [[], [...what]];
  const event = { x: 400, y: 500, data: { items, files, dragOperationsMask: 1 } };
  for (const type of ['dragEnter', 'dragOver'] as const) await session.send('Input.dispatchDragEvent', { type, ...event });
  await page.waitForSelector('#drop:not([hidden])');
  await session.send('Input.dispatchDragEvent', { type: 'drop', ...event });
  await page.waitForSelector('#drop', { state: 'hidden' });
  await session.detach();
}

/** Presses Tab until what has the focus matches. */
async function tabTo(selector: string): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    if (await page.evaluate(`document.activeElement.matches(${JSON.stringify(selector)})`)) return;
    await page.keyboard.press('Tab');
  }
  assert.unreachable(`${selector} is not reached with the keyboard`);
}

test('a station has a part for titles, which says how to begin', async () => {
  await page.goto(`${station.ready.page}`);
  await page.click('#to-titles');
  await reads('#titles-empty', /No titles yet .*shoal publish/);
});

test('a text that is no link is refused with what is wrong, in the page and from the server', async () => {
  const refusals: readonly (readonly [string, RegExp])[] = [
    [`${station.ready.page}`, /cannot be fetched: it is a web page, not a torrent file/],
    ['hello', /no magnet link, no torrent file and no address of one/],
    ['magnet:?xt=urn:btih:123', /info hash "123" has 3 characters; expected 40 hex digits/],
    ['magnet:?dn=Film', /has no "xt"/],
  ];
  for (const [text, words] of refusals) {
    await page.fill('#add-link', text);
    await page.keyboard.press('Enter');
    await reads('#add-faults', words);
    assert.is(await page.inputValue('#add-link'), text, 'what was typed is still there');
  }
  await page.fill('#add-link', '');
  await page.click('#add-faults button');
  assert.is(await textOf('#add-faults'), '');
});

test('a magnet that is pasted anywhere becomes a card, with its name as soon as a peer has told it', async () => {
  await page.click('#titles-heading');
  await paste(magnetOf(film));
  await reads('#title-cards', /Harbour\.mp4 Downloading.* of \d/);
  await holds(page, 'document.querySelector("#title-cards progress").value > 0');
  await reads('#said', /Harbour\.mp4 added/);
});

test('the same link again finds what is there', async () => {
  await paste(`  ${magnetOf(film).toUpperCase().replace('MAGNET:?XT=URN:BTIH', 'magnet:?xt=urn:btih').replace(/&.*/, '')}\n`);
  await reads('#said', /Harbour\.mp4 is here already/);
  assert.is((await page.$$('.title-card')).length, 1);
});

test('it plays while it comes', async () => {
  await page.click('.title-card a:has-text("Play")');
  await moves(2);
  assert.is(await page.evaluate(`${VIDEO}.videoWidth`), 320);
  assert.ok((await progressOf('#title-progress')) < 1, 'it is not complete');
  assert.ok(((await page.evaluate(`${VIDEO}.webkitAudioDecodedByteCount`)) as number) > 0, 'with sound');
  assert.is(await page.evaluate('location.hash'), `#/titles/${film.infoHash}`);
});

test('a seek to what has not come yet plays from there', async () => {
  await page.evaluate(`${VIDEO}.currentTime = 48`);
  await moves(1.5);
  assert.ok((await currentTime()) > 49);
  assert.ok((await progressOf('#title-progress')) < 1, 'it is not complete');
  await page.evaluate(`${VIDEO}.currentTime = 30`);
  await moves(1);
});

test('its figures, pieces and peers are told and go on changing', async () => {
  await reads('[data-title-figure=peers]', /^1$/);
  await reads('[data-title-figure=down]', /bit\/s$/);
  await reads('#piece-words', /^\d+ of \d+ pieces are here/);
  const before = await progressOf('#title-progress');
  await holds(page, `document.querySelector("#title-progress").value > ${before}`);
  const colours = await page.evaluate(`(() => {
    const canvas = document.querySelector('#piece-map');
    const pixels = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    return new Set(pixels).size;
  })()`);
  assert.ok((colours as number) >= 3, `the map has ${colours} colours`);
  await page.click('#title-peers summary');
  await reads('#peer-rows', /Shoal .* 127\.0\.0\.1:\d+ 100 % .*bit\/s/);
});

test('addresses for players are copied, and work outside the browser', async () => {
  await page.click('button[aria-label="Copy VLC"]');
  await page.waitForSelector('button.copy.done');
  const command: string = await page.evaluate('navigator.clipboard.readText()');
  const [, address = ''] = /^vlc "(http:\/\/127\.0\.0\.1:\d+\/vod\/[0-9a-f]{40}\.m3u8\?token=[\w-]+)"$/.exec(command) ?? [];
  const playlist = await (await fetch(address)).text();
  const file = playlist.split('\n').find((line) => line.startsWith('http')) ?? '';
  assert.is((await fetch(file, { headers: { Range: 'bytes=0-9' } })).status, 206);
  await page.click('.file button.copy');
  await holds(page, `navigator.clipboard.readText().then((text) => text.includes('/Harbour.mp4?token='))`);
});

test('it stops, pauses and goes on', async () => {
  await page.click('#title-stop');
  await page.waitForSelector('#title-screen', { state: 'hidden' });
  await page.click('#title-pause');
  await reads('#title-about', /^Paused$/);
  await reads('#title-pause', /^Resume$/);
  await page.click('#title-pause');
  await reads('#title-about', /^Downloading|^Looking/);
});

test('a torrent file that is dropped anywhere is added; what is no torrent is refused by name', async () => {
  const torrent = writeTorrent(folder, 'series', series.file());
  const broken = writeTorrent(folder, 'broken', series.file().subarray(0, 100));
  const other = join(folder, 'holiday.jpg');
  writeFileSync(other, 'x');
  await drop([other, broken]);
  await reads('#add-faults', /holiday\.jpg is no torrent file.* broken\.torrent: .* where 3 are left, at byte 95/);
  assert.is(await page.evaluate('location.hash'), '#/titles');
  await drop([torrent]);
  await reads('#title-cards', /Series Looking for peers/);
  assert.is(await textOf('#add-faults'), '');
});

test('a link that is dropped is one, too', async () => {
  await drop(`magnet:?xt=urn:btih:${series.infoHash}`);
  await reads('#said', /Series is here already/);
});

test('a torrent file is chosen, too, and says when it is here already', async () => {
  await page.evaluate('document.querySelector("#said").textContent = ""');
  await page.setInputFiles('#add-file', join(folder, 'series.torrent'));
  await reads('#said', /Series is here already/);
  assert.is((await page.$$('.title-card')).length, 2);
});

test('a film that browsers do not know plays converted, with its sound and the subtitles that are chosen', async () => {
  // It came as a torrent without a tracker: now somebody gives it a link that names a peer.
  await page.click('.title-card:has-text("Series") button:has-text("Remove")');
  await page.click('#removal-keep');
  await page.waitForSelector('#removal', { state: 'hidden' });
  await page.fill('#add-link', magnetOf(series));
  await page.click('#add-button');
  await page.click('.title-card:has-text("Series") a:has-text("Play")');
  await moves(1.5);
  assert.ok(((await page.evaluate(`${VIDEO}.webkitAudioDecodedByteCount`)) as number) > 0, 'with sound');
  assert.ok(await page.evaluate('performance.getEntriesByType("resource").some(({ name }) => name.includes(".m4s"))'));
  await page.selectOption('#title-subtitle', { label: 'English' });
  await holds(page, `${VIDEO}.textTracks[0].mode === 'showing' && ${VIDEO}.textTracks[0].activeCues?.[0]?.text === 'Good <i>morning</i>'`);
  await page.selectOption('#title-subtitle', { label: 'Off' });
  assert.is(await page.evaluate(`${VIDEO}.textTracks[0].mode`), 'disabled');
  await reads('#file-rows', /Part 1\.en\.srt Subtitles .* Part 1\.mkv Video .* read me\.txt File/);
});

test('names full of markup are text, and what cannot be converted says why', async () => {
  const name = '<img src=x onerror=alert(1)>.mkv';
  const noise = join(dirname(filmPath), name);
  writeFileSync(noise, Buffer.alloc(100_000, 7));
  const torrent = makeTorrent(noise, { pieceLengthBytes: 65_536 });
  await seeder.shoal.titles.library.add({ torrent: torrent.file() }, { folder: dirname(filmPath) });
  await page.goto(`${station.ready.page}#/titles`);
  await page.fill('#add-link', magnetOf(torrent));
  await page.click('#add-button');
  const card = '.title-card:has-text("onerror")';
  await page.waitForSelector(card);
  assert.is((await page.$$('[onerror]')).length, 0);
  await page.click(`${card} a:has-text("Play")`);
  await reads('#title-state', /(?:cannot play this file|does not come) ffprobe cannot read this file/, 30_000);
  await page.click('#title-remove');
  await page.click('#removal-delete');
  await page.waitForSelector('#removal', { state: 'hidden' });
});

test('everything is reached with the keyboard and has a name', async () => {
  await page.goto(`${station.ready.page}#/titles`);
  await page.waitForSelector('.title-card');
  await tabTo('#add-link');
  await tabTo('#add-file');
  await tabTo('.title-card:first-child .title-link');
  await page.keyboard.press('Enter');
  await reads('#title-name', /Harbour/);
  await holds(page, 'document.activeElement.id === "title-name"');
  await tabTo('#title-remove');
  await page.keyboard.press('Enter');
  await holds(page, 'document.activeElement.id === "removal-cancel"');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#removal', { state: 'hidden' });
  await holds(page, 'document.activeElement.id === "title-remove"');
  const nameless = await page.$$eval(
    '#titles :is(a, button, input, select, progress, canvas, video)',
    (elements) =>
      elements.filter((element) => {
        const labels = (element as unknown as { labels?: { length: number } }).labels?.length ?? 0;
        const named = `${element.getAttribute('aria-label') ?? ''}${element.getAttribute('aria-labelledby') ?? ''}${element.textContent ?? ''}`;
        return named.trim() === '' && labels === 0;
      }).length,
  );
  assert.is(nameless, 0);
});

test('on a narrow screen nothing is wider than the screen', async () => {
  await page.setViewportSize({ width: 320, height: 640 });
  const width = (): Promise<number> => page.evaluate('document.documentElement.scrollWidth');
  await reads('#title-name', /Harbour/);
  assert.ok((await width()) <= 320, `detail ${await width()}`);
  await page.click('#title-remove');
  assert.ok((await width()) <= 320, `question ${await width()}`);
  await page.click('#removal-cancel');
  await page.click('#title-detail a[href="#/titles"]');
  await page.waitForSelector('.title-card');
  assert.ok((await width()) <= 320, `list ${await width()}`);
  await page.setViewportSize({ width: 1280, height: 900 });
});

test('a complete title says so, and has a picture of itself', async () => {
  await reads('.title-card:first-child', /Harbour\.mp4 Complete, .* 100 % /, 40_000);
  await holds(page, 'document.querySelector(".title-card img").naturalWidth === 480', 20_000);
  assert.equal(differences(filmPath, onDisk('Harbour.mp4')), []);
});

test('a check of the files finds what was damaged without a trace, and it is fetched anew', async () => {
  const place = onDisk('Harbour.mp4');
  const { atime, mtime } = statSync(place);
  const bytes = readFileSync(place);
  bytes[film.totalBytes >> 1] = (bytes[film.totalBytes >> 1] ?? 0) ^ 1;
  writeFileSync(place, bytes);
  utimesSync(place, atime, mtime);
  await page.click('.title-card:first-child .title-link');
  await page.click('#title-recheck');
  await reads('#said', /Checking the files/);
  await until('the damage is mended', () => differences(filmPath, place).length === 0);
  await reads('#title-about', /^Complete/);
  await page.click('#title-detail a[href="#/titles"]');
  await page.waitForSelector('.title-card');
});

test('removed without its files, they stay; added again they are found; removed with them, they are gone', async () => {
  await page.click('.title-card:first-child button:has-text("Remove")');
  await reads('#removal-text', /^What is here of it: one file, [\d.]+ MB\. Kept files stay/);
  await page.click('#removal-keep');
  await holds(page, 'document.querySelectorAll(".title-card").length === 1');
  assert.is(statSync(onDisk('Harbour.mp4')).size, film.totalBytes);
  await page.setInputFiles('#add-file', writeTorrent(folder, 'film', film.file()));
  await reads('.title-card:last-child', /Harbour\.mp4 Complete, .* 100 % /);
  await page.click('.title-card:last-child .title-link');
  await page.click('#title-remove');
  await page.click('#removal-delete');
  await holds(page, 'location.hash === "#/titles" && document.querySelectorAll(".title-card").length === 1');
  assert.not(existsSync(onDisk('Harbour.mp4')));
  assert.ok(existsSync(filmPath), 'the seeder has its own');
  await page.click('.title-card button:has-text("Remove")');
  await page.click('#removal-delete');
  await reads('#titles-empty', /No titles yet/);
  await page.waitForSelector('#removal', { state: 'hidden' });
  assert.not(existsSync(onDisk('Series')));
});

test('nothing failed on the page or broke its content security policy, and nobody was left running', () => {
  assert.equal(faults, []);
});

test.run();

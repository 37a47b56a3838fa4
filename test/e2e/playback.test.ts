/**
 * Real players on real programs: one Shoal publishes a film of ten minutes and gives it at one and a half times its bit rate, another plays it.
 *
 * Short: two seeks for each player. `npm run bench vod-players` is the long form, with twenty, a third film, and the times to the first picture.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { holds, openBrowser } from '../support/browser.js';
import { CheckingProxy } from '../support/checking-proxy.js';
import { type PlayingTitle, type Publisher, playTitle, publishTitle } from '../support/playing-title.js';
import { Program, temporaryFolder } from '../support/program.js';
import { SEEKING_PLAYERS, type Shown } from '../support/seeking-players.js';
import { type FilmKind, film } from '../support/title-fixture.js';

const RATE_RATIO = 1.5;
const PLAY_S = 1;
const KINDS: readonly FilmKind[] = ['mp4', 'mkv'];
const PLACES_S = [431, 77];
const VIDEO = 'document.getElementsByTagName("video")[0]';
const CONVERTED_SECONDS = 120;
const CONVERTING_MS = 60_000;

interface Lane {
  readonly publisher: Publisher;
  readonly title: PlayingTitle;
  readonly proxy: CheckingProxy;
}

async function startLane(kind: FilmKind): Promise<Lane> {
  const { path, lengthBytes, seconds } = film(kind);
  const publisher = await publishTitle(path, (RATE_RATIO * lengthBytes) / seconds);
  const title = await playTitle(publisher.link);
  return { publisher, title, proxy: await CheckingProxy.start(title.files[0] as string, path) };
}

async function stopLane({ publisher, title, proxy }: Lane): Promise<void> {
  await proxy.stop();
  await title.stop();
  await publisher.stop();
}

test('mpv, VLC, ffprobe and Chromium play an MP4 and an MKV while they download, also after seeks, and get its very bytes', async () => {
  for (const kind of KINDS) film(kind);
  const play = async (kind: FilmKind): Promise<void> => {
    const lane = await startLane(kind);
    try {
      for (const player of SEEKING_PLAYERS) {
        const shown = await player.run(lane.proxy, PLACES_S, PLAY_S);
        assert.equal(placesOf(shown), [0, ...PLACES_S], `${player.name}, ${kind}`);
        assert.ok(lane.proxy.equalBytes > 0);
        assert.is(lane.proxy.otherBytes, 0, `${player.name}, ${kind}`);
      }
      assert.ok((lane.title.view?.progress ?? 1) < 1, 'the film must not be here before the players are done');
    } finally {
      await stopLane(lane);
    }
  };
  await Promise.all(KINDS.map(play));
});

/** Those from which it played on. */
function placesOf(shown: readonly Shown[]): readonly number[] {
  return shown.filter(({ targetS, playedToS }) => playedToS > targetS + PLAY_S / 2).map(({ targetS }) => targetS);
}

test('Chromium plays a film with sound it does not know, converted while it downloads, with a seek; another page can neither show nor read it', async () => {
  const path = `${temporaryFolder('film')}/film-ac3.mkv`;
  const words = ['-v', 'error', '-nostdin', '-t', `${CONVERTED_SECONDS}`, '-i', film('mp4').path, '-c:v', 'copy', '-c:a', 'ac3', path];
  const { code } = await new Program('ffmpeg', words).whenExited(CONVERTING_MS);
  assert.is(code, 0);
  const publisher = await publishTitle(path);
  const title = await playTitle(publisher.link);
  const browser = await openBrowser();
  try {
    const { page: home } = title.shoal.ready;
    const page = await browser.context.newPage();
    // Any page of the program's own origin will do; its own policy would keep scripts of a test away.
    await page.route(home, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><video muted></video>' }));
    await page.goto(home);
    await page.addScriptTag({ path: new URL(import.meta.resolve('hls.js/dist/hls.light.min.js')).pathname });
    const address = new URL(title.files[0] as string);
    const playlist = `/vod/${title.id}/0/hls/index.m3u8${address.search}`;
    await page.evaluate(`{
      const hls = new Hls({ enableWorker: false });
      hls.loadSource('${playlist}');
      hls.attachMedia(${VIDEO});
      ${VIDEO}.play();
    }`);
    await holds(page, `${VIDEO}.currentTime > 1`, 30_000);
    await page.evaluate(`${VIDEO}.currentTime = 90`);
    await holds(page, `!${VIDEO}.seeking && ${VIDEO}.currentTime > 91`, 30_000);
    assert.is(await page.evaluate(`${VIDEO}.error`), null);
    await page.goto('about:blank');
    const other = new URL(home);
    other.hostname = 'localhost';
    await page.route(other.href, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><video></video>' }));
    await page.goto(other.href);
    const outcome = await page.evaluate(`new Promise((resolve) => {
      ${VIDEO}.onerror = () => resolve('refused');
      ${VIDEO}.onloadedmetadata = () => resolve('shown');
      ${VIDEO}.src = '${address.href}';
    })`);
    const read = await page.evaluate(`fetch('${address.href}').then(() => 'read', () => 'refused')`);
    assert.equal([outcome, read], ['refused', 'refused']);
  } finally {
    await browser.close();
    await title.stop();
    await publisher.stop();
  }
});

test.run();

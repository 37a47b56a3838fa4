/** What titles of real Shoal processes tell their trackers, which of them they ask, and of what our own tracker tells. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { freePort } from '../support/free-port.js';
import { temporaryFolder } from '../support/program.js';
import { RecordingTracker } from '../support/recording-tracker.js';
import { writeRandomFile } from '../support/title-fixture.js';
import { assertGot, getTitle, publishTitle, titleOf, whenTitle, withProcesses, writeTitle } from '../support/title-processes.js';
import { makeTorrent } from '../support/torrent-fixture.js';
import { until } from '../support/until.js';

const TITLE_BYTES = 1_000_001;
/** `left` of a magnet link before its metadata is here. */
const LEFT_UNKNOWN_BYTES = 16_384;
/** Between two announces of one peer lie five seconds at least. */
const PATIENCE_MS = 15_000;

async function withTracker(task: (tracker: RecordingTracker) => Promise<void>): Promise<void> {
  const tracker = await RecordingTracker.start();
  try {
    await task(tracker);
  } finally {
    await tracker.stop();
  }
}

/** A torrent file of a title, its trackers one tier each. */
function torrentOf(path: string, trackers: readonly string[], isPrivate = false): string {
  const torrentPath = join(temporaryFolder('torrent'), 'title.torrent');
  writeFileSync(torrentPath, makeTorrent(path, { isPrivate }).file({ trackers }));
  return torrentPath;
}

test('a tracker hears what was transferred and what is left, started and stopped once, completed once and only of who downloaded', () =>
  withTracker((tracker) =>
    withProcesses(async (keep) => {
      const path = writeTitle(TITLE_BYTES, 11);
      const [givingPort, gettingPort, linkPort] = [await freePort(), await freePort(), await freePort()];
      const torrentPath = join(temporaryFolder('torrent'), 'title.torrent');
      const words = ['--tracker', tracker.url, '--torrent', torrentPath];
      const publisher = await keep(publishTitle(path, { 'swarm.port': givingPort }, words));
      const link = `magnet:?xt=urn:btih:${titleOf(publisher).id}&tr=${encodeURIComponent(tracker.url)}`;
      await until('the publisher is there', () => tracker.of(givingPort).length > 0);
      const getting = await keep(getTitle(torrentPath, { 'swarm.port': gettingPort }));
      await whenTitle(getting.shoal, 'it is here', ({ state }) => state === 'seeding');
      await keep(getTitle(link, { 'swarm.port': linkPort }));
      const completions = (port: number): number => tracker.of(port).filter(({ event }) => event === 'completed').length;
      await until('both are complete', () => completions(gettingPort) > 0 && completions(linkPort) > 0, PATIENCE_MS);
      assert.is(tracker.of(linkPort)[0]?.leftBytes, LEFT_UNKNOWN_BYTES);
      await Promise.all([getting.shoal.stop(), publisher.stop()]);
      const events = tracker.of(gettingPort).map(({ event }) => event);
      assert.equal([events[0], events.at(-1)], ['started', 'stopped']);
      assert.equal(
        events.filter((event) => event !== ''),
        ['started', 'completed', 'stopped'],
      );
      assert.is(tracker.of(gettingPort)[0]?.downloadedBytes, 0);
      const completed = tracker.of(gettingPort).find(({ event }) => event === 'completed');
      assert.is(completed?.leftBytes, 0);
      assert.is(completed?.downloadedBytes, tracker.of(gettingPort).at(-1)?.downloadedBytes);
      assert.is(tracker.of(givingPort)[0]?.leftBytes, 0);
      assert.is(completions(givingPort), 0);
      assert.ok((tracker.of(givingPort).at(-1)?.uploadedBytes ?? 0) >= TITLE_BYTES);
    }),
  ));

test('who wants one file of several has all it wants without being complete, and its tracker hears so', () =>
  withTracker((tracker) =>
    withProcesses(async (keep) => {
      const folder = temporaryFolder('several');
      for (const [index, name] of ['a.bin', 'b.bin', 'c.bin'].entries()) writeRandomFile(join(folder, name), 600_000, 30 + index);
      const publisher = await keep(publishTitle(folder, {}, ['--tracker', tracker.url]));
      const port = await freePort();
      const link = `magnet:?xt=urn:btih:${titleOf(publisher).id}&tr=${encodeURIComponent(tracker.url)}&so=1`;
      const getting = await keep(getTitle(link, { 'swarm.port': port }));
      await whenTitle(getting.shoal, 'what it wants is here', ({ state }) => state === 'seeding');
      const files = titleOf(getting.shoal).files.map(({ wanted, sizeBytes, haveBytes }) => [wanted, haveBytes === sizeBytes]);
      assert.equal(files, [
        [false, false],
        [true, true],
        [false, false],
      ]);
      await getting.shoal.stop();
      const last = tracker.of(port).at(-1);
      assert.is(last?.event, 'stopped');
      assert.ok((last?.leftBytes ?? 0) > 1_000_000, `${last?.leftBytes} bytes left`);
      assert.not.ok(tracker.of(port).some(({ event }) => event === 'completed'));
    }),
  ));

test('a bare link asks the configured trackers; a private torrent without trackers does not', () =>
  withTracker((tracker) =>
    withProcesses(async (keep) => {
      const path = writeTitle(TITLE_BYTES, 12);
      const announce = { 'tracker.announce': JSON.stringify([tracker.url]) };
      const publisher = await keep(publishTitle(path, announce));
      await until('the publisher is there', () => tracker.announces.length > 0);
      const hidden = await keep(getTitle(torrentOf(writeTitle(TITLE_BYTES, 13), [], true), announce));
      await assertGot(await keep(getTitle(`magnet:?xt=urn:btih:${titleOf(publisher).id}`, announce)), path);
      assert.not.ok(tracker.announces.some(({ infoHash }) => infoHash === titleOf(hidden.shoal).id));
    }),
  ));

test('one tracker of a private torrent is asked at a time, the next one when it is dead', () =>
  withTracker((first) =>
    withTracker((second) =>
      withProcesses(async (keep) => {
        const path = writeTitle(TITLE_BYTES, 14);
        const dead = `http://127.0.0.1:${await freePort()}/announce`;
        const torrentPath = torrentOf(path, [dead, first.url, second.url], true);
        const getting = await keep(getTitle(torrentPath));
        await until('the second tier is asked', () => first.announces.length > 0);
        await whenTitle(getting.shoal, 'it goes on', ({ state }) => state === 'downloading');
        assert.is(second.announces.length, 0);
        await getting.shoal.stop();
        assert.equal(
          first.announces.map(({ event }) => event).filter((event) => event !== ''),
          ['started', 'stopped'],
        );
        assert.is(second.announces.length, 0);
      }),
    ),
  ));

test('our own tracker tells of what is published here, and of nothing else', () =>
  withProcesses(async (keep) => {
    const path = writeTitle(TITLE_BYTES, 15);
    const publisher = await keep(publishTitle(path, { 'tracker.enabled': true }));
    const link = titleOf(publisher).link.replace(/&x\.pe=[^&]*/g, '');
    assert.match(link, '&tr=');
    await assertGot(await keep(getTitle(link)), path);
    const url = new URL(decodeURIComponent(/&tr=(http[^&]*)/.exec(link)?.[1] ?? ''));
    const query = `peer_id=${'x'.repeat(20)}&port=7000&uploaded=0&downloaded=0&left=1&compact=1`;
    const announce = async (hash: string): Promise<string> => (await fetch(`${url.href}?info_hash=${hash}&${query}`)).text();
    const hash = titleOf(publisher).id.replace(/../g, '%$&');
    assert.not.match(await announce(hash), 'failure reason');
    assert.match(await announce('%01'.repeat(20)), 'failure reason');
    await fetch(new URL(`/api/titles/${titleOf(publisher).id}?data=keep`, publisher.ready.page), { method: 'DELETE' });
    assert.match(await announce(hash), 'failure reason');
  }));

test.run();

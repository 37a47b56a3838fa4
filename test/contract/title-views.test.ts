/** Titles as the page, the API and scripts see them, of real titles in a library. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type TitleEndpoints, TitleViews } from '../../src/plugins/titles/title-views.js';
import { withLibraries } from '../support/library-node.js';
import { temporaryFolder } from '../support/program.js';
import { writeRandomFile } from '../support/title-fixture.js';
import { until } from '../support/until.js';

const BASE = 'http://127.0.0.1:1';

/** Endpoints that count how often they sign an address. */
function endpoints(): TitleEndpoints & { readonly signed: string[] } {
  const signed: string[] = [];
  return {
    signed,
    addressesOf: (_, { index }) => {
      signed.push(String(index));
      const of = (what: string): string => `${BASE}/vod/${index}/${what}?token=t`;
      return { url: of('file'), hls: of('hls'), media: of('media'), subtitle: null };
    },
    playlistOf: () => `${BASE}/vod/list.m3u8?token=t`,
    picture: () => Promise.resolve(Uint8Array.of(1)),
    pictureMark: () => 'mark',
    forget: () => undefined,
  };
}

function writeFilms(): string {
  const folder = join(temporaryFolder('own'), 'Films');
  mkdirSync(folder);
  for (const [seed, name] of ['a.mkv', 'b.mp4', 'c.txt'].entries()) writeRandomFile(join(folder, name), 100_000, seed);
  return folder;
}

test('a title that is given is told with its files, each with an address for players and one for browsers', () =>
  withLibraries(async (start) => {
    const node = await start();
    const { title } = await node.publish(writeFilms());
    await until('it is given', () => title.state === 'seeding');
    const views = new TitleViews(endpoints);
    const view = views.view(title);
    assert.equal([view.name, view.state, view.progress, view.published, view.pieceCount], ['Films', 'seeding', 1, true, 5]);
    assert.is(view.playlist, '/vod/list.m3u8?token=t');
    assert.equal(
      view.files.map(({ path, kind, haveBytes, wanted, play }) => [path, kind, haveBytes, wanted, play]),
      [
        ['a.mkv', 'video', 100_000, true, '/vod/0/file?token=t'],
        ['b.mp4', 'video', 100_000, true, '/vod/1/file?token=t'],
        ['c.txt', 'other', 100_000, true, '/vod/2/file?token=t'],
      ],
    );
    const detail = views.detail(title);
    assert.equal([...Buffer.from(detail.have, 'base64')], [0b1111_1000]);
    assert.equal([detail.isPrivate, detail.comment, detail.requested], [false, '', []]);
    assert.equal(JSON.parse(JSON.stringify(detail)), detail);
  }));

test('addresses are signed once, however often the title is told; without its files it is told without them', () =>
  withLibraries(async (start) => {
    const node = await start();
    const { title } = await node.publish(writeFilms());
    const ends = endpoints();
    const views = new TitleViews(() => ends);
    for (let times = 0; times < 5; times++) views.view(title);
    assert.is(ends.signed.length, 3);
    assert.equal(views.view(title, false).files, []);
    assert.equal(node.library.list({ filesMax: 2 })[0]?.files, []);
    assert.is(node.library.list({ filesMax: 3 })[0]?.files.length, 3);
  }));

test('a bare link is told with what it says and nothing else', () =>
  withLibraries(async (start) => {
    const node = await start();
    await node.library.add({ link: `magnet:?xt=urn:btih:${'a'.repeat(40)}&dn=Film` });
    const [view] = node.library.list();
    assert.equal(
      [view?.name, view?.state, view?.progress, view?.sizeBytes, view?.files, view?.playlist],
      ['Film', 'metadata', 0, 0, [], null],
    );
  }));

test('rates are means over about three seconds, and peers are told with what they have', () =>
  withLibraries(async (start) => {
    const giver = await start();
    const getter = await start({ settings: { 'swarm.downloadBytesPerSecond': 150_000 } });
    const { title: given, torrent } = await giver.publish(writeFilms());
    const title = await getter.add(torrent, [giver], { folder: temporaryFolder('got') });
    const views = new TitleViews(() => undefined);
    views.sample([title], 0);
    await until('some of it is here', () => title.entry.downloadedBytes >= 100_000, 10_000);
    const [peer] = views.detail(title).peerList;
    assert.equal([peer?.kind, peer?.progress, peer?.address], ['peer', 1, giver.address]);
    const { downloadedBytes } = title.entry;
    views.sample([title], 1_000);
    assert.is(views.view(title).downBytesPerSecond, title.entry.downloadedBytes);
    assert.ok(title.entry.downloadedBytes >= downloadedBytes);
    await until('all is here', () => title.isComplete, 10_000);
    for (let seconds = 2; seconds < 8; seconds++) views.sample([title], seconds * 1_000);
    assert.is(views.view(title).downBytesPerSecond, 0);
    assert.is(views.view(title).progress, 1);
    assert.ok(given.entry.uploadedBytes >= 300_000);
    views.forget(title.infoHash);
    assert.is(views.view(title).downBytesPerSecond, 0);
  }));

test.run();

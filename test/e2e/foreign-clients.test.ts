/**
 * Shoal's titles and those of other BitTorrent clients: the short form of `npm run bench vod-matrix`. That the others work with each other shows that what fails
 * here is Shoal's fault and not the rig's.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { aria2 } from '../support/foreign/aria2.js';
import type { ForeignClient } from '../support/foreign/foreign-client.js';
import { libtorrent } from '../support/foreign/libtorrent.js';
import { type CellResult, type MatrixOptions, matrixTable, runMatrix } from '../support/foreign/matrix.js';
import { shoal } from '../support/foreign/shoal.js';
import { transmission } from '../support/foreign/transmission.js';
import { webtorrent } from '../support/foreign/webtorrent.js';

const OTHERS = [libtorrent, aria2, webtorrent];
/** Others wait for their timers. */
const CONCURRENCY = 4;

async function assertEqual(client: ForeignClient, others: readonly ForeignClient[], more: Partial<MatrixOptions>): Promise<void> {
  const results = await runMatrix({ client, others, concurrency: CONCURRENCY, ...more });
  const failed = results.filter(({ outcome }) => outcome === 'failed');
  assert.equal(failed, [] as CellResult[], matrixTable(results));
  assert.ok(results.some(({ outcome }) => outcome === 'equal'));
}

test('libtorrent, aria2, WebTorrent and Transmission give and take a title of awkward files, by tracker, magnet, web seed and peer exchange', async () => {
  await Promise.all([
    // Half a minute of timers, beside which the others run.
    assertEqual(shoal, [transmission], { ways: ['magnet'], encryptions: ['encrypted'] }),
    assertEqual(shoal, OTHERS, { ways: ['tracker', 'web seed'], encryptions: ['plain'] }),
    assertEqual(shoal, [aria2], { ways: ['pex'], encryptions: ['plain'], concurrency: 2 }),
  ]);
});

test('encrypted where they can, which who demands it gets unasked; nor do pieces of one block or longer than the title matter', async () => {
  await assertEqual(shoal, [libtorrent, aria2], { ways: ['magnet'], encryptions: ['encrypted', 'demanded'] });
  await assertEqual(shoal, [libtorrent], { ways: ['tracker'], encryptions: ['plain'], shapes: ['folder 16 KiB', 'file 4 MiB'] });
  await assertEqual(shoal, [webtorrent], { ways: ['magnet'], encryptions: ['plain'] });
});

test('the others do so among themselves', async () => {
  await assertEqual(libtorrent, [aria2], { ways: ['tracker', 'pex', 'web seed'], encryptions: ['plain'] });
});

test.run();

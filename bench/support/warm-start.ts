/** From a title given to a program that runs already to its first byte over HTTP. The title names a tracker, and the tracker knows a seeder. */
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import type { TitleView } from '../../src/plugins/titles/title-view.js';
import { isMagnet } from '../../test/support/foreign/foreign-client.js';
import { webtorrent } from '../../test/support/foreign/webtorrent.js';
import { ShoalProcess } from '../../test/support/shoal-process.js';

const STATION = { 'station.testCard': false, 'tracker.enabled': false, 'titles.dht': false, 'titles.localDiscovery': false };
const POLL_MS = 5;
const READING_BYTES = 1;

/** Through the API of a station, as the page does it. */
export async function warmShoal(source: string): Promise<number> {
  const station = await new ShoalProcess(['start', '--json'], { settings: STATION }).whenReady();
  const { page } = station.ready;
  try {
    // The first request loads nothing of the title.
    await (await fetch(new URL('/api/titles', page))).text();
    const beganMs = performance.now();
    const { id } = await ask(page, '/api/titles', bodyOf(source));
    let view = await ask(page, `/api/titles/${id}`);
    while (view.files.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      view = await ask(page, `/api/titles/${id}`);
    }
    await firstByte(new URL(view.files[0]?.play ?? '', page).href);
    return performance.now() - beganMs;
  } finally {
    await station.stop();
  }
}

/** From `client.add`, as the program that holds it tells. */
export async function warmWebtorrent(source: string, folder: string): Promise<number> {
  const client = await webtorrent.download(source, folder, { http: true });
  try {
    await firstByte(client.httpUrl ?? '');
    return Date.now() - (client.addedAtMs ?? Number.NaN);
  } finally {
    await client.stop();
  }
}

function bodyOf(source: string): RequestInit {
  if (isMagnet(source)) return { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ link: source }) };
  return { method: 'POST', headers: { 'Content-Type': 'application/x-bittorrent' }, body: new Uint8Array(readFileSync(source)) };
}

async function ask(page: string, path: string, init: RequestInit = {}): Promise<TitleView> {
  const answer = await fetch(new URL(path, page), init);
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as TitleView;
}

function firstByte(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false }, (response) => {
      response.once('data', (bytes: Buffer) => {
        if (bytes.length >= READING_BYTES) resolve();
        request.destroy();
      });
      response.on('error', () => undefined);
    });
    request.on('error', reject);
  });
}

/** Trackers in tiers: one of each tier at a time, the working one first, and every event once. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TrackerTiers, type TrackerTiersOptions } from '../../src/io/trackers/tracker-tiers.js';
import { encodeBencode } from '../../src/kernel/bencode.js';
import { Rng } from '../../src/kernel/rng.js';
import { MemoryLog } from '../support/memory-log.js';
import { until } from '../support/until.js';

const HOST = '127.0.0.1';

/** A tracker that answers, or fails, as it is told. */
class Tracker {
  readonly announces: URLSearchParams[] = [];
  readonly #server: Server;
  works: boolean;

  private constructor(server: Server, works: boolean) {
    this.#server = server;
    this.works = works;
    server.on('request', (request, response) => {
      this.announces.push(new URL(request.url ?? '', 'http://x').searchParams);
      response.end(this.works ? encodeBencode({ interval: 1, peers: new Uint8Array(0) }) : 'broken');
    });
  }

  static async start(works: boolean): Promise<Tracker> {
    const server = createServer();
    server.listen(0, HOST);
    await once(server, 'listening');
    return new Tracker(server, works);
  }

  get url(): string {
    return `http://${HOST}:${(this.#server.address() as AddressInfo).port}/announce`;
  }

  get events(): string[] {
    return this.announces.flatMap((announce) => announce.get('event') ?? []);
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

async function withTiers(
  works: readonly (readonly boolean[])[],
  changes: Partial<TrackerTiersOptions>,
  task: (client: TrackerTiers, tiers: Tracker[][]) => Promise<void>,
): Promise<void> {
  const tiers = await Promise.all(works.map((tier) => Promise.all(tier.map((one) => Tracker.start(one)))));
  const client = new TrackerTiers({
    infoHash: 'ab'.repeat(20),
    peerId: 'cd'.repeat(20),
    port: 20_900,
    tiers: tiers.map((tier) => tier.map(({ url }) => url)),
    isPrivate: false,
    rng: new Rng(1),
    log: new MemoryLog(),
    onPeer: () => {},
    intervalMinMs: 40,
    pauseMinMs: 20,
    retryMinMs: 20,
    retryMaxMs: 100,
    intervalMaxMs: 60,
    ...changes,
  });
  try {
    client.start();
    await task(client, tiers);
  } finally {
    await client.stop();
    for (const tracker of tiers.flat()) tracker.stop();
  }
}

test('of each tier one tracker is announced to, the working one is found and stayed with', () =>
  withTiers([[false, true, false], [true]], {}, async (client, tiers) => {
    const [bad, good, alsoBad] = tiers[0] ?? [];
    const [other] = tiers[1] ?? [];
    await until('both tiers work', () => (good?.announces.length ?? 0) > 4 && (other?.announces.length ?? 0) > 4);
    assert.ok((bad?.announces.length ?? 0) <= 1 && (alsoBad?.announces.length ?? 0) <= 1);
    assert.equal(client.status().filter(({ state }) => state === 'ok').length, 2);
  }));

test('a tracker that stops to work is left for another after its third failure', () => {
  const switches: string[] = [];
  return withTiers([[true, true]], { onSwitch: (from, to) => switches.push(`${from} ${to}`) }, async (_, tiers) => {
    const all = tiers[0] ?? [];
    await until('one is in use', () => all.some(({ announces }) => announces.length > 2));
    const used = all.find(({ announces }) => announces.length > 0);
    const spare = all.find((tracker) => tracker !== used);
    assert.is(spare?.announces.length, 0);
    if (used !== undefined) used.works = false;
    await until('the other is in use', () => (spare?.announces.length ?? 0) > 2);
    assert.equal(switches, [`${used?.url} ${spare?.url}`]);
  });
});

test('a private torrent has one tracker at a time', () =>
  withTiers([[false], [true], [true]], { isPrivate: true }, async (_, tiers) => {
    const [first, second, third] = tiers.flat();
    await until('the second tier works', () => (second?.announces.length ?? 0) > 4);
    assert.is(first?.announces.length, 1);
    assert.is(third?.announces.length, 0);
  }));

test('started, completed and stopped come once each, with true figures', async () => {
  let leftBytes: number | undefined;
  const announceStats = () => ({ uploadedBytes: 7, downloadedBytes: 11, leftBytes });
  await withTiers([[true]], { announceStats }, async (client, tiers) => {
    const [tracker] = tiers.flat();
    if (tracker === undefined) throw new Error('one tracker');
    await until('it is announced to', () => tracker.announces.length > 1);
    assert.is(tracker.announces[0]?.get('left'), '16384', 'unknown');
    leftBytes = 0;
    client.complete();
    client.complete();
    await until('completed came', () => tracker.events.includes('completed'));
    const count = tracker.announces.length;
    await until('it goes on', () => tracker.announces.length > count + 2);
    await client.stop();
    assert.equal(tracker.events, ['started', 'completed', 'stopped']);
    const last = tracker.announces.at(-1);
    assert.equal([last?.get('left'), last?.get('uploaded'), last?.get('downloaded')], ['0', '7', '11']);
    assert.is(new Set(tracker.announces.map((announce) => announce.get('key'))).size, 1);
  });
});

test('when nobody answers the round begins again after a pause, and stopping ends it', () =>
  withTiers([[false, false]], {}, async (_, tiers) => {
    const all = tiers.flat();
    await until('each was asked twice', () => all.every(({ announces }) => announces.length >= 2));
  }));

test.run();

/** Viewers on real sockets that know nothing but a station with few places: they find each other, and nobody has more neighbours than it may. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LiveNode } from '../support/live-nodes.js';
import { until } from '../support/swarm-fixture.js';

async function withChannel(count: number, settings: readonly string[], task: (station: LiveNode, viewers: LiveNode[]) => Promise<void>) {
  const station = await LiveNode.start(settings);
  const viewers: LiveNode[] = [];
  try {
    for (let index = 0; index < count; index++) viewers.push(await LiveNode.start(settings, station));
    await task(station, viewers);
  } finally {
    await Promise.all([station, ...viewers].map((node) => node.stop()));
  }
}

test('eight viewers come to a station with two places: all get the stream, from each other', () =>
  withChannel(8, ['live.maxViewers=2', 'live.maxNeighbours=4', 'swarm.targetConnections=3'], async (station, viewers) => {
    await until('everybody watches', () => viewers.every(({ windows }) => windows.length >= 6), 20_000);
    assert.ok(station.neighbours <= 2, `the station has ${station.neighbours}`);
    for (const { neighbours } of viewers) assert.ok(neighbours >= 1 && neighbours <= 5, `a viewer has ${neighbours}`);
    assert.ok(station.log.text.includes('there is no room'));
  }));

test('three viewers keep each other and the station', () =>
  withChannel(3, [], async (station, viewers) => {
    await until('everybody has everybody', () => [station, ...viewers].every(({ neighbours }) => neighbours === 3), 10_000);
    await until('everybody watches', () => viewers.every(({ windows }) => windows.length >= 3), 10_000);
    for (const { log } of [station, ...viewers]) assert.not.ok(log.text.includes('there is no room'));
  }));

test.run();

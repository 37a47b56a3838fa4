/** Stations that pull the same source on their own make the same pieces: over the same protocol, over different ones, and after the source was restarted. */
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MmstTestServer } from '../support/mmst-server.js';
import { temporaryFolder } from '../support/program.js';
import { type ShoalProcess, type ShoalProcessOptions, startStation } from '../support/shoal-process.js';
import { until } from '../support/until.js';
import { VlcSource } from '../support/vlc-source.js';
import { commonNumbers, differingNumbers, WindowCollector } from '../support/window-collector.js';

const COMMON_WINDOWS = 20;
/** A window of this source lasts 1.2 s. */
const COMMON_MS = 45_000;
const SERVER_SECONDS = 90;

let vlc: VlcSource;
let server: MmstTestServer;
let stations: ShoalProcess[] = [];
let collectors: WindowCollector[] = [];

test.after(async () => {
  await Promise.all(collectors.map((collector) => collector.stop()));
  await Promise.all(stations.map((station) => station.stop()));
  await Promise.all([vlc?.stop(), server?.stop()]);
});

async function pull(source: string, options: ShoalProcessOptions = {}): Promise<[ShoalProcess, WindowCollector]> {
  const channels = JSON.stringify([{ name: 'Old WMV', source }]);
  const station = await startStation({ ...options, settings: { 'station.testCard': false, 'station.channels': channels } });
  stations = [...stations, station];
  const collector = await WindowCollector.join(station.channel.link);
  collectors = [...collectors, collector];
  return [station, collector];
}

/** A second station of the same owner: the same keys, nothing else. */
function dataDirWithKeysOf(station: ShoalProcess): string {
  const dataDir = join(temporaryFolder('second'), 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  copyFileSync(join(station.dataDir, 'keys.json'), join(dataDir, 'keys.json'));
  return dataDir;
}

/** The highest number that a station may use without asking its disk again. */
function reservedNumber({ dataDir, channel }: ShoalProcess): number {
  const state = JSON.parse(readFileSync(join(dataDir, 'state', `channel-${channel.id}.json`), 'utf8')) as { lastNumber: number };
  return state.lastNumber;
}

async function whenCommon(one: WindowCollector, other: WindowCollector, above = -1): Promise<void> {
  const enough = (): boolean => commonNumbers(one, other).filter((number) => number > above).length >= COMMON_WINDOWS;
  await until('both have made enough windows', enough, COMMON_MS).catch((error: Error) => {
    const numbers = [one, other].map(({ windows }) => windows.map(({ number }) => number).join(' '));
    throw new Error(`${error.message}: ${numbers.join(' | ')}`);
  });
}

test('two stations of one owner, started seconds apart, make one channel with the same pieces', async () => {
  vlc = await VlcSource.start();
  const [first, fromFirst] = await pull(vlc.url);
  await until('the first station is seconds ahead', () => fromFirst.windows.length >= 3, 20_000);
  const [second, fromSecond] = await pull(vlc.url, { dataDir: dataDirWithKeysOf(first) });
  assert.is(second.channel.id, first.channel.id);
  await whenCommon(fromFirst, fromSecond);
  assert.equal(differingNumbers(fromFirst, fromSecond), []);
  assert.ok((fromSecond.windows[0]?.number ?? 0) > (fromFirst.windows[0]?.number ?? 0), 'the second began later');
});

test('MMST, MMSH and mms:// of one server give the same pieces', async () => {
  server = await MmstTestServer.start({ seconds: SERVER_SECONDS });
  const pulled = await Promise.all((['mmst', 'mmsh', 'mms'] as const).map((scheme) => pull(server.url(scheme))));
  const [mmst, mmsh, either] = pulled.map(([, collector]) => collector) as [WindowCollector, WindowCollector, WindowCollector];
  await whenCommon(mmst, mmsh);
  await whenCommon(mmst, either);
  assert.equal(differingNumbers(mmst, mmsh), []);
  assert.equal(differingNumbers(mmst, either), []);
  const [overMmst, overMmsh] = pulled.map(([station]) => station.program.errors) as [string, string];
  assert.match(overMmst, /live by MMST/);
  assert.match(overMmsh, /live by MMSH/);
});

test('when the source was restarted, both stations go on above the old numbers, again with the same pieces', async () => {
  const [one, other] = collectors as [WindowCollector, WindowCollector];
  const last = Math.max(...one.windows.map(({ number }) => number));
  await vlc.kill();
  vlc = await VlcSource.start({ port: vlc.port });
  await whenCommon(one, other, last);
  assert.equal(differingNumbers(one, other), []);
});

test('a station that crashed and is started again goes on with the same pieces as the other', async () => {
  const [one] = collectors as [WindowCollector];
  const [, second] = stations as [ShoalProcess, ShoalProcess];
  const last = (): number => Math.max(...one.windows.map(({ number }) => number));
  // Numbers are reserved in advance, and those that a crash left unused must not make the rest differ.
  await until('many reserved numbers are unused', () => reservedNumber(second) - last() > 12, 30_000);
  second.signal('SIGKILL');
  await second.program.whenExited(5_000);
  const lastBefore = last();
  const [, again] = await pull(vlc.url, { dataDir: second.dataDir });
  await whenCommon(one, again, lastBefore);
  assert.equal(differingNumbers(one, again), []);
});

test.run();

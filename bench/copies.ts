/**
 * Copies: how many times the station sends each byte, with eight viewers and its upload limited to 2.2 times the bit rate; what share peers carry,
 * what the exchange costs beside the media, and whether a player would have stopped. Once as shipped, once without telling each neighbour of its
 * own share first (`live.revealMs=0`).
 */

import type { ChannelStatus, TrafficByKind } from '../src/relay/endpoints/channel-status.js';
import type { ShoalProcess } from '../test/support/shoal-process.js';
import { BenchRun, type Row, type Settings } from './support/bench-run.js';
import { DelayMeter } from './support/delay-meter.js';
import { median, percentile, show, showPercent, sum } from './support/figures.js';
import { makeRecording, type Recording } from './support/recording.js';
import { publishTarget, statusNow } from './support/station.js';

const BITS_PER_SECOND = 1_000_000;
const RECORDING_SECONDS = 20;
const WARM_UP_MS = 8_000;
const MEASURED_MS = 30_000;
const UPLOAD_RATIO = 2.2;
const VIEWERS = 8;
const HEAD: Row = [
  'run',
  'copies',
  'worse half',
  'share from peers',
  'lowest share',
  'overhead',
  'duplicates',
  'stalls',
  'holes',
  'timeouts',
  'p95 ms',
];

interface Snapshot {
  readonly station: ChannelStatus;
  readonly viewers: readonly ChannelStatus[];
}

interface Result {
  readonly copies: number;
  readonly copiesByHalf: readonly number[];
  readonly shareFromPeers: number;
  readonly lowestShare: number;
  readonly overheadRatio: number;
  readonly duplicateRatio: number;
  readonly stalls: number;
  readonly holes: number;
  readonly timeouts: number;
  readonly delayP95Ms: number;
}

await BenchRun.run('copies', 240_000, async (run) => {
  const recording = await makeRecording({ bitsPerSecond: BITS_PER_SECOND, seconds: RECORDING_SECONDS });
  const runs: readonly { name: string; settings: Settings }[] = [
    { name: 'as shipped', settings: {} },
    { name: 'live.revealMs=0', settings: { 'live.revealMs': 0 } },
  ];
  const results: { run: string; result: Result }[] = [];
  for (const { name, settings } of runs) {
    run.progress(`${name}: ${(WARM_UP_MS + MEASURED_MS) / 1000} s`);
    results.push({ run: name, result: await measure(run, recording, settings) });
    await run.stopAll();
  }
  run.table(`Copies, ${VIEWERS} viewers, station upload ${UPLOAD_RATIO}x`, HEAD, results.map(rowOf));
  return { bitsPerSecond: BITS_PER_SECOND, measuredMs: MEASURED_MS, viewers: VIEWERS, uploadRatio: UPLOAD_RATIO, runs: results };
});

async function measure(run: BenchRun, recording: Recording, settings: Settings): Promise<Result> {
  const station = await run.station({ 'swarm.uploadBytesPerSecond': Math.round(recording.bytesPerSecond * UPLOAD_RATIO), ...settings });
  const publisher = await run.publish(recording, [publishTarget(station)]);
  const viewers = await run.viewers(VIEWERS, station.channel.link);
  const meters = await Promise.all(viewers.map(({ channel }) => DelayMeter.open(channel.watch.flv, publisher)));
  run.onStop(() => {
    for (const meter of meters) meter.close();
  });
  await run.wait(WARM_UP_MS);
  const snapshots = [await snapshot(station, viewers)];
  for (const meter of meters) meter.begin();
  const playedBytes = [0];
  for (let half = 0; half < 2; half++) {
    await run.wait(MEASURED_MS / 2);
    snapshots.push(await snapshot(station, viewers));
    playedBytes.push(median(meters.map((meter) => meter.mediaBytes)));
  }
  return resultOf(snapshots, playedBytes, meters);
}

async function snapshot(station: ShoalProcess, viewers: readonly ShoalProcess[]): Promise<Snapshot> {
  return { station: await statusNow(station), viewers: await Promise.all(viewers.map(statusNow)) };
}

function resultOf(snapshots: readonly Snapshot[], playedBytes: readonly number[], meters: readonly DelayMeter[]): Result {
  const [first, last] = [snapshots[0], snapshots.at(-1)];
  if (!first || !last) throw new Error('There is nothing to compare.');
  const played = playedBytes.at(-1) ?? 0;
  const sent = delta(first.station.upBytes, last.station.upBytes);
  const received = last.viewers.map((status, index) => delta(first.viewers[index]?.downBytes ?? status.downBytes, status.downBytes));
  const uploads = [sent, ...last.viewers.map((status, index) => delta(first.viewers[index]?.upBytes ?? status.upBytes, status.upBytes))];
  const mediaReceived = sum(received.map(({ media }) => media));
  const growth = (of: (status: ChannelStatus) => number): number => sum(last.viewers.map(of)) - sum(first.viewers.map(of));
  return {
    copies: sent.media / played,
    copiesByHalf: snapshots.slice(1).map((at, half) => {
      const before = snapshots[half] ?? at;
      return (at.station.upBytes.media - before.station.upBytes.media) / ((playedBytes[half + 1] ?? 0) - (playedBytes[half] ?? 0));
    }),
    shareFromPeers: 1 - sent.media / mediaReceived,
    lowestShare: Math.min(...last.viewers.map(({ shareFromPeers }) => shareFromPeers ?? Number.NaN)),
    overheadRatio: sum(uploads.map(({ total, media }) => total - media)) / sum(uploads.map(({ media }) => media)),
    duplicateRatio: mediaReceived / (played * received.length) - 1,
    stalls: sum(meters.map(({ stalls }) => stalls.count)),
    holes: growth(({ holes }) => holes),
    timeouts: growth(({ timeouts }) => timeouts),
    delayP95Ms: percentile(
      meters.flatMap(({ delaysMs }) => delaysMs),
      0.95,
    ),
  };
}

function delta(before: TrafficByKind, after: TrafficByKind): TrafficByKind {
  const minus = (kind: keyof TrafficByKind): number => after[kind] - before[kind];
  return {
    media: minus('media'),
    manifest: minus('manifest'),
    map: minus('map'),
    request: minus('request'),
    control: minus('control'),
    total: minus('total'),
  };
}

function rowOf({ run, result }: { run: string; result: Result }): Row {
  const { copies, copiesByHalf, shareFromPeers, lowestShare, overheadRatio, duplicateRatio, stalls, holes, timeouts, delayP95Ms } = result;
  return [
    run,
    show(copies, 2),
    show(Math.max(...copiesByHalf), 2),
    showPercent(shareFromPeers),
    showPercent(lowestShare),
    showPercent(overheadRatio),
    showPercent(duplicateRatio),
    String(stalls),
    String(holes),
    String(timeouts),
    show(delayP95Ms),
  ];
}

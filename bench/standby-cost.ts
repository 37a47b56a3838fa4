/**
 * What further publishers cost while nothing happens: copies of the stream that leave all publishers together, and the traffic of viewers, with one, two and four
 * publishers of one channel and eight viewers; with unlimited upload and with 2.2 times the bit rate for each publisher.
 *
 * `npm run bench standby-cost [seconds]`: 30 s each unless told otherwise. One encoder pushes the same tags with the same times to every publisher, so that they
 * make equal pieces whatever aligns them otherwise.
 */
import { argv } from 'node:process';
import type { ChannelStatus, TrafficByKind } from '../src/relay/endpoints/channel-status.js';
import { PublisherFleet } from '../test/support/publisher-fleet.js';
import type { ShoalProcess } from '../test/support/shoal-process.js';
import { BenchRun, type Row, type Settings } from './support/bench-run.js';
import { DelayMeter } from './support/delay-meter.js';
import { median, percentile, show, showPercent, sum } from './support/figures.js';
import type { PublishTarget } from './support/paced-publisher.js';
import { makeRecording, type Recording } from './support/recording.js';
import { statusNow } from './support/station.js';

const BITS_PER_SECOND = 1_000_000;
const RECORDING_SECONDS = 20;
const WARM_UP_MS = 8_000;
const SECONDS = 30;
const UPLOAD_RATIO = 2.2;
const VIEWERS = 8;
const COUNTS = [1, 2, 4];
const HEAD: Row = [
  'upload',
  'publishers',
  'copies',
  'to one',
  'most of one publisher',
  'between publishers',
  'viewer down',
  'to one',
  'viewer up',
  'to one',
  'no media',
  'p95 ms',
  'stalls',
  'holes',
];

interface Snapshot {
  readonly publishers: readonly ChannelStatus[];
  readonly viewers: readonly ChannelStatus[];
}

/** Bytes as multiples of what one viewer's player gets in the same time. */
interface Result {
  readonly publishers: number;
  readonly upload: string;
  readonly copies: number;
  readonly copiesByPublisher: readonly number[];
  /** Media that publishers took from each other. */
  readonly betweenPublishers: number;
  /** All that travels, per viewer. */
  readonly viewerDown: number;
  readonly viewerUp: number;
  /** What is no media, on all wires, divided by the media. */
  readonly overheadRatio: number;
  readonly delayP95Ms: number;
  readonly stalls: number;
  readonly holes: number;
}

const [secondsWord] = argv.slice(2).filter((word) => !word.startsWith('--'));
const measuredMs = Number(secondsWord ?? SECONDS) * 1000;

await BenchRun.run('standby-cost', 6 * (measuredMs + 45_000), async (run) => {
  const recording = await makeRecording({ bitsPerSecond: BITS_PER_SECOND, seconds: RECORDING_SECONDS });
  const limited = { 'swarm.uploadBytesPerSecond': Math.round(recording.bytesPerSecond * UPLOAD_RATIO) };
  const uploads: readonly { upload: string; settings: Settings }[] = [
    { upload: 'unlimited', settings: {} },
    { upload: `${UPLOAD_RATIO}x`, settings: limited },
  ];
  const results: Result[] = [];
  for (const { upload, settings } of uploads) {
    for (const publishers of COUNTS) {
      run.progress(`${publishers} publishers, upload ${upload}: ${(WARM_UP_MS + measuredMs) / 1000} s`);
      results.push({ publishers, upload, ...(await measure(run, recording, publishers, settings)) });
      await run.stopAll();
    }
  }
  run.table(`Publishers that stand by, ${VIEWERS} viewers, multiples of the stream`, HEAD, results.map(rowAmong(results)));
  return { bitsPerSecond: BITS_PER_SECOND, measuredMs, viewers: VIEWERS, uploadRatio: UPLOAD_RATIO, results };
});

async function measure(
  run: BenchRun,
  recording: Recording,
  count: number,
  settings: Settings,
): Promise<Omit<Result, 'publishers' | 'upload'>> {
  const fleet = run.keep(await PublisherFleet.prepare({ count, settings }));
  await Promise.all(fleet.publishers.map((publisher) => publisher.launch().whenReady()));
  const stations = fleet.publishers.map(({ process }) => process);
  const publisher = await run.publish(
    recording,
    fleet.publishers.map(({ pushUrl }) => targetOf(pushUrl)),
  );
  const viewers = await run.viewers(VIEWERS, fleet.link);
  const meters = await Promise.all(viewers.map(({ channel }) => DelayMeter.open(channel.watch.flv, publisher)));
  run.onStop(() => {
    for (const meter of meters) meter.close();
  });
  await run.wait(WARM_UP_MS);
  const before = await snapshot(stations, viewers);
  for (const meter of meters) meter.begin();
  await run.wait(measuredMs);
  const after = await snapshot(stations, viewers);
  return resultOf(before, after, meters);
}

function targetOf(pushUrl: string): PublishTarget {
  const { port, pathname } = new URL(pushUrl);
  return { port: Number(port), key: pathname.split('/').at(-1) ?? '' };
}

async function snapshot(stations: readonly ShoalProcess[], viewers: readonly ShoalProcess[]): Promise<Snapshot> {
  return { publishers: await Promise.all(stations.map(statusNow)), viewers: await Promise.all(viewers.map(statusNow)) };
}

function resultOf(before: Snapshot, after: Snapshot, meters: readonly DelayMeter[]): Omit<Result, 'publishers' | 'upload'> {
  const played = median(meters.map(({ mediaBytes }) => mediaBytes));
  const grown = (role: keyof Snapshot, of: (status: ChannelStatus) => number): readonly number[] =>
    after[role].map((status, index) => of(status) - of(before[role][index] ?? status));
  const both = (of: (traffic: TrafficByKind) => number): number =>
    sum([...grown('publishers', ({ upBytes }) => of(upBytes)), ...grown('viewers', ({ upBytes }) => of(upBytes))]);
  const copiesByPublisher = grown('publishers', ({ upBytes }) => upBytes.media).map((bytes) => bytes / played);
  const perViewer = (of: (status: ChannelStatus) => number): number => sum(grown('viewers', of)) / meters.length / played;
  const media = both((traffic) => traffic.media);
  return {
    copies: sum(copiesByPublisher),
    copiesByPublisher,
    betweenPublishers: sum(grown('publishers', ({ downBytes }) => downBytes.media)) / played,
    viewerDown: perViewer(({ downBytes }) => downBytes.total),
    viewerUp: perViewer(({ upBytes }) => upBytes.total),
    overheadRatio: (both((traffic) => traffic.total) - media) / media,
    delayP95Ms: percentile(
      meters.flatMap(({ delaysMs }) => delaysMs),
      0.95,
    ),
    stalls: sum(meters.map(({ stalls }) => stalls.count)),
    holes: sum(grown('viewers', ({ holes }) => holes)),
  };
}

function rowAmong(results: readonly Result[]): (result: Result) => Row {
  return (result) => {
    const one = results.find(({ upload, publishers }) => upload === result.upload && publishers === 1);
    const toOne = (of: (result: Result) => number): string => show(of(result) / (one ? of(one) : Number.NaN), 2);
    const { upload, publishers, copies, copiesByPublisher, betweenPublishers, viewerDown, viewerUp, overheadRatio } = result;
    return [
      upload,
      String(publishers),
      show(copies, 2),
      toOne((of) => of.copies),
      show(Math.max(...copiesByPublisher), 2),
      show(betweenPublishers, 2),
      show(viewerDown, 3),
      toOne((of) => of.viewerDown),
      show(viewerUp, 3),
      toOne((of) => of.viewerUp),
      showPercent(overheadRatio),
      show(result.delayP95Ms),
      String(result.stalls),
      String(result.holes),
    ];
  };
}

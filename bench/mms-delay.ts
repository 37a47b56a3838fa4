/**
 * Delay that ingest and egress add to an MMS channel: from a raw player on the source to raw players on the station's and on a viewer's MMS endpoint.
 *
 * Two sources: our own server at 700 kbit/s, which sends each packet at its own time, and VLC with a file in a loop. Packets are recognised by
 * their bytes, which nobody changes; one that arrives changed or not at all ends the run with an error.
 */
import { createHash } from 'node:crypto';
import { type CapturedPacket, MmshCapture, packetDifference } from '../test/support/mmsh-capture.js';
import { VlcSource } from '../test/support/vlc-source.js';
import { makeAsfRecording } from './support/asf-recording.js';
import { PacedAsfSource } from './support/asf-source.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { percentile, show } from './support/figures.js';

const BITS_PER_SECOND = 700_000;
const WARM_UP_MS = 10_000;
const MEASURED_MS = 30_000;
const HEAD: Row = ['source', 'from', 'to', 'min ms', 'p50 ms', 'p95 ms', 'max ms', 'packets'];

interface Result {
  readonly from: string;
  readonly to: string;
  readonly minMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly maxMs: number;
  readonly packets: number;
}

await BenchRun.run('mms-delay', 240_000, async (run) => {
  const recording = await makeAsfRecording({ bitsPerSecond: BITS_PER_SECOND, seconds: 120 });
  const sources = [
    { name: 'own server', make: () => PacedAsfSource.start(recording) },
    { name: 'VLC', make: () => VlcSource.start({ seconds: 20 }) },
  ];
  const rows: Row[] = [];
  const all: object[] = [];
  for (const { name, make } of sources) {
    run.progress(`${name}: ${(WARM_UP_MS + MEASURED_MS) / 1000} s`);
    const results = await measure(run, run.keep(await make()).url);
    rows.push(...results.map((result) => rowOf(name, result)));
    all.push({ source: name, results });
    await run.stopAll();
  }
  run.table('Delay of MMS packets', HEAD, rows);
  return {
    bitsPerSecond: recording.bitsPerSecond,
    declaredBitsPerSecond: recording.declaredBitsPerSecond,
    measuredMs: MEASURED_MS,
    sources: all,
  };
});

async function measure(run: BenchRun, url: string): Promise<readonly Result[]> {
  const station = await run.station({ 'station.channels': JSON.stringify([{ name: 'Bench', source: url }]) });
  const viewer = await run.viewer(station.channel.link);
  const [direct, again, atStation, atViewer] = [url, url, station.channel.watch.mms, viewer.channel.watch.mms].map((address) =>
    run.keep(capture(address)),
  );
  if (!direct || !again || !atStation || !atViewer) throw new Error('Four players were opened.');
  await run.wait(WARM_UP_MS);
  const fromMs = performance.now();
  await run.wait(MEASURED_MS);
  for (const player of [again, atStation, atViewer]) sameOrThrow(direct, player, fromMs);
  return [
    resultOf('source', 'source, second player', direct, again, fromMs),
    resultOf('source', 'station', direct, atStation, fromMs),
    resultOf('station', 'viewer', atStation, atViewer, fromMs),
    resultOf('source', 'viewer', direct, atViewer, fromMs),
  ];
}

function capture(address: string): MmshCapture {
  const { port, pathname } = new URL(address);
  return new MmshCapture(Number(port), pathname || '/');
}

function sameOrThrow(direct: MmshCapture, player: MmshCapture, fromMs: number): void {
  const received = player.packets.filter(({ arrivedMs }) => arrivedMs >= fromMs);
  const difference = packetDifference(direct.packets, received);
  if (difference !== null) throw new Error(`Packets have changed on the way: ${difference}`);
}

function resultOf(from: string, to: string, first: MmshCapture, second: MmshCapture, fromMs: number): Result {
  const arrivals = new Map(first.packets.map((packet) => [keyOf(packet), packet.arrivedMs]));
  const delaysMs = second.packets.flatMap((packet) => {
    const firstMs = arrivals.get(keyOf(packet));
    return firstMs !== undefined && firstMs >= fromMs ? [packet.arrivedMs - firstMs] : [];
  });
  const at = (ratio: number): number => Math.round(percentile(delaysMs, ratio) * 10) / 10;
  return { from, to, minMs: at(0), p50Ms: at(0.5), p95Ms: at(0.95), maxMs: at(1), packets: delaysMs.length };
}

function keyOf({ payload }: CapturedPacket): string {
  return createHash('sha1').update(payload).digest('base64');
}

function rowOf(name: string, { from, to, minMs, p50Ms, p95Ms, maxMs, packets }: Result): Row {
  return [name, from, to, show(minMs, 1), show(p50Ms, 1), show(p95Ms, 1), show(maxMs, 1), String(packets)];
}

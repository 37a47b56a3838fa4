/**
 * What a viewer and a station cost at 2.5 Mbit/s with eight neighbours each: processor and memory; and what signing costs of that.
 */

import { createSigner, generateSeed, nodeHasher, nodeVerifier } from '../src/io/crypto.js';
import { encodeTag } from '../src/media/flv.js';
import { Authority } from '../src/relay/exchange/authority.js';
import { decodeManifest, signManifest, splitPieces, WINDOW_DOMAIN, type WindowContent } from '../src/relay/exchange/manifest.js';
import type { ShoalProcess } from '../test/support/shoal-process.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { DelayMeter } from './support/delay-meter.js';
import { median, percentile, show, showPercent, sum } from './support/figures.js';
import { type Usage, UsageMeter } from './support/process-usage.js';
import { makeRecording, type Recording } from './support/recording.js';
import { publishTarget, statusNow } from './support/station.js';

const BITS_PER_SECOND = 2_500_000;
const RECORDING_SECONDS = 20;
const WARM_UP_MS = 10_000;
const MEASURED_MS = 30_000;
const VIEWERS = 8;
const WINDOW_MS = 500;
const PIECE_BYTES = 16_384;
const CHANNEL = '0123456789abcdef0123456789abcdef01234567';
const ROUNDS = 20;

interface Cost extends Usage {
  readonly who: string;
  readonly neighbours: number;
}

await BenchRun.run('viewer-cost', 180_000, async (run) => {
  const recording = await makeRecording({ bitsPerSecond: BITS_PER_SECOND, seconds: RECORDING_SECONDS });
  const signing = measureSigning(recording);
  run.progress(`${(WARM_UP_MS + MEASURED_MS) / 1000} s with ${VIEWERS} viewers`);
  const { costs, manifestShare, delayP95Ms } = await measureSwarm(run, recording);
  const title = `Cost at ${BITS_PER_SECOND / 1e6} Mbit/s, ${VIEWERS} viewers, each with one HTTP-FLV player`;
  run.table(title, ['who', 'neighbours', '% of a core', 'RSS MiB'], costs.map(rowOf));
  run.table('Signing and hashing at that rate', ['what', 'µs per window', '% of a core'], signing.map(signingRow));
  run.table('Bytes', ['what', 'share'], [['manifests, of media bytes received', showPercent(manifestShare, 2)]]);
  return { bitsPerSecond: BITS_PER_SECOND, measuredMs: MEASURED_MS, costs, signing, manifestShare, delayP95Ms };
});

async function measureSwarm(run: BenchRun, recording: Recording) {
  const station = await run.station();
  const reference = await run.reference();
  const publisher = await run.publish(recording, [publishTarget(station), reference.publishTarget]);
  const viewers = await run.viewers(VIEWERS, station.channel.link);
  const meters = await Promise.all(
    [reference.flv, ...[station, ...viewers].map(({ channel }) => channel.watch.flv)].map((url) => DelayMeter.open(url, publisher)),
  );
  run.onStop(() => {
    for (const meter of meters) meter.close();
  });
  await run.wait(WARM_UP_MS);
  for (const meter of meters) meter.begin();
  const usages = [reference.pid, station.program.pid, ...viewers.map(({ program }) => program.pid)].map((pid) => new UsageMeter(pid));
  await Promise.all(usages.map((usage) => usage.begin()));
  await run.wait(MEASURED_MS);
  const [ofReference, ofStation, ...ofViewers] = await Promise.all(usages.map((usage) => usage.end()));
  if (!ofReference || !ofStation) throw new Error('There is nothing to report.');
  const costs = [
    { who: 'viewer (median)', ...medianOf(ofViewers), neighbours: median(await neighbours(viewers)) },
    { who: 'viewer (highest)', ...highestOf(ofViewers), neighbours: Math.max(...(await neighbours(viewers))) },
    { who: 'station', ...ofStation, neighbours: (await statusNow(station)).peers },
    { who: 'node-media-server, one player, no swarm', ...ofReference, neighbours: 0 },
  ];
  const down = (await Promise.all(viewers.map(statusNow))).map(({ downBytes }) => downBytes);
  return {
    costs,
    manifestShare: sum(down.map(({ manifest }) => manifest)) / sum(down.map(({ media }) => media)),
    delayP95Ms: percentile(
      meters.slice(2).flatMap(({ delaysMs }) => delaysMs),
      0.95,
    ),
  };
}

async function neighbours(viewers: readonly ShoalProcess[]): Promise<readonly number[]> {
  return (await Promise.all(viewers.map(statusNow))).map(({ peers }) => peers);
}

function medianOf(usages: readonly Usage[]): Usage {
  return {
    cpuPercent: median(usages.map(({ cpuPercent }) => cpuPercent)),
    residentMib: median(usages.map(({ residentMib }) => residentMib)),
  };
}

function highestOf(usages: readonly Usage[]): Usage {
  return {
    cpuPercent: Math.max(...usages.map(({ cpuPercent }) => cpuPercent)),
    residentMib: Math.max(...usages.map(({ residentMib }) => residentMib)),
  };
}

function rowOf({ who, neighbours, cpuPercent, residentMib }: Cost): Row {
  return [who, String(neighbours), show(cpuPercent, 1), show(residentMib)];
}

interface SigningCost {
  readonly what: string;
  readonly microsecondsPerWindow: number;
  readonly cpuPercent: number;
}

function signingRow({ what, microsecondsPerWindow, cpuPercent }: SigningCost): Row {
  return [what, show(microsecondsPerWindow), show(cpuPercent, 3)];
}

/** In this process, over the recording cut every half second: the station's part and a viewer's part. */
function measureSigning(recording: Recording): readonly SigningCost[] {
  const signer = createSigner(generateSeed());
  const windows = cut(recording);
  const authority = new Authority({ channel: CHANNEL, owner: signer.publicKey, verifier: nodeVerifier, wallClockMs: Date.now });
  const manifests = windows.map((content) => signManifest(content, CHANNEL, PIECE_BYTES, nodeHasher, signer));
  const costOf = (what: string, work: (index: number) => void): SigningCost => {
    const microsecondsPerWindow = median(Array.from({ length: ROUNDS }, () => timePerWindow(windows.length, work)));
    return { what, microsecondsPerWindow, cpuPercent: (microsecondsPerWindow * (1000 / WINDOW_MS)) / 1e4 };
  };
  const contentOf = (index: number): WindowContent => windows[index] as WindowContent;
  const hash = (index: number): void => {
    for (const piece of splitPieces(contentOf(index).bytes, PIECE_BYTES)) nodeHasher.sha256(piece);
  };
  return [
    costOf('SHA-256 of all pieces (station and viewer)', hash),
    costOf('hash all pieces and sign (station)', (index) => signManifest(contentOf(index), CHANNEL, PIECE_BYTES, nodeHasher, signer)),
    costOf('Ed25519 sign alone', (index) => signer.sign(manifests[index]?.bytes ?? new Uint8Array())),
    costOf('decode and verify the manifest (viewer)', (index) => {
      const manifest = decodeManifest(manifests[index]?.bytes ?? new Uint8Array(), PIECE_BYTES);
      if (!('pieceHashes' in manifest) || authority.judge(WINDOW_DOMAIN, manifest) !== 'valid') {
        throw new Error('A manifest that was just signed does not hold.');
      }
    }),
  ];
}

function timePerWindow(count: number, work: (index: number) => void): number {
  const startedMs = performance.now();
  for (let index = 0; index < count; index++) work(index);
  return ((performance.now() - startedMs) * 1000) / count;
}

/** Size and number are what counts here; the station cuts by finer rules. */
function cut({ frames }: Recording): readonly WindowContent[] {
  const byWindow = new Map<number, Uint8Array[]>();
  for (const frame of frames) {
    const number = Math.floor(frame.timestampMs / WINDOW_MS);
    byWindow.set(number, [...(byWindow.get(number) ?? []), encodeTag(frame)]);
  }
  const rest = { previous: null, discontinuity: false, durationMs: WINDOW_MS, keyMarks: [] };
  return [...byWindow].map(([number, tags]) => ({ ...rest, number, startMs: number * WINDOW_MS, bytes: Buffer.concat(tags) }));
}

/**
 * `npm run bench windows`: what length of a window and what size of a piece cost and give, in simulated swarms of the shipped exchange.
 *
 * Eight viewers, all linked to each other and to a publisher whose upload is limited to 2.2 times the bit rate. After a warm-up, over the time
 * measured: how far each viewer is behind the publisher's newest tag, sampled all along; copies of the media that the publisher sent; bytes that
 * are not piece payload, both directions, as a share of the media a viewer receives (a small message is taken to travel alone, with 40 bytes of TCP
 * and IP and 6 of frame); requests a viewer sends a second. Everything follows from the seed.
 */
import { createSigner, nodeHasher, nodeVerifier } from '../src/io/crypto.js';
import { LiveWorld } from '../src/sim/live-world.js';
import type { SimPeer } from '../src/sim/sim-peer.js';
import { LIVE_PARAMETERS } from '../test/support/live-parameters.js';

const WINDOWS_MS = [250, 500, 1_000, 2_000];
const PIECES_KIB = [8, 16, 32, 64];
const RATES = [
  { name: '2.5 Mbit/s', bytesPerSecond: 312_500 },
  { name: '500 kbit/s', bytesPerSecond: 62_500 },
];
const LATENCIES_MS = [20, 100];
const VIEWERS = 8;
const UPLOAD_RATIO = 2.2;
const WARM_UP_MS = 10_000;
const MEASURED_MS = 30_000;
/** No divisor of any window, so that samples fall everywhere between two deliveries. */
const SAMPLE_MS = 47;
const SEED = 1;

interface Setting {
  readonly windowMs: number;
  readonly pieceKiB: number;
  readonly bytesPerSecond: number;
  readonly latencyMs: number;
}

interface Outcome {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly copies: number;
  readonly overhead: number;
  readonly requestsPerSecond: number;
  readonly stalls: number;
}

/** Traffic and stalls so far. */
interface Counts {
  readonly overheadBytes: number;
  readonly mediaBytes: number;
  readonly requests: number;
  readonly publisherBytes: number;
  readonly stalls: number;
}

function begin({ windowMs, pieceKiB, bytesPerSecond, latencyMs }: Setting): LiveWorld {
  const world = new LiveWorld({
    seed: SEED,
    parameters: { ...LIVE_PARAMETERS, windowMs, pieceBytes: pieceKiB * 1024 },
    channel: 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00',
    hasher: nodeHasher,
    verifier: nodeVerifier,
    signer: createSigner(new Uint8Array(32).fill(1)),
    bytesPerSecond,
    keyIntervalMs: 2_000,
    latencyMs: [latencyMs, latencyMs],
    publisherUpBytesPerSecond: bytesPerSecond * UPLOAD_RATIO,
    viewerUpBytesPerSecond: 0,
  });
  for (let index = 0; index < VIEWERS; index++) world.join(`viewer ${index}`);
  return world;
}

function count(world: LiveWorld): Counts {
  const sum = (figure: (peer: SimPeer) => number): number => world.peers.reduce((total, peer) => total + figure(peer), 0);
  return {
    overheadBytes: sum(({ up, down }) => up.overheadBytes + down.overheadBytes),
    mediaBytes: sum(({ down }) => down.payloadBytes),
    requests: sum(({ up }) => up.requestMessages),
    publisherBytes: world.publisher.up.payloadBytes,
    stalls: sum((peer) => peer.figures().stalls),
  };
}

/** How far a viewer is behind now. A window's last tag is as old as the moment it was cut, and the publisher's newest tag is from now. */
function behindMs(world: LiveWorld, peer: SimPeer): number {
  const newest = peer.deliveries.at(-1);
  return newest ? world.clock.nowMs() - newest.atMs + newest.afterCutMs : Number.POSITIVE_INFINITY;
}

function measure(setting: Setting): Outcome {
  const world = begin(setting);
  world.run(WARM_UP_MS);
  const before = count(world);
  const samples: number[] = [];
  for (let spentMs = 0; spentMs < MEASURED_MS; spentMs += SAMPLE_MS) {
    world.run(SAMPLE_MS);
    for (const peer of world.peers) samples.push(behindMs(world, peer));
  }
  const after = count(world);
  samples.sort((a, b) => a - b);
  const at = (share: number): number => samples[Math.floor(samples.length * share)] ?? Number.POSITIVE_INFINITY;
  return {
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    copies: (after.publisherBytes - before.publisherBytes) / ((setting.bytesPerSecond * MEASURED_MS) / 1000),
    overhead: (after.overheadBytes - before.overheadBytes) / (after.mediaBytes - before.mediaBytes),
    requestsPerSecond: (after.requests - before.requests) / VIEWERS / (MEASURED_MS / 1000),
    stalls: after.stalls - before.stalls,
  };
}

function row({ windowMs, pieceKiB }: Setting, { p50Ms, p95Ms, copies, overhead, requestsPerSecond, stalls }: Outcome): string {
  const cells = [
    windowMs,
    `${pieceKiB} KiB`,
    Math.round(p50Ms),
    Math.round(p95Ms),
    copies.toFixed(2),
    `${(overhead * 100).toFixed(1)} %`,
    requestsPerSecond.toFixed(1),
    stalls,
  ];
  return `| ${cells.join(' | ')} |`;
}

for (const { name, bytesPerSecond } of RATES) {
  for (const latencyMs of LATENCIES_MS) {
    process.stdout.write(`\n${name}, ${latencyMs} ms one way\n\n`);
    process.stdout.write('| window, ms | piece | delay p50, ms | delay p95, ms | copies sent | overhead | requests/s | stalls |\n');
    process.stdout.write('|---|---|---|---|---|---|---|---|\n');
    for (const windowMs of WINDOWS_MS) {
      for (const pieceKiB of PIECES_KIB) {
        const setting = { windowMs, pieceKiB, bytesPerSecond, latencyMs };
        process.stdout.write(`${row(setting, measure(setting))}\n`);
      }
    }
  }
}

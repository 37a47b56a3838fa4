/**
 * One run of a scenario with titles, and its figures.
 */
import type { Milliseconds } from '../kernel/units.js';
import { measured, type Outcome } from './figure.js';
import type { VodScenario } from './scenario.js';
import { jain, meanOf, quantile, ratio } from './statistics.js';
import type { VodPeer } from './vod-peer.js';
import { type VodHooks, VodWorld } from './vod-world.js';

/** A picture that comes faster than this after a jump was there already. */
const WAITS_MS: Milliseconds = 50;
const SERIES_STEP_S = 5;

export function runVod(scenario: VodScenario, seed: number, nowMs: () => Milliseconds, hooks: VodHooks = {}): Outcome {
  const startedMs = nowMs();
  const world = new VodWorld(scenario, seed, hooks);
  const series = { 'load of the source (Mbit/s)': [] as number[], 'viewers who wait (%)': [] as number[] };
  let sentBytes = 0;
  for (let atS = 0; atS < scenario.durationS; atS += SERIES_STEP_S) {
    const stepS = Math.min(SERIES_STEP_S, scenario.durationS - atS);
    world.run(stepS * 1000);
    const nowSentBytes = sourceBytes(world);
    series['load of the source (Mbit/s)'].push(((nowSentBytes - sentBytes) * 8) / stepS / 1e6);
    sentBytes = nowSentBytes;
    series['viewers who wait (%)'].push(waitingPercent(world));
  }
  world.close();
  return {
    ...outcomeOf(world, scenario),
    series: scenario.player.plays ? series : { 'load of the source (Mbit/s)': series['load of the source (Mbit/s)'] },
    seriesStepS: SERIES_STEP_S,
    digest: world.log.digest(),
    events: world.log.count,
    wallMs: nowMs() - startedMs,
  };
}

function outcomeOf(world: VodWorld, scenario: VodScenario): Pick<Outcome, 'figures' | 'distributions' | 'controlBytesByKind'> {
  const viewers = world.peers.filter(({ counts }) => counts);
  const all = world.peers.filter(({ options }) => options.kind !== 'source');
  const records = viewers.flatMap(({ players }) => players.slice(0, 1).map(({ record }) => record));
  const players = viewers.flatMap((peer) => peer.players.map(({ record }) => record));
  const startUps = records.flatMap(({ startUpMs }) => startUpMs ?? []);
  const seeks = players.flatMap(({ seekMs }) => seekMs);
  const switches = viewers.flatMap((peer) => peer.players.slice(1).flatMap(({ record }) => record.startUpMs ?? []));
  const sum = (peers: readonly VodPeer[], of: (peer: VodPeer) => number): number => peers.reduce((total, peer) => total + of(peer), 0);
  const receivedBytes = sum(viewers, ({ traffic }) => traffic.fromSourcesBytes + traffic.fromPeersBytes);
  const playedMs = players.reduce((total, record) => total + record.playedMs, 0);
  const stallMs = players.reduce((total, record) => total + record.stallMs, 0);
  const titleBytes = world.titles[0]?.shape.totalBytes ?? 0;
  const completeS = viewers.flatMap((peer) => completionS(peer) ?? []);
  const abandoned = players.reduce((total, record) => total + record.abandonedSeeks, 0);
  const greedy = all.filter(({ options }) => options.kind === 'greedy').map((peer) => downloadRate(world, peer));
  const honestRates = viewers.map((peer) => downloadRate(world, peer));
  return {
    figures: measured({
      startUpP50Ms: quantile(startUps, 0.5),
      startUpP95Ms: quantile(startUps, 0.95),
      neverStarted: scenario.player.plays ? 1 - startUps.length / records.length : undefined,
      seekP50Ms: quantile(seeks, 0.5),
      seekP95Ms: quantile(seeks, 0.95),
      seeksWaiting: ratio(seeks.filter((ms) => ms > WAITS_MS).length + abandoned, seeks.length + abandoned),
      abandonedSeeks: ratio(abandoned, seeks.length + abandoned),
      switchP50Ms: quantile(switches, 0.5),
      switchP95Ms: quantile(switches, 0.95),
      stallsPerHour: ratio(
        players.reduce((total, record) => total + record.stalls, 0),
        playedMs / 3_600_000,
      ),
      rebufferRatio: ratio(stallMs, stallMs + playedMs),
      completeP50S: quantile(completeS, 0.5),
      sourceCopies: ratio(sourceBytes(world), titleBytes),
      sourceMbitPerSecond: (sourceBytes(world) * 8) / scenario.durationS / 1e6,
      peerShare: ratio(
        sum(viewers, ({ traffic }) => traffic.fromPeersBytes),
        receivedBytes,
      ),
      shareRatio: ratio(
        sum(viewers, ({ traffic }) => traffic.sentBytes),
        receivedBytes,
      ),
      controlRatio: ratio(
        sum(viewers, ({ traffic }) => traffic.controlBytes),
        receivedBytes,
      ),
      duplicateRatio: ratio(
        sum(viewers, ({ traffic }) => traffic.duplicateBytes),
        receivedBytes,
      ),
      wrongRatio: ratio(
        sum(viewers, ({ traffic }) => traffic.wrongBytes),
        receivedBytes,
      ),
      bans:
        scenario.faults.polluterRatio > 0
          ? ratio(
              sum(viewers, ({ accused }) => accused.size),
              viewers.length,
            )
          : undefined,
      innocentBans: sum(viewers, (peer) => innocent(world, peer)),
      uploadFairness: jain(viewers.map(({ traffic, options }) => traffic.sentBytes / (options.upBytesPerSecond || 1))),
      downloadFairness: jain(honestRates),
      greedyRatio: greedy.length > 0 ? meanOf(greedy) / meanOf(honestRates) : undefined,
    }),
    distributions: {
      ...(startUps.length > 0 ? { 'start-up (s)': startUps.map(seconds) } : {}),
      ...(seeks.length > 0 ? { 'seek (s)': seeks.map(seconds) } : {}),
      ...(switches.length > 0 ? { 'switch (s)': switches.map(seconds) } : {}),
      ...(scenario.player.plays ? { 'time stalled by viewer (s)': records.map(({ stallMs: ms }) => ms / 1000) } : {}),
      ...(completeS.length > 0 ? { 'whole title here (s)': completeS } : {}),
    },
    controlBytesByKind: addedUp(world.peers.map(({ traffic }) => traffic.controlByKind)),
  };
}

/** Sums of equal keys, the largest first. */
export function addedUp(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums = new Map<string, number>();
  for (const record of records) for (const [key, value] of Object.entries(record)) sums.set(key, (sums.get(key) ?? 0) + value);
  return Object.fromEntries([...sums].sort(([, a], [, b]) => b - a));
}

function sourceBytes({ peers }: VodWorld): number {
  return peers.reduce((sum, { options, traffic }) => sum + (options.kind === 'source' ? traffic.sentBytes : 0), 0);
}

function waitingPercent({ peers }: VodWorld): number {
  const watching = peers.filter((peer) => peer.counts && !peer.isGone && peer.player?.hasEnded === false);
  return watching.length === 0 ? 0 : (watching.filter(({ player }) => player?.isWaiting).length * 100) / watching.length;
}

/** Bytes a second while it had something to fetch. */
function downloadRate(world: VodWorld, peer: VodPeer): number {
  const { joinedMs } = peer.options;
  const [task] = peer.tasks.values();
  const untilMs = task?.completeMs ?? peer.leftMs ?? world.clock.nowMs();
  const { fromSourcesBytes, fromPeersBytes } = peer.traffic;
  return ((fromSourcesBytes + fromPeersBytes) * 1000) / Math.max(1, untilMs - joinedMs);
}

function completionS(peer: VodPeer): number | undefined {
  const [task] = peer.tasks.values();
  return task?.completeMs === undefined ? undefined : (task.completeMs - peer.options.joinedMs) / 1000;
}

function innocent(world: VodWorld, { accused }: VodPeer): number {
  return world.peers.filter(({ name, options }) => accused.has(name) && options.habit !== 'polluter' && options.habit !== 'liar').length;
}

function seconds(ms: Milliseconds): number {
  return ms / 1000;
}

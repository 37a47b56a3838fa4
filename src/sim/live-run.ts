/**
 * One run of a scenario with a live channel, and its figures.
 *
 * Viewers come, watch, and leave or fail as the scenario says; a tracker gives those that ask new neighbours. What a viewer would have seen is
 * worked out from what its exchange delivered, by a player that begins with some media in hand and then goes on in real time.
 */
import type { Rng } from '../kernel/rng.js';
import type { InfoHash, Milliseconds } from '../kernel/units.js';
import type { LiveParameters } from '../relay/exchange/live-parameters.js';
import { BUFFER_BYTES, GIVE_UP_MS, SILENT_MS } from '../relay/exchange/live-parameters.js';
import { between, exponential, namedRng, sample } from './chance.js';
import { EventLog } from './event-log.js';
import { measured, type Outcome } from './figure.js';
import { Latencies } from './latencies.js';
import { LivePlayer } from './live-player.js';
import { LiveWorld, type Tamper } from './live-world.js';
import { type HabitName, POLLUTERS, tamperOf } from './misbehaviour.js';
import { PeerFinding } from './peer-finding.js';
import { PieceWatch } from './piece-watch.js';
import type { LiveScenario } from './scenario.js';
import type { SimPeer } from './sim-peer.js';
import type { SimulationPorts } from './simulation.js';
import { jain, meanOf, quantile, ratio } from './statistics.js';
import { viewerLine } from './viewer-line.js';

const CHANNEL: InfoHash = 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00';
const SERIES_STEP_S = 1;
/** Windows younger than this at the end are not due yet. */
const DUE_MS: Milliseconds = 6_000;
const CONTINUITY_AIM = 0.99;

/** What comes later than this after its window was cut is slow: the aim of the issue for the delay. */
const SLOW_MS: Milliseconds = 3_000;
/** What polluters do, one after the other: bad data of every kind, and maps that are not true. */
const POLLUTING: readonly HabitName[] = [...POLLUTERS, 'claims to hold everything', 'claims the far future'];
/** It is over when this much time after it is as it should be, on average: one late window of many makes no second crash. */
const RECOVERED_S = 5;

/** What was due, and what came in time. */
interface Dues {
  due: number;
  onTime: number;
  pieces: number;
  latePieces: number;
  /** Of windows cut while it watched: pieces, and slow ones among them. */
  freshPieces: number;
  slowPieces: number;
}

const NO_DUES: Readonly<Dues> = { due: 0, onTime: 0, pieces: 0, latePieces: 0, freshPieces: 0, slowPieces: 0 };

const DUE_KEYS = Object.keys(NO_DUES) as readonly (keyof Dues)[];

/** What one viewer saw. */
interface Sight {
  readonly startUpMs: Milliseconds | undefined;
  /** By second since the world began. */
  readonly due: ReadonlyMap<number, Readonly<Dues>>;
  readonly stalls: number;
  readonly stallMs: Milliseconds;
  /** From the first picture on. */
  readonly watchedMs: Milliseconds;
}

const NOTHING_SEEN: Sight = { startUpMs: undefined, due: new Map(), stalls: 0, stallMs: 0, watchedMs: 0 };

export function runLive(scenario: LiveScenario, seed: number, ports: SimulationPorts, onLine?: (line: string) => void): Outcome {
  const startedMs = ports.nowMs();
  const run = new LiveRun(scenario, seed, ports, onLine);
  run.go();
  return { ...run.outcome(), digest: run.log.digest(), events: run.log.count, wallMs: ports.nowMs() - startedMs };
}

class LiveRun {
  readonly log: EventLog;
  readonly #scenario: LiveScenario;
  readonly #seed: number;
  readonly #ports: SimulationPorts;
  readonly #world: LiveWorld;
  readonly #parameters: LiveParameters;
  readonly #watch: PieceWatch;
  /** All that have ever watched. */
  readonly #viewers: SimPeer[] = [];
  readonly #leftMs = new Map<SimPeer, Milliseconds>();
  readonly #late = new Set<SimPeer>();
  readonly #wrongdoers = new Set<string>();
  readonly #faultRanks: number[] = [];
  #count = 0;
  /** Sent by the publisher before the warm-up was over, and what the source had made by then. */
  #before = { sentBytes: 0, madeBytes: 0 };

  constructor(scenario: LiveScenario, seed: number, ports: SimulationPorts, onLine?: (line: string) => void) {
    const { channel, publisher, viewers, network } = scenario;
    const bytesPerSecond = channel.bitsPerSecond / 8;
    this.#scenario = scenario;
    this.#seed = seed;
    this.#ports = ports;
    this.log = new EventLog(onLine);
    this.#parameters = {
      ...(ports.exchange as unknown as LiveParameters),
      bufferBytes: BUFFER_BYTES,
      silentMs: SILENT_MS,
      giveUpMs: GIVE_UP_MS,
      targetNeighbours: viewers.neighbours,
      maxViewers: viewers.publisherNeighbours,
      ...parametersOf(scenario.exchange),
    };
    this.#watch = new PieceWatch({
      pieceBytes: this.#parameters.pieceBytes,
      windowMs: this.#parameters.windowMs,
      bufferMs: scenario.player.bufferMs,
      cutOf: (number) => this.#world.cut.get(number),
      slowMs: SLOW_MS,
      isWrongdoer: (name) => this.#wrongdoers.has(name),
      publisher: 'publisher',
    });
    const latencies = new Latencies(network, seed);
    const finding = new PeerFinding(seed);
    this.#world = new LiveWorld({
      seed,
      parameters: this.#parameters,
      channel: CHANNEL,
      hasher: ports.hasher,
      verifier: ports.verifier,
      signer: ports.signer(new Uint8Array(32).fill(1)),
      bytesPerSecond,
      keyIntervalMs: channel.keyIntervalMs,
      latencyMs: network.latencyMs,
      latencyBetween: (one, other) => latencies.between(one, other),
      network: { seed, lossRatio: network.lossRatio, jitterMs: network.jitterMs },
      publisherUpBytesPerSecond: bytesPerSecond * publisher.upRatio,
      viewerUpBytesPerSecond: bytesPerSecond * viewers.upRatio,
      mends: true,
      onLog: (line) => this.log.line(this.#world.clock.nowMs(), line),
      ...finding.hooks,
      onStep: this.#watch.onStep,
    });
    finding.serve(this.#world);
  }

  go(): void {
    const { viewers, durationS } = this.#scenario;
    const arrivals = namedRng(this.#seed, 'arrivals');
    for (let index = 0; index < viewers.count; index++) this.#at(arrivals.float() * viewers.arrivalS, () => this.#join(index));
    this.#scheduleFaults();
    for (let index = 0; index < viewers.lateJoinerCount; index++)
      this.#at(viewers.warmUpS + (index + 1) * viewers.lateJoinEveryS, () => this.#late.add(this.#join(undefined)));
    this.#world.run(viewers.warmUpS * 1000);
    this.#before = { sentBytes: this.#world.publisher.up.payloadBytes, madeBytes: this.#madeBytes() };
    this.#world.run((durationS - viewers.warmUpS) * 1000);
  }

  #at(seconds: number, run: () => void): void {
    this.#world.clock.after(seconds * 1000, run);
  }

  /** @param index of those who come at first; undefined for all later ones, who do nothing wrong. */
  #join(index: number | undefined): SimPeer {
    const { viewers, faults } = this.#scenario;
    const number = this.#count++;
    const name = `viewer ${number}`;
    const tamper = index === undefined ? undefined : this.#tamperOf(index);
    const line = viewerLine(this.#scenario, this.#seed, number);
    const peer = this.#world.join(name, { neighbours: viewers.neighbours, ...line, ...(tamper ? { tamper } : {}) });
    this.#viewers.push(peer);
    if (tamper) this.#wrongdoers.add(name);
    const stays = namedRng(this.#seed, `stay ${name}`);
    const crashes = stays.float() < faults.crashRatio;
    if (faults.meanStayS > 0 && !tamper) this.#at(exponential(stays, faults.meanStayS), () => this.#leave(peer, crashes));
    if (faults.departChance > 0 && !tamper) this.#considerDeparture(peer, namedRng(this.#seed, `depart ${name}`));
    return peer;
  }

  /** Again and again a viewer may leave for a while; when it comes back it has nothing any more. */
  #considerDeparture(peer: SimPeer, rng: Rng): void {
    const { departEveryS, departChance, returnAfterS, crashRatio } = this.#scenario.faults;
    this.#at(between(rng, departEveryS), () => {
      if (this.#leftMs.has(peer)) return;
      if (rng.float() >= departChance) return this.#considerDeparture(peer, rng);
      this.#end(peer, rng.float() < crashRatio);
      this.#at(between(rng, returnAfterS), () => void this.#join(undefined));
    });
  }

  /** By index: the place in the order in which faults are dealt. */
  get #ranks(): readonly number[] {
    if (this.#faultRanks.length > 0) return this.#faultRanks;
    const { count } = this.#scenario.viewers;
    const indexes = Array.from({ length: count }, (_, at) => at);
    for (const [rank, index] of sample(namedRng(this.#seed, 'faults'), indexes, count).entries()) this.#faultRanks[index] = rank;
    return this.#faultRanks;
  }

  /** Who does what wrong is drawn once; polluters take the habits in turn, in each world beginning with another. */
  #tamperOf(index: number): Tamper | undefined {
    const { faults, viewers } = this.#scenario;
    const rank = this.#ranks[index] ?? viewers.count;
    const polluters = Math.round(faults.polluterRatio * viewers.count);
    const liars = polluters + Math.round(faults.liarRatio * viewers.count);
    const riders = liars + Math.round(faults.freeRiderRatio * viewers.count);
    const habit: HabitName | undefined =
      rank < polluters
        ? POLLUTING[(rank + this.#seed) % POLLUTING.length]
        : rank < liars
          ? 'claims to hold everything'
          : rank < riders
            ? 'takes and never tells'
            : undefined;
    if (habit === undefined) return undefined;
    const [owner, stranger] = [1, 2].map((byte) => this.#ports.signer(new Uint8Array(32).fill(byte)));
    if (!owner || !stranger) return undefined;
    return tamperOf(habit, { channel: CHANNEL, owner, stranger, hasher: this.#ports.hasher });
  }

  #leave(peer: SimPeer, crashes: boolean): void {
    if (this.#leftMs.has(peer)) return;
    this.#end(peer, crashes);
    if (this.#scenario.viewers.areReplaced) this.#join(undefined);
  }

  #end(peer: SimPeer, crashes: boolean): void {
    this.#leftMs.set(peer, this.#world.clock.nowMs());
    if (crashes) this.#world.cutOff(peer);
    else this.#world.kill(peer);
  }

  #scheduleFaults(): void {
    const { faults } = this.#scenario;
    const some = (purpose: string, part: number): SimPeer[] =>
      sample(namedRng(this.#seed, purpose), [...this.#world.peers], Math.round(this.#world.peers.length * part));
    if (faults.crashAtRatio > 0)
      this.#at(faults.crashAtS, () => {
        for (const peer of some('crash', faults.crashAtRatio)) {
          this.#leftMs.set(peer, this.#world.clock.nowMs());
          this.#world.cutOff(peer);
        }
      });
    if (faults.freezeRatio > 0) {
      let frozen: readonly SimPeer[] = [];
      const set = (is: boolean): void => {
        for (const { host } of frozen) host.frozen = is;
      };
      this.#at(faults.freezeAtS, () => {
        frozen = some('freeze', faults.freezeRatio);
        for (const { name } of frozen) this.#wrongdoers.add(name);
        set(true);
      });
      this.#at(faults.freezeAtS + faults.freezeForS, () => set(false));
    }
    if (faults.partitionRatio > 0) {
      this.#at(faults.partitionAtS, () => this.#world.partition(some('partition', faults.partitionRatio)));
      this.#at(faults.partitionAtS + faults.partitionForS, () => this.#world.heal());
    }
  }

  #madeBytes(): number {
    return [...this.#world.cut.values()].reduce((sum, { content }) => sum + content.bytes.length, 0);
  }

  /** What a player made of the deliveries. */
  #sightOf(peer: SimPeer): Sight {
    const endMs = Math.min(this.#leftMs.get(peer) ?? Number.POSITIVE_INFINITY, this.#world.clock.nowMs() - DUE_MS);
    const { latePieces, slowPieces } = this.#watch.of(peer);
    const player = new LivePlayer(this.#scenario.player.bufferMs, this.#parameters.windowMs);
    const came = new Map(
      peer.deliveries.map((delivery, index) => {
        const lateMs = player.take(delivery.number, delivery.atMs);
        return [delivery.number, { ...delivery, lateMs, latePieces: latePieces[index] ?? 0, slowPieces: slowPieces[index] ?? 0 }];
      }),
    );
    const { startMs, first } = player;
    if (startMs === undefined || first === undefined || startMs > endMs) return NOTHING_SEEN;
    const due = new Map<number, Dues>();
    let [stalls, stallMs] = [0, 0];
    for (const [number, cut] of this.#world.cut) {
      const dueMs = startMs + (number - first) * this.#parameters.windowMs + stallMs;
      if (number < first || dueMs > endMs || cut.atMs > endMs) continue;
      const second = Math.floor(dueMs / 1000);
      const count = due.get(second) ?? { ...NO_DUES };
      due.set(second, count);
      const got = came.get(number);
      const pieces = Math.ceil(cut.content.bytes.length / this.#parameters.pieceBytes);
      count.due += 1;
      count.pieces += pieces;
      count.latePieces += got ? got.latePieces : pieces;
      if (cut.atMs > startMs) {
        count.freshPieces += pieces;
        count.slowPieces += got ? got.slowPieces : pieces;
      }
      if (!got) continue;
      // Of a window in part, what it lacks did not come in time.
      if (got.lateMs <= 0) count.onTime += 1 - got.missedBytes / cut.content.bytes.length;
      else [stalls, stallMs] = [stalls + 1, stallMs + got.lateMs];
    }
    return { startUpMs: startMs - peer.joinedMs, due, stalls, stallMs, watchedMs: endMs - startMs };
  }

  outcome(): Omit<Outcome, 'digest' | 'events' | 'wallMs'> {
    const { viewers, durationS, faults } = this.#scenario;
    const honest = this.#viewers.filter(({ name }) => !this.#wrongdoers.has(name));
    const sights = honest.map((peer) => this.#sightOf(peer));
    const warmMs = viewers.warmUpS * 1000;
    const delays = honest.flatMap(({ deliveries }) => deliveries.filter(({ atMs }) => atMs >= warmMs).map(({ afterCutMs }) => afterCutMs));
    const settled = honest.filter(({ joinedMs }) => joinedMs < warmMs);
    const newcomers = this.#late.size > 0 ? honest.filter((peer) => this.#late.has(peer)) : honest;
    const startUps = honest.flatMap((peer, at) => (this.#late.size === 0 || this.#late.has(peer) ? (sights[at]?.startUpMs ?? []) : []));
    const continuity = this.#continuity(sights);
    const figures = honest.map((peer) => peer.figures());
    const [fromPeers, fromPublishers, duplicates] = (['fromPeersBytes', 'fromPublishersBytes', 'duplicateBytes'] as const).map((key) =>
      figures.reduce((sum, figure) => sum + figure[key], 0),
    ) as [number, number, number];
    const watchedMs = sights.reduce((sum, sight) => sum + sight.watchedMs, 0);
    const counted = continuity.slice(Math.floor(viewers.warmUpS));
    const delivered = honest.reduce((sum, { deliveries }) => sum + deliveries.length, 0);
    const downBytes = honest.reduce((sum, { down }) => sum + down.payloadBytes, 0);
    const isPolluted = faults.polluterRatio > 0;
    return {
      figures: measured({
        startUpP50Ms: quantile(startUps, 0.5),
        startUpP95Ms: quantile(startUps, 0.95),
        neverStarted: ratio(sights.filter(({ startUpMs }) => startUpMs === undefined).length, sights.length),
        firstPeerPieceP95Ms:
          this.#late.size > 0
            ? quantile(
                newcomers.map((peer) => this.#firstPeerPieceMs(peer)),
                0.95,
              )
            : undefined,
        continuity: ratio(totalOf(counted, 'onTime'), totalOf(counted, 'due')),
        slowPieces: ratio(totalOf(counted, 'slowPieces'), totalOf(counted, 'freshPieces')),
        latePieces: ratio(totalOf(counted, 'latePieces'), totalOf(counted, 'pieces')),
        stallsPerHour: ratio(
          sights.reduce((sum, { stalls }) => sum + stalls, 0),
          watchedMs / 3_600_000,
        ),
        rebufferRatio: ratio(
          sights.reduce((sum, { stallMs }) => sum + stallMs, 0),
          watchedMs,
        ),
        delayP50Ms: quantile(delays, 0.5),
        delayP95Ms: quantile(delays, 0.95),
        skippedWindows: ratio(
          honest.reduce((sum, { skipped }) => sum + skipped, 0),
          honest.reduce((sum, { deliveries, skipped }) => sum + deliveries.length + skipped, 0),
        ),
        holedWindows: ratio(
          figures.reduce((sum, { windowsInPart }) => sum + windowsInPart, 0),
          delivered,
        ),
        badWindows: honest.reduce((sum, { deliveries }) => sum + deliveries.filter(({ intact }) => !intact).length, 0),
        sourceCopies: ratio(this.#world.publisher.up.payloadBytes - this.#before.sentBytes, this.#madeBytes() - this.#before.madeBytes),
        sourceMbitPerSecond: ((this.#world.publisher.up.payloadBytes - this.#before.sentBytes) * 8) / (durationS - viewers.warmUpS) / 1e6,
        peerShare: ratio(fromPeers, fromPeers + fromPublishers),
        controlRatio: ratio(
          [this.#world.publisher, ...honest].reduce((sum, { up }) => sum + up.overheadBytes, 0),
          downBytes,
        ),
        socketControlRatio: ratio(
          [this.#world.publisher, ...honest].reduce((sum, { up }) => sum + up.socketOverheadBytes, 0),
          downBytes,
        ),
        duplicateRatio: ratio(duplicates, downBytes),
        firstTimeoutsPerMinute: ratio(
          figures.reduce((sum, { firstTimeouts }) => sum + firstTimeouts, 0),
          watchedMs / 60_000,
        ),
        secondTimeoutsPerHour: ratio(
          figures.reduce((sum, { secondTimeouts }) => sum + secondTimeouts, 0),
          watchedMs / 3_600_000,
        ),
        turnedAwayPerHour: ratio(
          figures.reduce((sum, { turnedAway }) => sum + turnedAway, 0),
          watchedMs / 3_600_000,
        ),
        letGoPerHour: ratio(
          figures.reduce((sum, { letGo }) => sum + letGo, 0),
          watchedMs / 3_600_000,
        ),
        badPieces: isPolluted ? meanOf(figures.map(({ badPieces }) => badPieces)) : undefined,
        badPiecesMost: isPolluted ? Math.max(0, ...honest.flatMap((peer) => [...this.#watch.of(peer).wrongFrom.values()])) : undefined,
        bans: isPolluted ? meanOf(honest.map(({ bans }) => bans.length)) : undefined,
        innocentBans: honest.reduce((sum, { bans }) => sum + bans.filter(({ name }) => !this.#wrongdoers.has(name)).length, 0),
        uploadFairness: jain(settled.map(({ up }) => up.payloadBytes)),
        recoveryS: faults.crashAtRatio > 0 ? recoveryS(continuity, faults.crashAtS) : undefined,
        healedS: faults.partitionRatio > 0 ? recoveryS(continuity, faults.partitionAtS + faults.partitionForS) : undefined,
      }),
      distributions: {
        'delay behind the publisher (ms)': delays,
        'start-up (s)': startUps.map((ms) => ms / 1000),
      },
      series: {
        'windows on time (%)': counted.map(({ onTime, due }) => ratio(onTime, due) * 100 || 0),
      },
      seriesStepS: SERIES_STEP_S,
      controlBytesByKind: this.#controlByKind(),
    };
  }

  /** By second of the world, over all viewers. */
  #continuity(sights: readonly Sight[]): readonly Readonly<Dues>[] {
    const seconds = Math.max(0, Math.floor(this.#scenario.durationS - DUE_MS / 1000));
    return Array.from({ length: seconds }, (_, second) => {
      const sum = { ...NO_DUES };
      for (const { due } of sights) {
        const own = due.get(second);
        if (own) for (const key of DUE_KEYS) sum[key] += own[key];
      }
      return sum;
    });
  }

  /** From joining until somebody who is no publisher has sent something; who waits still has waited until now. */
  #firstPeerPieceMs(peer: SimPeer): Milliseconds {
    return (this.#watch.of(peer).firstFromViewerMs ?? this.#world.clock.nowMs()) - peer.joinedMs;
  }

  #controlByKind(): Record<string, number> {
    const bytes: Record<string, number> = {};
    for (const { up } of [this.#world.publisher, ...this.#viewers])
      for (const [kind, value] of Object.entries(up.bytesByKind)) if (kind !== 'media') bytes[kind] = (bytes[kind] ?? 0) + value;
    return bytes;
  }
}

/** From a moment until the seconds from then on are, on average, as they should be. */
function recoveryS(continuity: readonly Readonly<Dues>[], fromS: number): number {
  const after = continuity.slice(Math.floor(fromS));
  const isBack = (_: unknown, second: number): boolean => {
    const next = after.slice(second, second + RECOVERED_S);
    return totalOf(next, 'due') > 0 && totalOf(next, 'onTime') >= CONTINUITY_AIM * totalOf(next, 'due');
  };
  const first = after.findIndex(isBack);
  return first < 0 ? after.length : first;
}

function totalOf(dues: readonly Readonly<Dues>[], key: keyof Dues): number {
  return dues.reduce((sum, dues) => sum + dues[key], 0);
}

function parametersOf(exchange: LiveScenario['exchange']): Partial<LiveParameters> {
  return Object.fromEntries(Object.entries(exchange).map(([name, value]) => [name, value === 'all' ? Number.POSITIVE_INFINITY : value]));
}

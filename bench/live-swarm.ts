/**
 * A live swarm of real processes: one station, twenty viewers or more, each limited by Shoal's own limiter; what a player at each of them sees, and what it costs.
 *
 * `npm run bench live-swarm [viewers] [variant …]`: 500 kbit/s, the station's upload 2.2 times and each viewer's 1.2 times that, as in the simulator's `live-*` scenarios, which
 * these runs are compared with. All on this machine: the table says what share of its cores that took, what others took, and how long viewers waited for a
 * core, because a machine that is too slow makes a swarm look bad. Peers that misbehave are the shipped ones in one process, with the habits of the simulator's.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { argv } from 'node:process';
import { nodeHasher, nodeVerifier } from '../src/io/crypto.js';
import { Malformed } from '../src/kernel/errors.js';
import { Rng } from '../src/kernel/rng.js';
import type { ChannelStatus } from '../src/relay/endpoints/channel-status.js';
import { decodeTrace } from '../src/relay/trace/live-trace.js';
import { replayLive } from '../src/sim/live-replay.js';
import type { HabitName } from '../src/sim/misbehaviour.js';
import type { ShoalProcess } from '../test/support/shoal-process.js';
import { BenchRun, type Row, type Settings } from './support/bench-run.js';
import { FarPlaces } from './support/far-places.js';
import { mean, percentile, show, showPercent, sum } from './support/figures.js';
import { MachineMeter, type MachineShare } from './support/machine-share.js';
import { NarrowLines, OPEN_ADDRESS, PLAYER_PORT } from './support/narrow-lines.js';
import type { PacedPublisher } from './support/paced-publisher.js';
import { countWithin, type Sight, type SourceFrame, sightOf } from './support/player-sight.js';
import { makeRecording, type Recording } from './support/recording.js';
import { publishTarget, statusNow } from './support/station.js';
import { type Departure, SwarmViewer } from './support/swarm-viewer.js';
import { type WireCounts, wireCounts, wireDelta } from './support/wire-counter.js';
import { type WrongReceipt, wrongReceipts } from './support/wrong-receipts.js';
import { droppedBy, Wrongdoers } from './support/wrongdoers.js';
import type { WrongdoerAccount } from './support/wrongdoers-process.js';

const BITS_PER_SECOND = 500_000;
const RECORDING_SECONDS = 60;
/** Before a narrow line: about what a home router queues. */
const LINE_QUEUE_BYTES = 262_144;
/** What most systems come with. */
const LINE_CONGESTION_CONTROL = 'cubic';
/** As the simulator's `network.latencyMs`: 10 to 60 ms one way. */
const FAR_MS = [30, 10, 60, 20, 50, 40];
const STATION_RATIO = 2.2;
const VIEWER_RATIO = 1.2;
const VIEWERS = 20;
/** Processes are started this far apart: each takes half a second of a core to load. */
const JOIN_EVERY_MS = 700;
const WARM_UP_MS = 20_000;
/** What has not come this long after the end is late for good. */
const DUE_MS = 6_000;
const PLAYER_BUFFER_MS = 1_000;
const CONTINUITY_AIM = 0.99;
const STEP_MS = 100;
/** As shipped (`live.windowMs`). */
const WINDOW_MS = 500;

const OVERHEAD_KINDS = ['map', 'manifest', 'request', 'control'] as const;
type OverheadKind = (typeof OVERHEAD_KINDS)[number];

interface Churn {
  /** How long somebody stays, and then is away. */
  readonly stayMs: (rng: Rng) => number;
  readonly awayMs: (rng: Rng) => number;
}

interface LinesOptions {
  /** What lines carry upwards, by bit rate, in turn. */
  readonly upRatios: readonly number[];
  /** Shoal's own limit, by line; 0: none. */
  readonly ownLimitRatio: number;
}

interface Variant {
  readonly name: string;
  readonly measuredMs: number;
  readonly station?: Settings;
  /** Upload of viewers, and of wrongdoers, by bit rate; `VIEWER_RATIO` if left out. */
  readonly viewerRatio?: number;
  /** Of viewers and of the station, beside the limits of their upload. */
  readonly live?: Settings;
  /** Viewers are behind lines that the kernel narrows, instead of Shoal's own limit or, if `ownLimitRatio` is not 0, beside it. */
  readonly lines?: LinesOptions;
  /** One way to each process, in turn, the station first. */
  readonly delaysMs?: readonly number[];
  readonly churn?: Churn;
  /** Half of the viewers go so, a third into the span. */
  readonly half?: Departure;
  /** So many join one by one, this far apart, and are what is measured. */
  readonly late?: { readonly count: number; readonly everyMs: number };
  /** So much of all viewers is none of the others, but peers with these habits, in turn. `areRecorded`: what comes to the honest ones is. */
  readonly wrongdoers?: { readonly ratio: number; readonly habits: readonly HabitName[]; readonly areRecorded?: boolean };
}

/** Flipped bytes, replayed pieces, another channel's windows, pieces cut short, and maps that are not true. */
const POLLUTING: readonly HabitName[] = [
  'flips a byte',
  'replays an old window',
  'serves another channel',
  'cuts pieces short',
  'claims to hold everything',
];

const VARIANTS: readonly Variant[] = [
  { name: 'static', measuredMs: 90_000 },
  // Goal 7: everybody leaves with a probability of 0.15 each 5 to 10 s, and is back after 1 to 5 s; half are killed.
  { name: 'churn', measuredMs: 120_000, churn: { stayMs: goal7StayMs, awayMs: (rng) => 1_000 + 4_000 * rng.float() } },
  { name: 'stay-300', measuredMs: 150_000, churn: { stayMs: (rng) => -300_000 * Math.log(1 - rng.float()), awayMs: () => 0 } },
  { name: 'half-killed', measuredMs: 45_000, half: 'killed' },
  { name: 'half-silent', measuredMs: 45_000, half: 'frozen' },
  { name: 'late', measuredMs: 55_000, station: { 'swarm.maxConnections': 4 }, late: { count: 10, everyMs: 5_000 } },
  { name: 'polluters', measuredMs: 90_000, wrongdoers: { ratio: 0.2, habits: POLLUTING, areRecorded: true } },
  { name: 'free-riders', measuredMs: 90_000, wrongdoers: { ratio: 0.5, habits: ['takes and never tells'] } },
  // As in the simulator's `live-free-riders`: enough for all, if the honest half gives it.
  { name: 'free-riders-3x', measuredMs: 90_000, viewerRatio: 3, wrongdoers: { ratio: 0.5, habits: ['takes and never tells'] } },
  // With room to spare: what is new is sent unasked, or pulled.
  { name: 'wide', measuredMs: 90_000, viewerRatio: 10 },
  { name: 'wide-pull', measuredMs: 90_000, viewerRatio: 10, live: { 'live.pushRatio': 0 } },
  // The same across a continent.
  { name: 'far', measuredMs: 90_000, viewerRatio: 10, delaysMs: FAR_MS },
  { name: 'far-pull', measuredMs: 90_000, viewerRatio: 10, live: { 'live.pushRatio': 0 }, delaysMs: FAR_MS },
  { name: 'equal-lines-limited', measuredMs: 90_000, lines: { upRatios: [1.75], ownLimitRatio: 0.9 } },
  { name: 'equal-lines', measuredMs: 90_000, lines: { upRatios: [1.75], ownLimitRatio: 0 } },
  { name: 'unequal-lines-limited', measuredMs: 90_000, lines: { upRatios: [0.5, 3], ownLimitRatio: 0.9 } },
  { name: 'unequal-lines', measuredMs: 90_000, lines: { upRatios: [0.5, 3], ownLimitRatio: 0 } },
];

const HEAD: Row = [
  'run',
  'viewers',
  'continuity',
  'worst viewer',
  'stalls per viewer hour',
  'start-up p50 / p95 ms',
  'delay p50 / p95 ms',
  'copies',
  'from peers',
  'overhead',
  'with headers',
  'twice',
  'jumped over',
];
const EVENT_HEAD: Row = [
  'run',
  'back to 0.99 within s',
  'first piece from a peer p50 / p95 ms',
  'recordings replayed alike',
  'left',
  'came',
];
const WRONGDOER_HEAD: Row = [
  'run',
  'wrongdoers',
  'MB at players',
  'wrong bytes among them',
  'wrong pieces a viewer took from one, most',
  'wrong manifests, most',
  'took any, pairs',
  'dropped for misbehaviour, pairs',
  'honest ones dropped, pairs',
  'media they gave / took, MB',
];
const OVERHEAD_HEAD: Row = ['run', 'maps', 'manifests', 'requests', 'other messages', 'frames and headers'];
const MACHINE_HEAD: Row = [
  'run',
  'cores',
  'own',
  'others',
  'waiting for a core, mean / worst',
  'neighbours',
  'one-shot timeouts per viewer minute',
];

interface Figures {
  readonly variant: string;
  readonly viewers: number;
  readonly continuity: number;
  readonly worstContinuity: number;
  /** Of each, in the order in which they came. */
  readonly continuityByViewer: readonly number[];
  readonly stallsPerHour: number;
  readonly startUpMs: readonly number[];
  readonly delayP50Ms: number;
  readonly delayP95Ms: number;
  readonly copies: number;
  readonly shareFromPeers: number;
  /** Bytes of the live exchange's messages that are no media, by media. */
  readonly overheadRatio: number;
  /** The same with all that goes over TCP, headers of segments included; where nobody leaves. */
  readonly wireOverheadRatio: number;
  /** Of the overhead, by kind of message. */
  readonly overheadByKind: Readonly<Record<OverheadKind, number>>;
  readonly duplicateRatio: number;
  readonly holes: number;
  readonly recoveryS: number;
  readonly firstFromPeerMs: readonly number[];
  readonly replays: readonly boolean[];
  readonly left: number;
  readonly came: number;
  readonly machine: MachineShare;
  readonly neighbours: number;
  readonly timeoutsPerMinute: number;
  readonly harm: Harm | undefined;
  readonly faults: readonly string[];
}

/** What wrongdoers brought about, from the beginning to the end. A pair is one viewer and one of its neighbours. */
interface Harm {
  readonly accounts: readonly WrongdoerAccount[];
  /** Media at all players, and what of it the source did not send. */
  readonly playedBytes: number;
  readonly wrongBytes: number;
  /** Most that one viewer took from one of them; `NaN` where nothing was recorded, because nothing wrong is sent. */
  readonly wrongPiecesMost: number;
  readonly wrongManifestsMost: number;
  /** Pairs in which anything wrong came. */
  readonly pairsWronged: number;
  /** Messages that nobody could judge. */
  readonly unjudged: number;
  readonly pairsDropped: number;
  readonly innocentDropped: number;
}

const words = argv.slice(2).filter((word) => !word.startsWith('--'));
const viewerCount = Number(words.find((word) => /^\d+$/.test(word)) ?? VIEWERS);
const names = words.filter((word) => !/^\d+$/.test(word));
const unknown = names.find((name) => !VARIANTS.some((variant) => variant.name === name));
if (unknown !== undefined) throw new Error(`there is no variant "${unknown}"; there are: ${VARIANTS.map(({ name }) => name).join(', ')}`);
// Namespaces and queues of the kernel take root, so these are run by name only.
const variants = VARIANTS.filter(({ name, lines }) => (names.length === 0 ? lines === undefined : names.includes(name)));
const limitMs = sum(variants.map(({ measuredMs }) => measuredMs + WARM_UP_MS + viewerCount * JOIN_EVERY_MS + 90_000)) + 120_000;

/** One variant, from the start of its processes to their end. */
class SwarmRun {
  readonly #run: BenchRun;
  readonly #recording: Recording;
  readonly #variant: Variant;
  readonly #rng = new Rng(6);
  readonly #viewers: SwarmViewer[] = [];
  readonly #late = new Set<SwarmViewer>();
  readonly #leaving: Promise<void>[] = [];
  #station: ShoalProcess | undefined;
  #lines: NarrowLines | undefined;
  #places: FarPlaces | undefined;
  #wrongdoers: Wrongdoers | undefined;
  #eventMs: number | undefined;
  #left = 0;
  #came = 0;

  constructor(run: BenchRun, recording: Recording, variant: Variant) {
    this.#run = run;
    this.#recording = recording;
    this.#variant = variant;
  }

  async go(): Promise<Figures> {
    const { measuredMs, station: settings, live } = this.#variant;
    if (this.#variant.lines) this.#lines = this.#run.keepLast(await NarrowLines.start());
    if (this.#variant.delaysMs) this.#places = this.#run.keepLast(new FarPlaces());
    const reach = this.#lines ? hostSettings(OPEN_ADDRESS) : await this.#placeOf(0);
    const limit = { 'swarm.uploadBytesPerSecond': this.#bytesPerSecond(STATION_RATIO) };
    const station = await this.#run.station({ ...limit, ...reach, ...settings, ...live });
    this.#station = station;
    const publisher = await this.#run.publish(this.#recording, [publishTarget(station)]);
    for (let index = 0; index < viewerCount; index++) {
      await this.#joinAs(index);
      await this.#run.wait(JOIN_EVERY_MS);
    }
    await Promise.all(this.#viewers.map((viewer) => viewer.whenWatching()));
    await this.#run.wait(WARM_UP_MS);
    const machine = new MachineMeter(() => this.#watching.map(({ process }) => process.program.pid));
    await machine.begin();
    const before = await this.#snapshot(publisher);
    await this.#measure(before.atMs + measuredMs);
    const after = await this.#snapshot(publisher);
    const share = await machine.end();
    await this.#run.wait(DUE_MS);
    await Promise.all(this.#leaving);
    const replays = await this.#replays();
    const figures = this.#figures(before, after, publisher, share, replays);
    return { ...figures, harm: await this.#harm() };
  }

  get #watching(): readonly SwarmViewer[] {
    return this.#viewers.filter(({ leftMs }) => leftMs === undefined);
  }

  /** Whether what comes to viewers from the beginning on is looked at message by message. */
  get #isRecorded(): boolean {
    return this.#variant.wrongdoers?.areRecorded === true;
  }

  get #viewerBytesPerSecond(): number {
    return this.#bytesPerSecond(this.#variant.viewerRatio ?? VIEWER_RATIO);
  }

  #bytesPerSecond(ratio: number): number {
    return Math.round(this.#recording.bytesPerSecond * ratio);
  }

  /** An honest one, or one of those who misbehave, who come evenly among the others. */
  async #joinAs(index: number): Promise<void> {
    const { ratio, habits } = this.#variant.wrongdoers ?? { ratio: 0, habits: [] };
    const before = Math.floor(index * ratio);
    const habit = Math.floor((index + 1) * ratio) > before ? habits[before % habits.length] : undefined;
    if (habit === undefined) this.#join(false, (await this.#lineOf(index)) ?? { within: [], settings: await this.#placeOf(index + 1) });
    else await this.#gang().join(habit);
  }

  #gang(): Wrongdoers {
    const station = this.#station as ShoalProcess;
    const { dataDir: stationDir, channel } = station;
    const uploadBytesPerSecond = this.#viewerBytesPerSecond;
    this.#wrongdoers ??= this.#run.keep(new Wrongdoers({ link: channel.link, stationDir, uploadBytesPerSecond }));
    return this.#wrongdoers;
  }

  /** Undefined where lines are not narrowed. */
  async #lineOf(index: number): Promise<ViewerPlace | undefined> {
    const { upRatios = [], ownLimitRatio = 0 } = this.#variant.lines ?? {};
    const ratio = upRatios[index % upRatios.length];
    if (!this.#lines || ratio === undefined) return undefined;
    const upBytesPerSecond = this.#bytesPerSecond(ratio);
    const options = { upBytesPerSecond, queueBytes: LINE_QUEUE_BYTES, congestionControl: LINE_CONGESTION_CONTROL };
    const { address, within } = await this.#lines.add(options);
    const limit = { 'swarm.uploadBytesPerSecond': Math.round(upBytesPerSecond * ownLimitRatio) };
    return { within, settings: { ...hostSettings(address), 'relay.http.host': address, 'relay.http.port': PLAYER_PORT, ...limit } };
  }

  /** Nothing where all are at the same place. */
  async #placeOf(index: number): Promise<Settings> {
    const delays = this.#variant.delaysMs ?? [];
    return (await this.#places?.add(delays[index % delays.length] ?? 0)) ?? {};
  }

  #join(isLate = false, { settings, within }: ViewerPlace = { settings: {}, within: [] }): SwarmViewer {
    const link = this.#station?.channel.link ?? '';
    const options = {
      link,
      settings: { 'swarm.uploadBytesPerSecond': this.#viewerBytesPerSecond, ...settings, ...this.#variant.live },
      within,
      recording: this.#recording,
      isRecorded: isLate || this.#isRecorded,
    };
    const viewer = this.#run.keep(new SwarmViewer(options));
    this.#viewers.push(viewer);
    if (isLate) this.#late.add(viewer);
    return viewer;
  }

  #leave(viewer: SwarmViewer, how: Departure): void {
    this.#left += 1;
    this.#leaving.push(viewer.leave(how));
  }

  /** Brings about what the variant says until then. */
  async #measure(endMs: number): Promise<void> {
    const { churn, half, late, measuredMs } = this.#variant;
    const startMs = endMs - measuredMs;
    const leaves = new Map<SwarmViewer, number>();
    const returns: number[] = [];
    if (churn) for (const viewer of this.#viewers) leaves.set(viewer, startMs + churn.stayMs(this.#rng));
    for (let nowMs = performance.now(); nowMs < endMs; nowMs = performance.now()) {
      if (churn) this.#churn(churn, leaves, returns, nowMs);
      if (half && this.#eventMs === undefined && nowMs >= startMs + measuredMs / 3) this.#removeHalf(half, nowMs);
      if (late && this.#late.size < late.count && nowMs >= startMs + this.#late.size * late.everyMs) this.#join(true);
      await this.#run.wait(STEP_MS);
    }
  }

  #churn({ stayMs, awayMs }: Churn, leaves: Map<SwarmViewer, number>, returns: number[], nowMs: number): void {
    for (const [viewer, leavesMs] of [...leaves]) {
      if (leavesMs > nowMs) continue;
      leaves.delete(viewer);
      this.#leave(viewer, this.#rng.float() < 0.5 ? 'killed' : 'leaves');
      returns.push(nowMs + awayMs(this.#rng));
    }
    for (const returnMs of returns.filter((atMs) => atMs <= nowMs)) {
      returns.splice(returns.indexOf(returnMs), 1);
      this.#came += 1;
      leaves.set(this.#join(), nowMs + stayMs(this.#rng));
    }
  }

  #removeHalf(how: Departure, nowMs: number): void {
    this.#eventMs = nowMs;
    const remaining = [...this.#viewers];
    while (this.#left < viewerCount / 2) {
      const [viewer] = remaining.splice(this.#rng.below(remaining.length), 1);
      if (viewer) this.#leave(viewer, how);
    }
  }

  async #snapshot(publisher: PacedPublisher): Promise<Snapshot> {
    const station = this.#station as ShoalProcess;
    const statuses = new Map<SwarmViewer, ChannelStatus>();
    const pids = new Set([station, ...this.#viewers.map(({ process }) => process)].map(({ program }) => program.pid));
    const wire = await wireCounts(pids);
    const status = await statusNow(station);
    await Promise.all(
      this.#viewers.map(async (viewer) => {
        const figures = await viewer.status();
        if (figures) statuses.set(viewer, figures);
      }),
    );
    return { atMs: performance.now(), station: status, viewers: statuses, wire, madeBytes: publisher.sentBytes };
  }

  /** Whether each recording of those who came late replays in the simulator with the same effects. */
  async #replays(): Promise<readonly boolean[]> {
    await Promise.all([...this.#late].map((viewer) => viewer.stop()));
    return [...this.#late].map(({ tracePath }) => {
      const trace = decodeTrace(readFileSync(tracePath ?? ''));
      if (trace instanceof Malformed) return false;
      return replayLive(trace, { hasher: nodeHasher, verifier: nodeVerifier }).difference === undefined;
    });
  }

  async #harm(): Promise<Harm | undefined> {
    const accounts = await this.#wrongdoers?.accounts();
    if (accounts === undefined) return undefined;
    const guilty = new Set(accounts.map(({ peerId }) => peerId));
    const dropped = this.#viewers.flatMap(({ process }) => [...droppedBy(process.program.errors)]);
    // What is recorded is whole only once the process has ended.
    await Promise.all(this.#viewers.map((viewer) => viewer.stop()));
    const { pairs, unjudged } = wrongReceipts(this.#viewers.flatMap(({ tracePath }) => tracePath ?? []));
    const most = (of: (pair: WrongReceipt) => number): number => (this.#isRecorded ? Math.max(0, ...pairs.map(of)) : Number.NaN);
    return {
      accounts,
      playedBytes: sum(this.#viewers.map(({ check }) => check.takenBytes)),
      wrongBytes: sum(this.#viewers.map(({ check }) => check.wrongBytes)),
      wrongPiecesMost: most(({ pieces }) => pieces),
      wrongManifestsMost: most(({ manifests }) => manifests),
      pairsWronged: this.#isRecorded ? pairs.length : Number.NaN,
      unjudged,
      pairsDropped: dropped.filter((peerId) => guilty.has(peerId)).length,
      innocentDropped: dropped.filter((peerId) => !guilty.has(peerId)).length,
    };
  }

  #figures(
    before: Snapshot,
    after: Snapshot,
    publisher: PacedPublisher,
    machine: MachineShare,
    replays: readonly boolean[],
  ): Omit<Figures, 'harm'> {
    const [fromMs, untilMs] = [before.atMs, after.atMs];
    const sights = new Map(this.#viewers.map((viewer) => [viewer, this.#sightOf(viewer, publisher, untilMs)]));
    const watched = [...sights.values()];
    const judged = this.#late.size > 0 ? [...this.#late] : this.#viewers;
    const counted = watched.map((sight) => countWithin([sight], fromMs, untilMs)).filter(({ due }) => due > 0);
    const continuityByViewer = counted.map(({ due, onTime }) => onTime / due);
    const delays = this.#viewers.flatMap((viewer) => delaysOf(viewer, publisher, fromMs));
    const all = countWithin(watched, fromMs, untilMs);
    const watchedHours = sum(watched.map(({ bySecond }) => secondsWithin(bySecond, fromMs, untilMs))) / 3600;
    const growth = this.#growth(before, after);
    return {
      variant: this.#variant.name,
      viewers: viewerCount,
      continuity: all.onTime / all.due,
      worstContinuity: Math.min(...continuityByViewer),
      continuityByViewer,
      stallsPerHour: sum(watched.map(({ stalls }) => stalls.filter(({ atMs }) => atMs >= fromMs && atMs < untilMs).length)) / watchedHours,
      startUpMs: judged.flatMap((viewer) => {
        const beganMs = sights.get(viewer)?.beganMs;
        return beganMs === undefined ? [] : [beganMs - viewer.joinedMs];
      }),
      delayP50Ms: percentile(delays, 0.5),
      delayP95Ms: percentile(delays, 0.95),
      ...growth,
      copies: growth.stationBytes / (after.madeBytes - before.madeBytes),
      recoveryS: this.#recoveryS(watched, untilMs),
      firstFromPeerMs: [...this.#late].map(firstFromPeerMs),
      replays,
      left: this.#left,
      came: this.#came + this.#late.size,
      machine,
      neighbours: mean([...after.viewers].filter(([{ leftMs }]) => leftMs === undefined).map(([, { peers }]) => peers)),
      timeoutsPerMinute: growth.timeouts / (watchedHours * 60),
      faults: this.#viewers.flatMap(({ fault }) => fault ?? []),
    };
  }

  #sightOf(viewer: SwarmViewer, publisher: PacedPublisher, untilMs: number): Sight {
    return sightOf({
      frames: viewer.frames,
      source: (fromMs) => sourceFrames(this.#recording, fromMs, performance.now() - publisher.startedMs),
      bufferMs: PLAYER_BUFFER_MS,
      windowMs: WINDOW_MS,
      endMs: Math.min(viewer.leftMs ?? Number.POSITIVE_INFINITY, untilMs),
    });
  }

  /** From what happened until every second is as it should be; `NaN` where nothing did. */
  #recoveryS(sights: readonly Sight[], untilMs: number): number {
    if (this.#eventMs === undefined) return Number.NaN;
    const first = Math.floor(this.#eventMs / 1000);
    const seconds = Array.from({ length: Math.floor(untilMs / 1000) - first }, (_, index) => first + index);
    const last = seconds.findLast((second) => {
      const { due, onTime } = countWithin(sights, second * 1000, second * 1000 + 1000);
      return onTime < CONTINUITY_AIM * due;
    });
    return last === undefined ? 0 : last + 1 - this.#eventMs / 1000;
  }

  /** What was sent and received in between, by all. */
  #growth(before: Snapshot, after: Snapshot) {
    const statuses = [...after.viewers].map(([viewer, status]) => ({ status, earlier: before.viewers.get(viewer) }));
    const grown = (of: (status: ChannelStatus) => number): number =>
      sum(statuses.map(({ status, earlier }) => of(status) - (earlier ? of(earlier) : 0)));
    const stationBytes = after.station.upBytes.media - before.station.upBytes.media;
    const sentMedia = grown(({ upBytes }) => upBytes.media) + stationBytes;
    const sentTotal = grown(({ upBytes }) => upBytes.total) + after.station.upBytes.total - before.station.upBytes.total;
    const sentOf = (kind: OverheadKind): number =>
      grown(({ upBytes }) => upBytes[kind]) + after.station.upBytes[kind] - before.station.upBytes[kind];
    const [map, manifest, request, control] = OVERHEAD_KINDS.map((kind) => sentOf(kind) / sentMedia) as [number, number, number, number];
    const receivedMedia = grown(({ downBytes }) => downBytes.media);
    const fromPeers = grown(({ shareFromPeers, downBytes }) => (shareFromPeers ?? 0) * downBytes.media);
    const playedBytes = grown(({ windowsDelivered }) => windowsDelivered) * ((this.#recording.bytesPerSecond * WINDOW_MS) / 1000);
    const isSteady = this.#left === 0 && this.#late.size === 0 && this.#wrongdoers === undefined && !this.#lines && !this.#places;
    const wire = before.wire && after.wire && isSteady ? wireDelta(before.wire, after.wire) : undefined;
    return {
      stationBytes,
      shareFromPeers: fromPeers / receivedMedia,
      overheadRatio: (sentTotal - sentMedia) / sentMedia,
      wireOverheadRatio: wire === undefined ? Number.NaN : (wire.sentBytes + wire.headerBytes - sentMedia) / sentMedia,
      overheadByKind: { map, manifest, request, control },
      duplicateRatio: receivedMedia / playedBytes - 1,
      holes: grown(({ holes }) => holes),
      timeouts: grown(({ timeouts }) => timeouts),
    };
  }
}

/** Where a viewer that is not simply on this machine runs. */
interface ViewerPlace {
  readonly within: readonly string[];
  readonly settings: Settings;
}

function hostSettings(address: string): Settings {
  return { 'swarm.host': address, 'swarm.publicHost': address, 'tracker.host': address };
}

interface Snapshot {
  readonly atMs: number;
  readonly station: ChannelStatus;
  readonly viewers: ReadonlyMap<SwarmViewer, ChannelStatus>;
  readonly wire: WireCounts | undefined;
  /** Of coded media, since the publisher began. */
  readonly madeBytes: number;
}

function goal7StayMs(rng: Rng): number {
  let stayMs = 0;
  do stayMs += 5_000 + 5_000 * rng.float();
  while (rng.float() >= 0.15);
  return stayMs;
}

/** What the publisher sends from one time of the channel to another. */
function* sourceFrames({ frames, lengthMs }: Recording, fromMs: number, untilMs: number): Generator<SourceFrame> {
  for (let round = Math.floor(fromMs / lengthMs); ; round++)
    for (const { type, timestampMs } of frames) {
      const atMs = timestampMs + round * lengthMs;
      if (atMs > untilMs) return;
      if (atMs >= fromMs) yield { type, timestampMs: atMs };
    }
}

/** Of frames that left the publisher after this, and while the player was there: with the first ones it gets what is older. */
function delaysOf({ frames }: SwarmViewer, { startedMs }: PacedPublisher, spanMs: number): readonly number[] {
  const fromMs = Math.max(spanMs, frames[0]?.arrivedMs ?? spanMs);
  const sent = frames.map(({ timestampMs, arrivedMs }) => ({ sentMs: startedMs + timestampMs, arrivedMs }));
  return sent.filter(({ sentMs }) => sentMs >= fromMs).map(({ sentMs, arrivedMs }) => arrivedMs - sentMs);
}

function secondsWithin(bySecond: Sight['bySecond'], fromMs: number, untilMs: number): number {
  return [...bySecond.keys()].filter((second) => second * 1000 >= fromMs && second * 1000 < untilMs).length;
}

/** Since its process began: the first piece that no publisher sent, as its recording tells. */
function firstFromPeerMs({ tracePath }: SwarmViewer): number {
  const trace = decodeTrace(readFileSync(tracePath ?? ''));
  if (trace instanceof Malformed) return Number.NaN;
  const publishers = new Set<string>();
  for (const { input, nowMs } of trace.steps) {
    if (input.kind !== 'message') continue;
    if (input.message.kind === 'hello' && input.message.publisher) publishers.add(input.from);
    if (input.message.kind === 'piece' && !publishers.has(input.from)) return nowMs;
  }
  return Number.NaN;
}

function rowOf(figures: Figures): Row {
  return [
    figures.variant,
    String(figures.viewers),
    show(figures.continuity, 4),
    show(figures.worstContinuity, 3),
    show(figures.stallsPerHour, 1),
    quantiles(figures.startUpMs),
    `${show(figures.delayP50Ms)} / ${show(figures.delayP95Ms)}`,
    show(figures.copies, 2),
    showPercent(figures.shareFromPeers),
    showPercent(figures.overheadRatio, 2),
    showPercent(figures.wireOverheadRatio, 2),
    showPercent(figures.duplicateRatio),
    String(figures.holes),
  ];
}

function eventRowOf({ variant, recoveryS, firstFromPeerMs, replays, left, came }: Figures): Row {
  const alike = `${replays.filter((isAlike) => isAlike).length} of ${replays.length}`;
  return [variant, show(recoveryS, 1), quantiles(firstFromPeerMs), replays.length === 0 ? 'n/a' : alike, String(left), String(came)];
}

function harmRowOf({ variant, harm }: Figures): Row[] {
  if (harm === undefined) return [];
  const { accounts, playedBytes, wrongBytes, wrongPiecesMost, wrongManifestsMost, pairsWronged, pairsDropped, innocentDropped } = harm;
  const given = sum(accounts.map(({ givenBytes }) => givenBytes)) / 1e6;
  const taken = sum(accounts.map(({ takenBytes }) => takenBytes)) / 1e6;
  const counts = [wrongBytes, wrongPiecesMost, wrongManifestsMost, pairsWronged, pairsDropped, innocentDropped].map((count) => show(count));
  return [[variant, String(accounts.length), show(playedBytes / 1e6), ...counts, `${show(given, 1)} / ${show(taken, 1)}`]];
}

function overheadRowOf({ variant, overheadByKind, overheadRatio, wireOverheadRatio }: Figures): Row {
  const kinds = OVERHEAD_KINDS.map((kind) => showPercent(overheadByKind[kind], 2));
  return [variant, ...kinds, showPercent(wireOverheadRatio - overheadRatio, 2)];
}

function machineRowOf({ variant, machine, neighbours, timeoutsPerMinute }: Figures): Row {
  const { own, others, waiting, worstWaiting } = machine;
  return [
    variant,
    String(cpus().length),
    showPercent(own, 0),
    showPercent(others, 0),
    `${showPercent(waiting)} / ${showPercent(worstWaiting)}`,
    show(neighbours, 1),
    show(timeoutsPerMinute, 2),
  ];
}

function quantiles(values: readonly number[]): string {
  return values.length === 0 ? 'n/a' : `${show(percentile(values, 0.5))} / ${show(percentile(values, 0.95))}`;
}

await BenchRun.run('live-swarm', limitMs, async (run) => {
  const recording = await makeRecording({ bitsPerSecond: BITS_PER_SECOND, seconds: RECORDING_SECONDS });
  const results: Figures[] = [];
  for (const variant of variants) {
    run.progress(`${variant.name}: ${viewerCount} viewers, ${variant.measuredMs / 1000} s after ${WARM_UP_MS / 1000} s of warm-up`);
    const figures = await new SwarmRun(run, recording, variant).go();
    await run.stopAll();
    run.progress(`${variant.name}: ${rowOf(figures).join(' | ')}${figures.faults.map((fault) => `; ${fault}`).join('')}`);
    results.push(figures);
  }
  const limits = `${BITS_PER_SECOND / 1000} kbit/s, station ${STATION_RATIO}x, viewers ${VIEWER_RATIO}x`;
  run.table(`What players see and what it costs, ${limits}`, HEAD, results.map(rowOf));
  run.table('After what happened', EVENT_HEAD, results.map(eventRowOf));
  if (results.some(({ harm }) => harm)) run.table('What those who misbehave did', WRONGDOER_HEAD, results.flatMap(harmRowOf));
  run.table('What the overhead is, by media', OVERHEAD_HEAD, results.map(overheadRowOf));
  run.table('The machine meanwhile', MACHINE_HEAD, results.map(machineRowOf));
  return { bitsPerSecond: BITS_PER_SECOND, stationRatio: STATION_RATIO, viewerRatio: VIEWER_RATIO, results };
});

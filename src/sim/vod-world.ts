/**
 * Viewers of a few titles in virtual time: the shipped sessions through the shipped codec over virtual lines, with players that really play.
 *
 * Everything follows from the scenario and its seed. Each person has a generator of their own by name, for their line, their habits and their
 * jumps, so that one viewer more, or another way of picking pieces, leaves all others the people they were.
 */
import type { Bytes, Milliseconds } from '../kernel/units.js';
import { TransferBudget } from '../vod/transfer-budget.js';
import { between, exponential, namedRng, normal, sample } from './chance.js';
import { EventLog } from './event-log.js';
import { Latencies } from './latencies.js';
import { Network } from './network.js';
import { phantomBytes } from './phantom.js';
import type { VodScenario } from './scenario.js';
import { VirtualClock } from './virtual-clock.js';
import { VirtualPlayer } from './virtual-player.js';
import { type PeerHabit, type PeerKind, type PhantomTitle, VodPeer, type VodPeerEvents, type VodStep, VodTask } from './vod-peer.js';

/** A tracker is asked again after this time at the earliest. */
const TRACKER_MS: Milliseconds = 2_000;
/** How often a reader says how far it is, and the budget over several titles is made up. */
const READER_MS: Milliseconds = 500;
const BUDGET_MS: Milliseconds = 1_000;
const HOT_SCENES = 10;
/** Width of a hot scene, of the title. */
const HOT_SCENE_RATIO = 0.01;
const SKIP_MS: Milliseconds = 30_000;

/** What a world tells while it runs. */
export interface VodHooks {
  /** Every line of the log. */
  readonly onLine?: ((line: string) => void) | undefined;
  /** After every step of every session: the place to check invariants. */
  readonly onStep?: ((step: VodStep) => void) | undefined;
}

export class VodWorld {
  readonly clock = new VirtualClock();
  readonly log: EventLog;
  readonly titles: readonly PhantomTitle[];
  /** All that have ever been there, in order of arrival. */
  readonly peers: VodPeer[] = [];
  readonly #scenario: VodScenario;
  readonly #seed: number;
  readonly #network: Network;
  readonly #latencies: Latencies;
  readonly #hotScenes: readonly number[];
  readonly #events: VodPeerEvents;
  /** Who is there now, by name. */
  readonly #present = new Map<string, VodPeer>();
  /** Tasks that wait for the tracker. */
  readonly #asking = new Set<VodTask>();

  constructor(scenario: VodScenario, seed: number, { onLine, onStep }: VodHooks = {}) {
    const { network, title } = scenario;
    this.#scenario = scenario;
    this.#seed = seed;
    this.log = new EventLog(onLine);
    this.#network = new Network(this.clock, { ...network, seed, sizeOf: phantomBytes });
    this.#latencies = new Latencies(network, seed);
    this.titles = Array.from({ length: title.count }, (_, index) => phantomTitle(index, title));
    const scenes = namedRng(seed, 'hot scenes');
    this.#hotScenes = Array.from({ length: HOT_SCENES }, () => scenes.float());
    this.#events = {
      onMessage: (peer, sender, message) =>
        this.log.mix(
          this.clock.nowMs(),
          peer.options.index,
          sender.options.index,
          message.kind.length + ('piece' in message ? message.piece * 32 : 0),
        ),
      onPiece: (task, piece) => this.#onPiece(task, piece),
      onOffence: (peer, offender) => {
        peer.accused.add(offender);
        this.#note(`${peer.name} accuses ${offender}`);
      },
      onWant: (task) => this.#askTracker(task),
      onStep,
    };
    for (let index = 0; index < scenario.sources.count; index++) this.#addSource(index);
    this.#scheduleArrivals();
    this.#scheduleFaults();
  }

  run(forMs: Milliseconds): void {
    this.clock.runUntil(this.clock.nowMs() + forMs);
  }

  /** Closes the books: whoever is still there is counted up to now. */
  close(): void {
    for (const peer of this.peers) {
      peer.collect();
      for (const player of peer.players) player.stop();
    }
  }

  #note(text: string): void {
    this.log.line(this.clock.nowMs(), text);
  }

  #addSource(index: number): void {
    const { sources } = this.#scenario;
    const peer = this.#makePeer(`source ${index}`, 'source', index, sources.count, bytesPerSecond(sources.upBitsPerSecond), 0);
    for (const title of this.titles) this.#makeTask(peer, title, true);
  }

  #scheduleArrivals(): void {
    const { viewers } = this.#scenario;
    const rng = namedRng(this.#seed, 'arrivals');
    let atMs = 0;
    for (let index = 0; index < viewers.count; index++) {
      if (viewers.arrival === 'poisson') atMs += exponential(rng, (viewers.arrivalS * 1000) / viewers.count);
      else if (viewers.arrival === 'flash') atMs = rng.float() * viewers.arrivalS * 1000;
      this.clock.after(atMs, () => this.#arrive(`viewer ${index}`, 'viewer', index));
    }
    for (let index = 0; index < viewers.greedyCount; index++) this.clock.after(0, () => this.#arrive(`greedy ${index}`, 'greedy', index));
  }

  #arrive(name: string, kind: PeerKind, index: number): void {
    const { viewers, player, faults, policy } = this.#scenario;
    const rng = namedRng(this.#seed, `line ${name}`);
    const upBytesPerSecond = bytesPerSecond(between(rng, viewers.upBitsPerSecond));
    const downBytesPerSecond = bytesPerSecond(between(rng, viewers.downBitsPerSecond));
    const peer = this.#makePeer(name, kind, index, viewers.count, upBytesPerSecond, downBytesPerSecond);
    this.#note(`${name} arrives`);
    const first = rng.below(this.titles.length);
    const order = this.titles.map((_, at) => this.titles[(first + at) % this.titles.length] as PhantomTitle);
    const alone = policy.caching === 'single-task';
    for (const title of alone ? order.slice(0, 1) : order) this.#makeTask(peer, title, false);
    if (player.plays && kind === 'viewer') this.#watch(peer, order[0] as PhantomTitle);
    if (player.switchAfterS > 0 && order.length > 1)
      this.clock.after(player.switchAfterS * 1000, () => this.#switch(peer, order[1] as PhantomTitle));
    if (!alone && order.length > 1) this.#budget(peer);
    if (faults.meanStayS > 0 && kind === 'viewer') {
      const stays = namedRng(this.#seed, `stay ${name}`);
      const crashes = stays.float() < faults.crashRatio;
      this.clock.after(exponential(stays, faults.meanStayS * 1000), () => this.#leave(peer, crashes));
    }
  }

  #makePeer(name: string, kind: PeerKind, index: number, count: number, upBytesPerSecond: number, downBytesPerSecond: number): VodPeer {
    const { viewers } = this.#scenario;
    const { habit, freezes } = this.#roleOf(kind, index, count);
    const peer = new VodPeer({
      name,
      index: this.peers.length,
      kind,
      habit,
      freezes,
      upBytesPerSecond,
      downBytesPerSecond,
      upLimitBytesPerSecond: Math.floor(upBytesPerSecond * viewers.upLimitRatio),
      addressGroup: kind === 'greedy' ? 'greedy /24' : name,
      rng: namedRng(this.#seed, `session ${name}`),
      joinedMs: this.clock.nowMs(),
      clock: this.clock,
    });
    this.peers.push(peer);
    this.#present.set(name, peer);
    return peer;
  }

  /** Nobody has two faults; who has which is drawn once, by the ratios. */
  #roleOf(kind: PeerKind, index: number, count: number): { readonly habit: PeerHabit; readonly freezes: boolean } {
    const { faults, sources } = this.#scenario;
    if (kind === 'greedy') return { habit: 'free rider', freezes: false };
    const indexes = Array.from({ length: count }, (_, at) => at);
    const rank = sample(namedRng(this.#seed, `faults ${kind}`), indexes, count).indexOf(index);
    const suffers = (kind === 'source') === sources.isFaulty;
    const polluters = suffers ? Math.round(faults.polluterRatio * count) : 0;
    const frozen = polluters + (suffers ? Math.round(faults.freezeRatio * count) : 0);
    const riders = frozen + (kind === 'viewer' ? Math.round(faults.freeRiderRatio * count) : 0);
    const liars = riders + (kind === 'viewer' ? Math.round(faults.liarRatio * count) : 0);
    if (rank >= riders && rank < liars) return { habit: 'liar', freezes: false };
    return {
      habit: rank < polluters ? 'polluter' : rank >= frozen && rank < riders ? 'free rider' : 'honest',
      freezes: rank >= polluters && rank < frozen,
    };
  }

  #makeTask(peer: VodPeer, title: PhantomTitle, isWhole: boolean): VodTask {
    const task = new VodTask(peer, title, this.#scenario.policy.strategy, isWhole, this.#events);
    peer.tasks.set(title.index, task);
    if (!isWhole) this.#fill(task);
    return task;
  }

  /** Connects to all sources, and to others up to the wished for number. */
  #fill(task: VodTask): void {
    const { peer, title, neighbours } = task;
    const candidates: VodPeer[] = [];
    let viewers = 0;
    for (const other of this.#present.values()) {
      if (other === peer || !other.tasks.has(title.index)) continue;
      const isNeighbour = neighbours.has(other.name);
      if (other.options.kind !== 'source') {
        if (isNeighbour) viewers += 1;
        else if (!peer.accused.has(other.name) && !other.accused.has(peer.name)) candidates.push(other);
      } else if (!isNeighbour && !peer.accused.has(other.name) && !other.accused.has(peer.name))
        this.#connect(task, other.tasks.get(title.index) as VodTask);
    }
    // Whoever is greedy knows everybody.
    const wanted = peer.options.kind === 'greedy' ? candidates.length : this.#scenario.viewers.neighbours - viewers;
    for (const other of sample(namedRng(this.#seed, `tracker ${peer.name} ${this.clock.nowMs()}`), candidates, wanted))
      this.#connect(task, other.tasks.get(title.index) as VodTask);
  }

  #connect(task: VodTask, other: VodTask): void {
    const latencyMs = this.#latencies.between(task.peer.name, other.peer.name);
    const [one, two] = this.#network.link(task.peer.host, other.peer.host, latencyMs);
    task.add(one, other.peer, true);
    other.add(two, task.peer, false);
  }

  #askTracker(task: VodTask): void {
    if (task.peer.options.kind === 'source' || this.#asking.has(task) || task.neighbours.size >= this.#scenario.viewers.neighbours / 2)
      return;
    this.#asking.add(task);
    this.clock.after(TRACKER_MS, () => {
      this.#asking.delete(task);
      if (!task.peer.isGone && task.peer.tasks.has(task.title.index)) task.peer.host.run(() => this.#fill(task));
    });
  }

  #watch(peer: VodPeer, title: PhantomTitle): void {
    const { player } = this.#scenario;
    const task = peer.tasks.get(title.index) ?? this.#makeTask(peer, title, false);
    const rng = namedRng(this.#seed, `player ${peer.name} ${title.index}`);
    const { totalBytes } = title.shape;
    const fromByte = player.startsAt === 'random' ? Math.floor(rng.float() * totalBytes) : 0;
    const virtual = new VirtualPlayer(
      {
        clock: this.clock,
        totalBytes,
        bytesPerSecond: title.bytesPerSecond,
        startBufferMs: player.startBufferMs,
        readAheadMs: player.readAheadMs,
        readableTo: (byte) => task.readableTo(byte),
        onMoment: (moment) => {
          this.#note(`${peer.name} ${moment}`);
          if (moment === 'ends') this.#onEnd(peer);
        },
      },
      fromByte,
    );
    peer.player = virtual;
    peer.players.push(virtual);
    peer.watching = task;
    task.need(fromByte);
    this.#read(peer, virtual, task, fromByte);
    if (player.seekEveryS > 0) this.#scheduleSeek(peer, virtual, task, namedRng(this.#seed, `seeks ${peer.name} ${title.index}`));
  }

  /** The reader moves on with the picture. */
  #read(peer: VodPeer, player: VirtualPlayer, task: VodTask, saidByte: Bytes): void {
    this.clock.after(READER_MS, () => {
      if (peer.isGone || peer.player !== player || player.hasEnded) return;
      const byte = player.readByte();
      if (byte !== saidByte) peer.host.run(() => task.need(byte));
      this.#read(peer, player, task, byte);
    });
  }

  #scheduleSeek(peer: VodPeer, player: VirtualPlayer, task: VodTask, rng: ReturnType<typeof namedRng>): void {
    this.clock.after(exponential(rng, this.#scenario.player.seekEveryS * 1000), () => {
      if (peer.isGone || peer.player !== player || player.hasEnded) return;
      const toByte = this.#target(player, task, rng);
      player.seek(toByte);
      peer.host.run(() => task.need(player.readByte()));
      this.#scheduleSeek(peer, player, task, rng);
    });
  }

  #target(player: VirtualPlayer, { title }: VodTask, rng: ReturnType<typeof namedRng>): Bytes {
    const { totalBytes } = title.shape;
    const { seekTo } = this.#scenario.player;
    const uniform = rng.float();
    if (seekTo === 'uniform') return Math.floor(uniform * totalBytes);
    if (seekTo === 'skip') return clamp(player.readByte() + (uniform < 0.7 ? 1 : -1) * (SKIP_MS / 1000) * title.bytesPerSecond, totalBytes);
    const scene = this.#hotScenes[Math.floor(uniform * HOT_SCENES)] as number;
    return clamp((scene + HOT_SCENE_RATIO * normal(rng)) * totalBytes, totalBytes);
  }

  #onPiece(task: VodTask, piece: number): void {
    const { peer } = task;
    this.log.mix(this.clock.nowMs(), peer.options.index, task.title.index, piece);
    if (peer.watching === task && peer.player && !peer.isGone) {
      const wasWaiting = peer.player.isWaiting;
      peer.player.update();
      if (wasWaiting && !peer.player.hasEnded) task.need(peer.player.readByte());
    }
  }

  #onEnd(peer: VodPeer): void {
    const { viewers, player } = this.#scenario;
    peer.watching?.engine.command({ kind: 'need-gone', reader: 'player' });
    if (player.switchAfterS > 0 && peer.players.length < Math.min(2, this.titles.length)) return;
    if (viewers.leavesAfterS > 0) this.clock.after(viewers.leavesAfterS * 1000, () => this.#leave(peer, false));
  }

  /** Watches something else from now on. */
  #switch(peer: VodPeer, title: PhantomTitle): void {
    if (peer.isGone) return;
    const { watching, player } = peer;
    player?.stop();
    watching?.engine.command({ kind: 'need-gone', reader: 'player' });
    // With one task alone, what is not watched is not shared either.
    if (this.#scenario.policy.caching === 'single-task' && watching) {
      watching.engine.stop();
      watching.session.retire();
      peer.collect();
      peer.tasks.delete(watching.title.index);
    }
    this.#note(`${peer.name} switches`);
    if (player) this.#watch(peer, title);
  }

  /** The budget over several titles, as the product keeps it. */
  #budget(peer: VodPeer): void {
    const { policy } = this.#scenario;
    const budget = new TransferBudget({ mode: policy.caching, marginBytesPerSecond: 0, quotaBytes: 0 });
    const said = new Map<number, Bytes>();
    const allot = (): void => {
      if (peer.isGone) return;
      const states = [...peer.tasks.values()].map((task) => {
        const figures = task.session.figures();
        const downBytesPerSecond = (figures.downBytes - (said.get(task.title.index) ?? 0)) / (BUDGET_MS / 1000);
        said.set(task.title.index, figures.downBytes);
        const isWatched = peer.watching === task && peer.player?.hasEnded === false;
        return {
          title: String(task.title.index),
          isWatched,
          readBytesPerSecond: isWatched ? task.title.bytesPerSecond : 0,
          bufferMs: isWatched ? bufferMs(peer.player as VirtualPlayer, task) : Number.POSITIVE_INFINITY,
          isSeeking: isWatched && peer.player?.isWaiting === true,
          isFetching: !task.isComplete,
          downBytesPerSecond,
        };
      });
      for (const [title, bulkBytesPerSecond] of budget.allot(states, this.clock.nowMs()))
        peer.tasks.get(Number(title))?.engine.command({ kind: 'allow', bulkBytesPerSecond });
      this.clock.after(BUDGET_MS, () => peer.host.run(allot));
    };
    allot();
  }

  /** A peer goes: its process ends, or its machine falls silent. */
  #leave(peer: VodPeer, crashes: boolean): void {
    if (peer.isGone) return;
    this.#note(`${peer.name} ${crashes ? 'crashes' : 'leaves'}`);
    for (const player of peer.players) player.stop();
    peer.collect();
    peer.leftMs = this.clock.nowMs();
    this.#present.delete(peer.name);
    if (crashes) peer.host.frozen = true;
    else for (const task of peer.tasks.values()) task.engine.stop();
  }

  #scheduleFaults(): void {
    const { faults } = this.#scenario;
    if (faults.freezeRatio > 0) {
      this.clock.after(faults.freezeAtS * 1000, () => this.#freeze(true));
      this.clock.after((faults.freezeAtS + faults.freezeForS) * 1000, () => this.#freeze(false));
    }
    if (faults.crashAtRatio > 0)
      this.clock.after(faults.crashAtS * 1000, () => {
        for (const peer of this.#some('crash', faults.crashAtRatio)) this.#leave(peer, true);
      });
    if (faults.partitionRatio > 0) {
      this.clock.after(faults.partitionAtS * 1000, () => {
        this.#note('the network is cut');
        this.#network.partition(this.#some('partition', faults.partitionRatio).map(({ host }) => host));
      });
      this.clock.after((faults.partitionAtS + faults.partitionForS) * 1000, () => {
        this.#note('the network is whole');
        this.#network.heal();
      });
    }
  }

  #freeze(frozen: boolean): void {
    for (const peer of this.#present.values()) {
      if (!peer.options.freezes) continue;
      this.#note(`${peer.name} ${frozen ? 'stands still' : 'goes on'}`);
      peer.host.frozen = frozen;
    }
  }

  #some(purpose: string, ratio: number): VodPeer[] {
    const viewers = [...this.#present.values()].filter(({ options }) => options.kind === 'viewer');
    return sample(namedRng(this.#seed, purpose), viewers, Math.round(viewers.length * ratio));
  }
}

function phantomTitle(index: number, { durationS, bitsPerSecond, pieceBytes }: VodScenario['title']): PhantomTitle {
  const totalBytes = Math.ceil(durationS * bytesPerSecond(bitsPerSecond));
  const shape = {
    pieceCount: Math.ceil(totalBytes / pieceBytes),
    pieceLengthBytes: pieceBytes,
    totalBytes,
    files: [{ offsetBytes: 0, lengthBytes: totalBytes, isPad: false }],
  };
  return { index, shape, bytesPerSecond: bytesPerSecond(bitsPerSecond) };
}

function bufferMs(player: VirtualPlayer, task: VodTask): Milliseconds {
  const { totalBytes } = task.title.shape;
  const byte = player.readByte();
  const end = task.readableTo(byte);
  return end >= totalBytes ? Number.POSITIVE_INFINITY : ((end - byte) * 1000) / task.title.bytesPerSecond;
}

function clamp(byte: number, totalBytes: Bytes): Bytes {
  return Math.floor(Math.max(0, Math.min(totalBytes - 1, byte)));
}

function bytesPerSecond(bitsPerSecond: number): number {
  return bitsPerSecond / 8;
}

/**
 * The live exchange of one channel: peers swap signed windows piece by piece, by pull.
 *
 * A pure core (`Protocol`): the engine drives it over real sockets and in the simulator alike. A publisher feeds windows in with
 * `publish`; a viewer gets them out as `window` events, in order, each checked against a manifest signed with the authority of the channel's owner. Every
 * peer serves what it holds. After CoolFish (live module) and the algorithm sheet, section 5, with two additions of our own:
 *
 * - a publisher reveals a new window in shares, one neighbour each, so that about one copy leaves it however many viewers there are;
 * - announcements follow events at once and carry piece counts and key flags, so that a piece can be asked for before its manifest is here.
 *
 * Never trusts: pieces are stored, played and forwarded only after their hash matched; maps only steer requests. All state is bounded by
 * the buffer, the neighbours and fixed caps per neighbour.
 *
 * This file composes the parts and hands each input to the one it belongs to:
 * `Revocations` (signers whose authority ends), `Announcer` (maps and news), `Publication` and `WindowShares` (a publisher's new windows),
 * `StreamDescription` (script metadata), `Uploader` (serving), `Requester` (asking), `Receiver` (verifying), `Delivery` (playing in order, starting,
 * skipping), `Lineage` and `ChangeOver` (which content, where publishers differ). Among several publishers: `FellowPublishers` (who deals out what), `SwarmOutlook`,
 * `Survey` and `ConflictWatch` (what others make). `NeighbourChoice` says who stays; `SecondStage` finds other neighbours when these fail.
 */
import { Malformed } from '../../kernel/errors.js';
import type { DisconnectReason, Input, Protocol } from '../../kernel/protocol.js';
import type { Bytes, BytesPerSecond, ConnectionId, Milliseconds, WindowNumber } from '../../kernel/units.js';
import { Announcer } from './announcer.js';
import type { Certificate } from './certificate.js';
import { ChangeOver } from './change-over.js';
import { ConflictWatch } from './conflict-watch.js';
import { Delivery } from './delivery.js';
import { ExchangeContext, type LiveExchangeOptions } from './exchange-context.js';
import { FellowPublishers } from './fellow-publishers.js';
import { Lineage } from './lineage.js';
import { LIVE_VERSION, type LiveMessage } from './live-message.js';
import type { LiveCommand, LiveEffect, LiveEvent, LiveTimer } from './live-protocol.js';
import { Neighbour } from './neighbour.js';
import { NeighbourChoice } from './neighbour-choice.js';
import { PastOffences } from './past-offences.js';
import { PendingWindows } from './pending-windows.js';
import { Playout } from './playout.js';
import { Publication } from './publication.js';
import { Receiver } from './receiver.js';
import { Requester } from './requester.js';
import { Revocations } from './revocations.js';
import { SecondStage } from './second-stage.js';
import { StreamDescription } from './stream-description.js';
import { Subscribers } from './subscribers.js';
import { Subscriptions } from './subscriptions.js';
import { type FeedStatus, NO_FEED, NO_SUBSTREAMS } from './substreams.js';
import { Survey } from './survey.js';
import { type Outlook, SwarmOutlook } from './swarm-outlook.js';
import { Uploader } from './uploader.js';
import { WindowShares } from './window-shares.js';

export type { LiveExchangeOptions } from './exchange-context.js';
export type { LiveCommand, LiveEvent, LiveTimer } from './live-protocol.js';

/** Counters for the page and the log. */
export interface LiveFigures {
  readonly neighbours: number;
  readonly bufferedMs: Milliseconds;
  readonly windowsDelivered: number;
  readonly windowsSkipped: number;
  /** Of those delivered: with gaps; and the pieces that were missing in them. */
  readonly windowsInPart: number;
  readonly piecesMissed: number;
  readonly firstTimeouts: number;
  /** How often the second stage of the timeout looked for other neighbours. */
  readonly secondTimeouts: number;
  /** Neighbours let go for others. */
  readonly letGo: number;
  /** Newcomers for which there was no room. */
  readonly turnedAway: number;
  readonly duplicateBytes: Bytes;
  readonly fromPublishersBytes: Bytes;
  readonly fromPeersBytes: Bytes;
  readonly badPieces: number;
  readonly stalls: number;
  readonly delayMs: Milliseconds | null;
  readonly head: WindowNumber | null;
  /** What the line has been found to carry upwards; null while nothing speaks for a limit. */
  readonly lineBytesPerSecond: BytesPerSecond | null;
}

/** A gap between ticks beyond this means that the process did not run. */
const SLEEP_MS: Milliseconds = 2_000;

/** Of a tick its parts say whether they have changed what there is to ask for; the others only concern what neighbours get from us. */
const TIMERS_JUDGED: ReadonlySet<LiveTimer> = new Set(['tick', 'map', 'news', 'upload']);
const MESSAGES_JUDGED: ReadonlySet<LiveMessage['kind']> = new Set(['map', 'have', 'request', 'cancel']);

export class LiveExchange implements Protocol<LiveMessage, LiveCommand, LiveEvent, LiveTimer> {
  readonly #context: ExchangeContext;
  readonly #playout: Playout;
  readonly #pending = new PendingWindows();
  readonly #shares: WindowShares;
  readonly #announcer: Announcer;
  readonly #publication: Publication;
  readonly #description: StreamDescription;
  readonly #revocations: Revocations;
  readonly #uploader: Uploader;
  readonly #requester: Requester;
  readonly #receiver: Receiver;
  readonly #delivery: Delivery;
  readonly #lineage: Lineage;
  readonly #changeOver: ChangeOver;
  readonly #fellows: FellowPublishers;
  readonly #watch: ConflictWatch;
  readonly #survey: Survey;
  readonly #choice: NeighbourChoice;
  readonly #pastOffences = new PastOffences();
  readonly #secondStage: SecondStage;
  readonly #outlook: SwarmOutlook;
  readonly #subscribers: Subscribers;
  readonly #subscriptions: Subscriptions;
  #lastTickMs: Milliseconds | undefined;
  /** Before this time no neighbour can have been silent, or have read nothing, for too long. */
  #stuckFromMs: Milliseconds = 0;
  /** Everything that speaks of windows below this one has been forgotten. */
  #prunedTail: WindowNumber = 0;

  constructor(options: LiveExchangeOptions) {
    const context = new ExchangeContext(options);
    this.#context = context;
    this.#playout = new Playout(options.parameters, context.buffer, (after, before) => context.isAnnounced(after, before));
    this.#shares = new WindowShares(options.parameters.revealMs);
    this.#announcer = new Announcer(context, this.#shares, (neighbour) => this.#feedStatus(neighbour));
    this.#lineage = new Lineage(context);
    this.#uploader = new Uploader(context);
    this.#subscriptions = new Subscriptions(context, this.#playout, this.#lineage);
    this.#subscribers = new Subscribers({
      context,
      uploader: this.#uploader,
      subscriptions: this.#subscriptions,
      passesOn: (peer) => this.#shares.passesOn(peer),
    });
    this.#fellows = new FellowPublishers(context);
    const [playout, pending, lineage] = [this.#playout, this.#pending, this.#lineage];
    this.#requester = new Requester({ context, playout, pending, lineage, subscriptions: this.#subscriptions });
    this.#changeOver = new ChangeOver({ context, playout, pending, lineage, requester: this.#requester });
    this.#watch = new ConflictWatch(context, lineage, (left) => this.#changeOver.leave(left));
    this.#survey = new Survey(context);
    this.#outlook = new SwarmOutlook(context, this.#fellows.rank, () => this.#survey.newest);
    const [shares, announcer] = [this.#shares, this.#announcer];
    this.#publication = new Publication({
      context,
      shares,
      announcer,
      fellows: this.#fellows,
      watch: this.#watch,
      subscribers: this.#subscribers,
    });
    this.#description = new StreamDescription(context);
    const parts = { context, announcer, requester: this.#requester, pending, lineage };
    this.#receiver = new Receiver({ ...parts, subscriptions: this.#subscriptions, subscribers: this.#subscribers });
    this.#revocations = new Revocations({ ...parts, description: this.#description, shares });
    this.#delivery = new Delivery({ ...parts, playout });
    this.#choice = new NeighbourChoice({ context, playout, shares });
    this.#secondStage = new SecondStage(context, playout, this.#choice);
  }

  handle(input: Input<LiveMessage, LiveCommand, LiveTimer>, nowMs: Milliseconds): readonly LiveEffect[] {
    this.#context.nowMs = nowMs;
    this.#noticeSleep();
    this.#revocations.expire();
    if (mayChangeNeeds(input)) this.#requester.wake();
    this.#dispatch(input);
    this.#settle();
    return this.#context.takeEffects();
  }

  figures(nowMs: Milliseconds): LiveFigures {
    this.#context.nowMs = nowMs;
    const { neighbours, buffer, isPublisher, parameters } = this.#context;
    const { duplicateBytes, fromPublishersBytes, fromPeersBytes, badPieces } = this.#receiver;
    const { windowsDelivered, windowsSkipped, windowsInPart, piecesMissed, stalls, delayMs, bufferedMs } = this.#delivery;
    return {
      neighbours: neighbours.size,
      bufferedMs: isPublisher ? buffer.count * parameters.windowMs : bufferedMs,
      windowsDelivered: isPublisher ? this.#publication.windowsPublished : windowsDelivered,
      windowsSkipped,
      windowsInPart,
      piecesMissed,
      firstTimeouts: this.#requester.firstTimeouts,
      secondTimeouts: this.#secondStage.count,
      letGo: this.#choice.letGoCount,
      turnedAway: this.#choice.turnedAwayCount,
      duplicateBytes,
      fromPublishersBytes,
      fromPeersBytes,
      badPieces,
      stalls,
      delayMs,
      head: buffer.head ?? null,
      lineBytesPerSecond: this.#uploader.lineBytesPerSecond,
    };
  }

  /** What a publisher sees of the others. */
  outlook(nowMs: Milliseconds): Outlook {
    return this.#outlook.at(nowMs);
  }

  #dispatch(input: Input<LiveMessage, LiveCommand, LiveTimer>): void {
    switch (input.kind) {
      case 'command':
        return this.#onCommand(input.command);
      case 'timer':
        return this.#onTimer(input.timer);
      case 'peer-up':
        return this.#onPeerUp(input);
      case 'peer-down':
        return this.#onPeerDown(input.peer);
      case 'peer-blocked':
      case 'peer-drained':
        return this.#onPressure(input.peer, input.kind === 'peer-blocked');
      case 'message':
        return this.#onMessage(input.from, input.message);
    }
  }

  /** What the step made necessary: bans first, then what can be played, then what to ask for. */
  #settle(): void {
    const context = this.#context;
    for (const [neighbour, reason] of context.takeAccused()) this.#drop(neighbour, reason);
    const { deliverDue, planDue } = context;
    context.deliverDue = context.planDue = false;
    if (context.isPublisher) return;
    this.#subscribers.tellChanges();
    if (deliverDue) this.#delivery.deliver();
    if (planDue && this.#delivery.start()) this.#requester.plan();
  }

  #onCommand(command: LiveCommand): void {
    const { parameters } = this.#context;
    if (command.kind === 'publish') {
      this.#description.beforeWindow(command.content.number);
      return this.#publication.publish(command.content, command.confirm === true);
    }
    if (command.kind === 'on-air') {
      this.#context.onAir = command.onAir;
      return this.#announcer.tellPublishers();
    }
    if (command.kind === 'dissent') return this.#watch.dissent(command.number);
    if (command.kind === 'survey') return this.#survey.begin(command.count);
    if (command.kind === 'describe') return this.#description.describe(command.metadata);
    if (command.kind === 'revoke') return this.#revocations.revoke(command.bytes);
    if (command.kind === 'authorise') return this.#authorise(command.certificate);
    this.#outlook.begin();
    this.#context.schedule('tick', parameters.tickMs);
    this.#context.schedule('map', parameters.mapPeriodMs);
    this.#choice.begin();
  }

  #authorise(certificate: Certificate | null): void {
    this.#context.certificate = certificate;
    this.#description.renew();
  }

  #onTimer(timer: LiveTimer): void {
    if (timer === 'tick') return this.#tick();
    if (timer === 'map') {
      this.#subscribers.review();
      return this.#announcer.sendMaps();
    }
    if (timer === 'news') return this.#announcer.sendNews();
    if (timer === 'upload') return this.#uploader.onTimer();
    const [name, window, piece] = timer.split(':');
    if (name === 'reveal') return this.#publication.reveal(Number(window));
    if (name === 'confirm') return this.#publication.confirm(Number(window));
    this.#requester.onTimeout(Number(window), Number(piece));
  }

  #onPeerUp({ peer, peerId, addressBlock }: Input<LiveMessage, LiveCommand, LiveTimer> & { kind: 'peer-up' }): void {
    const neighbour = new Neighbour(peer, this.#context.nowMs, { peerId, addressBlock });
    this.#pastOffences.recall(neighbour, this.#context.nowMs);
    this.#context.neighbours.set(peer, neighbour);
    const { isPublisher } = this.#context;
    this.#context.send(neighbour, { kind: 'hello', version: LIVE_VERSION, publisher: isPublisher, rank: this.#fellows.rank });
    this.#revocations.greet(neighbour);
    this.#description.greet(neighbour);
    this.#announcer.sendMap(neighbour);
  }

  #onPeerDown(peer: ConnectionId): void {
    const neighbour = this.#context.neighbours.get(peer);
    if (!neighbour) return;
    this.#context.neighbours.delete(peer);
    this.#requester.wake();
    this.#pastOffences.note(neighbour, this.#context.nowMs);
    this.#secondStage.noteLoss(neighbour);
    this.#choice.dropPeer(peer);
    this.#shares.dropPeer(peer);
    this.#uploader.dropPeer(neighbour);
    this.#requester.dropPeer(neighbour);
    this.#subscriptions.dropPeer(neighbour);
    this.#survey.dropPeer(peer);
    this.#context.planDue = true;
  }

  #onPressure(peer: ConnectionId, blocked: boolean): void {
    const neighbour = this.#context.neighbours.get(peer);
    if (!neighbour) return;
    neighbour.blockedSinceMs = blocked ? this.#context.nowMs : undefined;
    if (blocked) return;
    this.#uploader.serve();
    this.#announcer.sendNews();
  }

  #drop(neighbour: Neighbour, reason: DisconnectReason): void {
    this.#context.disconnect(neighbour.id, reason);
    this.#onPeerDown(neighbour.id);
  }

  #onMessage(from: ConnectionId, message: LiveMessage): void {
    const neighbour = this.#context.neighbours.get(from);
    if (!neighbour) return;
    neighbour.lastHeardMs = this.#context.nowMs;
    if (!neighbour.affords(message, this.#context.nowMs))
      return this.#context.accuse(neighbour, `a flood of messages, ${message.kind} the last`);
    if (message.kind === 'hello') return this.#onHello(neighbour, message);
    if (!neighbour.greeted) return this.#context.accuse(neighbour, `${message.kind} before hello`);
    switch (message.kind) {
      case 'have':
        return this.#onHave(neighbour, message);
      case 'map':
        this.#uploader.onMap(neighbour, message);
        return this.#onMap(neighbour, message);
      case 'manifest':
        return this.#onManifest(neighbour, message);
      case 'piece':
        if (this.#survey.takesPiece(neighbour, message.window, message.piece, message.payload)) return;
        return this.#receiver.onPiece(neighbour, message.window, message.piece, message.payload);
      case 'request':
        return this.#uploader.onRequest(neighbour, message);
      case 'cancel':
        return this.#uploader.onCancel(neighbour, message.window, message.pieces);
      case 'refuse':
        this.#survey.refused(neighbour, message.window, message.why);
        return this.#requester.onRefusal(neighbour, message);
      case 'subscribe':
        return this.#subscribers.onSubscribe(neighbour, message.substreams);
      case 'feeding':
        return this.#subscriptions.onFeeding(neighbour, message.substreams, message.depths);
      case 'dissent':
        return this.#watch.onDissent(neighbour, message.bytes);
      case 'info':
        return this.#description.onInfo(neighbour, message.bytes);
      case 'revocations':
        return this.#revocations.onRevocations(neighbour, message.bytes);
    }
  }

  #onManifest(neighbour: Neighbour, message: LiveMessage & { kind: 'manifest' }): void {
    const bytes = neighbour.certificates.restore(message);
    if (bytes instanceof Malformed) return this.#context.accuse(neighbour, bytes.reason);
    if (this.#publication.takes(neighbour, bytes) || this.#watch.takes(neighbour, bytes)) return;
    if (this.#context.isPublisher && this.#survey.takesManifest(neighbour, bytes)) return;
    this.#receiver.onManifest(neighbour, bytes, message.ageMs, this.#delivery.lowestWanted);
  }

  #onHello(neighbour: Neighbour, { version, publisher, rank }: LiveMessage & { kind: 'hello' }): void {
    if (version !== LIVE_VERSION) return this.#drop(neighbour, { kind: 'surplus', detail: `live exchange version ${version}` });
    neighbour.greeted = true;
    neighbour.publisher = publisher;
    neighbour.rank = rank;
    this.#choice.onHello(neighbour);
  }

  #onHave(neighbour: Neighbour, { window, pieces }: LiveMessage & { kind: 'have' }): void {
    const { map, onAir } = neighbour;
    const told = map.spellOut(window, pieces);
    if (told) this.#onMap(neighbour, { kind: 'map', full: false, onAir, windows: [told] });
  }

  #onMap(neighbour: Neighbour, map: LiveMessage & { kind: 'map' }): void {
    if (this.#context.isPublisher) this.#fellows.onMap(neighbour, map.windows);
    this.#requester.wakeFor(neighbour, map);
    this.#context.takeMap(neighbour, map);
    neighbour.onAir = map.onAir === true;
    this.#noteFeed(neighbour, map);
    const isCredible = this.#context.isPublisher ? this.#publication.areCredible(map.windows) : map.windows.length > 0;
    if (isCredible) neighbour.lastToldMs = this.#context.nowMs;
    this.#delivery.noteMap();
    this.#watch.onMap(neighbour, map.windows);
    if (this.#context.isPublisher) {
      this.#outlook.onMap(neighbour, map.windows);
      return this.#publication.onMap(map.windows);
    }
    for (const { number } of map.windows) {
      if (number <= this.#playout.playedOut) continue;
      this.#subscriptions.noteHeard(number);
      this.#changeOver.follow(number);
      this.#requester.onNews(neighbour, number);
    }
    if (!this.#requester.isIdle) this.#context.planDue = true;
  }

  #noteFeed(neighbour: Neighbour, { full, feed }: LiveMessage & { kind: 'map' }): void {
    const before = neighbour.feed.fed;
    if (feed || full) neighbour.feed = feed ?? NO_FEED;
    if ((before & ~neighbour.feed.fed) === NO_SUBSTREAMS) return;
    neighbour.newsDueMs = 0;
    this.#announcer.sendNews();
  }

  #tick(): void {
    const { parameters, nowMs, neighbours, buffer, isPublisher } = this.#context;
    this.#context.schedule('tick', parameters.tickMs);
    this.#lastTickMs = nowMs;
    if (nowMs >= this.#stuckFromMs) this.#dropStuck();
    if (buffer.tail !== this.#prunedTail) {
      this.#prunedTail = buffer.tail;
      this.#shares.forgetBelow(buffer.tail);
      this.#lineage.forgetBelow(buffer.tail);
      for (const neighbour of neighbours.values()) neighbour.forgetBelow(buffer.tail);
      // Of what is still wanted.
      if (buffer.tail > (this.#playout.next ?? 0)) this.#requester.wake();
    }
    if (isPublisher) return;
    this.#changeOver.followAll();
    this.#delivery.skipIfHopeless();
    this.#secondStage.check();
    this.#subscriptions.check();
    this.#choice.check();
    this.#delivery.prune();
    this.#requester.askForManifests();
    if (!this.#requester.isIdle || this.#context.deliverDue) this.#context.planDue = true;
  }

  #feedStatus(neighbour: Neighbour): FeedStatus {
    const { isPublisher, neighbours } = this.#context;
    const offered = this.#subscribers.offeredTo(neighbour);
    const { fed } = this.#subscriptions;
    const { depths } = this.#subscribers;
    if (isPublisher && neighbours.values().some(({ subscribed }) => subscribed !== NO_SUBSTREAMS)) return { offered, fed, depths };
    return (offered | fed) === NO_SUBSTREAMS ? NO_FEED : { offered, fed, depths };
  }

  #dropStuck(): void {
    const { nowMs, parameters, neighbours } = this.#context;
    for (const neighbour of neighbours.values()) this.#dropIfStuck(neighbour);
    const since = neighbours.values().map(({ lastHeardMs, blockedSinceMs }) => Math.min(lastHeardMs, blockedSinceMs ?? nowMs));
    this.#stuckFromMs = Math.min(nowMs, ...since) + parameters.silentMs;
  }

  #dropIfStuck(neighbour: Neighbour): void {
    const { nowMs, parameters } = this.#context;
    const silentMs = nowMs - neighbour.lastHeardMs;
    const blockedMs = nowMs - (neighbour.blockedSinceMs ?? nowMs);
    if (silentMs > parameters.silentMs) this.#drop(neighbour, { kind: 'silent', detail: `nothing heard for ${Math.round(silentMs)} ms` });
    else if (blockedMs > parameters.silentMs)
      this.#drop(neighbour, { kind: 'silent', detail: `has read nothing for ${Math.round(blockedMs)} ms` });
  }

  /** This process stood still (paused, or the machine slept): nobody else is to blame for it. */
  #noticeSleep(): void {
    const { nowMs, parameters, neighbours } = this.#context;
    const sleptMs = nowMs - (this.#lastTickMs ?? nowMs) - parameters.tickMs;
    if (sleptMs <= SLEEP_MS) return;
    this.#lastTickMs = nowMs;
    this.#playout.shift(sleptMs);
    this.#requester.onWake();
    this.#uploader.onWake();
    for (const neighbour of neighbours.values()) {
      neighbour.lastHeardMs = nowMs;
      if (neighbour.blocked) neighbour.blockedSinceMs = nowMs;
    }
  }
}

/** Not so what is judged by what it brings: most ticks, and most of what neighbours tell, change nothing. */
function mayChangeNeeds(input: Input<LiveMessage, LiveCommand, LiveTimer>): boolean {
  if (input.kind === 'timer') return !TIMERS_JUDGED.has(input.timer);
  return input.kind !== 'message' || !MESSAGES_JUDGED.has(input.message.kind);
}

/**
 * One channel of a station: what its source delivers becomes signed windows for the swarm, and feeds for this machine's players.
 *
 * Window numbers only grow, also over restarts: numbers are reserved on disk before they are used, and a new start goes on above them.
 */

import type { TimelineRecord } from '../ingest/aligned-cutter.js';
import type { SwarmOutlook } from '../ingest/alignment.js';
import type { AsfNumbering } from '../ingest/asf-cutter.js';
import { channelId, decodeDescriptor } from '../ingest/channel.js';
import { type ChannelLink, formatMagnet, formatShoalLink } from '../ingest/channel-link.js';
import type { CutWindow } from '../ingest/window-cutter.js';
import { nodeHasher } from '../io/crypto.js';
import { loadState, saveState } from '../io/files/state-file.js';
import { sameBytes } from '../kernel/bytes.js';
import { invariant, Malformed } from '../kernel/errors.js';
import type { Log, Signer } from '../kernel/ports.js';
import type { InfoHash, Milliseconds, WindowNumber } from '../kernel/units.js';
import type { ChannelStatus } from '../relay/endpoints/channel-status.js';
import type { LocalChannel, WatchAddresses } from '../relay/endpoints/local-channel.js';
import type { TagFeed } from '../relay/endpoints/tag-feed.js';
import type { Certificate } from '../relay/exchange/certificate.js';
import type { LiveEvent } from '../relay/exchange/live-exchange.js';
import { decodeRevocationList, type RevocationList } from '../relay/exchange/revocation-list.js';
import type { ChannelOutput, Container } from './channel-output.js';
import { descriptorOf } from './channel-roster.js';
import type { Alignment, ChannelSink, ChannelSource } from './channel-source.js';
import type { DeclaredChannel } from './declared-channel.js';
import { LiveSwarm, type SwarmContext } from './live-swarm.js';
import { openSigner } from './open-channel.js';
import { StationAuthority } from './station-authority.js';

/** What the keys file says of a channel's authority at a moment. */
export interface KeptAuthority {
  /** From the newest grant. */
  readonly granted: Certificate | null;
  readonly revocations: Uint8Array | undefined;
}

export interface StationChannelOptions {
  readonly declared: DeclaredChannel;
  readonly context: SwarmContext;
  readonly source: ChannelSource;
  readonly output: ChannelOutput;
  /** Signs as the owner of this station's own channels. */
  readonly owner: Signer;
  /** Signs windows. */
  readonly publisher: Signer;
  /** What the keys file says of this channel now. */
  readonly kept: (id: InfoHash) => KeptAuthority;
  /** A newer list of withdrawn keys has come from the swarm, verified. */
  readonly onRevocations: (id: InfoHash, bytes: Uint8Array) => void;
  readonly trackers: readonly string[];
  /** Where peers reach this station, `host:port`. */
  readonly peerAddress: string;
  /** Players on this machine's endpoints right now. */
  readonly players: () => number;
  readonly watch: () => WatchAddresses;
}

/**
 * Window numbers are reserved this many at a time. After a crash the unused rest is skipped: fewer than a viewer's buffer holds, so that
 * viewers find the new windows at once.
 */
const RESERVED_WINDOWS = 20;

/** 8 bytes in hex. */
const EPOCH_ID = /^[0-9a-f]{16}$/;

/** The stream path of a channel in the media host. */
export function streamPathOf(slug: string): string {
  return `/live/${slug}`;
}

export class StationChannel implements LocalChannel, ChannelSink {
  readonly slug: string;
  readonly name: string;
  readonly id: InfoHash;
  readonly link: string;
  readonly shoalLink: string;
  readonly container: Container;
  readonly declared: DeclaredChannel;
  readonly output: ChannelOutput;
  readonly firstNumber: WindowNumber;
  readonly numberingAbove: WindowNumber;
  readonly publisherKey: Uint8Array;
  readonly #options: StationChannelOptions;
  readonly #log: Log;
  readonly #swarm: LiveSwarm;
  readonly #authority: StationAuthority;
  #list: RevocationList | undefined;
  #lastNumber: WindowNumber;
  /** No number above this one has been used, also by earlier runs. */
  #reservedNumber: WindowNumber;
  #numbering: AsfNumbering | undefined;
  #timeline: TimelineRecord | undefined;
  #alignment: Alignment | undefined;

  /** @throws ShoalError `CHANNEL_NAME` when the source cannot be part of a descriptor. */
  constructor(options: StationChannelOptions) {
    const { declared, context, owner, publisher } = options;
    const descriptor = descriptorOf(declared, context.config, owner.publicKey);
    const trackers = [...new Set([...options.trackers, ...(declared.grant?.trackers ?? [])])];
    const meetingPeers = declared.grant?.peers ?? [];
    this.#options = options;
    this.declared = declared;
    this.slug = declared.slug;
    this.name = declared.name;
    this.container = declared.container;
    this.output = options.output;
    this.id = channelId(descriptor, nodeHasher);
    this.#log = context.log.child({ channel: this.name });
    const link: ChannelLink = { id: this.id, name: this.name, trackers, peers: [options.peerAddress, ...meetingPeers] };
    this.link = formatMagnet(link);
    this.shoalLink = formatShoalLink(link);
    const saved = this.#load();
    this.#lastNumber = this.#reservedNumber = saved.lastNumber;
    this.#numbering = saved.numbering;
    this.#timeline = saved.timeline;
    this.firstNumber = this.#lastNumber === 0 ? 0 : this.#lastNumber + 1;
    this.numberingAbove = this.#lastNumber - RESERVED_WINDOWS;
    const open = declared.open === true && !declared.grant;
    const owned = isOwner(descriptor, owner.publicKey);
    const { id, name } = this;
    this.#authority = new StationAuthority({ channel: id, name, publisher, owner: owned ? owner : null, open, log: this.#log });
    const kept = options.kept(id);
    this.#list = listIn(kept.revocations);
    this.#authority.update({ nowMs: Date.now(), granted: kept.granted, list: this.#list });
    const signer = open ? openSigner(descriptor) : publisher;
    this.publisherKey = signer.publicKey;
    const { certificate } = this.#authority;
    const onEvent = (event: LiveEvent): void => this.#onEvent(event);
    this.#swarm = new LiveSwarm(context, { id, descriptor, signer, certificate, trackers, peers: meetingPeers, onEvent });
    if (kept.revocations) this.#swarm.command({ kind: 'revoke', bytes: kept.revocations });
  }

  /** Looks at the clock and at what the keys file says now. Called every few seconds. */
  refresh({ granted, revocations }: KeptAuthority, nowMs: Milliseconds): void {
    const list = listIn(revocations);
    if (revocations && list && list.serial > (this.#list?.serial ?? 0)) {
      this.#list = list;
      this.#swarm.command({ kind: 'revoke', bytes: revocations });
    }
    const renewed = this.#authority.update({ nowMs, granted, list: this.#list });
    if (renewed) this.#swarm.command({ kind: 'authorise', certificate: this.#authority.certificate });
  }

  get feed(): TagFeed {
    return this.output.flv;
  }

  start(): void {
    this.output.begin(this.container);
    this.#swarm.start();
    this.#options.source.start(this);
  }

  async stop(): Promise<void> {
    this.#options.source.stop();
    this.#reserve(this.#lastNumber);
    await Promise.all([this.output.stop(), this.#swarm.stop()]);
  }

  /** Windows are dropped while this station has no right to publish; players on this machine are fed all the same. */
  publish(windows: readonly CutWindow[], confirm = false): void {
    if (!this.#authority.mayPublish) return;
    for (const content of windows) {
      this.#lastNumber = Math.max(this.#lastNumber, content.number);
      if (this.#lastNumber > this.#reservedNumber) this.#reserve(this.#lastNumber + RESERVED_WINDOWS);
      this.#swarm.command({ kind: 'publish', content, confirm });
    }
  }

  get timeline(): TimelineRecord | undefined {
    return this.#timeline;
  }

  /** Saved with the numbers, often enough to tell a source that goes on from one that began anew. */
  rememberTimeline(record: TimelineRecord): void {
    const isMoved = this.#timeline?.base !== record.base;
    this.#timeline = record;
    if (isMoved) this.#save();
  }

  outlook(): SwarmOutlook {
    return this.#swarm.outlook();
  }

  survey(count: number): void {
    this.#swarm.command({ kind: 'survey', count });
  }

  report(alignment: Alignment): void {
    this.#alignment = alignment;
    this.#swarm.command({ kind: 'on-air', onAir: alignment.state === 'leading' || alignment.state === 'aligned' });
  }

  conflict(number: WindowNumber, publisher: Uint8Array): void {
    const standsBy = this.#alignment?.state === 'standby';
    this.#swarm.noteConflict(number, standsBy ? [publisher, this.publisherKey] : [this.publisherKey, publisher]);
    if (standsBy) this.#swarm.command({ kind: 'dissent', number });
  }

  get numbering(): AsfNumbering | undefined {
    return this.#numbering;
  }

  remember(numbering: AsfNumbering): void {
    const known = this.#numbering;
    if (known?.base === numbering.base && sameBytes(known.epochId, numbering.epochId)) return;
    this.#numbering = numbering;
    this.#save();
  }

  describe(metadata: Uint8Array): void {
    this.#swarm.command({ kind: 'describe', metadata });
  }

  status(): ChannelStatus {
    return { ...this.#swarm.status(this.#options.players()), ...this.#authority.status, alignment: this.#alignment ?? null };
  }

  watch(): WatchAddresses {
    return this.#options.watch();
  }

  #onEvent(event: LiveEvent): void {
    const { source, onRevocations } = this.#options;
    if (event.kind === 'revocations') return onRevocations(this.id, event.bytes);
    if (event.kind === 'doubt') return source.doubted(event.number, event.published);
    if (event.kind !== 'surveyed') return;
    const { manifest, bytes, publisher } = event;
    source.surveyed({ number: manifest.number, startMs: manifest.startMs, bytes, publisher });
  }

  get #stateName(): string {
    return `channel-${this.id}`;
  }

  #load(): SavedNumbers {
    return savedNumbers(loadState(this.#options.context.config.dataDir, this.#stateName, this.#log));
  }

  #reserve(number: WindowNumber): void {
    if (this.#reservedNumber === number) return;
    this.#reservedNumber = number;
    this.#save();
  }

  #save(): void {
    const { epochId, base } = this.#numbering ?? {};
    const numbering = epochId && { epochId: Buffer.from(epochId).toString('hex'), base };
    try {
      saveState(this.#options.context.config.dataDir, this.#stateName, {
        lastNumber: this.#reservedNumber,
        numbering,
        timeline: this.#timeline,
      });
    } catch (error) {
      this.#log.warn('the window number cannot be saved', { error: error instanceof Error ? error.message : String(error) });
    }
  }
}

interface SavedNumbers {
  readonly lastNumber: WindowNumber;
  readonly numbering: AsfNumbering | undefined;
  readonly timeline: TimelineRecord | undefined;
}

/** What can be believed of a state file. */
function savedNumbers(state: unknown): SavedNumbers {
  const { lastNumber, numbering, timeline } = Object(state) as { lastNumber?: unknown; numbering?: unknown; timeline?: unknown };
  const { epochId, base } = Object(numbering) as { epochId?: unknown; base?: unknown };
  const record = Object(timeline) as { base?: unknown; timeMs?: unknown };
  const isNumbering = typeof epochId === 'string' && EPOCH_ID.test(epochId) && isCount(base);
  return {
    lastNumber: isCount(lastNumber) ? lastNumber : 0,
    numbering: isNumbering ? { epochId: new Uint8Array(Buffer.from(epochId, 'hex')), base } : undefined,
    timeline: isCount(record.base) && isCount(record.timeMs) ? { base: record.base, timeMs: record.timeMs } : undefined,
  };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Whether this key owns the channel. */
function isOwner(descriptorBytes: Uint8Array, key: Uint8Array): boolean {
  const descriptor = decodeDescriptor(descriptorBytes);
  invariant(!(descriptor instanceof Malformed), 'A descriptor that was just made can be read.');
  return descriptor.owner !== null && sameBytes(descriptor.owner, key);
}

function listIn(bytes: Uint8Array | undefined): RevocationList | undefined {
  const list = bytes && decodeRevocationList(bytes);
  return list instanceof Malformed ? undefined : list;
}

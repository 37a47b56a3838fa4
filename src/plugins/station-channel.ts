/**
 * One channel of a station: what its source delivers becomes signed windows for the swarm, and feeds for this machine's players.
 *
 * Window numbers only grow, also over restarts: numbers are reserved on disk before they are used, and a new start goes on above them.
 */

import type { SwarmOutlook, TimelineRecord } from '../ingest/aligned-cutter.js';
import type { AsfNumbering } from '../ingest/asf-cutter.js';
import { canonicalSource, channelId, encodeDescriptor } from '../ingest/channel.js';
import { type ChannelLink, formatMagnet, formatShoalLink } from '../ingest/channel-link.js';
import type { CutWindow } from '../ingest/window-cutter.js';
import { nodeHasher } from '../io/crypto.js';
import { loadState, saveState } from '../io/files/state-file.js';
import { sameBytes } from '../kernel/bytes.js';
import { Malformed, ShoalError } from '../kernel/errors.js';
import type { Log, Signer } from '../kernel/ports.js';
import type { InfoHash, WindowNumber } from '../kernel/units.js';
import type { ChannelStatus } from '../relay/endpoints/channel-status.js';
import type { LocalChannel, WatchAddresses } from '../relay/endpoints/local-channel.js';
import type { TagFeed } from '../relay/endpoints/tag-feed.js';
import type { LiveEvent } from '../relay/exchange/live-exchange.js';
import type { ChannelOutput, Container } from './channel-output.js';
import type { Alignment, ChannelSink, ChannelSource } from './channel-source.js';
import { LiveSwarm, type SwarmContext } from './live-swarm.js';
import { openSigner } from './open-channel.js';

/** A channel as it was declared in the configuration or made on the command line. */
export interface DeclaredChannel {
  readonly slug: string;
  readonly name: string;
  /** A name for a pushed source, an address for a pulled one. */
  readonly source: string;
  readonly container: Container;
  /** Everybody may publish it: the id follows from the source alone. Default: only the owner may. */
  readonly open?: boolean | undefined;
}

export interface StationChannelOptions {
  readonly declared: DeclaredChannel;
  readonly context: SwarmContext;
  readonly source: ChannelSource;
  readonly output: ChannelOutput;
  readonly signer: Signer;
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
  #lastNumber: WindowNumber;
  /** No number above this one has been used, also by earlier runs. */
  #reservedNumber: WindowNumber;
  #numbering: AsfNumbering | undefined;
  #timeline: TimelineRecord | undefined;
  #alignment: Alignment | undefined;

  /** @throws ShoalError `CHANNEL_NAME` when the source cannot be part of a descriptor. */
  constructor(options: StationChannelOptions) {
    const { declared, context, signer, trackers } = options;
    const descriptor = describe(declared, context, signer);
    this.#options = options;
    this.declared = declared;
    this.slug = declared.slug;
    this.name = declared.name;
    this.container = declared.container;
    this.output = options.output;
    this.id = channelId(descriptor, nodeHasher);
    this.#log = context.log.child({ channel: this.name });
    const link: ChannelLink = { id: this.id, name: this.name, trackers, peers: [options.peerAddress] };
    this.link = formatMagnet(link);
    this.shoalLink = formatShoalLink(link);
    const saved = this.#load();
    this.#lastNumber = this.#reservedNumber = saved.lastNumber;
    this.#numbering = saved.numbering;
    this.#timeline = saved.timeline;
    this.firstNumber = this.#lastNumber === 0 ? 0 : this.#lastNumber + 1;
    this.numberingAbove = this.#lastNumber - RESERVED_WINDOWS;
    const signing = declared.open ? openSigner(descriptor) : signer;
    this.publisherKey = signing.publicKey;
    const onEvent = (event: LiveEvent): void => this.#onEvent(event);
    this.#swarm = new LiveSwarm(context, { id: this.id, descriptor, signer: signing, trackers, peers: [], onEvent });
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

  publish(windows: readonly CutWindow[], confirm = false): void {
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
    this.#swarm.noteConflict(number, [this.publisherKey, publisher]);
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
    return { ...this.#swarm.status(this.#options.players()), alignment: this.#alignment ?? null };
  }

  watch(): WatchAddresses {
    return this.#options.watch();
  }

  #onEvent(event: LiveEvent): void {
    const { source } = this.#options;
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

/** The channel's descriptor as bytes. */
function describe(declared: DeclaredChannel, context: SwarmContext, signer: Signer): Uint8Array {
  const source = canonicalSource(declared.source);
  if (source instanceof Malformed) {
    throw new ShoalError('CHANNEL_NAME', `channel "${declared.name}": its source "${declared.source}" cannot be used: ${source.reason}`);
  }
  const { windowMs, pieceBytes } = context.config.live;
  return encodeDescriptor({ container: declared.container, source, windowMs, pieceBytes, owner: declared.open ? null : signer.publicKey });
}

/**
 * One channel of a station: what a publisher sends over RTMP becomes signed windows for the swarm and a feed for this machine's players.
 *
 * Window numbers only grow, also over restarts: numbers are reserved on disk before they are used, and a new start goes on above them.
 */

import { nodeHasher } from '../io/crypto.js';
import type { MediaHost } from '../io/media-host.js';
import { loadState, saveState } from '../io/state-file.js';
import { type ChannelDescriptor, canonicalSource, channelId, encodeDescriptor } from '../ingest/channel.js';
import { type ChannelLink, formatMagnet, formatShoalLink } from '../ingest/channel-link.js';
import { type CutWindow, WindowCutter } from '../ingest/window-cutter.js';
import { Malformed, ShoalError } from '../kernel/errors.js';
import type { Log, Signer } from '../kernel/ports.js';
import type { InfoHash, WindowNumber } from '../kernel/units.js';
import { classifyTag, type FlvTag, SCRIPT, VIDEO, withoutSetDataFrame } from '../media/flv.js';
import type { ChannelStatus } from '../relay/channel-status.js';
import type { LocalChannel, WatchAddresses } from '../relay/local-channel.js';
import { METADATA_BYTES_MAX } from '../relay/stream-info.js';
import { TagFeed } from '../relay/tag-feed.js';
import { LiveSwarm, type SwarmContext } from './live-swarm.js';

/** A channel as it was declared in the configuration or made on the command line. */
export interface DeclaredChannel {
  readonly slug: string;
  readonly name: string;
  readonly source: string;
  readonly container: 'flv';
}

export interface StationChannelOptions {
  readonly declared: DeclaredChannel;
  readonly context: SwarmContext;
  readonly host: MediaHost;
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

/** The stream path of a channel in the media host. */
export function streamPathOf(slug: string): string {
  return `/live/${slug}`;
}

export class StationChannel implements LocalChannel {
  readonly slug: string;
  readonly name: string;
  readonly id: InfoHash;
  readonly link: string;
  readonly shoalLink: string;
  readonly container = 'flv';
  /** As declared. */
  readonly source: string;
  readonly feed: TagFeed;
  readonly #options: StationChannelOptions;
  readonly #log: Log;
  readonly #swarm: LiveSwarm;
  readonly #cutter: WindowCutter;
  readonly #untap: () => void;
  #lastNumber: WindowNumber;
  /** No number above this one has been used, also by earlier runs. */
  #reservedNumber: WindowNumber;
  /** The publisher has said that its stream ends: what is open may be published as it is. */
  #ended = false;

  /** @throws ShoalError `CHANNEL_NAME` when the source's name cannot be part of a descriptor. */
  constructor(options: StationChannelOptions) {
    const { declared, context, host, signer } = options;
    const descriptor = encodeDescriptor(describe(declared, context, signer));
    this.#options = options;
    this.slug = declared.slug;
    this.name = declared.name;
    this.source = declared.source;
    this.id = channelId(descriptor, nodeHasher);
    this.#log = context.log.child({ channel: this.name });
    const link: ChannelLink = { id: this.id, name: this.name, trackers: options.trackers, peers: [options.peerAddress] };
    this.link = formatMagnet(link);
    this.shoalLink = formatShoalLink(link);
    this.feed = new TagFeed({ historyMs: context.config.relay.historyMs });
    this.#lastNumber = this.#reservedNumber = this.#load();
    const firstNumber = this.#lastNumber === 0 ? 0 : this.#lastNumber + 1;
    this.#cutter = new WindowCutter({ windowMs: context.config.live.windowMs, firstNumber });
    const { trackers } = options;
    this.#swarm = new LiveSwarm(context, { id: this.id, descriptor, signer, trackers, peers: [], onEvent: () => undefined });
    this.#untap = host.tap(streamPathOf(this.slug), {
      onTag: (tag) => this.#onTag(tag),
      onPublisherStart: () => this.#onPublisherStart(),
      onPublisherEnd: (reason) => this.#onPublisherEnd(reason),
    });
  }

  start(): void {
    this.#swarm.start();
  }

  async stop(): Promise<void> {
    this.#untap();
    this.#reserve(this.#lastNumber);
    await this.#swarm.stop();
  }

  status(): ChannelStatus {
    return this.#swarm.status(this.#options.players());
  }

  watch(): WatchAddresses {
    return this.#options.watch();
  }

  #onPublisherStart(): void {
    this.#log.info('a publisher is on the air');
    this.#ended = false;
    this.#cutter.discontinuity();
    this.feed.discontinuity();
  }

  #onPublisherEnd(reason: string): void {
    this.#log.info('the publisher has left', { reason });
    if (this.#ended) this.#publish(this.#cutter.flush());
    this.#cutter.discontinuity();
  }

  #onTag(tag: FlvTag): void {
    if (tag.type === SCRIPT) this.#describeStream(tag);
    if (tag.type === VIDEO && classifyTag(tag).kind === 'end') this.#ended = true;
    this.feed.push(tag);
    this.#publish(this.#cutter.push(tag));
  }

  #describeStream(tag: FlvTag): void {
    const metadata = withoutSetDataFrame(tag.body).slice();
    if (metadata.length <= METADATA_BYTES_MAX) this.#swarm.command({ kind: 'describe', metadata });
    else this.#log.warn(`script metadata of ${metadata.length} bytes is left out, at most ${METADATA_BYTES_MAX} are passed on`);
  }

  #publish(windows: readonly CutWindow[]): void {
    for (const content of windows) {
      this.#lastNumber = Math.max(this.#lastNumber, content.number);
      if (this.#lastNumber > this.#reservedNumber) this.#reserve(this.#lastNumber + RESERVED_WINDOWS);
      this.#swarm.command({ kind: 'publish', content });
    }
  }

  get #stateName(): string {
    return `channel-${this.id}`;
  }

  #load(): WindowNumber {
    const state = loadState(this.#options.context.config.dataDir, this.#stateName, this.#log);
    const number = typeof state === 'object' && state !== null && 'lastNumber' in state ? Number(state.lastNumber) : 0;
    return Number.isSafeInteger(number) && number >= 0 ? number : 0;
  }

  #reserve(number: WindowNumber): void {
    if (this.#reservedNumber === number) return;
    this.#reservedNumber = number;
    try {
      saveState(this.#options.context.config.dataDir, this.#stateName, { lastNumber: number });
    } catch (error) {
      this.#log.warn('the window number cannot be saved', { error: error instanceof Error ? error.message : String(error) });
    }
  }
}

function describe(declared: DeclaredChannel, context: SwarmContext, signer: Signer): ChannelDescriptor {
  const source = canonicalSource(declared.source);
  if (source instanceof Malformed) {
    throw new ShoalError('CHANNEL_NAME', `channel "${declared.name}": its source "${declared.source}" cannot be used: ${source.reason}`);
  }
  const { windowMs, pieceBytes } = context.config.live;
  return { container: declared.container, source, windowMs, pieceBytes, owner: signer.publicKey };
}

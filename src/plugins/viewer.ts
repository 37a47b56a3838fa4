/**
 * The viewer: takes one channel from the swarm and serves it to any number of players of all kinds on this machine.
 *
 * One subscription, one feed. RTMP players are served by a media host of this process, which is fed from the same feed.
 */
import type { HostPublisher, MediaHost } from '../io/media-host.js';
import { type ChannelLink, formatMagnet, formatShoalLink } from '../ingest/channel-link.js';
import { Malformed } from '../kernel/errors.js';
import type { InfoHash } from '../kernel/units.js';
import { decodeTags, SCRIPT } from '../media/flv.js';
import type { ChannelStatus } from '../relay/channel-status.js';
import type { LiveEvent } from '../relay/live-exchange.js';
import type { LocalChannel, WatchAddresses } from '../relay/local-channel.js';
import { TagFeed } from '../relay/tag-feed.js';
import { slugOf } from './channel-slug.js';
import { LiveSwarm, type SwarmContext } from './live-swarm.js';
import type { Plugin } from './plugin.js';
import type { Portal } from './portal.js';
import { streamPathOf } from './station-channel.js';

export interface ViewerOptions {
  readonly context: SwarmContext;
  readonly link: ChannelLink;
  readonly portal: Portal;
  readonly watch: (slug: string) => WatchAddresses;
  /** The id turned out to be no channel that this version can play. */
  readonly onUnusable: (reason: string) => void;
}

export class Viewer implements LocalChannel, Plugin {
  readonly slug: string;
  readonly id: InfoHash;
  readonly name: string;
  readonly link: string;
  readonly shoalLink: string;
  readonly container = 'flv';
  readonly feed: TagFeed;
  readonly #options: ViewerOptions;
  readonly #swarm: LiveSwarm;
  #host: MediaHost | undefined;
  #hostPublisher: HostPublisher | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(options: ViewerOptions) {
    const { context, link } = options;
    this.#options = options;
    this.id = link.id;
    this.name = link.name === '' ? `Channel ${link.id.slice(0, 8)}` : link.name;
    this.slug = slugOf(link.name, `channel-${link.id.slice(0, 8)}`);
    this.link = formatMagnet({ ...link, name: this.name });
    this.shoalLink = formatShoalLink({ ...link, name: this.name });
    this.feed = new TagFeed({ historyMs: context.config.relay.historyMs });
    this.#swarm = new LiveSwarm(context, {
      id: link.id,
      descriptor: null,
      trackers: [...new Set([...link.trackers, ...context.config.tracker.announce])],
      peers: link.peers,
      onEvent: (event) => this.#onEvent(event),
      onUnusable: options.onUnusable,
    });
  }

  async start(): Promise<void> {
    this.#options.portal.add(this);
    this.#swarm.start();
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#hostPublisher?.end();
    await this.#swarm.stop();
  }

  /** Serves RTMP players from this host from now on. */
  serveRtmp(host: MediaHost): void {
    this.#host = host;
    const publisher = host.openPublisher(streamPathOf(this.slug));
    this.#hostPublisher = publisher;
    for (const { tag } of this.feed.prelude()) publisher.push(tag);
    this.#unsubscribe = this.feed.subscribe({ onTag: ({ tag }) => publisher.push(tag) });
  }

  status(): ChannelStatus {
    const rtmpPlayers = this.#host?.playerCount(streamPathOf(this.slug)) ?? 0;
    return this.#swarm.status(this.#options.portal.players(this.id) + rtmpPlayers);
  }

  watch(): WatchAddresses {
    return this.#options.watch(this.slug);
  }

  #onEvent(event: LiveEvent): void {
    if (event.kind === 'metadata') {
      this.feed.push({ type: SCRIPT, timestampMs: 0, body: event.metadata });
    } else if (event.kind === 'skipped') {
      this.#options.context.log.warn(`windows ${event.from} to ${event.to - 1} could not be had in time and were skipped`);
      this.feed.discontinuity();
    } else {
      if (event.manifest.discontinuity) this.feed.discontinuity();
      const tags = decodeTags(event.bytes);
      // The owner signed these bytes, so only a faulty publisher gets here; the window is worth nothing then.
      if (tags instanceof Malformed) this.#options.context.log.warn(`window ${event.manifest.number} is unreadable: ${tags.reason}`);
      else for (const tag of tags) this.feed.push(tag);
    }
  }
}

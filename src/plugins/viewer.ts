/**
 * The viewer: takes one channel from the swarm and serves it to any number of players of all kinds on this machine.
 *
 * One subscription, one output. RTMP players are served by a media host of this process, which is fed from the same output.
 */

import { type ChannelLink, formatMagnet, formatShoalLink } from '../ingest/channel-link.js';
import type { MmsServer } from '../io/mms/mms-server.js';
import type { MediaHost } from '../io/rtmp/media-host.js';
import type { InfoHash } from '../kernel/units.js';
import { SCRIPT } from '../media/flv.js';
import type { ChannelStatus } from '../relay/endpoints/channel-status.js';
import type { LocalChannel, WatchAddresses } from '../relay/endpoints/local-channel.js';
import type { TagFeed } from '../relay/endpoints/tag-feed.js';
import type { LiveEvent } from '../relay/exchange/live-exchange.js';
import type { TraceSink } from '../relay/trace/trace-recorder.js';
import type { ChannelOutput, Container } from './channel-output.js';
import { slugOf } from './channel-slug.js';
import { LiveSwarm, type SwarmContext } from './live-swarm.js';
import { type Endpoints, localPlayers, makeOutput } from './local-endpoints.js';
import type { Plugin } from './plugin.js';
import type { Portal } from './portal.js';
import { RtmpOutlet } from './rtmp-outlet.js';
import { streamPathOf } from './station-channel.js';

export interface ViewerOptions {
  readonly context: SwarmContext;
  readonly link: ChannelLink;
  readonly portal: Portal;
  readonly mms: MmsServer;
  readonly watch: (slug: string, works: ChannelOutput['works']) => WatchAddresses;
  /** Where the live exchange is recorded. */
  readonly trace?: TraceSink | undefined;
  /** The id turned out to be no channel that this version can play. */
  readonly onUnusable: (reason: string) => void;
}

export class Viewer implements LocalChannel, Plugin, Endpoints {
  readonly slug: string;
  readonly id: InfoHash;
  readonly name: string;
  readonly link: string;
  readonly shoalLink: string;
  readonly portal: Portal;
  readonly mms: MmsServer;
  readonly output: ChannelOutput;
  host: MediaHost | undefined;
  /** Known once the descriptor has come from a peer. */
  container: Container = 'flv';
  readonly #options: ViewerOptions;
  readonly #swarm: LiveSwarm;
  #outlet: RtmpOutlet | undefined;

  constructor(options: ViewerOptions) {
    const { context, link, portal, mms } = options;
    this.#options = options;
    this.portal = portal;
    this.mms = mms;
    this.id = link.id;
    this.name = link.name === '' ? `Channel ${link.id.slice(0, 8)}` : link.name;
    this.slug = slugOf(link.name, `channel-${link.id.slice(0, 8)}`);
    this.link = formatMagnet({ ...link, name: this.name });
    this.shoalLink = formatShoalLink({ ...link, name: this.name });
    this.output = makeOutput(this.#outputOptions());
    this.#swarm = new LiveSwarm(context, {
      id: link.id,
      descriptor: null,
      trackers: [...new Set([...link.trackers, ...context.config.tracker.announce])],
      peers: link.peers,
      onEvent: (event) => this.#onEvent(event),
      onDescriptor: ({ container }) => this.#begin(container),
      onUnusable: options.onUnusable,
      trace: options.trace,
    });
  }

  get feed(): TagFeed {
    return this.output.flv;
  }

  async start(): Promise<void> {
    this.portal.add(this);
    this.mms.offer(`/${this.slug}`, this.output.asf);
    this.#swarm.start();
  }

  async stop(): Promise<void> {
    this.#outlet?.stop();
    await Promise.all([this.output.stop(), this.#swarm.stop()]);
  }

  /** Serves RTMP players from this host from now on. */
  serveRtmp(host: MediaHost): void {
    this.host = host;
    this.#outlet = new RtmpOutlet(host, streamPathOf(this.slug), this.feed);
  }

  status(): ChannelStatus {
    return this.#swarm.status(localPlayers(this));
  }

  watch(): WatchAddresses {
    return this.#options.watch(this.slug, this.output.works);
  }

  /** Getters, because the media host comes later. */
  #outputOptions(): Parameters<typeof makeOutput>[0] {
    const { slug, name, portal, mms } = this;
    const { context, watch } = this.#options;
    const host = (): MediaHost | undefined => this.host;
    return {
      slug,
      name,
      portal,
      mms,
      context,
      watch: (works) => watch(slug, works),
      get host() {
        return host();
      },
    };
  }

  #begin(container: Container): void {
    this.container = container;
    this.output.begin(container);
  }

  #onEvent(event: LiveEvent): void {
    if (event.kind === 'metadata') return this.#describe(event.metadata);
    if (event.kind === 'window') return this.output.pushWindow({ ...event.manifest, bytes: event.bytes, lossOffsets: event.lossOffsets });
    if (event.kind !== 'skipped') return;
    this.#options.context.log.warn(`windows ${event.from} to ${event.to - 1} could not be had in time and were skipped`);
    this.output.discontinuity();
  }

  #describe(metadata: Uint8Array): void {
    if (this.container === 'flv') this.output.pushTag({ type: SCRIPT, timestampMs: 0, body: metadata });
    else void this.output.setAsfHeader(metadata);
  }
}

/**
 * The station: takes sources in, pushed over RTMP or pulled over MMS, and publishes each as a channel. Pushing needs the channel's stream key.
 *
 * Channels come from the configuration, from `shoal channel create` and `accept` (also while it runs) and, on `shoal start`, the test card.
 * Every two seconds the keys file is looked at for new ones, and for what has changed in who may publish them. Whoever
 * publishes to the test card's channel with its key takes the card's place until he leaves.
 */
import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import type { KeyFile, StoredAuthority, StoredChannel } from '../io/files/key-file.js';
import type { MmsServer } from '../io/mms/mms-server.js';
import { startTestCard, type TestCard } from '../io/programs/test-card.js';
import type { MediaHost, PublishDecision, PublishRequest } from '../io/rtmp/media-host.js';
import { Malformed, ShoalError } from '../kernel/errors.js';
import type { Log, Signer } from '../kernel/ports.js';
import { Rng } from '../kernel/rng.js';
import type { InfoHash, Milliseconds } from '../kernel/units.js';
import type { WatchAddresses } from '../relay/endpoints/local-channel.js';
import type { ChannelOutput } from './channel-output.js';
import { TEST_CARD, TEST_CARD_NAME, withGrant } from './channel-roster.js';
import { slugOf } from './channel-slug.js';
import type { ChannelSource } from './channel-source.js';
import { type DeclaredChannel, declareChannels } from './declared-channel.js';
import { parseGrant } from './grant.js';
import type { SwarmContext } from './live-swarm.js';
import { localPlayers, makeOutput } from './local-endpoints.js';
import type { Plugin } from './plugin.js';
import type { Portal } from './portal.js';
import { PulledSource } from './pulled-source.js';
import { PushedSource } from './pushed-source.js';
import { RtmpOutlet } from './rtmp-outlet.js';
import { type KeptAuthority, StationChannel, streamPathOf } from './station-channel.js';

export interface StationOptions {
  readonly context: SwarmContext;
  readonly keys: KeyFile;
  /** Signs as the owner of this station's own channels. */
  readonly owner: Signer;
  /** Signs windows: a key of this station alone. */
  readonly publisher: Signer;
  readonly portal: Portal;
  readonly host: MediaHost;
  readonly mms: MmsServer;
  readonly trackers: readonly string[];
  readonly peerAddress: string;
  readonly watch: (slug: string, works: ChannelOutput['works']) => WatchAddresses;
  /** The name by which encoders reach the RTMP host. */
  readonly rtmpHost: string;
  /** A channel is about to join its swarm: the tracker must know it. */
  readonly onChannel: (id: InfoHash) => void;
}

/** What publishers need to know of a channel. */
export interface PublishAddress {
  /** Server address for the encoder. */
  readonly rtmp: string;
  /** Stream key: the second field in OBS; for ffmpeg it is appended to the address. */
  readonly key: string;
}

export const RTMP_APP = 'live';
const CHANNEL_POLL_MS: Milliseconds = 2_000;
/** After a person has published to the test card's channel, the card comes back this long after he left. */
const CARD_RETURN_MS: Milliseconds = 3_000;

export class Station implements Plugin {
  readonly name = 'station';
  readonly #options: StationOptions;
  readonly #log: Log;
  readonly #channels = new Map<string, StationChannel>();
  /** Slugs of made channels that a person has been told about. */
  readonly #clashes = new Set<string>();
  readonly #unusable = new Set<string>();
  /** By slug. */
  readonly #streamKeys = new Map<string, string>();
  /** Only our own ffmpeg knows it; a new one each time. */
  readonly #cardKey = randomBytes(18).toString('base64url');
  #card: TestCard | undefined;
  #cardReturn: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #stopped = false;
  /** RTMP players of pulled channels. */
  readonly #outlets: RtmpOutlet[] = [];

  constructor(options: StationOptions) {
    this.#options = options;
    this.#log = options.context.log;
  }

  get channels(): readonly StationChannel[] {
    return [...this.#channels.values()];
  }

  /** @throws ShoalError `CHANNEL_EXISTS` when two channels would have one slug, `CHANNEL_NAME` for an unusable source. */
  async start(): Promise<void> {
    const { config } = this.#options.context;
    if (config.station.testCard) this.#add(TEST_CARD);
    const { channels, testCard } = config.station;
    const declared = declareChannels(channels, testCard ? [TEST_CARD_NAME] : []);
    for (const [index, channel] of declared.entries()) this.#add(channel, channels[index]?.key);
    this.#addCreated();
    this.#poll = setInterval(() => this.#lookAtKeys(), CHANNEL_POLL_MS);
    if (config.station.testCard) await this.#startCard();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#poll);
    clearTimeout(this.#cardReturn);
    for (const outlet of this.#outlets) outlet.stop();
    await this.#card?.stop();
    await Promise.all(this.channels.map((channel) => channel.stop()));
  }

  /** Null for a channel that is pulled. */
  publishAddress(slug: string): PublishAddress | null {
    const key = this.#streamKeys.get(slug);
    return key === undefined ? null : { rtmp: this.rtmpServer, key };
  }

  /** Where encoders publish, without a key. */
  get rtmpServer(): string {
    return `rtmp://${this.#options.rtmpHost}:${this.#options.host.port}/${RTMP_APP}`;
  }

  /** Decides who may publish: the name is a stream key, or a channel's name with `?key=` and the stream key. */
  authorise(request: PublishRequest): PublishDecision {
    if (request.app !== RTMP_APP) return refuse(`the application is "${request.app}", expected "${RTMP_APP}" as in ${this.rtmpServer}`);
    if (sameSecret(request.name, this.#cardKey)) return this.#allow(slugOf(TEST_CARD_NAME, 'card'));
    for (const [slug, key] of this.#streamKeys) {
      if (!sameSecret(request.name, key) && !(request.name === slug && sameSecret(request.query['key'] ?? '', key))) continue;
      this.#giveWay(slug);
      return this.#allow(slug);
    }
    const named = this.#streamKeys.has(request.name);
    return refuse(
      named ? `the stream key of channel "${request.name}" is missing or wrong` : 'the stream key belongs to no channel of this station',
    );
  }

  #allow(slug: string): PublishDecision {
    return { allowed: true, streamPath: streamPathOf(slug) };
  }

  #add(declared: DeclaredChannel, key?: string): void {
    const { slug, name } = declared;
    if (this.#channels.has(slug)) {
      throw new ShoalError(
        'CHANNEL_EXISTS',
        `channel "${name}": there is another channel whose address is "${slug}"; give one of them another name`,
      );
    }
    const { context, host, portal, mms, trackers, peerAddress, keys, watch, owner, publisher } = this.#options;
    const pushed = declared.container === 'flv';
    if (pushed) this.#streamKeys.set(slug, key ?? keys.streamKey(slug));
    const output = makeOutput({ slug, name, context, portal, host, mms, watch: (works) => watch(slug, works) });
    const channel = new StationChannel({
      declared,
      context,
      source: this.#makeSource(declared, output),
      output,
      owner,
      publisher,
      kept: (id) => keptAuthority(id, keys.authority()),
      onRevocations: (id, bytes) => this.#keepRevocations(id, bytes),
      trackers,
      peerAddress,
      players: () => localPlayers({ slug, portal, host, mms }),
      watch: () => watch(slug, output.works),
    });
    this.#channels.set(slug, channel);
    this.#options.onChannel(channel.id);
    portal.add(channel);
    mms.offer(`/${slug}`, output.asf);
    if (!pushed) this.#outlets.push(new RtmpOutlet(host, streamPathOf(slug), output.flv));
    channel.start();
    this.#log.info(`channel "${name}" is here`, { slug, id: channel.id });
  }

  #makeSource({ slug, name, source, container, grant }: DeclaredChannel, output: ChannelOutput): ChannelSource {
    const { context, host } = this.#options;
    const log = this.#log.child({ channel: name });
    const { windowMs } = grant?.descriptor ?? context.config.live;
    if (container === 'flv') return new PushedSource({ host, streamPath: streamPathOf(slug), windowMs, output, log });
    return new PulledSource({ url: source, windowMs, output, rng: new Rng(randomInt(0x1_0000_0000)), log });
  }

  #lookAtKeys(): void {
    this.#addCreated();
    this.#refresh();
  }

  /** Who may publish what, by the keys file and the clock. */
  #refresh(): void {
    try {
      const authority = this.#options.keys.authority();
      for (const channel of this.#channels.values()) channel.refresh(keptAuthority(channel.id, authority), Date.now());
    } catch (error) {
      this.#log.warn('who may publish cannot be read', { error: error instanceof Error ? error.message : String(error) });
    }
  }

  /** The swarm has a newer list than the keys file: it holds after a restart, too, and at once. */
  #keepRevocations(id: InfoHash, bytes: Uint8Array): void {
    try {
      this.#options.keys.keepRevocations(id, bytes);
    } catch (error) {
      this.#log.warn('withdrawn keys cannot be kept', { error: error instanceof Error ? error.message : String(error) });
    }
    this.#refresh();
  }

  /** Channels made by `shoal channel create` since the last look. One whose address is taken by the configuration is left out. */
  #addCreated(): void {
    for (const channel of this.#created()) {
      const known = this.#channels.get(channel.slug);
      if (known && known.declared.source !== channel.source) this.#warnOfClash(channel);
      if (known || this.#unusable.has(channel.slug)) continue;
      try {
        this.#add(withGrant(channel, this.#options.keys.authority().grants));
      } catch (error) {
        this.#unusable.add(channel.slug);
        this.#log.warn(`a channel is left out: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  #created(): readonly StoredChannel[] {
    try {
      return this.#options.keys.channels();
    } catch (error) {
      this.#log.warn('new channels cannot be read', { error: error instanceof Error ? error.message : String(error) });
      return [];
    }
  }

  #warnOfClash({ slug, name }: DeclaredChannel): void {
    if (this.#clashes.has(slug)) return;
    this.#clashes.add(slug);
    this.#log.warn(
      `channel "${name}", made by "shoal channel create", is left out: another channel has the address "${slug}". Delete it: shoal channel delete "${slug}"`,
    );
  }

  async #startCard(): Promise<void> {
    try {
      this.#card = await startTestCard({ rtmpUrl: `${this.rtmpServer}/${this.#cardKey}`, log: this.#log });
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      this.#log.warn(error.message);
    }
  }

  /** A person publishes to the test card's channel: the card makes room, and comes back when he has left. */
  #giveWay(slug: string): void {
    if (slug !== slugOf(TEST_CARD_NAME, 'card') || !this.#card) return;
    const card = this.#card;
    this.#card = undefined;
    void card.stop();
    this.#options.host.dropPublisher(streamPathOf(slug), 'a publisher takes the place of the test card');
    this.#awaitReturn(slug);
  }

  #awaitReturn(slug: string): void {
    this.#cardReturn = setTimeout(() => {
      if (this.#stopped) return;
      if (this.#options.host.isPublished(streamPathOf(slug))) this.#awaitReturn(slug);
      else void this.#startCard();
    }, CARD_RETURN_MS);
  }
}

/** A grant that cannot be read counts as none. */
function keptAuthority(id: InfoHash, { grants, revocations }: StoredAuthority): KeptAuthority {
  const text = grants.get(id);
  const grant = text === undefined ? undefined : parseGrant(text);
  const list = revocations.get(id);
  return {
    granted: grant === undefined || grant instanceof Malformed ? null : grant.certificate,
    revocations: list === undefined ? undefined : new Uint8Array(Buffer.from(list, 'base64url')),
  };
}

function refuse(reason: string): PublishDecision {
  return { allowed: false, reason };
}

/** In constant time, whatever the lengths. */
function sameSecret(given: string, secret: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(secret));
}

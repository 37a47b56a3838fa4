/**
 * Shoal as a library: a station, or the viewer of one channel, composed from configuration.
 *
 * This is the one place that knows every part. Each function resolves when all is up and rejects with a `ShoalError` that a person
 * understands when something cannot be had; what had been started by then is stopped again.
 */
import { parseLink } from './ingest/channel-link.js';
import { createSigner, generateSeed, nodeHasher, nodeVerifier } from './io/crypto.js';
import { KeyFile } from './io/files/key-file.js';
import { publisherSeed } from './io/files/publisher-file.js';
import { MmsServer } from './io/mms/mms-server.js';
import { PeerNetwork } from './io/peers/peer-network.js';
import type { MediaHost, MediaHostOptions } from './io/rtmp/media-host.js';
import type { TrackerServer } from './io/trackers/tracker-server.js';
import { HttpServer } from './io/web/http-server.js';
import { Malformed, ShoalError } from './kernel/errors.js';
import type { Log } from './kernel/ports.js';
import { TokenBucket } from './kernel/token-bucket.js';
import type { InfoHash, Milliseconds } from './kernel/units.js';
import type { ChannelOutput } from './plugins/channel-output.js';
import type { ShoalConfig } from './plugins/config.js';
import type { SwarmContext } from './plugins/live-swarm.js';
import { PluginStack } from './plugins/plugin.js';
import { Portal } from './plugins/portal.js';
import { publicAddresses, publicHost } from './plugins/public-address.js';
import { type PublishAddress, RTMP_APP, Station } from './plugins/station.js';
import { Viewer } from './plugins/viewer.js';
import type { ChannelStatus } from './relay/endpoints/channel-status.js';
import type { LocalChannel, WatchAddresses } from './relay/endpoints/local-channel.js';

export { readConfigFiles } from './io/files/config-file.js';
export { createLogger } from './io/logger.js';
export { ShoalError } from './kernel/errors.js';
export { resolveConfig, type ShoalConfig } from './plugins/config.js';

/** A channel that cannot say by now which addresses will work is reported as things stand. */
const KNOWN_MS: Milliseconds = 5_000;

/** Of the package. */
export const VERSION = '0.1.0';

export interface ShoalOptions {
  readonly config: ShoalConfig;
  /** Dotted keys that somebody set; a viewer takes any free port for those that nobody did. */
  readonly explicitKeys?: ReadonlySet<string>;
  readonly log: Log;
}

/** One channel in the ready report. */
export interface ReadyChannel {
  readonly id: InfoHash;
  readonly name: string;
  /** Magnet form. */
  readonly link: string;
  readonly shoalLink: string;
  /** Where and with which key to publish; null for a viewer, and for a channel that is pulled. */
  readonly publish: PublishAddress | null;
  readonly watch: WatchAddresses;
}

/** What a script needs to know when all is up. */
export interface ReadyReport {
  readonly event: 'ready';
  /** Address of the web page. */
  readonly page: string;
  readonly channels: readonly ReadyChannel[];
}

/** The figures of one channel, with its names. */
export interface ChannelReport extends ChannelStatus {
  readonly id: InfoHash;
  readonly name: string;
}

/** The figures of all channels. */
export interface StatusReport {
  readonly event: 'status';
  readonly channels: readonly ChannelReport[];
}

export interface RunningShoal {
  readonly ready: ReadyReport;
  status(): StatusReport;
  /** Bounded to about three seconds; safe to call again. */
  stop(): Promise<void>;
}

/** Starts a station: tracker, peer port, page, RTMP host, channels, and the test card if it is on. */
export async function startStation(options: ShoalOptions): Promise<RunningShoal> {
  const { config, log } = options;
  const stack = new PluginStack(log);
  const known = new Set<InfoHash>();
  const keys = KeyFile.open(config.dataDir, generateSeed);
  // Whatever is wrong with the data folder shows here, before anything listens.
  const owner = createSigner(keys.ownerSeed);
  const publisher = createSigner(publisherSeed(config.dataDir, generateSeed));
  const tracker = config.tracker.enabled ? await startTracker(config, log, stack, (id) => known.has(id)) : null;
  const context = await startSwarmContext(options, stack, config.swarm.port);
  let station: Station | undefined;
  const web = await startWeb(options, stack, config.relay.http.port, () => station?.rtmpServer ?? null);
  const host = await startHost(stack, {
    ...config.station.rtmp,
    authorisePublish: (request) => station?.authorise(request) ?? { allowed: false, reason: 'the station is still starting' },
    silentPublisherMs: config.station.silentPublisherMs,
    playerQueueBytesMax: config.relay.player.queueBytesMax,
    log,
  });
  const mms = await startMms(config, stack, config.relay.mms.port, log);
  const ports = { swarm: context.network.port, trackerHttp: tracker?.httpPort ?? null, trackerUdp: tracker?.udpPort ?? null };
  const { trackers, peers } = publicAddresses(config, ports);
  const rtmpBase = `rtmp://${localName(config.station.rtmp.host)}:${host.port}/${RTMP_APP}`;
  const mmsBase = `mms://${localName(config.relay.mms.host)}:${mms.port}`;
  const started = new Station({
    context,
    keys,
    owner,
    publisher,
    portal: web.portal,
    host,
    mms,
    trackers,
    peerAddress: peers[0] ?? '',
    watch: (slug, works) => watchAddresses(slug, works, web.base, rtmpBase, mmsBase),
    onChannel: (id) => known.add(id),
    rtmpHost: isWildcard(config.station.rtmp.host) ? publicHost(config) : localName(config.station.rtmp.host),
  });
  station = started;
  await stack.start(started);
  const publish = (channel: LocalChannel): PublishAddress | null => started.publishAddress(channel.slug);
  return running(web.base, () => started.channels, publish, stack);
}

/**
 * Joins the channel that `link` names and serves it on this machine.
 *
 * @throws ShoalError `LINK_MALFORMED`, `PORT_TAKEN`.
 */
export async function watchChannel(link: string, options: ShoalOptions): Promise<RunningShoal> {
  const { config, log, explicitKeys } = options;
  const parsed = parseLink(link);
  if (parsed instanceof Malformed) throw new ShoalError('LINK_MALFORMED', `This link cannot be used: ${parsed.reason}`);
  if (parsed.trackers.length + parsed.peers.length + config.tracker.announce.length === 0) {
    log.warn('The link names no tracker and no peer, so nobody can be found. Use the whole link, or set tracker.announce.');
  }
  const portUnlessSet = (key: string, port: number): number => (explicitKeys?.has(key) ? port : 0);
  const stack = new PluginStack(log);
  const context = await startSwarmContext(options, stack, portUnlessSet('swarm.port', config.swarm.port));
  const web = await startWeb(options, stack, portUnlessSet('relay.http.port', config.relay.http.port), () => null);
  const mms = await startMms(config, stack, portUnlessSet('relay.mms.port', config.relay.mms.port), log);
  const mmsBase = `mms://${localName(config.relay.mms.host)}:${mms.port}`;
  let rtmpBase: string | null = null;
  const viewer = new Viewer({
    context,
    link: parsed,
    portal: web.portal,
    mms,
    watch: (slug, works) => watchAddresses(slug, works, web.base, rtmpBase, mmsBase),
    onUnusable: (reason) => log.error(`The link's id is no channel that this version can play: ${reason}`),
  });
  // The swarm is joined before the RTMP host is loaded, so that the first picture does not wait for it.
  await stack.start(viewer);
  const host = await startHost(stack, {
    ...config.relay.rtmp,
    authorisePublish: () => ({ allowed: false, reason: 'this is a viewer; publish to a station' }),
    playerQueueBytesMax: config.relay.player.queueBytesMax,
    log,
  });
  rtmpBase = `rtmp://${localName(config.relay.rtmp.host)}:${host.port}/${RTMP_APP}`;
  viewer.serveRtmp(host);
  return running(
    web.base,
    () => [viewer],
    () => null,
    stack,
  );
}

/** What holds for every start of a part that is not a plugin of its own: if it fails, all before it is stopped. */
async function startPart<Part>(
  stack: PluginStack,
  name: string,
  make: () => Promise<Part>,
  stop: (part: Part) => Promise<void>,
): Promise<Part> {
  const made: Part[] = [];
  await stack.start({
    name,
    start: async () => void made.push(await make()),
    stop: async () => {
      for (const part of made) await stop(part);
    },
  });
  return made[0] as Part;
}

function startTracker(config: ShoalConfig, log: Log, stack: PluginStack, allow: (id: InfoHash) => boolean): Promise<TrackerServer> {
  const { host, port, intervalMs } = config.tracker;
  // Loaded only here: a viewer starts faster without it.
  const start = async (): Promise<TrackerServer> => {
    const { TrackerServer: Server } = await import('./io/trackers/tracker-server.js');
    return Server.start({ host, httpPort: port, udpPort: port, intervalMs, allow, log });
  };
  return startPart(stack, 'tracker', start, (tracker) => tracker.stop());
}

async function startSwarmContext(options: ShoalOptions, stack: PluginStack, port: number): Promise<SwarmContext> {
  const { config, log } = options;
  const { host, maxConnections, uploadBytesPerSecond, downloadBytesPerSecond } = config.swarm;
  const start = (): Promise<PeerNetwork> => PeerNetwork.start({ host, port, maxConnections, log, hasher: nodeHasher });
  const network = await startPart(stack, 'peer network', start, (started) => started.stop());
  const uplink = new TokenBucket(uploadBytesPerSecond);
  const downlink = new TokenBucket(downloadBytesPerSecond);
  return { config, log, network, hasher: nodeHasher, verifier: nodeVerifier, uplink, downlink };
}

interface Web {
  readonly portal: Portal;
  /** `http://127.0.0.1:8080` */
  readonly base: string;
}

async function startWeb(options: ShoalOptions, stack: PluginStack, port: number, publishRtmp: () => string | null): Promise<Web> {
  const { config, log } = options;
  const { host, allowedHosts } = config.relay.http;
  const start = (): Promise<HttpServer> => HttpServer.start({ host, port, allowedHosts, log });
  const server = await startPart(stack, 'web server', start, (started) => started.stop());
  const makePortal = async (): Promise<Portal> =>
    new Portal({ server, log, version: VERSION, publishRtmp, queueBytesMax: config.relay.player.queueBytesMax });
  const portal = await startPart(stack, 'portal', makePortal, async (started) => started.stop());
  return { portal, base: `http://${localName(host)}:${server.port}` };
}

function startMms(config: ShoalConfig, stack: PluginStack, port: number, log: Log): Promise<MmsServer> {
  const { mms, player } = config.relay;
  const start = (): Promise<MmsServer> => MmsServer.start({ host: mms.host, port, log, queueBytesMax: player.queueBytesMax });
  return startPart(stack, 'MMS server', start, (server) => server.stop());
}

/** Loaded only here: node-media-server takes longer to load than everything else together. */
function startHost(stack: PluginStack, hostOptions: MediaHostOptions): Promise<MediaHost> {
  const start = async (): Promise<MediaHost> => (await import('./io/rtmp/media-host.js')).MediaHost.start(hostOptions);
  return startPart(stack, 'media host', start, (host) => host.stop());
}

/** The name by which a player on this machine reaches a listener. */
function localName(host: string): string {
  if (isWildcard(host)) return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function watchAddresses(
  slug: string,
  works: ChannelOutput['works'],
  web: string,
  rtmpBase: string | null,
  mmsBase: string,
): WatchAddresses {
  const { flv, hls } = Portal.paths(slug);
  const ifFlv = (address: string): string | null => (works.flv ? address : null);
  return {
    flv: ifFlv(`${web}${flv}`),
    wsFlv: ifFlv(`${web.replace('http', 'ws')}${flv}`),
    rtmp: rtmpBase === null ? null : ifFlv(`${rtmpBase}/${slug}`),
    hls: ifFlv(`${web}${hls}`),
    mms: works.asf ? `${mmsBase}/${slug}` : null,
  };
}

async function running(
  base: string,
  channels: () => readonly (LocalChannel & { readonly output: ChannelOutput })[],
  publish: (channel: LocalChannel) => PublishAddress | null,
  stack: PluginStack,
): Promise<RunningShoal> {
  await Promise.all(channels().map(({ output }) => output.whenKnown(KNOWN_MS)));
  const ready = channels().map((channel) => {
    const { id, name, link, shoalLink } = channel;
    return { id, name, link, shoalLink, publish: publish(channel), watch: channel.watch() };
  });
  return {
    ready: { event: 'ready', page: `${base}/`, channels: ready },
    status: () => ({
      event: 'status',
      channels: channels().map((channel) => ({ id: channel.id, name: channel.name, ...channel.status() })),
    }),
    stop: () => stack.stop(),
  };
}

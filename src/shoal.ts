/**
 * Shoal as a library: a station, or the viewer of one channel, composed from configuration.
 *
 * This is the one place that knows every part, and loads only those that are wanted. Each function resolves when all is up and rejects with a `ShoalError` that a person
 * understands when something cannot be had; what had been started by then is stopped again.
 */
import { randomInt } from 'node:crypto';
import { parseLink } from './ingest/channel-link.js';
import { createSigner, generateSeed, nodeHasher, nodeVerifier } from './io/crypto.js';
import { KeyFile } from './io/files/key-file.js';
import { ProcessLock } from './io/files/process-lock.js';
import { publisherSeed } from './io/files/publisher-file.js';
import type { TraceFile } from './io/files/trace-file.js';
import type { MmsServer } from './io/mms/mms-server.js';
import { PeerNetwork } from './io/peers/peer-network.js';
import type { MediaHost, MediaHostOptions } from './io/rtmp/media-host.js';
import { TitleShelf } from './io/titles/title-shelf.js';
import type { TrackerServer } from './io/trackers/tracker-server.js';
import { HttpServer } from './io/web/http-server.js';
import { Malformed, ShoalError } from './kernel/errors.js';
import type { Log } from './kernel/ports.js';
import { Rng } from './kernel/rng.js';
import { TokenBucket } from './kernel/token-bucket.js';
import type { InfoHash, Milliseconds } from './kernel/units.js';
import type { ChannelOutput } from './plugins/channel-output.js';
import type { ShoalConfig } from './plugins/config.js';
import type { SwarmContext } from './plugins/live-swarm.js';
import { PluginStack } from './plugins/plugin.js';
import { Portal } from './plugins/portal.js';
import { isWildcard, publicAddresses, publicHost, publicSeedBase } from './plugins/public-address.js';
import type { PublishAddress, Station } from './plugins/station.js';
import { PeerFinding } from './plugins/titles/peer-finding.js';
import { parseTitleEntry } from './plugins/titles/title-entry.js';
import type { TitleView } from './plugins/titles/title-view.js';
import { FILES_TOLD_MAX } from './plugins/titles/title-words.js';
import { Titles } from './plugins/titles/titles.js';
import type { ChannelStatus } from './relay/endpoints/channel-status.js';
import type { LocalChannel, WatchAddresses } from './relay/endpoints/local-channel.js';
import { TRACE_BYTES_MAX } from './relay/trace/live-trace.js';
import { Line } from './vod/transfer/line.js';

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

/** What only a viewer has. */
export interface WatchOptions extends ShoalOptions {
  /** A new file in which the live exchange is recorded, for `shoal sim --replay`. */
  readonly tracePath?: string | undefined;
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
  /** Titles that are kept; absent where none are. */
  readonly titles?: readonly TitleView[];
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
  readonly titles?: readonly TitleView[];
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
  const { RTMP_APP, Station: StationPlugin } = await import('./plugins/station.js');
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
  const started = new StationPlugin({
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
  const titles = config.titles.enabled
    ? await startTitlesPlugin(options, stack, context, web, keys, { trackers, peers, known })
    : undefined;
  const publish = (channel: LocalChannel): PublishAddress | null => started.publishAddress(channel.slug);
  return running(web.base, () => started.channels, publish, stack, titles);
}

/**
 * Joins the channel that `link` names and serves it on this machine.
 *
 * @throws ShoalError `LINK_MALFORMED`, `PORT_TAKEN`, `TRACE_UNWRITABLE`.
 */
export async function watchChannel(link: string, options: WatchOptions): Promise<RunningShoal> {
  const { config, log, explicitKeys } = options;
  const [{ RTMP_APP }, { Viewer }] = await Promise.all([import('./plugins/station.js'), import('./plugins/viewer.js')]);
  const parsed = parseLink(link);
  if (parsed instanceof Malformed) throw new ShoalError('LINK_MALFORMED', `This link cannot be used: ${parsed.reason}`);
  if (parsed.trackers.length + parsed.peers.length + config.tracker.announce.length === 0) {
    log.warn('The link names no tracker and no peer, so nobody can be found. Use the whole link, or set tracker.announce.');
  }
  const portUnlessSet = (key: string, port: number): number => (explicitKeys?.has(key) ? port : 0);
  const stack = new PluginStack(log);
  const trace = await startTrace(options, stack);
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
    trace,
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

/** A process that keeps titles and nothing else, for `shoal publish`, `get` and `play`. */
export interface RunningTitles extends RunningShoal {
  readonly titles: Titles;
}

/**
 * Starts a library of titles: peer port, page, playback; with a tracker of its own for what is published.
 *
 * @throws ShoalError `TITLES_LOCKED` when another process keeps the titles of this data folder; its page is in the data.
 */
export async function startTitles(options: ShoalOptions, { withTracker }: { readonly withTracker: boolean }): Promise<RunningTitles> {
  const { config, log, explicitKeys } = options;
  const portUnlessSet = (key: string, port: number): number => (withTracker || explicitKeys?.has(key) ? port : 0);
  const stack = new PluginStack(log);
  const known = new Set<InfoHash>();
  const keys = KeyFile.open(config.dataDir, generateSeed);
  const tracker = withTracker && config.tracker.enabled ? await startTracker(config, log, stack, (id) => known.has(id)) : null;
  const context = await startSwarmContext(options, stack, portUnlessSet('swarm.port', config.swarm.port));
  const web = await startWeb(options, stack, portUnlessSet('relay.http.port', config.relay.http.port), () => null);
  const ports = { swarm: context.network.port, trackerHttp: tracker?.httpPort ?? null, trackerUdp: tracker?.udpPort ?? null };
  const titles = await startTitlesPlugin(options, stack, context, web, keys, {
    ...publicAddresses(config, ports),
    known,
  });
  const shoal = await running(
    web.base,
    () => [],
    () => null,
    stack,
    titles,
  );
  return { ...shoal, titles };
}

/** What titles need of the process around them. */
interface TitleSurroundings {
  readonly trackers: readonly string[];
  readonly peers: readonly string[];
  /** What the tracker of this process tells of. */
  readonly known: Set<InfoHash>;
}

async function startTitlesPlugin(
  { config, log }: ShoalOptions,
  stack: PluginStack,
  swarm: SwarmContext,
  web: Web,
  keys: KeyFile,
  { trackers, peers, known }: TitleSurroundings,
): Promise<Titles> {
  const lockPath = `${config.dataDir}/titles/lock.json`;
  await startPart(
    stack,
    'lock of the titles',
    async () => ProcessLock.take(lockPath, `${web.base}/`),
    async (lock) => lock.release(),
  );
  const { network, uplink, downlink } = swarm;
  const shelf = new TitleShelf(config.dataDir, parseTitleEntry, log);
  const rng = new Rng(randomInt(2 ** 32));
  const context = {
    config,
    log,
    network,
    uplink,
    downlink,
    line: new Line(),
    shelf,
    rng,
    trackers,
    peerAddresses: peers,
    seedBase: publicSeedBase(config, web.server.port),
    onTitle: (id: InfoHash) => void known.add(id),
    onTitleGone: (id: InfoHash) => void known.delete(id),
    finding: new PeerFinding({ config, network, log }),
  };
  const titles = new Titles({ context, server: web.server, secret: keys.ownerSeed });
  await stack.start(titles);
  web.portal.serveTitles(titles.library);
  return titles;
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

/** Before all else that a viewer starts, so that it is stopped last, and has everything by then. */
async function startTrace({ tracePath, log }: WatchOptions, stack: PluginStack): Promise<TraceFile | undefined> {
  if (tracePath === undefined) return undefined;
  const { TraceFile: File } = await import('./io/files/trace-file.js');
  return startPart(
    stack,
    'recording',
    async () => new File(tracePath, TRACE_BYTES_MAX, log),
    async (file) => file.close(),
  );
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
  const { encryption } = config.titles;
  const start = (): Promise<PeerNetwork> => PeerNetwork.start({ host, port, maxConnections, log, hasher: nodeHasher, encryption });
  const network = await startPart(stack, 'peer network', start, (started) => started.stop());
  const uplink = new TokenBucket(uploadBytesPerSecond);
  const downlink = new TokenBucket(downloadBytesPerSecond);
  return { config, log, network, hasher: nodeHasher, verifier: nodeVerifier, uplink, downlink };
}

interface Web {
  readonly portal: Portal;
  readonly server: HttpServer;
  /** `http://127.0.0.1:8080` */
  readonly base: string;
}

async function startWeb(options: ShoalOptions, stack: PluginStack, port: number, publishRtmp: () => string | null): Promise<Web> {
  const { config, log } = options;
  const { host, allowedHosts } = config.relay.http;
  const { publicHost: outside } = config.swarm;
  // Web seeds are asked for under this name; nobody but the operator could have set it.
  const names = outside === 'auto' ? allowedHosts : [...allowedHosts, outside];
  const start = (): Promise<HttpServer> => HttpServer.start({ host, port, allowedHosts: names, log });
  const server = await startPart(stack, 'web server', start, (started) => started.stop());
  const makePortal = async (): Promise<Portal> =>
    new Portal({ server, log, version: VERSION, publishRtmp, queueBytesMax: config.relay.player.queueBytesMax });
  const portal = await startPart(stack, 'portal', makePortal, async (started) => started.stop());
  return { portal, server, base: `http://${localName(host)}:${server.port}` };
}

function startMms(config: ShoalConfig, stack: PluginStack, port: number, log: Log): Promise<MmsServer> {
  const { mms, player } = config.relay;
  const start = async (): Promise<MmsServer> => {
    const { MmsServer: Server } = await import('./io/mms/mms-server.js');
    return Server.start({ host: mms.host, port, log, queueBytesMax: player.queueBytesMax });
  };
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
  titles?: Titles,
): Promise<RunningShoal> {
  await Promise.all(channels().map(({ output }) => output.whenKnown(KNOWN_MS)));
  const ready = channels().map((channel) => {
    const { id, name, link, shoalLink } = channel;
    return { id, name, link, shoalLink, publish: publish(channel), watch: channel.watch() };
  });
  return {
    ready: { event: 'ready', page: `${base}/`, channels: ready, ...(titles ? { titles: titles.library.list() } : {}) },
    status: () => ({
      event: 'status',
      channels: channels().map((channel) => ({ id: channel.id, name: channel.name, ...channel.status() })),
      ...(titles ? { titles: titles.library.list({ filesMax: FILES_TOLD_MAX }) } : {}),
    }),
    stop: () => stack.stop(),
  };
}

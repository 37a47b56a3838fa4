/**
 * The portal: mounts the web page, its API and the FLV and HLS endpoints of a changing set of channels on one HTTP server.
 */
import { fileOfPackage, PACKAGE_ROOT } from '../io/package-root.js';
import { FlvEgress } from '../io/web/flv-egress.js';
import { HlsMuxer } from '../io/web/hls-muxer.js';
import type { HttpServer, WebReply, WebRequest } from '../io/web/http-server.js';
import { qrCodeSvg } from '../io/web/qr-code.js';
import { type StaticFile, serveFiles } from '../io/web/static-files.js';
import { WebSocketServer } from '../io/web/websocket-server.js';
import { invariant } from '../kernel/errors.js';
import type { Log } from '../kernel/ports.js';
import type { Bytes, InfoHash } from '../kernel/units.js';
import type { LocalChannel } from '../relay/endpoints/local-channel.js';
import { openApiDocument, type PortalView, viewChannel } from './portal-api.js';
import type { TitleLibraryPort } from './titles/title-view.js';
import { mountTitles, type TitlesApiOptions } from './titles/titles-api.js';

export interface PortalOptions {
  readonly server: HttpServer;
  readonly log: Log;
  /** Of the package, for `/api/status`. */
  readonly version: string;
  /** Where an encoder publishes, such as `rtmp://127.0.0.1:1935/live`, for the page's instructions; null without an RTMP server. */
  readonly publishRtmp: () => string | null;
  /** What may wait for one slow player, bytes. */
  readonly queueBytesMax?: Bytes;
}

/** Paths of a channel's endpoints, from the server's root. */
export interface EndpointPaths {
  readonly flv: string;
  readonly hls: string;
}

interface Mounted {
  readonly channel: LocalChannel;
  readonly egress: FlvEgress;
  readonly hls: HlsMuxer;
}

const SLUG = /^[A-Za-z0-9_-]+$/;
const FLV_PATH = /^\/live\/([A-Za-z0-9_-]+)\.flv$/;
/** Parts of the page that show titles. */
const TITLE_SCRIPTS = [
  'titles',
  'title-adding',
  'title-detail',
  'title-files',
  'title-player',
  'title-removal',
  'title-words',
  'piece-map',
  'subtitle-choice',
];
const SCRIPT_TYPE = 'text/javascript; charset=utf-8';
/** The page is small and may change with an update; libraries change only with their version. */
const PAGE_CACHE = 'no-cache';
const VENDOR_CACHE = 'public, max-age=86400';

export class Portal {
  readonly #options: PortalOptions;
  readonly #mounted = new Map<string, Mounted>();
  readonly #sockets: WebSocketServer;
  #library: TitleLibraryPort | undefined;

  constructor(options: PortalOptions) {
    this.#options = options;
    this.#sockets = new WebSocketServer((path) => this.#acceptSocket(path));
    this.#mountPage();
    this.#mountApi();
    this.#mountLive();
  }

  /** Tells of titles from now on. Until then the page has none, and there are no routes for them. Called once. */
  serveTitles(library: TitleLibraryPort, options?: TitlesApiOptions): void {
    this.#library = library;
    mountTitles(this.#options.server, library, options);
  }

  /** Where a channel of this slug is served, whether it is there yet or not. */
  static paths(slug: string): EndpointPaths {
    return { flv: `/live/${slug}.flv`, hls: `/live/${slug}/index.m3u8` };
  }

  add(channel: LocalChannel): void {
    invariant(SLUG.test(channel.slug), 'a slug consists of letters, digits, _ and -');
    invariant(!this.#mounted.has(channel.slug), 'every slug is mounted once');
    const log = this.#options.log.child({ channel: channel.id });
    const { queueBytesMax } = this.#options;
    const egress = new FlvEgress(channel.feed, queueBytesMax === undefined ? { log } : { log, queueBytesMax });
    this.#mounted.set(channel.slug, { channel, egress, hls: new HlsMuxer(channel.feed, { log }) });
  }

  /** Sends the channel's players away and frees what it took. Does nothing for an unknown slug. */
  remove(slug: string): void {
    const mounted = this.#mounted.get(slug);
    this.#mounted.delete(slug);
    mounted?.egress.stop();
    mounted?.hls.stop();
  }

  /** Players of the channel on these endpoints right now; all who watch by HLS count as one. */
  playersOf(slug: string): number {
    const mounted = this.#mounted.get(slug);
    return mounted === undefined ? 0 : playersOf(mounted);
  }

  /** Ends all streams. The server is stopped by whoever started it. */
  stop(): void {
    for (const slug of [...this.#mounted.keys()]) this.remove(slug);
    this.#sockets.stop();
  }

  #mountPage(): void {
    serveFiles(this.#options.server, [
      page('/', 'index.html', 'text/html; charset=utf-8'),
      page('/style.css', 'style.css', 'text/css; charset=utf-8'),
      page('/app.js', 'app.js', SCRIPT_TYPE),
      page('/player.js', 'player.js', SCRIPT_TYPE),
      page('/elements.js', 'elements.js', SCRIPT_TYPE),
      page('/figures.js', 'figures.js', SCRIPT_TYPE),
      page('/publishers.js', 'publishers.js', SCRIPT_TYPE),
      page('/publisher-panel.js', 'publisher-panel.js', SCRIPT_TYPE),
      ...TITLE_SCRIPTS.map((name) => page(`/${name}.js`, `${name}.js`, SCRIPT_TYPE)),
      page('/titles.css', 'titles.css', 'text/css; charset=utf-8'),
      page('/icon.svg', 'icon.svg', 'image/svg+xml'),
      vendor('/vendor/mpegts.js', 'mpegts.js'),
      vendor('/vendor/hls.js', 'hls.js/dist/hls.light.min.js'),
    ]);
  }

  #mountApi(): void {
    const { server, version } = this.#options;
    server.get('/healthz', () => ({ headers: { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' }, body: 'ok\n' }));
    server.get('/api/openapi.json', () => json(200, openApiDocument(version)));
    server.get('/api/status', () => json(200, this.#viewSelf()));
    server.get('/api/channels', () => json(200, { channels: [...this.#mounted.values()].map(({ channel }) => viewChannel(channel)) }));
    server.get('/api/channels/:id', (request) => this.#withChannel(request, ({ channel }) => json(200, viewChannel(channel))));
    server.get('/api/channels/:id/qr.svg', (request) => this.#withChannel(request, ({ channel }) => qrReply(channel.link)));
  }

  #mountLive(): void {
    const { server } = this.#options;
    server.stream('/live/:file.flv', (request, response) => {
      const mounted = this.#mounted.get(request.parameters['file'] ?? '');
      if (mounted === undefined)
        response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end('There is no such channel here.\n');
      else mounted.egress.serveHttp(request.method, response);
    });
    server.route(['GET', 'HEAD', 'OPTIONS'], '/live/:slug/:file', ({ method, parameters }) => {
      const mounted = this.#mounted.get(parameters['slug'] ?? '');
      if (mounted === undefined) return { status: 404, body: 'There is no such channel here.\n' };
      return mounted.hls.serve(method, parameters['file'] ?? '');
    });
    server.onUpgrade((request, socket, head) => this.#sockets.handle(request, socket, head));
  }

  #acceptSocket(path: string): ((socket: Parameters<FlvEgress['serveSocket']>[0]) => void) | null {
    const mounted = this.#mounted.get(FLV_PATH.exec(path)?.[1] ?? '');
    return mounted === undefined ? null : (socket) => mounted.egress.serveSocket(socket);
  }

  #find(id: InfoHash): Mounted | undefined {
    return [...this.#mounted.values()].find(({ channel }) => channel.id === id);
  }

  #withChannel(request: WebRequest, answer: (mounted: Mounted) => WebReply | Promise<WebReply>): WebReply | Promise<WebReply> {
    const mounted = this.#find((request.parameters['id'] ?? '').toLowerCase());
    if (mounted !== undefined) return answer(mounted);
    return fault(404, 'CHANNEL_UNKNOWN', 'There is no such channel here; /api/channels lists the ones there are.');
  }

  #viewSelf(): PortalView {
    const { version, publishRtmp } = this.#options;
    const players = [...this.#mounted.values()].reduce((sum, mounted) => sum + playersOf(mounted), 0);
    return {
      version,
      uptimeSeconds: Math.round(process.uptime()),
      channels: this.#mounted.size,
      players,
      publishRtmp: publishRtmp(),
      titles: this.#library?.count ?? null,
    };
  }
}

function playersOf({ egress, hls }: Mounted): number {
  return egress.counts.viewers + (hls.watched ? 1 : 0);
}

async function qrReply(link: string): Promise<WebReply> {
  const svg = await qrCodeSvg(link);
  if (svg === undefined) return fault(422, 'LINK_TOO_LONG', 'This link is too long for a QR code; copy it instead.');
  return { headers: { 'Content-Type': 'image/svg+xml', 'Cache-Control': 'public, max-age=3600' }, body: svg };
}

function json(status: number, value: unknown): WebReply {
  return {
    status,
    headers: { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' },
    body: JSON.stringify(value),
  };
}

function fault(status: number, code: string, message: string): WebReply {
  return json(status, { error: { code, message } });
}

function page(path: string, name: string, contentType: string): StaticFile {
  return { path, file: new URL(`web/${name}`, PACKAGE_ROOT), contentType, cacheControl: PAGE_CACHE };
}

function vendor(path: string, specifier: string): StaticFile {
  return { path, file: fileOfPackage(specifier), contentType: SCRIPT_TYPE, cacheControl: VENDOR_CACHE };
}

/** A portal on a real HTTP server with channels made of feeds, for tests and for looking at the page. */
import { HttpServer } from '../../src/io/web/http-server.js';
import { Portal } from '../../src/plugins/portal.js';
import type { ChannelStatus } from '../../src/relay/endpoints/channel-status.js';
import type { LocalChannel } from '../../src/relay/endpoints/local-channel.js';
import { TagFeed } from '../../src/relay/endpoints/tag-feed.js';
import { pacingOf } from '../../src/relay/exchange/viewing-mode.js';
import { MemoryLog } from './memory-log.js';

const NO_TRAFFIC = { media: 0, manifest: 0, map: 0, request: 0, control: 0, total: 0 };

export const IDLE_STATUS: ChannelStatus = {
  role: 'viewer',
  live: false,
  peers: 0,
  bufferSeconds: 0,
  upBytes: NO_TRAFFIC,
  downBytes: NO_TRAFFIC,
  upBytesPerSecond: 0,
  downBytesPerSecond: 0,
  lineBytesPerSecond: null,
  shareFromPeers: null,
  delayMs: null,
  windowsDelivered: 0,
  holes: 0,
  inPart: 0,
  pacing: pacingOf('balanced'),
  timeouts: 0,
  players: 0,
  publishers: [],
  conflict: null,
  alignment: null,
  authority: 'none',
  publisherKey: null,
  certificateUntil: null,
};

export interface PortalFixture {
  readonly server: HttpServer;
  readonly portal: Portal;
  readonly log: MemoryLog;
  /** Without a trailing slash. */
  readonly origin: string;
  channel(slug: string, options?: { readonly name?: string; readonly feed?: TagFeed; status?(): ChannelStatus }): LocalChannel;
  stop(): Promise<void>;
}

export async function startPortal(): Promise<PortalFixture> {
  const log = new MemoryLog();
  const server = await HttpServer.start({ host: '127.0.0.1', port: 0, log });
  const portal = new Portal({ server, log, version: '0.0.0-test', publishRtmp: () => 'rtmp://127.0.0.1:1935/live' });
  const origin = `http://127.0.0.1:${server.port}`;
  let made = 0;
  return {
    server,
    portal,
    log,
    origin,
    channel(slug, options = {}) {
      made += 1;
      const id = made.toString(16).padStart(2, '0').repeat(20);
      const channel: LocalChannel = {
        slug,
        id,
        name: options.name ?? slug,
        link: `magnet:?xt=urn:btih:${id}&dn=${slug}&tr=http%3A%2F%2F127.0.0.1%3A6969%2Fannounce`,
        shoalLink: `shoal:${id}`,
        container: 'flv',
        feed: options.feed ?? new TagFeed(),
        status: options.status ?? (() => IDLE_STATUS),
        watch: () => ({
          flv: `${origin}/live/${slug}.flv`,
          wsFlv: `${origin.replace('http', 'ws')}/live/${slug}.flv`,
          rtmp: `rtmp://127.0.0.1:1935/live/${slug}`,
          hls: `${origin}/live/${slug}/index.m3u8`,
          mms: null,
        }),
      };
      portal.add(channel);
      return channel;
    },
    async stop() {
      portal.stop();
      await server.stop();
    },
  };
}

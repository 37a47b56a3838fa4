/**
 * The shapes that the page's API answers with, and the OpenAPI 3.1 document that says so. A test holds the two together.
 */
import type { AlignmentStatus, ChannelStatus, ConflictStatus, PublisherStatus } from '../relay/endpoints/channel-status.js';
import type { LocalChannel, WatchAddresses } from '../relay/endpoints/local-channel.js';
import type { FeedTracks } from '../relay/endpoints/tag-feed.js';
import type { Pacing } from '../relay/exchange/viewing-mode.js';
import {
  AMOUNT,
  COUNT,
  closed,
  described,
  type FieldsOf,
  FLAG,
  json,
  named,
  OPTIONAL_TEXT,
  optional,
  type Schema,
  TEXT,
} from './open-api.js';
import { TITLE_PATHS, TITLE_SCHEMAS } from './titles/titles-document.js';

/** One channel as `/api/channels` tells it. */
export interface ChannelView {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly link: string;
  readonly shoalLink: string;
  readonly container: 'flv' | 'asf';
  readonly tracks: FeedTracks;
  readonly watch: WatchAddresses;
  readonly status: ChannelStatus;
}

/** The process as `/api/status` tells it. */
export interface PortalView {
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly channels: number;
  /** Players of HTTP-FLV, WS-FLV and HLS. */
  readonly players: number;
  /** Where an encoder publishes, without the key; null when this process takes no publishers. */
  readonly publishRtmp: string | null;
  /** Titles in the library; null when this process keeps none. */
  readonly titles: number | null;
}

export function viewChannel(channel: LocalChannel): ChannelView {
  const { id, slug, name, link, shoalLink, container, feed } = channel;
  return { id, slug, name, link, shoalLink, container, tracks: feed.tracks, watch: channel.watch(), status: channel.status() };
}

const TRAFFIC = closed(
  { media: AMOUNT, manifest: AMOUNT, map: AMOUNT, request: AMOUNT, control: AMOUNT, total: AMOUNT },
  'Bytes on the peer wire since the start, by what they carried.',
);

const KEY: Schema = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const OPTIONAL_KEY: Schema = { ...KEY, type: ['string', 'null'] };

const PUBLISHER: FieldsOf<PublisherStatus> = {
  key: described(KEY, 'Its public key, hex.'),
  windows: described(COUNT, 'Windows played that it had signed.'),
  lastSeconds: described(AMOUNT, 'Since the last of them.'),
};

const CONFLICT: FieldsOf<ConflictStatus> = {
  publishers: { type: 'array', items: KEY, minItems: 2, maxItems: 2, description: 'Public keys; the first one is followed here.' },
  window: described(COUNT, 'The newest window of which that is known.'),
};

const ALIGNMENT: FieldsOf<AlignmentStatus> = {
  state: { enum: ['waiting', 'looking', 'leading', 'aligned', 'standby'] },
  detail: described(TEXT, 'Why, in words.'),
  offsetMs: { type: 'number', description: "How far the source's times are moved to be those of the channel." },
};

const PACING: FieldsOf<Pacing> = {
  targetMs: described(AMOUNT, 'Media to keep in reserve.'),
  maxMs: described(AMOUNT, 'With more than this a player should play faster until it is at the target.'),
  rateMax: described(AMOUNT, 'How much faster at most.'),
  jumpMs: described(AMOUNT, 'With more than this it should jump.'),
};

const STATUS_FIELDS: FieldsOf<ChannelStatus> = {
  role: { enum: ['publisher', 'viewer'] },
  live: described(FLAG, 'Media arrived within the last few seconds.'),
  peers: described(COUNT, 'Connected neighbours.'),
  bufferSeconds: described(AMOUNT, 'Media held ahead of the newest delivered window; for a publisher, media kept for upload.'),
  upBytes: named('Traffic'),
  downBytes: named('Traffic'),
  upBytesPerSecond: AMOUNT,
  downBytesPerSecond: AMOUNT,
  lineBytesPerSecond: described(
    optional(AMOUNT),
    'What the line has been found to carry upwards; null while nothing speaks for a limit, and where one is configured.',
  ),
  shareFromPeers: {
    type: ['number', 'null'],
    minimum: 0,
    maximum: 1,
    description: 'Part of the received media that came from peers that are not publishers.',
  },
  delayMs: {
    type: ['number', 'null'],
    description: 'How far the oldest media of the newest delivered window lies behind the publisher.',
  },
  windowsDelivered: COUNT,
  holes: described(COUNT, 'Windows given up and jumped over.'),
  inPart: described(COUNT, 'Windows that lacked something when they were handed on; the picture stood still until the next key frame.'),
  pacing: closed(PACING, 'For players that can change their speed.'),
  timeouts: described(COUNT, 'Requests that ran into the one-shot timeout.'),
  players: described(COUNT, 'Local players of all kinds right now.'),
  publishers: { type: 'array', items: closed(PUBLISHER), description: 'Whose signatures the played windows carried; empty for a station.' },
  conflict: optional(closed(CONFLICT, 'Two authorised publishers that show different content; null while all agree.')),
  alignment: optional(closed(ALIGNMENT, "Where a station's source stands among the publishers of its channel; null for a viewer.")),
  authority: {
    enum: ['owner', 'delegated', 'expired', 'withdrawn', 'none'],
    description: 'By what right this process publishes the channel; none for a viewer.',
  },
  publisherKey: described(OPTIONAL_KEY, 'Public key that windows are signed with here, in hex.'),
  certificateUntil: described(OPTIONAL_TEXT, 'When its certificate ends, ISO 8601.'),
};

const STATUS = closed(STATUS_FIELDS, 'The figures of one channel, renewed once a second.');

const CHANNEL = closed({
  id: { type: 'string', pattern: '^[0-9a-f]{40}$', description: 'Info hash of the swarm.' },
  slug: { type: 'string', pattern: '^[A-Za-z0-9_-]+$', description: 'Its name in addresses.' },
  name: TEXT,
  link: described(TEXT, 'Magnet form.'),
  shoalLink: described(TEXT, 'The same for the operating system.'),
  container: { enum: ['flv', 'asf'] },
  tracks: closed({ audio: FLAG, video: FLAG, audioCodec: OPTIONAL_TEXT, videoCodec: OPTIONAL_TEXT }, 'What carries media now.'),
  watch: closed(
    { flv: OPTIONAL_TEXT, wsFlv: OPTIONAL_TEXT, rtmp: OPTIONAL_TEXT, hls: OPTIONAL_TEXT, mms: OPTIONAL_TEXT },
    'Addresses for players.',
  ),
  status: named('ChannelStatus'),
});

const PORTAL_FIELDS: FieldsOf<PortalView> = {
  version: TEXT,
  uptimeSeconds: AMOUNT,
  channels: COUNT,
  players: COUNT,
  publishRtmp: OPTIONAL_TEXT,
  titles: described(optional(COUNT), 'Titles in the library; null when this process keeps none, and has no routes for them.'),
};
const PORTAL = closed(PORTAL_FIELDS);
const FAULT = closed({ error: closed({ code: TEXT, message: TEXT }) });

const CHANNEL_ID = { name: 'id', in: 'path', required: true, schema: { type: 'string' }, description: 'Channel id, 40 hex digits.' };

const UNKNOWN_CHANNEL = json('There is no such channel here.', named('Fault'));

/** The document served as `/api/openapi.json`. */
export function openApiDocument(version: string): Schema {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Shoal',
      version,
      summary: 'Channels and titles of this machine and how they do.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    paths: {
      '/api/channels': {
        get: {
          operationId: 'listChannels',
          summary: 'All channels',
          responses: {
            200: json('Channels in the order they were added.', closed({ channels: { type: 'array', items: named('Channel') } })),
          },
        },
      },
      '/api/channels/{id}': {
        get: {
          operationId: 'readChannel',
          summary: 'One channel',
          parameters: [CHANNEL_ID],
          responses: { 200: json('The channel.', named('Channel')), 404: UNKNOWN_CHANNEL },
        },
      },
      '/api/channels/{id}/qr.svg': {
        get: {
          operationId: 'readChannelQrCode',
          summary: "QR code of the channel's link",
          parameters: [CHANNEL_ID],
          responses: {
            200: { description: 'A square picture.', content: { 'image/svg+xml': { schema: TEXT } } },
            404: UNKNOWN_CHANNEL,
            422: json('The link is too long for a code.', named('Fault')),
          },
        },
      },
      ...TITLE_PATHS,
      '/api/status': {
        get: { operationId: 'readStatus', summary: 'This process', responses: { 200: json('Figures of the process.', named('Portal')) } },
      },
      '/api/openapi.json': {
        get: { operationId: 'readDocument', summary: 'This document', responses: { 200: json('OpenAPI 3.1.', { type: 'object' }) } },
      },
      '/healthz': {
        get: {
          operationId: 'readHealth',
          summary: 'Whether the process answers',
          responses: { 200: { description: 'It does.', content: { 'text/plain': { schema: { const: 'ok\n' } } } } },
        },
      },
    },
    components: { schemas: { Channel: CHANNEL, ChannelStatus: STATUS, Traffic: TRAFFIC, Portal: PORTAL, Fault: FAULT, ...TITLE_SCHEMAS } },
  };
}

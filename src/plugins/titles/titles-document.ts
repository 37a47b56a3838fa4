/**
 * The part of the OpenAPI document that tells of titles. The compiler holds its fields equal to the types, a test its words to the answers.
 */
import { AMOUNT, COUNT, closed, described, type FieldsOf, FLAG, json, named, OPTIONAL_TEXT, type Schema, TEXT } from '../open-api.js';
import {
  type CachingView,
  TITLE_STATES,
  type TitleDetail,
  type TitleFileView,
  type TitlePeerView,
  type TitleTrackerView,
  type TitleView,
} from './title-view.js';
import type { TitleList } from './titles-api.js';

const SHARE: Schema = { type: 'number', minimum: 0, maximum: 1 };
const INFO_HASH: Schema = { type: 'string', pattern: '^[0-9a-f]{40}$' };
const JPEG = 'image/jpeg';
const TORRENT = 'application/x-bittorrent';

const FILE: FieldsOf<TitleFileView> = {
  index: described(COUNT, 'That of the torrent; padding files are left out.'),
  path: described(TEXT, 'Folders and name, joined by /.'),
  sizeBytes: COUNT,
  haveBytes: COUNT,
  kind: { enum: ['video', 'audio', 'subtitle', 'picture', 'other'] },
  wanted: described(FLAG, 'Whether it is to be downloaded.'),
  play: described(TEXT, 'Path from the root of this server, for players: the file as it is.'),
  browser: described(
    OPTIONAL_TEXT,
    'Path that a browser plays: the file, or an .m3u8 of its conversion; for a subtitle its WebVTT. Null when no browser can.',
  ),
  converted: described(
    OPTIONAL_TEXT,
    'Path of an .m3u8 of its conversion, for a browser that cannot play the file itself. Null for what is no film or sound.',
  ),
};

const TITLE: FieldsOf<TitleView> = {
  id: described(INFO_HASH, 'Info hash.'),
  name: described(TEXT, 'Empty while nothing is known of it.'),
  link: described(TEXT, 'Magnet form.'),
  state: { enum: TITLE_STATES, description: 'idle: all there, and no longer seeding, as the seeding policy says.' },
  error: described(OPTIONAL_TEXT, 'Why it failed, in words.'),
  published: described(FLAG, 'Made from files of this machine.'),
  isPrivate: described(
    FLAG,
    'Peers come from its trackers alone (BEP 27). Other machines are told neither their addresses nor those of web seeds.',
  ),
  pinned: described(FLAG, 'Never gives way to what is watched, whatever titles.quotaBytes says.'),
  sizeBytes: COUNT,
  haveBytes: described(COUNT, 'Here and verified.'),
  progress: described(SHARE, 'Of the wanted bytes.'),
  pieceCount: COUNT,
  pieceLengthBytes: COUNT,
  downBytesPerSecond: AMOUNT,
  upBytesPerSecond: AMOUNT,
  downloadedBytes: described(COUNT, 'Payload since it was added.'),
  uploadedBytes: COUNT,
  ratio: described(AMOUNT, 'Uploaded over downloaded, or over the size for what was never downloaded.'),
  peers: described(COUNT, 'Connected.'),
  seeders: described(COUNT, 'Of the peers, those that have all of it.'),
  addedAt: described(TEXT, 'ISO 8601.'),
  picture: described(OPTIONAL_TEXT, 'Path of a JPEG; null while there is none.'),
  playlist: described(OPTIONAL_TEXT, 'Path of the m3u8 playlist for players; null when nothing in it can be played.'),
  files: { type: 'array', items: named('TitleFile') },
};

const PEER: FieldsOf<TitlePeerView> = {
  client: described(TEXT, 'As it calls itself, or by its peer id.'),
  address: TEXT,
  kind: { enum: ['peer', 'web-seed'] },
  progress: SHARE,
  downBytesPerSecond: AMOUNT,
  upBytesPerSecond: AMOUNT,
  priority: described(SHARE, 'Its share of our upload.'),
  encrypted: FLAG,
};

const TRACKER: FieldsOf<TitleTrackerView> = { url: TEXT, state: described(TEXT, 'In words.'), peers: COUNT };

const DETAIL: FieldsOf<TitleDetail> = {
  ...TITLE,
  have: described(TEXT, 'Bitfield of the pieces that are here and verified, base64; the first piece is the highest bit of the first byte.'),
  requested: { type: 'array', items: COUNT, description: 'Pieces that are on their way.' },
  peerList: { type: 'array', items: named('TitlePeer') },
  trackers: { type: 'array', items: closed(TRACKER) },
  comment: TEXT,
};

const OPTIONAL_AMOUNT: Schema = { type: ['number', 'null'], minimum: 0 };

const CACHING: FieldsOf<CachingView> = {
  mode: { enum: ['single-task', 'multi-task', 'multi-task-with-control'], description: 'titles.caching.' },
  startUps: COUNT,
  startUpMs: described(OPTIONAL_AMOUNT, 'From asking to the first byte, median; null before the first.'),
  jumps: COUNT,
  jumpMs: described(OPTIONAL_AMOUNT, 'The same after a jump.'),
  stalls: described(COUNT, 'A player had to wait for more bytes.'),
  stalledMs: AMOUNT,
  shareRatio: described(OPTIONAL_AMOUNT, 'Sent over received.'),
  sourceRatio: described(OPTIONAL_AMOUNT, 'Of what was received, the part that came from seeders.'),
  hitRatio: described(OPTIONAL_AMOUNT, 'Of what was read, the part that was here before it was needed.'),
};

const LIST: FieldsOf<TitleList> = {
  titles: { type: 'array', items: named('Title') },
  mayChange: described(FLAG, 'Whether who asked may add, remove, pause, resume and check.'),
  caching: closed(CACHING, 'What sharing the line among titles does to whoever watches, since the process began.'),
};

export const TITLE_SCHEMAS: Readonly<Record<string, Schema>> = {
  Title: closed(TITLE, 'One title, and how it does.'),
  TitleFile: closed(FILE),
  TitlePeer: closed(PEER, 'A neighbour of this title, or a web seed.'),
  TitleDetail: closed(DETAIL, 'A title with its pieces, peers and trackers.'),
};

const TITLE_ID = { name: 'id', in: 'path', required: true, schema: { type: 'string' }, description: 'Info hash, 40 hex digits.' };
const WITHOUT_FILES = {
  name: 'files',
  in: 'query',
  schema: { enum: ['no'] },
  description: 'Leaves the files out: there may be thousands.',
};
const UNKNOWN_TITLE = json('There is no such title here.', named('Fault'));
const FORBIDDEN = json('Another web page or another machine sent it.', named('Fault'));
const WRONG_TYPE = json('The content type is none of those taken here.', named('Fault'));

function stateChange(operationId: string, summary: string, more: Readonly<Record<number, Schema>> = {}): Schema {
  return {
    post: {
      operationId,
      summary,
      parameters: [TITLE_ID],
      responses: {
        200: json('The title as it is then.', named('TitleDetail')),
        403: FORBIDDEN,
        404: UNKNOWN_TITLE,
        ...more,
        415: WRONG_TYPE,
      },
    },
  };
}

const ADD = {
  operationId: 'addTitle',
  summary: 'Add a title',
  requestBody: {
    required: true,
    content: {
      'application/json': {
        schema: closed({ link: described(TEXT, 'A magnet link, or the http address of a torrent file; at most 32,768 characters.') }),
      },
      [TORRENT]: { schema: { type: 'string', description: 'A torrent file of at most 10 MiB.' } },
    },
  },
  responses: {
    200: json('It was there already.', named('Title')),
    201: json('It has been added.', named('Title')),
    400: json('The link, the file or the body is malformed; the message says what is wrong and where.', named('Fault')),
    403: FORBIDDEN,
    413: json('The body is larger than 64 KiB of JSON or 10 MiB of torrent.', named('Fault')),
    415: WRONG_TYPE,
    422: json('It was understood, and is not possible; an address that cannot be fetched, for instance.', named('Fault')),
    503: json('Too many bodies are being sent.', named('Fault')),
  },
};

const REMOVE = {
  operationId: 'removeTitle',
  summary: 'Remove a title',
  parameters: [
    TITLE_ID,
    {
      name: 'data',
      in: 'query',
      required: true,
      schema: { enum: ['keep', 'remove'] },
      description: 'Whether its files stay on the disk or are deleted.',
    },
  ],
  responses: {
    204: { description: 'It is gone.' },
    400: json('It was not said what happens to the files.', named('Fault')),
    403: FORBIDDEN,
    404: UNKNOWN_TITLE,
    422: json('It is not possible, for instance because the disk refuses.', named('Fault')),
  },
};

/** Routes that `mountTitles` makes. They are there in a process that keeps titles. */
export const TITLE_PATHS: Readonly<Record<string, Schema>> = {
  '/api/titles': {
    get: {
      operationId: 'listTitles',
      summary: 'All titles',
      parameters: [WITHOUT_FILES],
      responses: { 200: json('Titles in the order they were added.', closed(LIST)) },
    },
    post: ADD,
  },
  '/api/titles/{id}': {
    get: {
      operationId: 'readTitle',
      summary: 'One title',
      parameters: [TITLE_ID, WITHOUT_FILES],
      responses: { 200: json('The title.', named('TitleDetail')), 404: UNKNOWN_TITLE },
    },
    delete: REMOVE,
  },
  '/api/titles/{id}/pause': stateChange('pauseTitle', 'Stop downloading and uploading'),
  '/api/titles/{id}/resume': stateChange('resumeTitle', 'Go on; a title that has given enough gives on without end'),
  '/api/titles/{id}/recheck': stateChange('recheckTitle', 'Begin to check all that lies on the disk', {
    409: json('Nobody knows yet what belongs there.', named('Fault')),
  }),
  '/api/titles/{id}/pin': stateChange('pinTitle', 'Keep it, whatever the quota'),
  '/api/titles/{id}/unpin': stateChange('unpinTitle', 'Let it give way to what is watched'),
  '/api/titles/{id}/picture.jpg': {
    get: {
      operationId: 'readTitlePicture',
      summary: 'A frame of it',
      parameters: [TITLE_ID],
      responses: {
        200: { description: 'At most 480 by 270 pixels.', content: { [JPEG]: { schema: TEXT } } },
        404: json('There is no such title, or no picture of it yet.', named('Fault')),
      },
    },
  },
  '/api/titles/{id}/title.torrent': {
    get: {
      operationId: 'readTorrent',
      summary: 'Its torrent file',
      parameters: [TITLE_ID],
      responses: {
        200: { description: 'The torrent.', content: { [TORRENT]: { schema: TEXT } } },
        404: json('There is no such title, or its description has not come yet.', named('Fault')),
      },
    },
  },
};

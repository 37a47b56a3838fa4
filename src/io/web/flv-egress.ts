/**
 * Serves one feed as HTTP-FLV and WS-FLV to any number of viewers.
 *
 * It promises: the header tells the truth about the tracks; every viewer starts with metadata, codec headers and a key frame; a viewer
 * that does not read costs at most `queueBytesMax`, loses media up to a key frame, and is sent away when it does not recover; the
 * others never notice. Tags are encoded once for all and written in one piece per `flushMs`, because one write per tag and viewer is
 * most of what such a server costs.
 */
import type { ServerResponse } from 'node:http';
import type { Log } from '../../kernel/ports.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { encodedTagBytes, encodeFlvHeader, writeTag } from '../../media/flv.js';
import type { FeedTag, TagFeed } from '../../relay/endpoints/tag-feed.js';
import type { BinarySocket } from './websocket-server.js';

export interface FlvEgressOptions {
  readonly log: Log;
  /** Tags wait this long for company. Default 20 ms: half a frame, which no viewer notices. */
  readonly flushMs?: Milliseconds;
  /** Bytes that may wait for one viewer. Default 4 MiB: 10 s at 3 Mbit/s. */
  readonly queueBytesMax?: Bytes;
  /** A viewer whose queue stays over the bound for this long is closed. Default 10 s. */
  readonly overfullMsMax?: Milliseconds;
  /** How long the second track is waited for after the first one's header. Default 2 s. */
  readonly secondTrackWaitMs?: Milliseconds;
  /** How long a viewer waits for a publisher. Default 30 s. */
  readonly mediaWaitMs?: Milliseconds;
}

/** The two kinds of connection behind one face. */
interface Outlet {
  readonly queuedBytes: Bytes;
  /** Called once, before the first write. */
  open(): void;
  write(bytes: Uint8Array): void;
  /** Ends well: no more media comes. */
  end(): void;
  /** Ends because no media came at all. */
  giveUp(): void;
  destroy(): void;
}

interface Viewer {
  readonly outlet: Outlet;
  /** `new`: nothing sent. `waiting`: needs a key frame to go on. `live`: gets everything. */
  state: 'new' | 'waiting' | 'live';
  /** Since when its queue is over the bound; null while it is not. */
  overfullSinceMs: Milliseconds | null;
  /** Media before this may have reached it already; −1 for none. */
  sentUpToMs: Milliseconds;
  /** Added to the bound until the first bytes, which come all at once, have left. */
  startBytes: Bytes;
  readonly stopWaiting: () => void;
}

/** Cumulative figures of one channel's viewers. */
export interface EgressCounts {
  readonly viewers: number;
  /** Times that a viewer lost media up to a key frame. */
  readonly drops: number;
  /** Viewers closed for not reading. */
  readonly closedSlow: number;
}

const FLUSH_MS: Milliseconds = 20;
const QUEUE_BYTES_MAX: Bytes = 4 * 1024 * 1024;
const OVERFULL_MS_MAX: Milliseconds = 10_000;
const SECOND_TRACK_WAIT_MS: Milliseconds = 2_000;
const MEDIA_WAIT_MS: Milliseconds = 30_000;
const OVERFULL_CHECK_MS: Milliseconds = 1_000;
/** RFC 6455 close codes: going away, and (registered) try again later. */
const CLOSE_GOING_AWAY = 1001;
const CLOSE_TRY_AGAIN_LATER = 1013;

const CORS_HEADERS: Readonly<Record<string, string>> = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, OPTIONS',
  'Access-Control-Allow-Headers': 'range',
};
const STREAM_HEADERS: Readonly<Record<string, string>> = {
  ...CORS_HEADERS,
  'Content-Type': 'video/x-flv',
  'Cache-Control': 'no-cache, no-store',
};

export class FlvEgress {
  readonly #feed: TagFeed;
  readonly #log: Log;
  readonly #flushMs: Milliseconds;
  readonly #queueBytesMax: Bytes;
  readonly #overfullMsMax: Milliseconds;
  readonly #secondTrackWaitMs: Milliseconds;
  readonly #mediaWaitMs: Milliseconds;
  readonly #viewers = new Set<Viewer>();
  readonly #unsubscribe: () => void;
  #pending: FeedTag[] = [];
  #flushTimer: NodeJS.Timeout | undefined;
  #trackTimer: NodeJS.Timeout | undefined;
  #overfullTimer: NodeJS.Timeout | undefined;
  #secondTrackWaited = false;
  #drops = 0;
  #closedSlow = 0;

  constructor(feed: TagFeed, options: FlvEgressOptions) {
    this.#feed = feed;
    this.#log = options.log;
    this.#flushMs = options.flushMs ?? FLUSH_MS;
    this.#queueBytesMax = options.queueBytesMax ?? QUEUE_BYTES_MAX;
    this.#overfullMsMax = options.overfullMsMax ?? OVERFULL_MS_MAX;
    this.#secondTrackWaitMs = options.secondTrackWaitMs ?? SECOND_TRACK_WAIT_MS;
    this.#mediaWaitMs = options.mediaWaitMs ?? MEDIA_WAIT_MS;
    this.#unsubscribe = feed.subscribe({ onTag: (tag) => this.#take(tag), onEnd: () => this.#sendAllAway() });
  }

  get counts(): EgressCounts {
    return { viewers: this.#viewers.size, drops: this.#drops, closedSlow: this.#closedSlow };
  }

  /** Answers one HTTP request of any method (protocols sheet, section 5). */
  serveHttp(method: string, response: ServerResponse): void {
    if (method === 'OPTIONS') response.writeHead(204, CORS_HEADERS).end();
    else if (method === 'HEAD') response.writeHead(200, STREAM_HEADERS).end();
    else if (method !== 'GET')
      response.writeHead(405, { ...CORS_HEADERS, Allow: 'GET, HEAD, OPTIONS' }).end(`${method} is not possible here.\n`);
    else response.once('close', this.#admit(httpOutlet(response)));
  }

  /** Serves one WebSocket: the same bytes, in binary frames cut anywhere. */
  serveSocket(socket: BinarySocket): void {
    socket.onClose(this.#admit(socketOutlet(socket)));
  }

  /** Ends every viewer and lets go of the feed. */
  stop(): void {
    this.#unsubscribe();
    this.#sendAllAway();
    clearTimeout(this.#trackTimer);
    clearTimeout(this.#flushTimer);
    clearInterval(this.#overfullTimer);
  }

  /** Returns what to do when the connection is gone. */
  #admit(outlet: Outlet): () => void {
    const patience = setTimeout(() => outlet.giveUp(), this.#mediaWaitMs);
    const stopWaiting = (): void => clearTimeout(patience);
    const viewer: Viewer = { outlet, state: 'new', overfullSinceMs: null, sentUpToMs: -1, startBytes: 0, stopWaiting };
    this.#viewers.add(viewer);
    this.#overfullTimer ??= setInterval(() => this.#closeOverfull(), OVERFULL_CHECK_MS);
    if (this.#isReady()) this.#flush();
    else this.#awaitSecondTrack();
    return () => this.#leave(viewer);
  }

  #leave(viewer: Viewer): void {
    viewer.stopWaiting();
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0) return;
    clearInterval(this.#overfullTimer);
    this.#overfullTimer = undefined;
  }

  /** The flags can be told truthfully: both tracks are there, or the second one had its chance, in real time or in the media's. */
  #isReady(): boolean {
    this.#secondTrackWaited ||= this.#feed.heldMs >= this.#secondTrackWaitMs;
    const { audio, video } = this.#feed.tracks;
    return (audio && video) || ((audio || video) && this.#secondTrackWaited);
  }

  #awaitSecondTrack(): void {
    const { audio, video } = this.#feed.tracks;
    if (this.#secondTrackWaited || this.#trackTimer !== undefined || !(audio || video)) return;
    this.#trackTimer = setTimeout(() => {
      this.#secondTrackWaited = true;
      this.#flush();
      this.#startNew();
    }, this.#secondTrackWaitMs);
  }

  #startNew(): void {
    if (!this.#isReady()) return;
    for (const viewer of this.#viewers) if (viewer.state === 'new') this.#start(viewer);
  }

  /** Header and prelude, when there is one that the viewer has nothing of. Nothing may be pending, or it would be sent twice. */
  #start(viewer: Viewer): void {
    const prelude = this.#feed.prelude();
    const first = prelude.find((tag) => tag.kind === 'frame');
    if (first === undefined || first.tag.timestampMs <= viewer.sentUpToMs) return;
    this.#open(viewer);
    viewer.overfullSinceMs = null;
    const bytes = encodeTags(prelude);
    viewer.startBytes = bytes.length;
    viewer.outlet.write(bytes);
    viewer.state = 'live';
  }

  #open(viewer: Viewer): void {
    if (viewer.state !== 'new') return;
    viewer.stopWaiting();
    viewer.outlet.open();
    viewer.outlet.write(encodeFlvHeader(this.#feed.tracks));
  }

  #take(tag: FeedTag): void {
    this.#awaitSecondTrack();
    if (this.#viewers.size === 0) return;
    // The last piece before a key frame leaves at once: players cut there.
    if (tag.key) this.#writePending();
    this.#pending.push(tag);
    this.#flushTimer ??= setTimeout(() => this.#flush(), this.#flushMs);
  }

  /** Never called from inside `onTag`: there the prelude already has the tag that is about to become pending. */
  #flush(): void {
    this.#writePending();
    for (const viewer of this.#viewers) if (viewer.state === 'waiting') this.#resume(viewer);
    this.#startNew();
  }

  #writePending(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    if (this.#pending.length === 0) return;
    const bytes = encodeTags(this.#pending);
    this.#pending = [];
    for (const viewer of this.#viewers) if (viewer.state === 'live') this.#send(viewer, bytes);
  }

  #send(viewer: Viewer, bytes: Uint8Array): void {
    const { queuedBytes } = viewer.outlet;
    if (queuedBytes === 0) viewer.startBytes = 0;
    if (queuedBytes + bytes.length <= this.#queueBytesMax + viewer.startBytes) {
      viewer.outlet.write(bytes);
      return;
    }
    viewer.state = 'waiting';
    viewer.sentUpToMs = this.#feed.lastTagMs;
    viewer.overfullSinceMs = performance.now();
    this.#drops += 1;
  }

  /** Brings a viewer back once half of its queue is gone: a new key frame and all behind it, as if it had just come. */
  #resume(viewer: Viewer): void {
    if (viewer.outlet.queuedBytes <= this.#queueBytesMax / 2) this.#start(viewer);
  }

  #closeOverfull(): void {
    const nowMs = performance.now();
    for (const viewer of this.#viewers) {
      if (viewer.overfullSinceMs === null || nowMs - viewer.overfullSinceMs < this.#overfullMsMax) continue;
      this.#closedSlow += 1;
      this.#log.info('viewer closed: it did not read for too long', { queuedBytes: viewer.outlet.queuedBytes });
      viewer.outlet.destroy();
    }
  }

  #sendAllAway(): void {
    this.#flush();
    for (const viewer of this.#viewers) {
      if (viewer.state === 'new') viewer.outlet.giveUp();
      else viewer.outlet.end();
    }
  }
}

function encodeTags(tags: readonly FeedTag[]): Uint8Array {
  const out = new Uint8Array(tags.reduce((sum, { tag }) => sum + encodedTagBytes(tag), 0));
  let offset = 0;
  for (const { tag } of tags) offset = writeTag(tag, out, offset);
  return out;
}

/** The stream ends with the connection: no chunk framing around every write, and HTTP/1.0 players understand it. */
function httpOutlet(response: ServerResponse): Outlet {
  response.on('error', () => response.destroy());
  response.useChunkedEncodingByDefault = false;
  response.shouldKeepAlive = false;
  return {
    get queuedBytes() {
      return response.writableLength;
    },
    open: () => {
      response.socket?.setNoDelay(true);
      response.writeHead(200, STREAM_HEADERS);
    },
    write: (bytes) => response.write(bytes),
    end: () => response.end(),
    giveUp: () => {
      const headers = { ...CORS_HEADERS, 'Content-Type': 'text/plain; charset=utf-8', 'Retry-After': '5' };
      response.writeHead(504, headers).end('Nobody publishes on this channel at the moment. Try again later.\n');
    },
    destroy: () => response.destroy(),
  };
}

function socketOutlet(socket: BinarySocket): Outlet {
  return {
    get queuedBytes() {
      return socket.queuedBytes;
    },
    open: () => undefined,
    write: (bytes) => socket.send(bytes),
    end: () => socket.close(CLOSE_GOING_AWAY, 'the channel has ended'),
    giveUp: () => socket.close(CLOSE_TRY_AGAIN_LATER, 'nobody publishes on this channel'),
    destroy: () => socket.destroy(),
  };
}

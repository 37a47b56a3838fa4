/**
 * The seams of node-media-server 4.4.3: the only file that loads it, and the types it comes without.
 *
 * The package is CommonJS without types or an exports map; its deep paths are what we stand on, so it is pinned exactly, and a contract test
 * holds every name below true. Three of its habits are cured here: it logs to the console, it opens listeners whose errors end the
 * process, and it writes `./data`. We build it for its plugins' sake (`Context`, its events) but never call its `run()`.
 */
import { createRequire } from 'node:module';
import type { Log } from '../../kernel/ports.js';

/** What the host keeps about anyone who publishes or plays (`session/base_session.js`). */
export interface HostSession {
  readonly id: string;
  /** `address:port`; empty for a session of our own, which the host then leaves out of its events and counts. */
  ip: string;
  /** Decides which bytes a subscriber gets: `flv` tags, `rtmp` messages, anything else nothing. */
  protocol: string;
  isPublisher: boolean;
  streamHost: string;
  streamApp: string;
  streamName: string;
  streamPath: string;
  streamQuery: Readonly<Record<string, string>>;
  inBytes: number;
  outBytes: number;
  sendBuffer: (buffer: Buffer) => void;
  close: () => void;
}

/** The host's RTMP dialogue (`protocol/rtmp.js`). We use its handshake and its answers, and read chunks ourselves. */
export interface HostRtmp {
  streamApp: string;
  streamName: string;
  streamId: number;
  /** A megabyte of parser per session that RTMP never uses (peers sheet H5). */
  flv: unknown;
  onOutputCallback: (buffer: Buffer) => void;
  parserData(buffer: Buffer): string | null;
  onConnect(command: { readonly transId: number; readonly cmdObj: Readonly<Record<string, unknown>> }): void;
  onCreateStream(command: { readonly transId: number }): void;
  respondPublish(): void;
  respondPlay(): void;
  sendStatusMessage(streamId: number, level: 'status' | 'error', code: string, description: string): void;
  sendACK(receivedBytes: number): void;
}

/** `session/rtmp_session.js`, whose `run()` we never call. */
export interface HostRtmpSession extends HostSession {
  readonly rtmp: HostRtmp;
}

/** One audio, video or script tag on its way through the host (`core/avpacket.js`). */
export interface HostPacket {
  codec_id: number;
  codec_type: number;
  /** 0 audio header, 1 audio, 2 video header, 3 key frame, 4 other frame, 5 metadata (decoded and kept); others are only passed on. */
  flags: number;
  pts: number;
  dts: number;
  size: number;
  data: Buffer;
}

/** One stream path of the host (`server/broadcast_server.js`). */
export interface HostBroadcast {
  publisher: HostSession | null;
  readonly subscribers: Map<string, HostSession>;
  rtmpMetaData: Buffer | null;
  rtmpAudioHeader: Buffer | null;
  rtmpVideoHeader: Buffer | null;
  flvGopCache: Set<Buffer> | null;
  rtmpGopCache: Set<Buffer> | null;
  /** A reason when refused; `null` is success. */
  postPublish(session: HostSession): string | null;
  postPlay(session: HostSession): string | null;
  donePlay(session: HostSession): void;
  /** Ends a publish at once; `donePublish` would keep it for 30 s and splice a reconnecting publisher's timestamps. */
  _finishPublish(): void;
  _destroyIfEmpty(): void;
  broadcastMessage(packet: HostPacket): void;
}

interface HostContext {
  config: Readonly<Record<string, unknown>>;
  readonly sessions: Map<string, HostSession>;
  readonly broadcasts: Map<string, HostBroadcast>;
}

interface HostServer {
  stop(): Promise<void>;
}

const require = createRequire(import.meta.url);

const logger: { log: (message: string, level?: string) => void } = require('node-media-server/src/core/logger.js');
/** The host's state, one per process. */
export const hostContext: HostContext = require('node-media-server/src/core/context.js');
const BaseSession: new () => HostSession = require('node-media-server/src/session/base_session.js');
const RtmpSession: new (socket: unknown) => HostRtmpSession = require('node-media-server/src/session/rtmp_session.js');
const BroadcastServer: new (streamPath: string) => HostBroadcast = require('node-media-server/src/server/broadcast_server.js');
const AVPacket: new () => HostPacket = require('node-media-server/src/core/avpacket.js');
const Flv: {
  parserTag(type: number, timestampMs: number, sizeBytes: number, data: Buffer): HostPacket;
} = require('node-media-server/src/protocol/flv.js');

/** Builds the host without listeners, console or files; what it would have printed goes to `log` at debug. Returns what stops it. */
export function startHost(log: Log): () => Promise<void> {
  logger.log = (message) => log.debug('media host library', { text: String(message) });
  // Loaded late: its constructor's file pulls in a whole web server, which tests of the seams do not need.
  const NodeMediaServer: new (config: object) => HostServer = require('node-media-server');
  const server = new NodeMediaServer({ webadmin: { enable: false } });
  return async () => {
    await server.stop();
    hostContext.sessions.clear();
    hostContext.broadcasts.clear();
  };
}

/** A session record for someone who speaks RTMP over `socket`. */
export function createRtmpSession(socket: {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}): HostRtmpSession {
  const session = new RtmpSession(socket);
  session.rtmp.flv = undefined;
  return session;
}

/** A session record for a publisher inside this process. */
export function createLocalSession(): HostSession {
  return new BaseSession();
}

/** The stream path's broadcast, made when there is none; it goes away by itself when its last session leaves. */
export function openBroadcast(streamPath: string): HostBroadcast {
  const known = hostContext.broadcasts.get(streamPath);
  if (known !== undefined) return known;
  const broadcast = new BroadcastServer(streamPath);
  hostContext.broadcasts.set(streamPath, broadcast);
  return broadcast;
}

/** A packet for `broadcastMessage`. The host reads up to 8 bytes without looking, so a shorter body gets no codec id and no pts. */
export function createPacket(type: number, timestampMs: number, body: Uint8Array, flags: number): HostPacket {
  const data = Buffer.from(body.buffer, body.byteOffset, body.length);
  if (body.length >= 8) return Object.assign(Flv.parserTag(type, timestampMs, body.length, data), { flags });
  return Object.assign(new AVPacket(), { codec_type: type, flags, pts: timestampMs, dts: timestampMs, size: body.length, data });
}

/**
 * One RTMP client of the media host, publisher or player, from its first byte to its last.
 *
 * The host's own session trusts the remote: it throws on malformed commands, answers a publisher before it has asked who that is, and goes on
 * broadcasting one that it has refused (peers sheet 1.5). This one keeps the host's session only as its record (`Context`, subscribers,
 * events), its handshake and its answers; chunks, commands and every decision are read and made here. Whatever arrives, the session ends with
 * one log line that says what was wrong, and nothing else happens. Source: protocols sheet 4.3 and 6.4.
 */
import type { Socket } from 'node:net';
import { Malformed } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import { TokenBucket } from '../../kernel/token-bucket.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { type AmfValue, decodeAmf0 } from '../../media/amf0.js';
import { AUDIO, type FlvTag, SCRIPT, TAG_BODY_BYTES_MAX, VIDEO } from '../../media/flv.js';
import { splitAggregate } from '../../media/rtmp-aggregate.js';
import { type ChunkLimits, RtmpChunkReader, type RtmpMessage, readUint32 } from '../../media/rtmp-chunk-reader.js';
import { createRtmpSession, type HostBroadcast, type HostRtmpSession, hostContext, openBroadcast } from './node-media-server.js';
import { Publication } from './publication.js';
import { PublishGate } from './publish-gate.js';
import { RtmpOutput } from './rtmp-output.js';

/** Who wants to publish. `name` may be the secret stream key itself, so it never goes into a log. */
export interface PublishRequest {
  readonly app: string;
  readonly name: string;
  readonly query: Readonly<Record<string, string>>;
  /** The client's IP address. */
  readonly address: string;
}

/** The stream path that an allowed publisher gets (`/live/test-card`), or why it is refused, in words for the log. */
export type PublishDecision =
  | { readonly allowed: true; readonly streamPath: string }
  | { readonly allowed: false; readonly reason: string };

/** What a session needs of the media host. */
export interface RtmpSessionHost {
  readonly authorisePublish: (request: PublishRequest) => PublishDecision;
  /** For the handshake, and again for the `publish` or `play` after it. */
  readonly clientTimeoutMs: Milliseconds;
  readonly silentPublisherMs: Milliseconds;
  readonly playerQueueBytesMax: Bytes;
  readonly stuckPlayerMs: Milliseconds;
  readonly allowRemotePlayers: boolean;
  readonly log: Log;
  nowMs(): Milliseconds;
  onPublisherStart(streamPath: string, address: string): void;
  onTag(streamPath: string, tag: FlvTag): void;
  /** `clean`: the publisher said that it stops, so all it had to say has come. */
  onPublisherEnd(streamPath: string, reason: string, clean: boolean): void;
}

type Role =
  | { readonly kind: 'none' }
  | { readonly kind: 'publisher'; readonly streamPath: string; readonly publication: Publication }
  | { readonly kind: 'player'; readonly streamPath: string; readonly broadcast: HostBroadcast };

/** C0, C1 and C2. */
const HANDSHAKE_BYTES: Bytes = 1 + 1536 + 1536;
const RTMP_VERSION = 3;
const COMMAND_BYTES_MAX: Bytes = 64 * 1024;
/** Before `publish` is allowed, and for players, there are only commands. */
const COMMAND_LIMITS: ChunkLimits = { messageBytesMax: COMMAND_BYTES_MAX, memoryBytesMax: 4 * COMMAND_BYTES_MAX };
const PUBLISHER_LIMITS: ChunkLimits = { messageBytesMax: TAG_BODY_BYTES_MAX, memoryBytesMax: 16 * 1024 * 1024 };
/** A real client sends about ten commands in its life. */
const COMMANDS_PER_SECOND = 20;
const COMMAND_BURST_COUNT = 100;
/** How long a refused client may take to read its answer; closing at once could destroy the answer on its way. */
const HANG_UP_MS: Milliseconds = 1000;
/** A client that wants an acknowledgement more often than this is flooding. */
const ACK_WINDOW_BYTES_MIN: Bytes = 64 * 1024;
const ACK_WINDOW = 5;
const AGGREGATE = 22;
const DATA_AMF3 = 15;
const COMMAND_AMF3 = 17;
const COMMAND_AMF0 = 20;
const QUERY_PAIR_COUNT_MAX = 16;
const SAFE_NAME = /^[A-Za-z0-9_-]{1,128}$/;
const SAFE_PATH = /^\/[A-Za-z0-9_-]{1,128}\/[A-Za-z0-9_-]{1,128}$/;
const LOOPBACK = /^(::ffff:)?127\.|^::1$/;

/** True for `/app/name` with names that the host and every player's address can carry. */
export function isStreamPath(path: string): boolean {
  return SAFE_PATH.test(path);
}

export class RtmpSession {
  readonly address: string;
  readonly #socket: Socket;
  readonly #host: RtmpSessionHost;
  readonly #record: HostRtmpSession;
  readonly #output: RtmpOutput;
  readonly #reader = new RtmpChunkReader(COMMAND_LIMITS);
  readonly #gate = new PublishGate();
  /** The bucket counts commands, not bytes. */
  readonly #commands = new TokenBucket(COMMANDS_PER_SECOND, COMMAND_BURST_COUNT);
  #handshakeBytes = 0;
  #role: Role = { kind: 'none' };
  #app: string | undefined;
  #isClosed = false;
  /** When the client must have done its next step. */
  #deadlineMs: Milliseconds;
  #ackWindowBytes: Bytes | undefined;
  #ackedBytes = 0;

  constructor(socket: Socket, host: RtmpSessionHost) {
    this.#socket = socket;
    this.#host = host;
    this.address = socket.remoteAddress ?? '';
    this.#output = new RtmpOutput(socket, host.playerQueueBytesMax);
    this.#deadlineMs = host.nowMs() + host.clientTimeoutMs;
    this.#record = createRtmpSession(socket);
    this.#record.rtmp.onOutputCallback = (bytes) => this.#answer(bytes);
    this.#record.sendBuffer = (message) => this.#sendMedia(message);
    this.#record.close = () => this.close('the host closed it');
    hostContext.sessions.set(this.#record.id, this.#record);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    socket.on('data', (bytes) => this.#onData(bytes));
    socket.on('error', (error) => host.log.debug('rtmp socket error', { session: this.#record.id, text: error.message }));
    socket.on('close', () => this.close('the connection ended'));
  }

  /** The path this session plays, if it does. */
  get playsPath(): string | undefined {
    return this.#role.kind === 'player' ? this.#role.streamPath : undefined;
  }

  /** The path this session publishes, if it does. */
  get publishesPath(): string | undefined {
    return this.#role.kind === 'publisher' ? this.#role.streamPath : undefined;
  }

  /** Ends the session if it is late with something; called a few times a second. */
  check(nowMs: Milliseconds): void {
    if (this.#isClosed) return;
    if (this.#role.kind === 'player') {
      const { stuckPlayerMs } = this.#host;
      if (this.#output.overMs(nowMs) < stuckPlayerMs) return;
      this.#drop(`the player has stopped reading: its queue was full for ${stuckPlayerMs / 1000} s`);
      return;
    }
    if (nowMs < this.#deadlineMs) return;
    if (this.#role.kind === 'publisher') this.#drop(`the publisher sent no audio or video for ${this.#host.silentPublisherMs / 1000} s`);
    else if (this.#handshakeBytes < HANDSHAKE_BYTES) this.#drop(`no RTMP handshake within ${this.#host.clientTimeoutMs / 1000} s`);
    else this.#drop(`neither publish nor play within ${this.#host.clientTimeoutMs / 1000} s`);
  }

  /** Ends the session at once; a publisher's path is free when this returns. `reason` goes to whoever taps the path. */
  close(reason: string): void {
    if (this.#isClosed) return;
    this.#leave(reason);
    this.#socket.destroy();
  }

  /** The remote's fault: as `close`, with the one line in the log. */
  #drop(reason: string): void {
    if (this.#isClosed) return;
    this.#host.log.warn(`RTMP client dropped: ${reason}`, { session: this.#record.id, role: this.#role.kind });
    this.close(reason);
  }

  /** Answers with an error, and gives the client a moment to read it. Whatever it still sends goes nowhere. */
  #refuse(streamId: number, code: string, answer: string, reason: string): void {
    this.#host.log.warn(`RTMP client refused: ${reason}`, { session: this.#record.id });
    this.#record.rtmp.sendStatusMessage(streamId, 'error', code, answer);
    this.#leave(reason);
    this.#hangUp();
  }

  /** Lets the queued answers out; whatever still comes in goes nowhere. */
  #hangUp(): void {
    this.#output.end();
    setTimeout(() => this.#socket.destroy(), HANG_UP_MS).unref();
  }

  #leave(reason: string, clean = false): void {
    this.#isClosed = true;
    hostContext.sessions.delete(this.#record.id);
    const role = this.#role;
    this.#role = { kind: 'none' };
    if (role.kind === 'player') role.broadcast.donePlay(this.#record);
    if (role.kind !== 'publisher') return;
    role.publication.end();
    this.#host.onPublisherEnd(role.streamPath, reason, clean);
  }

  #onData(bytes: Buffer): void {
    if (this.#isClosed) return;
    this.#record.inBytes += bytes.length;
    try {
      const rest = this.#readHandshake(bytes);
      const malformed = this.#reader.push(rest, (message) => this.#onMessage(message));
      if (malformed !== undefined) this.#drop(malformed.reason);
      this.#acknowledge();
    } catch (error) {
      // The last line of defence: a fault in our code or the host's must cost this client only.
      this.#host.log.error('RTMP session failed', { session: this.#record.id, text: error instanceof Error ? error.stack : String(error) });
      this.close('an error inside the media host');
    }
  }

  /** Gives the host what belongs to the handshake, and returns the bytes behind it. */
  #readHandshake(bytes: Buffer): Buffer {
    if (this.#handshakeBytes >= HANDSHAKE_BYTES || bytes.length === 0) return bytes;
    if (this.#handshakeBytes === 0 && bytes[0] !== RTMP_VERSION) {
      this.#drop(`this is not RTMP: the first byte is ${bytes[0]}, expected ${RTMP_VERSION} (${guessProtocol(bytes[0])})`);
      return bytes.subarray(bytes.length);
    }
    const part = bytes.subarray(0, HANDSHAKE_BYTES - this.#handshakeBytes);
    this.#handshakeBytes += part.length;
    this.#record.rtmp.parserData(part);
    if (this.#handshakeBytes === HANDSHAKE_BYTES) this.#deadlineMs = this.#host.nowMs() + this.#host.clientTimeoutMs;
    return bytes.subarray(part.length);
  }

  /** Returns what was wrong; so do all that it calls. */
  #onMessage(message: RtmpMessage): Malformed | undefined {
    if (this.#isClosed) return undefined;
    const { type, timestampMs, body } = message;
    if (type === COMMAND_AMF0) return this.#onCommand(message, body);
    if (type === COMMAND_AMF3) return this.#onCommand(message, body.subarray(1));
    if (type === AUDIO || type === VIDEO || type === SCRIPT) return this.#onTags([{ type, timestampMs, body }]);
    if (type === DATA_AMF3) return this.#onTags([{ type: SCRIPT, timestampMs, body: body.slice(1) }]);
    if (type === AGGREGATE) return this.#onTags(splitAggregate(timestampMs, body));
    if (type === ACK_WINDOW) this.#setAckWindow(body);
    return undefined;
  }

  #onTags(tags: readonly FlvTag[]): Malformed | undefined {
    const role = this.#role;
    if (role.kind !== 'publisher') return new Malformed('media before publish');
    const nowMs = this.#host.nowMs();
    for (const tag of tags) {
      if (this.#isClosed) break;
      if (!this.#gate.admits(tag, nowMs)) continue;
      if (tag.type !== SCRIPT) this.#deadlineMs = nowMs + this.#host.silentPublisherMs;
      role.publication.push(tag);
      this.#host.onTag(role.streamPath, tag);
    }
    return undefined;
  }

  #onCommand(message: RtmpMessage, body: Uint8Array): Malformed | undefined {
    const nowMs = this.#host.nowMs();
    if (this.#commands.delayMs(nowMs) > 0) return new Malformed(`more than ${COMMANDS_PER_SECOND} commands a second`);
    this.#commands.take(1, nowMs);
    if (body.length > COMMAND_BYTES_MAX) return new Malformed(`command of ${body.length} bytes, at most ${COMMAND_BYTES_MAX} accepted`);
    const values = decodeAmf0(body);
    if (values instanceof Malformed) return new Malformed(`malformed command: ${values.reason}`);
    const [command, transaction, options, argument] = values;
    const transId = typeof transaction === 'number' ? transaction : 0;
    if (command === 'connect') return this.#connect(transId, options);
    if (command === 'createStream') return this.#createStream(transId);
    if (command === 'publish' || command === 'play') return this.#begin(command, message.streamId, argument);
    if (command === 'deleteStream' || command === 'closeStream') this.#deleteStream();
    return undefined;
  }

  #connect(transId: number, options: AmfValue): Malformed | undefined {
    if (this.#app !== undefined) return new Malformed('connect twice');
    if (!(options instanceof Map)) return new Malformed('connect without its options');
    const app: AmfValue = options.get('app');
    const tcUrl: AmfValue = options.get('tcUrl');
    const encoding: AmfValue = options.get('objectEncoding');
    if (typeof app !== 'string') return new Malformed('connect without the name of an app');
    if (typeof tcUrl !== 'string' || !URL.canParse(tcUrl)) return new Malformed('connect with a tcUrl that is no URL');
    this.#app = app.split('?')[0]?.replace(/\/$/, '') ?? '';
    const objectEncoding = typeof encoding === 'number' ? encoding : 0;
    this.#record.rtmp.onConnect({ transId, cmdObj: { app: this.#app, tcUrl, objectEncoding } });
    return undefined;
  }

  #createStream(transId: number): Malformed | undefined {
    if (this.#app === undefined) return new Malformed('createStream before connect');
    this.#record.rtmp.onCreateStream({ transId });
    return undefined;
  }

  /** A client that unpublishes or stops playing has nothing else to say on this connection. */
  #deleteStream(): void {
    if (this.#role.kind === 'none') return;
    this.#leave(`the ${this.#role.kind} stopped`, true);
    this.#hangUp();
  }

  #begin(command: 'publish' | 'play', streamId: number, argument: AmfValue): Malformed | undefined {
    if (this.#app === undefined) return new Malformed(`${command} before connect`);
    if (this.#role.kind !== 'none') return new Malformed(`${command} on a connection that is a ${this.#role.kind} already`);
    if (typeof argument !== 'string') return new Malformed(`${command} without the name of a stream`);
    const [name = '', query = ''] = argument.split('?', 2);
    this.#record.rtmp.streamId = streamId;
    if (command === 'play') this.#play(streamId, `/${this.#app}/${name}`);
    else this.#publish(streamId, { app: this.#app, name, query: parseQuery(query), address: this.address });
    return undefined;
  }

  #publish(streamId: number, request: PublishRequest): void {
    const decision = this.#decide(request);
    if (decision.allowed) this.#startPublishing(streamId, decision.streamPath);
    else this.#refuse(streamId, 'NetStream.Publish.BadName', 'Publishing is refused: check the stream key.', decision.reason);
  }

  #decide(request: PublishRequest): PublishDecision {
    if (!SAFE_NAME.test(request.app)) return { allowed: false, reason: 'the app of the publish address is not made of A-Z a-z 0-9 _ -' };
    if (!SAFE_NAME.test(request.name)) return { allowed: false, reason: 'the stream key is not 1 to 128 characters of A-Z a-z 0-9 _ -' };
    const decision = this.#host.authorisePublish(request);
    if (!decision.allowed || isStreamPath(decision.streamPath)) return decision;
    return { allowed: false, reason: `the stream path ${decision.streamPath} is not /app/name of A-Z a-z 0-9 _ -` };
  }

  #startPublishing(streamId: number, streamPath: string): void {
    this.#nameRecord(streamPath);
    const publication = Publication.begin(streamPath, this.#record);
    if (publication === undefined) {
      const reason = `${streamPath} already has a publisher`;
      this.#refuse(streamId, 'NetStream.Publish.BadName', 'This stream already has a publisher.', reason);
      return;
    }
    this.#role = { kind: 'publisher', streamPath, publication };
    this.#reader.limits = PUBLISHER_LIMITS;
    this.#deadlineMs = this.#host.nowMs() + this.#host.silentPublisherMs;
    this.#host.log.info('publisher started', { streamPath, session: this.#record.id });
    this.#host.onPublisherStart(streamPath, this.address);
    this.#record.rtmp.respondPublish();
  }

  #play(streamId: number, streamPath: string): void {
    if (!this.#host.allowRemotePlayers && !LOOPBACK.test(this.address)) {
      this.#refuse(streamId, 'NetStream.Play.Failed', 'Players must run on the same machine.', 'a player on another machine');
    } else if (isStreamPath(streamPath)) {
      this.#startPlaying(streamPath);
    } else {
      this.#refuse(streamId, 'NetStream.Play.StreamNotFound', 'No such stream.', 'a play address that is not /app/name');
    }
  }

  #startPlaying(streamPath: string): void {
    this.#nameRecord(streamPath);
    this.#record.rtmp.respondPlay();
    const broadcast = openBroadcast(streamPath);
    this.#role = { kind: 'player', streamPath, broadcast };
    this.#output.play(broadcast, () => broadcast.postPlay(this.#record));
    this.#host.log.debug('player started', { streamPath, session: this.#record.id });
  }

  /** What the host and its plugins see of the session: the stream path, never the key. */
  #nameRecord(streamPath: string): void {
    const [, app = '', name = ''] = streamPath.split('/');
    Object.assign(this.#record, { streamPath, streamApp: app, streamName: name });
    Object.assign(this.#record.rtmp, { streamApp: app, streamName: name });
  }

  #answer(bytes: Buffer): void {
    if (this.#output.isOver) this.#drop('the client does not read its answers');
    else this.#output.write(bytes);
  }

  #sendMedia(message: Buffer): void {
    this.#record.outBytes += message.length;
    this.#output.sendMedia(message, this.#host.nowMs());
  }

  #setAckWindow(body: Uint8Array): void {
    const windowBytes = readUint32(body);
    if (windowBytes !== undefined && windowBytes > 0) this.#ackWindowBytes = Math.max(windowBytes, ACK_WINDOW_BYTES_MIN);
  }

  #acknowledge(): void {
    if (this.#isClosed || this.#ackWindowBytes === undefined) return;
    const receivedBytes = this.#record.inBytes;
    if (receivedBytes - this.#ackedBytes < this.#ackWindowBytes) return;
    this.#ackedBytes = receivedBytes;
    this.#record.rtmp.sendACK(receivedBytes >>> 0);
  }
}

function guessProtocol(firstByte: number | undefined): string {
  if (firstByte === 0x16) return 'it looks like TLS; use rtmp://, not rtmps://';
  if (firstByte !== undefined && firstByte >= 0x41 && firstByte <= 0x5a) return 'it looks like HTTP';
  return 'some other protocol';
}

function parseQuery(text: string): Readonly<Record<string, string>> {
  const query: Record<string, string> = Object.create(null);
  for (const [key, value] of [...new URLSearchParams(text)].slice(0, QUERY_PAIR_COUNT_MAX)) query[key] = value;
  return query;
}

/**
 * Client of one RTMP source: plays one live stream, and hands over its tags as they come.
 *
 * Handshake, `connect`, `createStream`, `play`; then media for as long as the server sends any. Every publisher says the same, so that servers
 * send all of them the same bytes: as a forwarder it takes every codec of Enhanced RTMP. Times are the server's own, never rebased or repaired.
 * What a server writes in words is never passed on, since it may quote the stream's name with its token; only status codes are.
 * Source: RTMP 1.0; Enhanced RTMP v2, "Enhancing NetConnection connect Command"; protocols sheet 4.2, 4.3 and 6.4.
 *
 * | step          | sent                           | waits for                                  |
 * |---------------|--------------------------------|--------------------------------------------|
 * | handshake     | C0 C1, then C2                 | S0 S1, then S2                             |
 * | connect       | `connect`                      | `_result` of it                            |
 * | create-stream | window size, `createStream`    | `_result` of it                            |
 * | play          | `play`, buffer length          | media; many servers say nothing without it |
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes, Milliseconds } from '../kernel/units.js';
import { type AmfValue, decodeAmf0, encodeAmf0 } from '../media/amf0.js';
import { ByteQueue } from '../media/byte-queue.js';
import { AUDIO, type FlvTag, SCRIPT, TAG_BODY_BYTES_MAX, VIDEO } from '../media/flv.js';
import { splitAggregate } from '../media/rtmp-aggregate.js';
import { type ChunkLimits, RtmpChunkReader, type RtmpMessage, readUint32 } from '../media/rtmp-chunk-reader.js';
import { encodeRtmpMessage } from '../media/rtmp-chunk-writer.js';
import { type RtmpAddress, rtmpAddressOf } from './rtmp-address.js';
import {
  MEDIA_SILENCE_MS,
  type SourceClient,
  type SourceClientOptions,
  type SourceEffect,
  type SourceInput,
  type SourceTimer,
  STEP_MS,
} from './source-client.js';
import { SourceReport } from './source-report.js';
import { isSecure, parseSourceUrl, RTMP_PORT, RTMPS_PORT, type SourceUrl } from './source-url.js';

/** Message types. */
const ACKNOWLEDGEMENT = 3;
const USER_CONTROL = 4;
const WINDOW_SIZE = 5;
const PEER_BANDWIDTH = 6;
const DATA_AMF3 = 15;
const COMMAND_AMF3 = 17;
const COMMAND = 20;
const AGGREGATE = 22;

/** User control events. */
const STREAM_BEGIN = 0;
const STREAM_EOF = 1;
const BUFFER_LENGTH = 3;
const PING = 6;
const PONG = 7;

const VERSION = 3;
const HANDSHAKE_BYTES: Bytes = 1536;
const CONTROL_CHUNK_STREAM = 2;
const COMMAND_CHUNK_STREAM = 3;
const PLAY_CHUNK_STREAM = 8;
/** Transaction ids. */
const CONNECT = 1;
const CREATE_STREAM = 2;
/** In `play`: a live stream only, never a recorded one of the same name. */
const LIVE_ONLY = -1000;
/** How much a player keeps before it plays, which servers may take for how much they send at once. */
const BUFFER_MS: Milliseconds = 1_000;
/** What we say our window is, and the least we acknowledge at: a smaller one is an attack on the uplink. */
const WINDOW_BYTES: Bytes = 2_500_000;
const WINDOW_BYTES_MIN: Bytes = 16 * 1024;
const COMMAND_LIMITS: ChunkLimits = { messageBytesMax: 64 * 1024, memoryBytesMax: 256 * 1024 };
const MEDIA_LIMITS: ChunkLimits = { messageBytesMax: TAG_BODY_BYTES_MAX, memoryBytesMax: 2 * TAG_BODY_BYTES_MAX };
/** Everything but media; a server that sends more of it in one second is flooding us. Real ones send about ten in the first second. */
const COMMANDS_PER_SECOND_MAX = 64;
/** While its publisher is away a server says something now and then (nginx-rtmp pings every minute); after this much silence it is gone. */
const AWAY_SILENCE_MS: Milliseconds = 150_000;
/** Data messages that are for the player alone. */
const PLAYER_DATA: readonly AmfValue[] = ['|RtmpSampleAccess', 'onStatus', 'onPlayStatus'];

/** Status codes that say that the publisher has left, and that one is there (again). */
const AWAY_CODES: readonly string[] = ['NetStream.Play.UnpublishNotify', 'NetStream.Play.Stop', 'NetStream.Play.Complete'];
const BACK_CODES: readonly string[] = ['NetStream.Play.PublishNotify', 'NetStream.Play.Start', 'NetStream.Data.Start'];
const CLOSED_CODES: readonly string[] = ['NetConnection.Connect.Closed', 'NetConnection.Connect.AppShutdown'];
const RECONNECT_CODE = 'NetConnection.Connect.ReconnectRequest';
const FAULTS: ReadonlyMap<string, string> = new Map([
  ['NetStream.Play.StreamNotFound', 'the server has no such stream'],
  ['NetStream.Play.Failed', 'the server refuses to play the stream'],
  ['NetConnection.Connect.Rejected', 'the server rejects the connection'],
  ['NetConnection.Connect.InvalidApp', 'the server has no such application'],
]);

/** Enhanced RTMP: whatever the codec, we forward it (4). */
const FORWARD_ANY = new Map([['*', 4]]);
const FOUR_CCS = ['av01', 'vp08', 'vp09', 'hvc1', 'avc1', 'vvc1', 'Opus', 'fLaC', 'ac-3', 'ec-3', 'mp4a', '.mp3', '*'];
/** Reconnect requests, multitrack, ModEx and nanosecond offsets. */
const CAPABILITIES = 1 | 2 | 4 | 8;

type Step = 'handshake' | 'connect' | 'create-stream' | 'play';

export class RtmpClient implements SourceClient {
  readonly #url: SourceUrl;
  readonly #address: RtmpAddress | Malformed;
  readonly #redirected: boolean;
  readonly #report = new SourceReport();
  readonly #reader = new RtmpChunkReader(COMMAND_LIMITS);
  #handshake: ByteQueue | undefined = new ByteQueue();
  #shookFirst = false;
  #step: Step = 'handshake';
  #streamId = 1;
  #receivedBytes: Bytes = 0;
  #acknowledgedBytes: Bytes = 0;
  #windowBytes: Bytes | undefined;
  #saidWindowBytes: Bytes = 0;
  /** The server has said that its publisher is away. */
  #isAway = false;
  #progressedMs: Milliseconds = 0;
  #second = -1;
  #commandsThisSecond = 0;
  #nowMs: Milliseconds = 0;

  constructor(url: SourceUrl, options: SourceClientOptions = {}) {
    this.#url = url;
    this.#address = rtmpAddressOf(url);
    this.#redirected = options.redirected ?? false;
  }

  handle(input: SourceInput, nowMs: Milliseconds): readonly SourceEffect[] {
    this.#nowMs = nowMs;
    if (!this.#report.isOver) this.#take(input);
    return this.#report.drain();
  }

  #take(input: SourceInput): void {
    switch (input.kind) {
      case 'start':
        return this.#start();
      case 'opened':
        return this.#shake();
      case 'bytes':
        return this.#receive(input.bytes);
      case 'closed':
        return this.#report.fail(this.#step === 'play' ? input.detail : `${input.detail} before the stream began`);
      case 'timer':
        return this.#elapsed(input.timer);
    }
  }

  #start(): void {
    if (this.#address instanceof Malformed) return this.#report.fail(this.#address.reason, false);
    const secure = isSecure(this.#url.scheme);
    this.#report.connect(this.#url.host, this.#url.port ?? (secure ? RTMPS_PORT : RTMP_PORT), this.#redirected, secure);
    this.#report.schedule('step', STEP_MS);
  }

  /** C1 is all zeros: servers take a version there for a digest handshake, and nobody checks the random bytes. */
  #shake(): void {
    const hello = new Uint8Array(1 + HANDSHAKE_BYTES);
    hello[0] = VERSION;
    this.#report.send(hello);
    this.#report.schedule('step', STEP_MS);
  }

  #receive(bytes: Uint8Array): void {
    this.#receivedBytes += bytes.length;
    const rest = this.#handshake === undefined ? bytes : this.#takeHandshake(this.#handshake, bytes);
    if (rest.length > 0 && !this.#report.isOver) this.#read(rest);
    if (!this.#report.isOver) this.#acknowledge();
  }

  /** What stands behind the handshake. C2 is a copy of S1. */
  #takeHandshake(queue: ByteQueue, bytes: Uint8Array): Uint8Array {
    queue.push(bytes);
    const [version] = queue.peek(1) ?? [];
    if (!this.#shookFirst && version !== undefined && version !== VERSION) {
      this.#report.fail(`not RTMP: ${guessProtocol(version)}`);
      return new Uint8Array(0);
    }
    if (!this.#shookFirst) {
      const answer = queue.peek(1 + HANDSHAKE_BYTES);
      if (answer === undefined) return new Uint8Array(0);
      this.#report.send(answer.slice(1));
      queue.skip(answer.length);
      this.#shookFirst = true;
    }
    if (queue.take(HANDSHAKE_BYTES) === undefined) return new Uint8Array(0);
    this.#handshake = undefined;
    this.#enter('connect');
    return queue.takeAll();
  }

  #read(bytes: Uint8Array): void {
    const fault = this.#reader.push(bytes, (message) => {
      if (!this.#report.isOver) this.#takeMessage(message);
      return undefined;
    });
    if (fault !== undefined && !this.#report.isOver) this.#report.fail(`not RTMP: ${fault.reason}`);
  }

  #takeMessage(message: RtmpMessage): void {
    const { type, timestampMs, body } = message;
    if (type === AUDIO || type === VIDEO) return this.#takeMedia({ type, timestampMs, body });
    if (this.#isFlood()) return this.#report.fail(`more than ${COMMANDS_PER_SECOND_MAX} control messages in a second`);
    switch (type) {
      case AGGREGATE:
        for (const tag of splitAggregate(timestampMs, body)) this.#takeTag(tag);
        return;
      case SCRIPT:
        return this.#takeData(timestampMs, body);
      case DATA_AMF3:
        return this.#takeData(timestampMs, withoutAmf3Mark(body));
      case COMMAND:
        return this.#takeCommand(body);
      case COMMAND_AMF3:
        return this.#takeCommand(withoutAmf3Mark(body));
      default:
        return this.#takeControl(type, body);
    }
  }

  /** Aggregates count as one message, however many tags are in them. */
  #isFlood(): boolean {
    const second = Math.floor(this.#nowMs / 1000);
    this.#commandsThisSecond = second === this.#second ? this.#commandsThisSecond + 1 : 1;
    this.#second = second;
    return this.#commandsThisSecond > COMMANDS_PER_SECOND_MAX;
  }

  #takeTag(tag: FlvTag): void {
    if (tag.type === SCRIPT) this.#takeData(tag.timestampMs, tag.body);
    else this.#takeMedia(tag);
  }

  #takeMedia(tag: FlvTag): void {
    // A message without a byte marks silence, and means nothing to anybody.
    if (this.#step !== 'play' || tag.body.length === 0) return;
    this.#progressedMs = this.#nowMs;
    if (this.#isAway) this.#comeBack();
    this.#report.emit({ kind: 'tag', tag });
  }

  #takeData(timestampMs: Milliseconds, body: Uint8Array): void {
    const values = decodeAmf0(body);
    if (values instanceof Malformed) return this.#report.oddity('script data that cannot be read');
    const [name] = values;
    if (name === 'onPlayStatus' && codeOf(values[1]) === 'NetStream.Play.Complete') return this.#goAway();
    if (this.#step !== 'play' || values.length === 0 || PLAYER_DATA.includes(name)) return;
    this.#report.emit({ kind: 'tag', tag: { type: SCRIPT, timestampMs, body } });
  }

  #takeControl(type: number, body: Uint8Array): void {
    const value = readUint32(body);
    if (value === undefined) return;
    switch (type) {
      case WINDOW_SIZE:
        if (value > 0) this.#windowBytes = Math.max(value, WINDOW_BYTES_MIN);
        return;
      case PEER_BANDWIDTH:
        return this.#sayWindow(value);
      case USER_CONTROL:
        return this.#takeUserControl(body);
    }
  }

  #takeUserControl(body: Uint8Array): void {
    const event = ((body[0] ?? 0) << 8) | (body[1] ?? 0);
    if (event === PING) this.#sendControl(USER_CONTROL, [0, PONG, ...body.subarray(2, 6)]);
    else if (event === STREAM_EOF) this.#goAway();
    else if (event === STREAM_BEGIN) this.#comeBack();
  }

  /** The server limits what we may send; the answer is our own window, when it differs from the last. */
  #sayWindow(bytes: Bytes): void {
    if (bytes === this.#saidWindowBytes) return;
    this.#saidWindowBytes = bytes;
    this.#sendControl(WINDOW_SIZE, uint32Bytes(bytes));
  }

  #takeCommand(body: Uint8Array): void {
    const values = decodeAmf0(body);
    if (values instanceof Malformed) return this.#report.oddity('commands that cannot be read');
    const [name, transaction] = values;
    if (name === '_result') this.#takeResult(transaction, values[3]);
    else if (name === '_error') this.#takeError(transaction, values[3]);
    else if (name === 'onStatus') this.#takeStatus(values[3]);
    else if (name === 'close') this.#report.end('the server closes the stream');
  }

  #takeResult(transaction: AmfValue, result: AmfValue): void {
    if (transaction === CONNECT && this.#step === 'connect') this.#enter('create-stream');
    else if (transaction === CREATE_STREAM && this.#step === 'create-stream') {
      if (typeof result === 'number' && Number.isInteger(result) && result >= 0 && result <= 0xffff_ffff) this.#streamId = result;
      this.#enter('play');
    }
  }

  #takeError(transaction: AmfValue, info: AmfValue): void {
    if (transaction === CONNECT && this.#step === 'connect') this.#rejected(info);
    else if (transaction === CREATE_STREAM && this.#step === 'create-stream') this.#report.fail('the server refuses to open a stream');
  }

  #rejected(info: AmfValue): void {
    const extra = memberOf(info, 'ex');
    const target = memberOf(extra, 'redirect');
    if (memberOf(extra, 'code') === 302 && typeof target === 'string') return this.#redirect(target);
    const description = memberOf(info, 'description');
    if (typeof description === 'string' && /authmod|need auth/i.test(description)) {
      const why = 'the server wants a name and a password in a way that is not supported; give a token in the URL if it takes one';
      return this.#report.fail(why, false);
    }
    this.#report.fail(faultOf(codeOf(info)));
  }

  /** The address is that of a stream, or of an application in which our stream is. */
  #redirect(target: string): void {
    const url = parseSourceUrl(target);
    if (url instanceof Malformed) return this.#report.fail('the server redirects to an address that is no source');
    const { app, name } = this.#address as RtmpAddress;
    const isApplication = partCountOf(url.path) <= partCountOf(app);
    this.#report.redirect(isApplication ? `${target.replace(/\/$/, '')}/${name}` : target);
  }

  #takeStatus(info: AmfValue): void {
    const code = codeOf(info);
    if (AWAY_CODES.includes(code)) return this.#goAway();
    if (BACK_CODES.includes(code)) return this.#comeBack();
    if (CLOSED_CODES.includes(code)) return this.#report.end('the server closes the connection');
    if (code === RECONNECT_CODE) return this.#reconnect(memberOf(info, 'tcUrl'));
    if (code === 'NetConnection.Connect.Rejected') return this.#rejected(info);
    if (FAULTS.has(code) || memberOf(info, 'level') === 'error') this.#report.fail(faultOf(code));
  }

  #reconnect(target: AmfValue): void {
    if (typeof target === 'string' && target !== '' && target !== (this.#address as RtmpAddress).tcUrl) return this.#redirect(target);
    this.#report.end('the server asks us to connect again');
  }

  #goAway(): void {
    if (this.#isAway || this.#step !== 'play') return;
    this.#isAway = true;
    this.#report.emit({ kind: 'unpublished' });
    this.#report.schedule('progress', AWAY_SILENCE_MS);
  }

  #comeBack(): void {
    if (this.#step !== 'play' || !this.#isAway) return;
    this.#isAway = false;
    this.#progressedMs = this.#nowMs;
    this.#report.schedule('progress', MEDIA_SILENCE_MS);
  }

  #enter(step: 'connect' | 'create-stream' | 'play'): void {
    this.#step = step;
    if (step !== 'play') this.#report.schedule('step', STEP_MS);
    if (step === 'connect') this.#command(0, 'connect', CONNECT, this.#connectOptions());
    if (step === 'create-stream') {
      this.#sayWindow(WINDOW_BYTES);
      this.#command(0, 'createStream', CREATE_STREAM, null);
    }
    if (step === 'play') this.#play();
  }

  #play(): void {
    const { name } = this.#address as RtmpAddress;
    this.#report.cancel('step');
    this.#reader.limits = MEDIA_LIMITS;
    this.#command(this.#streamId, 'play', 0, null, name, LIVE_ONLY);
    this.#sendControl(USER_CONTROL, [0, BUFFER_LENGTH, ...uint32Bytes(this.#streamId), ...uint32Bytes(BUFFER_MS)]);
    this.#report.emit({ kind: 'accepted' });
    this.#progressedMs = this.#nowMs;
    this.#report.schedule('progress', MEDIA_SILENCE_MS);
  }

  #connectOptions(): ReadonlyMap<string, AmfValue> {
    const { app, tcUrl } = this.#address as RtmpAddress;
    return new Map<string, AmfValue>([
      ['app', app],
      ['flashVer', 'LNX 9,0,124,2'],
      ['tcUrl', tcUrl],
      ['fpad', false],
      ['capabilities', 15],
      ['audioCodecs', 4071],
      ['videoCodecs', 252],
      ['videoFunction', 1],
      ['objectEncoding', 0],
      ['fourCcList', FOUR_CCS],
      ['videoFourCcInfoMap', FORWARD_ANY],
      ['audioFourCcInfoMap', FORWARD_ANY],
      ['capsEx', CAPABILITIES],
    ]);
  }

  #elapsed(timer: SourceTimer): void {
    if (timer === 'step') return this.#report.fail('the server does not answer');
    if (timer !== 'progress') return;
    if (this.#isAway) return this.#report.fail('the server has been silent since its publisher left');
    const silentMs = this.#nowMs - this.#progressedMs;
    if (silentMs < MEDIA_SILENCE_MS) return this.#report.schedule('progress', MEDIA_SILENCE_MS - silentMs);
    this.#report.fail(`no media came for ${MEDIA_SILENCE_MS / 1000} s`);
  }

  #acknowledge(): void {
    if (this.#windowBytes === undefined || this.#receivedBytes - this.#acknowledgedBytes < this.#windowBytes) return;
    this.#acknowledgedBytes = this.#receivedBytes;
    this.#sendControl(ACKNOWLEDGEMENT, uint32Bytes(this.#receivedBytes));
  }

  #command(streamId: number, ...values: readonly AmfValue[]): void {
    const chunkStream = streamId === 0 ? COMMAND_CHUNK_STREAM : PLAY_CHUNK_STREAM;
    this.#report.send(encodeRtmpMessage({ type: COMMAND, timestampMs: 0, streamId, body: encodeAmf0(values) }, chunkStream));
  }

  #sendControl(type: number, body: readonly number[]): void {
    this.#report.send(encodeRtmpMessage({ type, timestampMs: 0, streamId: 0, body: Uint8Array.from(body) }, CONTROL_CHUNK_STREAM));
  }
}

/** An AMF3 message whose first byte is 0 holds AMF0 values; nobody sends anything else. */
function withoutAmf3Mark(body: Uint8Array): Uint8Array {
  return body[0] === 0 ? body.subarray(1) : body;
}

function memberOf(value: AmfValue, key: string): AmfValue {
  return value instanceof Map ? value.get(key) : undefined;
}

/** A status code, or nothing when it is none: what a server writes goes into the log. */
function codeOf(info: AmfValue): string {
  const code = memberOf(info, 'code');
  return typeof code === 'string' && /^[A-Za-z]+(?:\.[A-Za-z]+){1,4}$/.test(code) && code.length <= 80 ? code : '';
}

function faultOf(code: string): string {
  return FAULTS.get(code) ?? `the server reports an error${code === '' ? '' : ` (${code})`}`;
}

function partCountOf(path: string): number {
  return (path.split('?', 1)[0] ?? '').split('/').filter((part) => part !== '').length;
}

function guessProtocol(firstByte: number): string {
  if (firstByte === 0x15 || firstByte === 0x16) return 'it looks like TLS; use rtmps://';
  return firstByte === 0x48 ? 'it looks like HTTP' : 'some other protocol';
}

function uint32Bytes(value: number): readonly number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

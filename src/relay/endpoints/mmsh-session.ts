/**
 * One local player over MMSH: reads its one request, answers header or header and packets, ends by closing.
 *
 * Exactly what ffmpeg, mplayer, VLC and libmms all need (protocols sheet 2.4): status 200 with a phrase, a Content-Type without charset, one
 * `$H`, no `$M`, no B bit, and a closed connection after a describe. Nothing of the request is ever echoed, and no token of it grants
 * anything. Limits: protocols sheet 6.2, rows 19 to 30.
 */
import { Malformed } from '../../kernel/errors.js';
import type { Rng } from '../../kernel/rng.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { encodeMmshEnd, encodeMmshHeader, MMSH_PAYLOAD_BYTES_MAX } from '../../media/mmsh-chunk.js';
import {
  type ChannelLookup,
  encodeMmsPacket,
  type Framing,
  findChannel,
  HEADER_POLL_MS,
  HEADER_WAIT_MS,
  type MmsChannel,
  PLAYER_STEP_MS,
  type PlayerEffect,
  type PlayerInput,
  type PlayerSession,
} from './mms-player.js';
import { type MmshRequest, MmshRequestReader } from './mmsh-request.js';

/** Logs and keep-alives of players are read up to here and thrown away. */
const POST_BYTES_MAX: Bytes = 64 * 1024;
const DESCRIBE_TYPE = 'application/vnd.ms.wms-hdr.asfv1';
const PLAY_TYPE = 'application/x-mms-framed';

type Phase = 'head' | 'waiting' | 'posting' | 'playing' | 'over';

export interface MmsSessionOptions<Channel extends MmsChannel> {
  readonly lookup: ChannelLookup<Channel>;
  /** For client ids, which are names and no secrets. */
  readonly rng: Rng;
}

export class MmshSession<Channel extends MmsChannel> implements PlayerSession<Channel> {
  readonly #options: MmsSessionOptions<Channel>;
  readonly #request = new MmshRequestReader();
  #phase: Phase = 'head';
  #postLeftBytes: Bytes = 0;
  /** A request for a channel that has no header yet, and until when it may wait. */
  #waiting: { readonly request: MmshRequest; readonly untilMs: Milliseconds } | undefined;
  #waited: Channel | undefined;
  #nowMs: Milliseconds = 0;

  constructor(options: MmsSessionOptions<Channel>) {
    this.#options = options;
  }

  get framing(): Framing | undefined {
    return this.#phase === 'playing' ? 'mmsh' : undefined;
  }

  handle(input: PlayerInput, nowMs: Milliseconds): readonly PlayerEffect<Channel>[] {
    this.#nowMs = nowMs;
    switch (input.kind) {
      case 'start':
        return [{ kind: 'schedule', timer: 'step', delayMs: PLAYER_STEP_MS }];
      case 'bytes':
        return this.#receive(input.bytes);
      case 'timer':
        if (input.timer === 'header') return this.#waiting ? this.#serve(this.#waiting.request) : [];
        return this.#phase === 'playing' ? [] : this.#refuse('no whole request in time');
      case 'end':
        return this.#end();
    }
  }

  packet(locationId: number, payload: Uint8Array): Uint8Array | undefined {
    return this.framing && encodeMmsPacket(this.framing, locationId, payload);
  }

  mediaSent(): void {
    // The data connection of MMSH has no keep-alive.
  }

  #receive(bytes: Uint8Array): readonly PlayerEffect<Channel>[] {
    if (this.#phase === 'posting') return this.#receivePost(bytes.length);
    // What follows the request on a playing connection is ignored: the stream goes on.
    if (this.#phase !== 'head') return [];
    const request = this.#request.push(bytes);
    if (request === undefined) return [];
    return request instanceof Malformed ? this.#refuse(request.reason) : this.#answer(request);
  }

  #answer(request: MmshRequest): readonly PlayerEffect<Channel>[] {
    switch (request.method) {
      case 'GET':
      case 'HEAD':
        return this.#serve(request);
      case 'POST':
        this.#phase = 'posting';
        this.#postLeftBytes = Math.min(POST_BYTES_MAX, request.contentBytes);
        return this.#receivePost(this.#request.restBytes);
      case 'OPTIONS':
        return this.#close(reply('200 OK', ['Public: GET, POST, OPTIONS', 'Content-Length: 0']));
      default:
        return this.#close(reply('501 Not Implemented', ['Content-Length: 0']));
    }
  }

  #receivePost(count: Bytes): readonly PlayerEffect<Channel>[] {
    this.#postLeftBytes -= count;
    return this.#postLeftBytes > 0 ? [] : this.#close(reply('204 No Content', ['Content-Length: 0']));
  }

  #serve(request: MmshRequest): readonly PlayerEffect<Channel>[] {
    const { method, path, isPlay } = request;
    const channel = this.#waited ?? findChannel(this.#options.lookup, path);
    if (channel === undefined) return this.#close(reply('404 Not Found', ['Content-Length: 0']));
    const header = channel === 'busy' ? null : channel.header();
    if (channel !== 'busy' && header === null && this.#nowMs < (this.#waiting?.untilMs ?? Number.POSITIVE_INFINITY)) {
      return this.#wait(request, channel);
    }
    if (channel === 'busy' || header === null || header.length > MMSH_PAYLOAD_BYTES_MAX) {
      return this.#close(reply('503 Service Unavailable', ['Retry-After: 5', 'Content-Length: 0']));
    }
    const head = reply('200 OK', [
      'Server: Cougar/9.01.01.3841',
      `Content-Type: ${isPlay ? PLAY_TYPE : DESCRIBE_TYPE}`,
      'Pragma: no-cache',
      `Pragma: client-id=${this.#options.rng.uint32()}`,
      'Pragma: features="broadcast"',
      'Cache-Control: no-cache',
    ]);
    if (method === 'HEAD') return this.#close(head);
    const answer = joined(head, encodeMmshHeader(header));
    // VLC and libmms read a description until the connection ends.
    if (!isPlay) return this.#close(answer);
    this.#phase = 'playing';
    return [
      { kind: 'cancel', timer: 'step' },
      { kind: 'send', bytes: answer },
      { kind: 'emit', event: { kind: 'play', channel, framing: 'mmsh' } },
    ];
  }

  #wait(request: MmshRequest, channel: Channel): readonly PlayerEffect<Channel>[] {
    this.#phase = 'waiting';
    this.#waited = channel;
    this.#waiting ??= { request, untilMs: this.#nowMs + HEADER_WAIT_MS };
    return [
      { kind: 'cancel', timer: 'step' },
      { kind: 'schedule', timer: 'header', delayMs: HEADER_POLL_MS },
    ];
  }

  #end(): readonly PlayerEffect<Channel>[] {
    return this.#phase === 'playing' ? this.#close(encodeMmshEnd(0)) : this.#close();
  }

  #refuse(detail: string): readonly PlayerEffect<Channel>[] {
    if (this.#phase === 'over') return [];
    return [{ kind: 'emit', event: { kind: 'refused', detail } }, ...this.#close()];
  }

  #close(bytes?: Uint8Array): readonly PlayerEffect<Channel>[] {
    if (this.#phase === 'over') return [];
    this.#phase = 'over';
    const send: readonly PlayerEffect<Channel>[] = bytes === undefined ? [] : [{ kind: 'send', bytes }];
    const timers: readonly PlayerEffect<Channel>[] = this.#waiting ? [{ kind: 'cancel', timer: 'header' }] : [];
    return [...send, { kind: 'cancel', timer: 'step' }, ...timers, { kind: 'close' }];
  }
}

function reply(status: string, lines: readonly string[]): Uint8Array {
  return new TextEncoder().encode(`HTTP/1.0 ${status}\r\n${lines.map((line) => `${line}\r\n`).join('')}Connection: close\r\n\r\n`);
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const out = new Uint8Array(first.length + second.length);
  out.set(first);
  out.set(second, first.length);
  return out;
}

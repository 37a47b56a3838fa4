/**
 * A live server that gives every player times of its own, as SRS does by default: the hardest origin for publishers that do not know each other.
 *
 * It keeps metadata, codec headers and what came since the last key frame. A player gets metadata and headers at time 0, then that group of
 * pictures, then the live stream, all with times as `SrsJitter` makes them for this player alone. RTMP (play only) and HTTP-FLV, loopback only.
 */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { classifyTag, encodeFlvHeader, encodeTag, type FlvTag, SCRIPT, VIDEO } from '../../src/media/flv.js';
import { FlvEncoder } from './flv-encoder.js';
import { type RecordedTag, recordTag } from './flv-recorder.js';
import type { Origin } from './origin.js';
import { RtmpPlayServer, type TagSink } from './rtmp-play-server.js';
import { SrsJitter } from './srs-jitter.js';
import { until } from './until.js';

export interface RebasingOriginOptions {
  /** Which of its two addresses `url` is. Default `rtmp`. */
  readonly protocol?: 'rtmp' | 'http';
  /** `false`: the test pushes tags itself. Default: a real encoder runs. */
  readonly encoder?: boolean;
  readonly videoKilobitsPerSecond?: number;
}

interface Player {
  readonly sink: TagSink;
  readonly jitter: SrsJitter;
}

/** A group of pictures longer than this is not kept. */
const KEPT_TAGS = 2_000;
const FIRST_TAG_MS = 10_000;
const PATH = '/live/origin';

export class RebasingOrigin implements Origin {
  readonly #options: RebasingOriginOptions;
  readonly #players = new Map<TagSink, Player>();
  readonly #sent: RecordedTag[] = [];
  #rtmp!: RtmpPlayServer;
  #http!: Server;
  #encoder: FlvEncoder | undefined;
  #metadata: FlvTag | undefined;
  #headers = new Map<FlvTag['type'], FlvTag>();
  /** Since the last key frame, that one included. */
  #group: FlvTag[] = [];
  #lastMs = 0;
  #gapEndMs = 0;

  /** Resolves when a player gets media at once, or, without an encoder, when it listens. */
  static async start(options: RebasingOriginOptions = {}): Promise<RebasingOrigin> {
    const origin = new RebasingOrigin(options);
    await origin.#listen();
    if (options.encoder !== false) await origin.#startEncoder();
    return origin;
  }

  private constructor(options: RebasingOriginOptions) {
    this.#options = options;
  }

  get url(): string {
    return this.#options.protocol === 'http' ? this.flvUrl : this.rtmpUrl;
  }

  get rtmpUrl(): string {
    return `rtmp://127.0.0.1:${this.#rtmp.port}${PATH}`;
  }

  get flvUrl(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}${PATH}.flv`;
  }

  get playerCount(): number {
    return this.#players.size;
  }

  /** Coded media as the encoder stamped it, without what gaps swallowed. */
  get sent(): readonly RecordedTag[] {
    return this.#sent;
  }

  async sentFrames(): Promise<readonly RecordedTag[]> {
    return this.#sent;
  }

  /** Takes the next tag of the source. */
  push(tag: FlvTag): void {
    const { kind, key } = classifyTag(tag);
    if (tag.timestampMs < this.#gapEndMs) return;
    if (kind === 'metadata') this.#metadata = tag;
    else if (kind === 'header') this.#headers.set(tag.type, tag);
    else if (kind === 'frame') this.#keep(tag, key);
    if (kind === 'frame') this.#sent.push(recordTag(tag, performance.now()));
    this.#lastMs = tag.timestampMs;
    for (const player of this.#players.values()) deliver(player, tag);
  }

  /** The source loses this much media from now on. Beyond 250 ms no player can see from its times that anything is missing. */
  insertGap(durationMs: number): void {
    this.#gapEndMs = this.#lastMs + durationMs;
  }

  /** Cuts every connection; players may come back at once. */
  dropPlayers(): void {
    for (const { sink } of this.#players.values()) sink.close();
  }

  async restartEncoder(): Promise<void> {
    await this.#encoder?.kill();
    await this.#startEncoder();
  }

  async stop(): Promise<void> {
    await this.#encoder?.stop();
    const closed = once(this.#http, 'close');
    this.#http.close();
    this.#http.closeAllConnections();
    await Promise.all([closed, this.#rtmp.stop()]);
  }

  async #listen(): Promise<void> {
    const onGone = (sink: TagSink): boolean => this.#players.delete(sink);
    this.#rtmp = await RtmpPlayServer.start({ onPlay: (sink) => this.#admit(sink), onGone });
    this.#http = createServer((request, response) => {
      if (request.url?.split('?')[0] !== `${PATH}.flv`) return response.writeHead(404).end();
      const sink = new FlvResponse(response);
      response.on('close', () => onGone(sink));
      this.#admit(sink);
    });
    this.#http.listen(0, '127.0.0.1');
    await once(this.#http, 'listening');
  }

  /** The server goes on for its players; times, headers and the kept group begin anew with the encoder. */
  async #startEncoder(): Promise<void> {
    const before = this.#sent.length;
    this.#gapEndMs = 0;
    this.#group = [];
    const { videoKilobitsPerSecond } = this.#options;
    const rate = videoKilobitsPerSecond === undefined ? {} : { videoKilobitsPerSecond };
    this.#encoder = new FlvEncoder({ onTag: (tag) => this.push(tag), ...rate });
    await until('the encoder sends', () => this.#sent.length > before, FIRST_TAG_MS);
  }

  #keep(tag: FlvTag, key: boolean): void {
    const isAlone = !this.#headers.has(VIDEO);
    if (key || isAlone || this.#group.length >= KEPT_TAGS) this.#group = [];
    this.#group.push(tag);
  }

  #admit(sink: TagSink): void {
    const player = { sink, jitter: new SrsJitter() };
    this.#players.set(sink, player);
    for (const tag of [this.#metadata, ...this.#headers.values()]) if (tag) sink.send({ ...tag, timestampMs: 0 });
    for (const tag of this.#group) deliver(player, tag);
  }
}

function deliver({ sink, jitter }: Player, tag: FlvTag): void {
  sink.send({ ...tag, timestampMs: tag.type === SCRIPT ? 0 : jitter.correct(tag.timestampMs) });
}

class FlvResponse implements TagSink {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, { 'content-type': 'video/x-flv' });
    response.write(encodeFlvHeader({ audio: true, video: true }));
  }

  send(tag: FlvTag): void {
    this.#response.write(encodeTag(tag));
  }

  close(): void {
    this.#response.destroy();
  }
}

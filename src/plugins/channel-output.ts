/**
 * What the endpoints of this machine serve of one channel: the tags of an FLV feed and the packets of an ASF feed.
 *
 * A channel is native in one of the two. The other is made from it: ASF with H.264 and AAC or MP3 becomes FLV without transcoding; everything else
 * goes through ffmpeg, only while a player needs it, and only if the configuration allows it. One subscription to the swarm feeds both.
 */

import { epochIdOf } from '../ingest/asf-cutter.js';
import { nodeHasher } from '../io/crypto.js';
import { sameBytes } from '../kernel/bytes.js';
import { Malformed } from '../kernel/errors.js';
import type { Log } from '../kernel/ports.js';
import type { Bytes, Milliseconds } from '../kernel/units.js';
import { AsfKeyDetector } from '../media/asf-key-detector.js';
import { parseAsfPacket } from '../media/asf-packet.js';
import { type AsfRecord, decodeAsfWindow, RECORD_HEAD_BYTES } from '../media/asf-window.js';
import { decodeTags, encodedTagBytes, FlvParser, type FlvTag } from '../media/flv.js';
import { type MmshChunk, MmshChunkReader } from '../media/mmsh-chunk.js';
import { AsfFeed } from '../relay/endpoints/asf-feed.js';
import { AsfToFlv } from '../relay/endpoints/asf-to-flv.js';
import { TagFeed } from '../relay/endpoints/tag-feed.js';
import { Converter } from './converter.js';

export type Container = 'flv' | 'asf';

/** A window of either container, as the exchange delivers it. */
export interface DeliveredWindow {
  readonly number: number;
  readonly discontinuity: boolean;
  readonly bytes: Uint8Array;
  readonly keyMarks: readonly { readonly offsetBytes: number }[];
  /** Where in `bytes` something is missing right before; none as a rule. */
  readonly lossOffsets?: readonly Bytes[];
}

export interface ChannelOutputOptions {
  readonly name: string;
  readonly historyMs: Milliseconds;
  /** Whether ffmpeg may be used. */
  readonly convert: boolean;
  /** Endpoints of this process that ffmpeg reads from. */
  readonly inputs: () => { readonly flv: string; readonly mmsh: string };
  /** Players on FLV endpoints (HTTP-FLV, WS-FLV, HLS, RTMP) and on the MMS endpoint right now. */
  readonly demand: () => { readonly flv: number; readonly asf: number };
  readonly log: Log;
}

/** Windows of an epoch whose header has not come yet; more than this and the oldest go. */
const HELD_WINDOWS_MAX = 40;
const TO_ASF = '-c copy -f asf_stream';
/** FLV says how long each part of an H.264 picture is, ASF has start codes between them; VLC shows no picture otherwise. */
const TO_ASF_WITH_H264 = `-bsf:v h264_mp4toannexb ${TO_ASF}`;
const FROM_FLV = '-fflags nobuffer -f flv';
const TO_FLV =
  '-c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 50 -c:a aac -b:a 128k -f flv -flvflags no_duration_filesize';
const FROM_ASF = '-fflags nobuffer';

export class ChannelOutput {
  readonly flv: TagFeed;
  readonly asf = new AsfFeed();
  readonly #options: ChannelOutputOptions;
  #native: Container = 'flv';
  #epochId: Uint8Array | undefined;
  #toFlv: AsfToFlv | undefined;
  #held: DeliveredWindow[] = [];
  #converter: Converter | undefined;
  #chunks = new MmshChunkReader();
  #parser = new FlvParser();
  #packetCount = 0;
  #keys: AsfKeyDetector | undefined;
  #isKnown = false;
  #onKnown: (() => void) | undefined;

  constructor(options: ChannelOutputOptions) {
    this.#options = options;
    this.flv = new TagFeed({ historyMs: options.historyMs });
    // With ffmpeg's help everything works, whatever comes.
    this.#isKnown = options.convert;
  }

  /** What works: everything that is native or needs no ffmpeg, and the rest if ffmpeg may be used. */
  get works(): { readonly flv: boolean; readonly asf: boolean } {
    const { convert } = this.#options;
    const flv = this.#native === 'flv' || convert || this.#toFlv?.support.supported === true;
    return { flv, asf: this.#native === 'asf' || convert };
  }

  /** Waits until `works` says what it will go on saying, which without ffmpeg needs the channel's first header; at most `timeoutMs`. */
  async whenKnown(timeoutMs: Milliseconds): Promise<void> {
    if (this.#isKnown) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#onKnown = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Why FLV players cannot have this channel without ffmpeg; undefined when they can. */
  get conversionReason(): string | undefined {
    const support = this.#toFlv?.support;
    return support && !support.supported ? support.reason : undefined;
  }

  /** Says what the channel is made of; conversions can begin. */
  begin(native: Container): void {
    this.#native = native;
    if (native === 'flv') this.#know();
    if (native === 'flv' && this.#options.convert) this.#converter = this.#flvToAsf();
  }

  async stop(): Promise<void> {
    this.#know();
    await this.#converter?.stop();
    this.asf.end();
  }

  pushTag(tag: FlvTag): void {
    this.flv.push(tag);
  }

  /** The timeline breaks: windows were skipped, or the publisher changed. */
  discontinuity(): void {
    this.flv.discontinuity();
    this.#toFlv?.discontinuity();
  }

  /** The canonical header of an ASF channel. A new one ends its players, who come back by themselves. */
  async setAsfHeader(canonical: Uint8Array): Promise<void> {
    const epochId = epochIdOf(canonical, nodeHasher);
    if (this.#epochId && sameBytes(epochId, this.#epochId)) return;
    const malformed = this.asf.setHeader(canonical);
    const header = this.asf.header;
    if (malformed || !header) return this.#options.log.warn(`the channel's ASF header is unusable: ${malformed?.reason ?? 'unknown'}`);
    const again = this.#epochId !== undefined;
    this.#epochId = epochId;
    this.#toFlv = new AsfToFlv(header.parsed);
    this.#know();
    if (again) this.flv.discontinuity();
    const previous = this.#converter;
    this.#converter = this.#toFlv.support.supported || !this.#options.convert ? undefined : this.#asfToFlvByFfmpeg();
    const held = this.#held;
    this.#held = [];
    for (const window of held) this.pushWindow(window);
    await previous?.stop();
  }

  /** Takes the next window of the stream, verified, in order. */
  pushWindow(window: DeliveredWindow): void {
    if (this.#native === 'flv') this.#pushFlvWindow(window);
    else this.#pushAsfWindow(window);
  }

  #know(): void {
    this.#isKnown = true;
    this.#onKnown?.();
  }

  #pushFlvWindow({ number, discontinuity, bytes, lossOffsets }: DeliveredWindow): void {
    if (discontinuity) this.flv.discontinuity();
    const tags = decodeTags(bytes);
    // The owner signed these bytes, so only a faulty publisher gets here; the window is worth nothing then.
    if (tags instanceof Malformed) return this.#options.log.warn(`window ${number} is unreadable: ${tags.reason}`);
    const losses = new Set(lossOffsets);
    let offsetBytes = 0;
    for (const tag of tags) {
      if (losses.has(offsetBytes)) this.flv.loss();
      this.flv.push(tag);
      offsetBytes += encodedTagBytes(tag);
    }
    if (losses.has(offsetBytes)) this.flv.loss();
  }

  #pushAsfWindow(window: DeliveredWindow): void {
    const decoded = decodeAsfWindow(window.bytes);
    if (decoded instanceof Malformed) return this.#options.log.warn(`window ${window.number} is unreadable: ${decoded.reason}`);
    if (!this.#epochId || !sameBytes(decoded.epochId, this.#epochId)) return this.#hold(window);
    if (window.discontinuity) this.discontinuity();
    const keyOffsets = new Set(window.keyMarks.map((mark) => mark.offsetBytes));
    const losses = new Set(window.lossOffsets);
    let offsetBytes = decoded.epochId.length;
    for (const record of decoded.records) {
      // Players of ASF conceal what is missing. What is made of it goes to others, too.
      if (losses.has(offsetBytes)) this.flv.loss();
      this.#pushRecord(record, keyOffsets.has(offsetBytes));
      offsetBytes += RECORD_HEAD_BYTES + record.payload.length;
    }
    if (losses.has(offsetBytes)) this.flv.loss();
  }

  #pushRecord({ locationId, payload }: AsfRecord, key: boolean): void {
    this.asf.push(locationId, payload, key);
    for (const tag of this.#toFlv?.push(payload) ?? []) this.flv.push(tag);
  }

  /** Its header travels beside the windows and may come a little later. */
  #hold(window: DeliveredWindow): void {
    this.#held.push(window);
    if (this.#held.length > HELD_WINDOWS_MAX) this.#held.shift();
  }

  #flvToAsf(): Converter {
    const { name, inputs, demand, log } = this.#options;
    return new Converter({
      name: `the conversion of "${name}" for MMS players`,
      input: () => inputs().flv,
      inputOptions: FROM_FLV,
      outputOptions: () => ((this.flv.tracks.videoCodec ?? 'avc1') === 'avc1' ? TO_ASF_WITH_H264 : TO_ASF),
      demand: () => demand().asf,
      log,
      onStart: () => {
        this.#chunks = new MmshChunkReader();
      },
      onBytes: (bytes) => this.#takeAsf(bytes),
    });
  }

  /** ffmpeg's `asf_stream` is framed as MMSH. */
  #takeAsf(bytes: Uint8Array): Malformed | undefined {
    return this.#chunks.push(bytes, (chunk) => this.#takeChunk(chunk));
  }

  #takeChunk(chunk: MmshChunk): void {
    if (chunk.kind === 'header') this.#setConvertedHeader(chunk.payload);
    if (chunk.kind !== 'data') return;
    this.asf.push(this.#packetCount, chunk.payload, this.#isKey(chunk.payload));
    this.#packetCount = (this.#packetCount + 1) >>> 0;
  }

  #setConvertedHeader(bytes: Uint8Array): void {
    const malformed = this.asf.setHeader(bytes);
    if (malformed) this.#options.log.warn(`ffmpeg's ASF header is unusable: ${malformed.reason}`);
    this.#keys = this.asf.header && new AsfKeyDetector(this.asf.header.parsed);
  }

  #isKey(payload: Uint8Array): boolean {
    const packet = this.asf.header && parseAsfPacket(payload, this.asf.header.parsed.packetBytes);
    return packet !== undefined && !(packet instanceof Malformed) && this.#keys?.isKey(packet) === true;
  }

  #asfToFlvByFfmpeg(): Converter {
    const { name, inputs, demand, log } = this.#options;
    return new Converter({
      name: `the conversion of "${name}" to H.264 and AAC`,
      input: () => inputs().mmsh,
      inputOptions: FROM_ASF,
      outputOptions: () => TO_FLV,
      demand: () => demand().flv,
      log,
      onStart: () => {
        this.#parser = new FlvParser();
        this.flv.discontinuity();
      },
      onBytes: (bytes) => this.#takeFlv(bytes),
    });
  }

  #takeFlv(bytes: Uint8Array): Malformed | undefined {
    const tags = this.#parser.push(bytes);
    if (tags instanceof Malformed) return tags;
    for (const tag of tags) this.flv.push(tag);
    return undefined;
  }
}

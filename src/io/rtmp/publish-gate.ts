/**
 * What of a publisher's tags may pass: nothing empty, no frame before its codec's header, and script tags of bounded size and rate.
 *
 * Source: protocols sheet 6.4, rows 20, 22, 25 and 26.
 */
import { TokenBucket } from '../../kernel/token-bucket.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { classifyTag, type FlvTag, SCRIPT } from '../../media/flv.js';

/** Metadata of real encoders is below 1 KiB. */
const SCRIPT_BYTES_MAX: Bytes = 64 * 1024;
const SCRIPTS_PER_SECOND = 2;
/** GStreamer repeats its metadata four times within the first 0.4 s (protocols sheet 4.4). */
const SCRIPT_BURST_COUNT = 4;
/** Codecs whose frames nobody can decode without the header. */
const NEEDS_HEADER: ReadonlySet<string> = new Set(['avc1', 'hvc1', 'mp4a']);

export class PublishGate {
  /** The bucket counts tags, not bytes. */
  readonly #scripts = new TokenBucket(SCRIPTS_PER_SECOND, SCRIPT_BURST_COUNT);
  readonly #codecsReady = new Set<string>();

  admits(tag: FlvTag, nowMs: Milliseconds): boolean {
    if (tag.type === SCRIPT) return this.#admitsScript(tag.body.length, nowMs);
    const { kind, codec } = classifyTag(tag);
    if (kind === 'header' && NEEDS_HEADER.has(codec)) this.#codecsReady.add(codec);
    if (kind === 'frame') return !NEEDS_HEADER.has(codec) || this.#codecsReady.has(codec);
    return kind !== 'empty';
  }

  #admitsScript(bodyBytes: Bytes, nowMs: Milliseconds): boolean {
    if (bodyBytes === 0 || bodyBytes > SCRIPT_BYTES_MAX || this.#scripts.delayMs(nowMs) > 0) return false;
    this.#scripts.take(1, nowMs);
    return true;
  }
}

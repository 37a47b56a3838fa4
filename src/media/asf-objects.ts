/**
 * Puts the media objects (frames) of ASF streams together from the payloads of packets.
 *
 * An object leaves when its last byte has come. One with a gap, with pieces that contradict each other, or larger than it claimed is
 * dropped and counted; memory is bounded by one open object for each wanted stream, and grows with the bytes that came, never with a claim.
 * Source: protocols sheet 1.2.
 */
import type { Bytes, Milliseconds } from '../kernel/units.js';
import { ASF_OBJECT_BYTES_MAX, type AsfPacket, type AsfPayload } from './asf-packet.js';

/** One whole frame. */
export interface AsfMediaObject {
  readonly stream: number;
  readonly objectNumber: number;
  /** The key bit of its first payload. */
  readonly key: boolean;
  /** Preroll included; 32 bits. */
  readonly presentationMs: Milliseconds;
  readonly data: Uint8Array;
}

interface OpenObject {
  readonly first: AsfPayload;
  /** Bytes are copied here, because a view would keep its whole packet alive, and a hostile packet may hold a single byte. */
  bytes: Uint8Array;
  receivedBytes: Bytes;
}

/** An object's buffer starts no larger than this and doubles. */
const BUFFER_START_BYTES: Bytes = 4096;

export class AsfObjects {
  readonly #open = new Map<number, OpenObject>();
  readonly #streams: ReadonlySet<number>;
  #droppedObjects = 0;

  /** Objects of these streams only. */
  constructor(streams: Iterable<number>) {
    this.#streams = new Set(streams);
  }

  /** Objects that began and were not finished. */
  get droppedObjects(): number {
    return this.#droppedObjects;
  }

  /** Takes the next packet and returns the objects it completed, in the order of their last pieces. */
  push(packet: AsfPacket): readonly AsfMediaObject[] {
    const done: AsfMediaObject[] = [];
    for (const payload of packet.payloads) {
      if (!this.#streams.has(payload.stream)) continue;
      const object = this.#take(payload);
      if (object !== undefined) done.push(object);
    }
    return done;
  }

  /** Forgets unfinished objects: what follows is another stretch of the stream. */
  reset(): void {
    this.#droppedObjects += this.#open.size;
    this.#open.clear();
  }

  #take(payload: AsfPayload): AsfMediaObject | undefined {
    if (payload.offsetBytes === 0) return this.#begin(payload);
    const open = this.#open.get(payload.stream);
    if (open === undefined) return undefined;
    const { first, receivedBytes } = open;
    const fits = payload.objectNumber === first.objectNumber && payload.offsetBytes === receivedBytes;
    if (!fits || receivedBytes + payload.data.length > (first.objectBytes ?? 0)) return this.#drop(payload.stream);
    append(open, payload.data);
    return this.#finishIfWhole(open);
  }

  #begin(payload: AsfPayload): AsfMediaObject | undefined {
    const { stream, objectBytes, presentationMs, data } = payload;
    if (this.#open.has(stream)) this.#drop(stream);
    if (objectBytes === undefined || presentationMs === undefined || objectBytes === 0 || objectBytes > ASF_OBJECT_BYTES_MAX)
      return undefined;
    if (data.length > objectBytes) return this.#drop(stream);
    const open: OpenObject = {
      first: payload,
      bytes: new Uint8Array(Math.min(objectBytes, Math.max(BUFFER_START_BYTES, data.length))),
      receivedBytes: 0,
    };
    append(open, data);
    this.#open.set(stream, open);
    return this.#finishIfWhole(open);
  }

  #finishIfWhole({ first, bytes, receivedBytes }: OpenObject): AsfMediaObject | undefined {
    if (receivedBytes !== first.objectBytes) return undefined;
    const { stream, objectNumber, key, presentationMs = 0 } = first;
    this.#open.delete(stream);
    return { stream, objectNumber, key, presentationMs, data: bytes.subarray(0, receivedBytes) };
  }

  #drop(stream: number): undefined {
    this.#open.delete(stream);
    this.#droppedObjects += 1;
    return undefined;
  }
}

function append(open: OpenObject, data: Uint8Array): void {
  const endBytes = open.receivedBytes + data.length;
  if (endBytes > open.bytes.length) {
    const larger = new Uint8Array(Math.min(open.first.objectBytes ?? endBytes, Math.max(endBytes, open.bytes.length * 2)));
    larger.set(open.bytes.subarray(0, open.receivedBytes));
    open.bytes = larger;
  }
  open.bytes.set(data, open.receivedBytes);
  open.receivedBytes = endBytes;
}

/**
 * Puts an ASF header together from the parts in which a server sends it, within bounds.
 *
 * The last part is told by its flag, or by the sizes inside the header when a server forgets the flag.
 */
import { sameBytes } from '../kernel/bytes.js';
import { Malformed } from '../kernel/errors.js';
import type { Bytes } from '../kernel/units.js';
import { ASF_DATA_BYTES, ASF_HEADER_BYTES_MAX, type AsfHeader, canonicalAsfHeader, parseAsfHeader } from '../media/asf-header.js';
import { ByteQueue } from '../media/byte-queue.js';

/** A whole header, with what it says. */
export interface SourceHeader {
  /** Header object and the first 50 bytes of the Data object. */
  readonly bytes: Uint8Array;
  readonly media: AsfHeader;
}

const HEADER_SIZE_OFFSET: Bytes = 16;
/** What a server may send at most: the Header object and the Data object's fixed part. */
const BYTES_MAX: Bytes = ASF_HEADER_BYTES_MAX + ASF_DATA_BYTES;

/** Whether two headers describe one stream; counts and durations of a broadcast do not matter. */
export function isSameHeader(a: SourceHeader, b: SourceHeader): boolean {
  return sameBytes(canonicalAsfHeader(a.bytes, a.media), canonicalAsfHeader(b.bytes, b.media));
}

export class HeaderAssembly {
  #queue = new ByteQueue();
  #started = false;

  /** Whether the next part is a header's first. */
  get isEmpty(): boolean {
    return !this.#started;
  }

  /** The whole header when this part completes it. */
  add(part: Uint8Array, isFirst: boolean, isLast: boolean): SourceHeader | Malformed | undefined {
    if (isFirst) this.clear();
    else if (!this.#started && !isLast && !startsLikeHeader(part)) return new Malformed('the header begins with its second part');
    this.#started = true;
    if (this.#queue.lengthBytes + part.length > BYTES_MAX) {
      return new Malformed(`the header is longer than ${BYTES_MAX} bytes`);
    }
    this.#queue.push(part);
    if (!isLast && !this.#isWhole()) return undefined;
    const bytes = this.#queue.takeAll();
    this.clear();
    return readHeader(bytes);
  }

  clear(): void {
    this.#queue = new ByteQueue();
    this.#started = false;
  }

  #isWhole(): boolean {
    const head = this.#queue.peek(HEADER_SIZE_OFFSET + 8);
    if (head === undefined) return false;
    const headerBytes = new DataView(head.buffer, head.byteOffset).getBigUint64(HEADER_SIZE_OFFSET, true);
    return BigInt(this.#queue.lengthBytes) === headerBytes + BigInt(ASF_DATA_BYTES);
  }
}

function readHeader(bytes: Uint8Array): SourceHeader | Malformed {
  const media = parseAsfHeader(bytes);
  if (media instanceof Malformed) return new Malformed(`the source's header cannot be used: ${media.reason}`);
  if (media.streams.length === 0) return new Malformed("the source's header describes no stream");
  return { bytes: bytes.subarray(0, media.sizeBytes), media };
}

/** The first bytes of the Header object's GUID. */
function startsLikeHeader(part: Uint8Array): boolean {
  return part[0] === 0x30 && part[1] === 0x26 && part[2] === 0xb2 && part[3] === 0x75;
}

/**
 * Splits an ASF byte stream, as `ffmpeg -f asf_stream` writes it, into its header and its packets.
 *
 * Header object, the first 50 bytes of the Data object, then packets of one size to the end (protocols sheet 1.1 and 1.2). Memory is bounded by one
 * header and one packet. `push` returns `Malformed` once; the splitter must be thrown away then.
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes } from '../kernel/units.js';
import { parseAsfHeader } from './asf-header.js';
import { ByteQueue } from './byte-queue.js';

export interface AsfStreamPart {
  /** Header object and the first 50 bytes of the Data object, once. */
  readonly header?: Uint8Array;
  readonly packets: readonly Uint8Array[];
}

/** GUID and size. */
const OBJECT_HEAD_BYTES: Bytes = 24;
const DATA_HEAD_BYTES: Bytes = 50;
/** As large as any MMS player takes (protocols sheet, fact 2). */
const HEADER_BYTES_MAX: Bytes = 65_527;

export class AsfStreamSplitter {
  readonly #queue = new ByteQueue();
  #packetBytes: Bytes | undefined;

  push(bytes: Uint8Array): AsfStreamPart | Malformed {
    this.#queue.push(bytes);
    const header = this.#packetBytes === undefined ? this.#takeHeader() : undefined;
    if (header instanceof Malformed) return header;
    const packets: Uint8Array[] = [];
    const packetBytes = this.#packetBytes;
    for (let packet = this.#takePacket(packetBytes); packet; packet = this.#takePacket(packetBytes)) packets.push(packet);
    return header ? { header, packets } : { packets };
  }

  #takePacket(packetBytes: Bytes | undefined): Uint8Array | undefined {
    return packetBytes === undefined ? undefined : this.#queue.take(packetBytes);
  }

  #takeHeader(): Uint8Array | Malformed | undefined {
    const head = this.#queue.peek(OBJECT_HEAD_BYTES);
    if (!head) return undefined;
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    const sizeBytes = view.getUint32(16, true) + DATA_HEAD_BYTES;
    if (view.getUint32(20, true) !== 0 || sizeBytes > HEADER_BYTES_MAX) return new Malformed(`ASF header of more than ${HEADER_BYTES_MAX} bytes`);
    const header = this.#queue.take(sizeBytes);
    if (!header) return undefined;
    const parsed = parseAsfHeader(header);
    if (parsed instanceof Malformed) return parsed;
    this.#packetBytes = parsed.packetBytes;
    return header;
  }
}

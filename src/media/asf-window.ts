/**
 * The bytes of one window of an ASF channel: a run of packets exactly as the server sent them. Big-endian, as all of Shoal's own formats.
 *
 * | offset | size | field                                                              |
 * |--------|------|--------------------------------------------------------------------|
 * | 0      | 8    | epoch: the first 8 bytes of SHA-256 of the canonical header         |
 * | then for each packet:                                                              |
 * | 0      | 4    | LocationId, its number in the source                                |
 * | 4      | 2    | length n                                                            |
 * | 6      | n    | the packet, no padding added or taken away                          |
 *
 * Nothing in it depends on who fetched the packets or when (protocols sheet 4.6 A, rule 1).
 */
import { ByteReader, ByteWriter } from '../kernel/bytes.js';
import { Malformed } from '../kernel/errors.js';
import type { Bytes } from '../kernel/units.js';

export interface AsfRecord {
  /** 0 to 2^32 − 1. */
  readonly locationId: number;
  /** At most 65535 bytes. */
  readonly payload: Uint8Array;
}

export interface AsfWindow {
  /** 8 bytes. */
  readonly epochId: Uint8Array;
  readonly records: readonly AsfRecord[];
}

export const EPOCH_ID_BYTES: Bytes = 8;
export const RECORD_HEAD_BYTES: Bytes = 6;
/** Windows have at most 1024 packets (protocols sheet 4.6 A, rule 3). */
export const RECORDS_MAX = 1024;

export function encodeAsfWindow({ epochId, records }: AsfWindow): Uint8Array {
  const sizeBytes = records.reduce((sum, { payload }) => sum + RECORD_HEAD_BYTES + payload.length, EPOCH_ID_BYTES);
  const writer = new ByteWriter(sizeBytes).bytes(epochId);
  for (const { locationId, payload } of records) writer.uint32(locationId).uint16(payload.length).bytes(payload);
  return writer.finish();
}

/** Reads a window that came from a peer. Payloads are views into `bytes`. */
export function decodeAsfWindow(bytes: Uint8Array): AsfWindow | Malformed {
  const reader = new ByteReader(bytes);
  const epochId = reader.bytes(EPOCH_ID_BYTES);
  const records: AsfRecord[] = [];
  while (reader.ok && reader.remainingBytes > 0) {
    if (records.length >= RECORDS_MAX) return new Malformed(`ASF window of more than ${RECORDS_MAX} packets`);
    const locationId = reader.uint32();
    records.push({ locationId, payload: reader.bytes(reader.uint16()) });
  }
  if (!reader.ok) return new Malformed(`ASF window of ${bytes.length} bytes, cut off in packet ${Math.max(0, records.length - 1)}`);
  return records.length === 0 ? new Malformed('ASF window without packets') : { epochId, records };
}

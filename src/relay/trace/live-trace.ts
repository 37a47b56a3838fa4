/**
 * The file in which a viewer's live exchange is recorded: what the core was built from, and each step with its time, its input and its effects.
 *
 * | offset | size | field                                                                                        |
 * |--------|------|----------------------------------------------------------------------------------------------|
 * | 0      | 10   | `shoaltrace`                                                                                 |
 * | 10     | 1    | version, 1                                                                                   |
 * | 11     |      | records to the end: type u8, length u32, body                                                |
 *
 * | type | record | body                                                                                            |
 * |------|--------|-------------------------------------------------------------------------------------------------|
 * | 1    | origin | JSON (`trace-origin.ts`); the first record, and no other                                        |
 * | 2    | step   | time f64 (ms, the recording process's own), Unix time u48 (ms), input: length u32 and bytes, number of effects u16, each: length u32 and bytes |
 * | 3    | end    | why, UTF-8; the last record                                                                     |
 *
 * Big-endian. A file without an end was cut off, as that of a killed process is: what is whole of it counts.
 */
import { ByteReader, ByteWriter } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { decodeInput, type LiveInput } from './trace-input.js';
import { decodeOrigin, encodeOrigin, type TraceOrigin } from './trace-origin.js';

/** A recording ends here: more than half an hour at 1 Mbit/s, and what can be read into memory at once. */
export const TRACE_BYTES_MAX: Bytes = 256 * 1024 * 1024;

/** No step comes near this: a message has 1 MiB at most, and effects hold digests. */
const RECORD_BYTES_MAX: Bytes = 4 * 1024 * 1024;

export interface RecordedStep {
  readonly nowMs: Milliseconds;
  /** Unix time at its beginning. */
  readonly wallMs: Milliseconds;
  readonly input: Uint8Array;
  /** `encodeEffect` of each. */
  readonly effects: readonly Uint8Array[];
}

export interface TraceStep extends Omit<RecordedStep, 'input'> {
  readonly input: LiveInput;
}

export interface LiveTrace {
  readonly origin: TraceOrigin;
  readonly steps: readonly TraceStep[];
  /** Why the recording ended; undefined when the file is cut off. */
  readonly end: string | undefined;
}

interface TraceRecord {
  readonly type: number;
  readonly body: Uint8Array;
}

const MAGIC = new TextEncoder().encode('shoaltrace');
const VERSION = 1;
const ORIGIN = 1;
const STEP = 2;
const END = 3;
const RECORD_HEAD_BYTES: Bytes = 5;

export function traceHead(origin: TraceOrigin): Uint8Array {
  const body = encodeOrigin(origin);
  return new ByteWriter(MAGIC.length + 6 + body.length).bytes(MAGIC).uint8(VERSION).bytes(record(ORIGIN, body)).finish();
}

export function traceStep({ nowMs, wallMs, input, effects }: RecordedStep): Uint8Array {
  const writer = new ByteWriter(64 + input.length).float64(nowMs).uint48(wallMs).uint32(input.length).bytes(input).uint16(effects.length);
  for (const effect of effects) writer.uint32(effect.length).bytes(effect);
  return record(STEP, writer.finish());
}

export function traceEnd(why: string): Uint8Array {
  return record(END, new TextEncoder().encode(why));
}

/** @returns views of `bytes`, not copies. */
export function decodeTrace(bytes: Uint8Array): LiveTrace | Malformed {
  const reader = new ByteReader(bytes);
  const magic = reader.bytes(MAGIC.length);
  if (!reader.ok || !magic.every((byte, index) => byte === MAGIC[index])) return new Malformed('it does not begin as a trace does');
  const version = reader.uint8();
  if (version !== VERSION) return new Malformed(`a trace of version ${version}; this is for version ${VERSION}`);
  const first = nextRecord(reader);
  if (first === undefined || first instanceof Malformed || first.type !== ORIGIN)
    return new Malformed('what the core was built from is missing at its beginning');
  const origin = decodeOrigin(first.body);
  if (origin instanceof Malformed) return origin;
  return decodeSteps(reader, origin);
}

function decodeSteps(reader: ByteReader, origin: TraceOrigin): LiveTrace | Malformed {
  const steps: TraceStep[] = [];
  for (let next = nextRecord(reader); next; next = nextRecord(reader)) {
    const at = `step ${steps.length + 1}`;
    if (next instanceof Malformed) return new Malformed(`${at}: ${next.reason}`);
    if (next.type === END) {
      if (reader.remainingBytes > 0) return new Malformed(`${reader.remainingBytes} bytes behind its end`);
      return { origin, steps, end: new TextDecoder().decode(next.body) };
    }
    if (next.type !== STEP) return new Malformed(`${at}: a record of unknown type ${next.type} in its place`);
    const step = decodeStep(next.body, steps.at(-1)?.nowMs ?? 0);
    if (step instanceof Malformed) return new Malformed(`${at}: ${step.reason}`);
    steps.push(step);
  }
  return { origin, steps, end: undefined };
}

function decodeStep(body: Uint8Array, notBeforeMs: Milliseconds): TraceStep | Malformed {
  const reader = new ByteReader(body);
  const nowMs = reader.float64();
  const wallMs = reader.uint48();
  const inputBytes = reader.bytes(reader.uint32());
  const effectCount = reader.uint16();
  const effects: Uint8Array[] = [];
  while (reader.ok && effects.length < effectCount) effects.push(reader.bytes(reader.uint32()));
  if (!reader.ok) return new Malformed('it is cut off');
  if (reader.remainingBytes > 0) return new Malformed(`${reader.remainingBytes} bytes behind its effects`);
  if (!Number.isFinite(nowMs) || nowMs < notBeforeMs) return new Malformed(`time goes back, from ${notBeforeMs} ms to ${nowMs} ms`);
  const input = decodeInput(inputBytes);
  return input instanceof Malformed ? input : { nowMs, wallMs, input, effects };
}

function record(type: number, body: Uint8Array): Uint8Array {
  return new ByteWriter(5 + body.length).uint8(type).uint32(body.length).bytes(body).finish();
}

/** Undefined at the end, and where a record is not whole. */
function nextRecord(reader: ByteReader): TraceRecord | Malformed | undefined {
  if (reader.remainingBytes < RECORD_HEAD_BYTES) return undefined;
  const type = reader.uint8();
  const sizeBytes = reader.uint32();
  if (sizeBytes > RECORD_BYTES_MAX) return new Malformed(`a record of ${sizeBytes} bytes, at most ${RECORD_BYTES_MAX} are possible`);
  const body = reader.bytes(sizeBytes);
  return reader.ok ? { type, body } : undefined;
}

/**
 * An ASF recording for measurements, made once by ffmpeg: WMV 2 and WMA 2 at a constant bit rate, long enough that it never starts over.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Malformed } from '../../src/kernel/errors.js';
import { parseAsfHeader } from '../../src/media/asf-header.js';
import { parseAsfPacket } from '../../src/media/asf-packet.js';
import { MmshChunkReader } from '../../src/media/mmsh-chunk.js';

const run = promisify(execFile);

const AUDIO_BITS_PER_SECOND = 64_000;
/** Encoded once; the rest repeats it with times that go on, so that no two packets are equal. */
const ENCODED_SECONDS = 20;
const FRAMES_PER_SECOND = 25;
const QUIET = ['-v', 'error', '-nostdin'];
const INPUTS = ['-f', 'lavfi', '-i', `testsrc2=size=640x360:rate=${FRAMES_PER_SECOND}`, '-f', 'lavfi', '-i', 'anoisesrc=sample_rate=44100'];

export interface TimedPacket {
  readonly sendMs: number;
  readonly payload: Uint8Array;
}

export interface AsfRecording {
  readonly header: Uint8Array;
  /** In order of their send times. */
  readonly packets: readonly TimedPacket[];
  /** Of packets as they travel, padding included. */
  readonly bitsPerSecond: number;
  /** What the header says. */
  readonly declaredBitsPerSecond: number;
}

export interface AsfRecordingOptions {
  readonly bitsPerSecond: number;
  readonly seconds: number;
}

/** Takes some seconds. Needs ffmpeg. */
export async function makeAsfRecording({ bitsPerSecond, seconds }: AsfRecordingOptions): Promise<AsfRecording> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-bench-'));
  try {
    const [once, first, whole] = ['once.asf', 'first.chunks', 'whole.chunks'].map((name) => join(folder, name)) as [string, string, string];
    const codecs = codecWords(bitsPerSecond - AUDIO_BITS_PER_SECOND);
    await run('ffmpeg', [...QUIET, ...INPUTS, ...codecs, once, ...codecs, '-f', 'asf_stream', first]);
    const repeat = ['-stream_loop', '-1', '-i', once, '-c', 'copy', '-t', String(seconds), '-f', 'asf_stream'];
    await run('ffmpeg', [...QUIET, ...repeat, whole]);
    // A copy declares a bit rate far too low; windows follow the declared one.
    return recordingOf(readChunks(await readFile(first)).header, readChunks(await readFile(whole)).payloads);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function codecWords(videoBitsPerSecond: number): readonly string[] {
  const video = String(videoBitsPerSecond);
  const rate = ['-b:v', video, '-minrate', video, '-maxrate', video, '-bufsize', video];
  const audio = ['-c:a', 'wmav2', '-b:a', String(AUDIO_BITS_PER_SECOND)];
  return ['-c:v', 'wmv2', '-g', String(2 * FRAMES_PER_SECOND), ...rate, ...audio, '-t', String(ENCODED_SECONDS)];
}

/** ffmpeg's `asf_stream` is framed as MMSH. */
function readChunks(bytes: Uint8Array): { readonly header: Uint8Array; readonly payloads: readonly Uint8Array[] } {
  let header = new Uint8Array(0);
  const payloads: Uint8Array[] = [];
  const fault = new MmshChunkReader().push(bytes, (chunk) => {
    if (chunk.kind === 'header') header = new Uint8Array(chunk.payload);
    if (chunk.kind === 'data') payloads.push(chunk.payload);
  });
  if (fault) throw new Error(`ffmpeg's recording cannot be read: ${fault.reason}`);
  return { header, payloads };
}

function recordingOf(header: Uint8Array, payloads: readonly Uint8Array[]): AsfRecording {
  const parsed = parseAsfHeader(header);
  if (parsed instanceof Malformed) throw new Error(`ffmpeg's recording cannot be read: ${parsed.reason}`);
  const packets = payloads.map((payload) => ({ sendMs: sendMsOf(payload, parsed.packetBytes), payload }));
  const spanMs = (packets.at(-1)?.sendMs ?? 0) - (packets[0]?.sendMs ?? 0);
  const sizeBytes = payloads.reduce((sum, { length }) => sum + length, 0);
  return { header, packets, bitsPerSecond: (sizeBytes * 8 * 1000) / spanMs, declaredBitsPerSecond: parsed.maxBitrate };
}

function sendMsOf(payload: Uint8Array, packetBytes: number): number {
  const packet = parseAsfPacket(payload, packetBytes);
  if (packet instanceof Malformed) throw new Error(`ffmpeg's recording holds a packet that cannot be read: ${packet.reason}`);
  return packet.sendMs;
}

/**
 * Enhanced RTMP media: coded by ffmpeg into MP4, and wrapped into tags here, because the installed ffmpeg writes no Enhanced FLV.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ALL_FORMATS, BufferSource, type EncodedPacket, EncodedPacketSink, Input } from 'mediabunny';
import { AUDIO, type FlvTag, VIDEO } from '../../src/media/flv.js';

const run = promisify(execFile);
const INPUTS = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'];
const OPUS = ['-c:a', 'libopus', '-b:a', '64k'];
const RECIPES = {
  'hevc-opus': {
    fourCc: 'hvc1',
    coder: ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=error:keyint=25:bframes=2', '-tag:v', 'hvc1'],
  },
  'av1-opus': { fourCc: 'av01', coder: ['-c:v', 'libsvtav1', '-preset', '12', '-g', '25'] },
} as const;

export async function recordEnhancedFlv(recipe: keyof typeof RECIPES, seconds: number): Promise<readonly FlvTag[]> {
  const { fourCc, coder } = RECIPES[recipe];
  const folder = await mkdtemp(join(tmpdir(), 'shoal-enhanced-'));
  try {
    const file = join(folder, 'recording.mp4');
    await run('ffmpeg', ['-v', 'error', '-nostdin', ...INPUTS, ...coder, '-pix_fmt', 'yuv420p', ...OPUS, '-t', String(seconds), file]);
    return await wrap(await readFile(file), fourCc);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function wrap(mp4: Uint8Array, fourCc: string): Promise<readonly FlvTag[]> {
  const input = new Input({ source: new BufferSource(mp4), formats: ALL_FORMATS });
  const video = await input.getPrimaryVideoTrack();
  const audio = await input.getPrimaryAudioTrack();
  if (video === null || audio === null) throw new Error('the recording lacks a track');
  const decoder = await video.getDecoderConfig();
  const videoConfig = fourCc === 'av01' ? av1Record(decoder?.codec ?? '') : bytesOf(decoder?.description);
  const audioConfig = bytesOf((await audio.getDecoderConfig())?.description);
  const videoPackets = await packetsOf(new EncodedPacketSink(video).packets());
  const audioPackets = await packetsOf(new EncodedPacketSink(audio).packets());
  // Decoding times are the sorted presentation times, which is what an encoder with a fixed rate has.
  const decodingMs = videoPackets.map(({ timestamp }) => timestamp * 1000).sort((a, b) => a - b);
  const delayMs = Math.max(0, ...videoPackets.map(({ timestamp }, index) => (decodingMs[index] ?? 0) - timestamp * 1000));
  const frames = [
    ...videoPackets.map((packet, index) => videoTag(packet, fourCc, decodingMs[index] ?? 0, delayMs)),
    ...audioPackets.map(
      (packet): FlvTag => ({
        type: AUDIO,
        timestampMs: Math.round(packet.timestamp * 1000 + delayMs),
        body: Buffer.concat([Buffer.from([0x91]), Buffer.from('Opus'), packet.data]),
      }),
    ),
  ];
  const headers: FlvTag[] = [
    { type: VIDEO, timestampMs: 0, body: Buffer.concat([Buffer.from([0x90]), Buffer.from(fourCc), videoConfig]) },
    { type: AUDIO, timestampMs: 0, body: Buffer.concat([Buffer.from([0x90]), Buffer.from('Opus'), audioConfig]) },
  ];
  return [...headers, ...frames.filter(({ timestampMs }) => timestampMs >= 0).sort((a, b) => a.timestampMs - b.timestampMs)];
}

function videoTag(packet: EncodedPacket, fourCc: string, decodingMs: number, delayMs: number): FlvTag {
  const composition = Buffer.alloc(4);
  const timestampMs = Math.round(decodingMs);
  composition.writeInt32BE(Math.round(packet.timestamp * 1000 + delayMs) - timestampMs);
  const composed = fourCc === 'hvc1' ? composition.subarray(1) : Buffer.alloc(0);
  const head = Buffer.from([(packet.type === 'key' ? 0x90 : 0xa0) | 1]);
  return { type: VIDEO, timestampMs, body: Buffer.concat([head, Buffer.from(fourCc), composed, packet.data]) };
}

/** av1C for 8-bit 4:2:0 of the profile and level in a codec string, without the optional sequence header. */
function av1Record(codec: string): Uint8Array {
  const [, profile = '0', level = '0'] = codec.split('.');
  return Uint8Array.of(0x81, (Number(profile) << 5) | Number.parseInt(level, 10), 0x0c, 0);
}

function bytesOf(source: unknown): Uint8Array {
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  return source instanceof ArrayBuffer ? new Uint8Array(source) : new Uint8Array(0);
}

async function packetsOf(packets: AsyncIterable<EncodedPacket>): Promise<readonly EncodedPacket[]> {
  const all: EncodedPacket[] = [];
  for await (const packet of packets) all.push(packet);
  return all;
}

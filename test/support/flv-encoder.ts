/** A real encoder whose tags come into this process: ffmpeg writes FLV to its standard output, in real time. */
import { Malformed } from '../../src/kernel/errors.js';
import { FlvParser, type FlvTag } from '../../src/media/flv.js';
import { Program } from './program.js';

export interface FlvEncoderOptions {
  readonly onTag: (tag: FlvTag) => void;
  readonly videoKilobitsPerSecond?: number;
  /** From one key frame to the next, at 25 frames a second. Default 50. */
  readonly keyFrameEvery?: number;
}

const PICTURE = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25,noise=alls=12:allf=t'];
// Noise: no two frames of it are alike, so that every tag can be told by its body.
const SOUND = ['-re', '-f', 'lavfi', '-i', 'anoisesrc=sample_rate=44100:amplitude=0.1'];
const OUTPUT = ['-f', 'flv', '-flvflags', 'no_duration_filesize', '-flush_packets', '1', 'pipe:1'];

export class FlvEncoder {
  readonly #program: Program;

  /** H.264 with B-frames, and AAC; begins at once, near time 0. */
  constructor(options: FlvEncoderOptions) {
    const { onTag, videoKilobitsPerSecond: rate = 400, keyFrameEvery = 50 } = options;
    const gop = String(keyFrameEvery);
    const video = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-bf', '2', '-g', gop, '-keyint_min', gop];
    const bitRate = ['-sc_threshold', '0', '-b:v', `${rate}k`, '-maxrate', `${rate}k`, '-bufsize', `${rate}k`, '-threads', '1'];
    const words = ['-v', 'error', '-nostdin', ...PICTURE, ...SOUND, ...video, ...bitRate, '-c:a', 'aac', '-b:a', '64k', ...OUTPUT];
    const parser = new FlvParser();
    this.#program = new Program('ffmpeg', words, {
      keepOutput: false,
      onOutput: (chunk) => {
        const tags = parser.push(chunk);
        if (tags instanceof Malformed) throw new Error(`ffmpeg wrote FLV that cannot be read: ${tags.reason}`);
        for (const tag of tags) onTag(tag);
      },
    });
  }

  /** As a crash: no end of sequence. */
  async kill(): Promise<void> {
    this.#program.signal('SIGKILL');
    await this.#program.whenExited(5_000);
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}

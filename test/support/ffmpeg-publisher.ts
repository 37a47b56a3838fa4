/** A real encoder: ffmpeg that publishes over RTMP and writes the very same tags to a file, so that a test knows what was sent. */
import { join } from 'node:path';
import { framesOfFile, type RecordedTag } from './flv-recorder.js';
import { type Exit, Program, temporaryFolder } from './program.js';

export interface FfmpegPublisherOptions {
  /** Ends by itself after this; goes on until it is stopped without it. */
  readonly seconds?: number;
  /** Of the picture. Default 640x360. */
  readonly size?: string;
  readonly videoKilobitsPerSecond?: number;
  /** Another picture and another tone than the default, for a source that is not the same. */
  readonly other?: boolean;
}

const AUDIO_KILOBITS_PER_SECOND = 96;
const VIDEO_KILOBITS_PER_SECOND = 900;

/** What the default encoder sends, without the container. */
export const PUBLISHED_BYTES_PER_SECOND = ((VIDEO_KILOBITS_PER_SECOND + AUDIO_KILOBITS_PER_SECOND) * 1000) / 8;

/** It ends when the server does; by itself `tee` goes on with what is left. */
const RTMP_MUXER = '[f=flv:flvflags=no_duration_filesize:onfail=abort]';
/** Every tag is in the file at once, so that a sudden end loses none. */
const FILE_MUXER = '[f=flv:flvflags=no_duration_filesize:flush_packets=1]';

export class FfmpegPublisher {
  readonly program: Program;
  readonly #file: string;

  /** Publishes a moving picture with B-frames, a key frame every 2 s, and a tone as AAC, in real time. */
  constructor(url: string, options: FfmpegPublisherOptions = {}) {
    this.#file = join(temporaryFolder('publisher'), 'sent.flv');
    const { seconds, size = '640x360', videoKilobitsPerSecond: rate = VIDEO_KILOBITS_PER_SECOND } = options;
    const [pattern, hertz] = options.other ? ['testsrc', 330] : ['testsrc2', 440];
    const picture = ['-re', '-f', 'lavfi', '-i', `${pattern}=size=${size}:rate=25,noise=alls=12:allf=t`];
    const tone = ['-re', '-f', 'lavfi', '-i', `sine=frequency=${hertz}:beep_factor=4:sample_rate=44100`];
    const video = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-bf', '2', '-g', '50', '-keyint_min', '50'];
    const bitRate = ['-sc_threshold', '0', '-b:v', `${rate}k`, '-maxrate', `${rate}k`, '-bufsize', `${rate}k`, '-threads', '1'];
    const audio = ['-c:a', 'aac', '-b:a', `${AUDIO_KILOBITS_PER_SECOND}k`, '-ac', '2'];
    const length = seconds === undefined ? [] : ['-t', String(seconds)];
    const output = [
      '-map',
      '0:v',
      '-map',
      '1:a',
      '-flags',
      '+global_header',
      '-f',
      'tee',
      `${RTMP_MUXER}${url}|${FILE_MUXER}${this.#file}`,
    ];
    this.program = new Program('ffmpeg', [
      '-v',
      'error',
      '-nostdin',
      ...picture,
      ...tone,
      ...video,
      ...bitRate,
      ...audio,
      ...length,
      ...output,
    ]);
  }

  get exit(): Exit | undefined {
    return this.program.exit;
  }

  freeze(): void {
    this.program.signal('SIGSTOP');
  }

  /** The coded media it sent. Call when it has ended. */
  sentFrames(): Promise<readonly RecordedTag[]> {
    return framesOfFile(this.#file);
  }

  /** Ends it as a person would, with the end of sequence on the wire. */
  async stop(): Promise<void> {
    await this.program.stop();
  }
}

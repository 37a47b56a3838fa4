/**
 * One ffmpeg encoder that pushes the same stream to several stations at once, as its `tee` muxer does for whoever wants redundancy cheaply.
 *
 * Every output has a `fifo` of its own: a station that dies or stands still does not hold the others up, and the encoder comes back to it, with
 * the same times, about a second after it listens again (measured with ffmpeg 5.1: no arrival gap above 60 ms at the other station).
 */
import { join } from 'node:path';
import { framesOfFile, type RecordedTag } from './flv-recorder.js';
import { Program, temporaryFolder } from './program.js';

/** Without `recover_any_error` a closed connection ends the output; the default wait is 5 s; 300 packets are about 4 s. */
const FIFO = [
  'attempt_recovery=1',
  'recover_any_error=1',
  'recovery_wait_time=1',
  'drop_pkts_on_overflow=1',
  'restart_with_keyframe=1',
  'queue_size=300',
].join('\\:');
const RTMP_MUXER = `[f=flv:flvflags=no_duration_filesize:onfail=ignore:use_fifo=1:fifo_options='${FIFO}']`;
/** Every tag is in the file at once, so that a sudden end loses none. */
const FILE_MUXER = '[f=flv:flvflags=no_duration_filesize:flush_packets=1]';
const PICTURE = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25,noise=alls=12:allf=t'];
const SOUND = ['-re', '-f', 'lavfi', '-i', 'anoisesrc=sample_rate=44100:amplitude=0.1'];
const H264 = [
  '-c:v',
  'libx264',
  '-preset',
  'ultrafast',
  '-pix_fmt',
  'yuv420p',
  '-bf',
  '2',
  '-g',
  '50',
  '-keyint_min',
  '50',
  '-threads',
  '1',
];
const CODECS = [...H264, '-sc_threshold', '0', '-b:v', '400k', '-maxrate', '400k', '-bufsize', '400k', '-c:a', 'aac', '-b:a', '64k'];

export class TeeEncoder {
  readonly program: Program;
  readonly #file: string;

  /** Begins at once; a station that is not there yet is tried again every second. */
  constructor(urls: readonly string[]) {
    this.#file = join(temporaryFolder('tee'), 'sent.flv');
    const outputs = [...urls.map((url) => RTMP_MUXER + url), FILE_MUXER + this.#file].join('|');
    const maps = ['-map', '0:v', '-map', '1:a', '-flags', '+global_header'];
    this.program = new Program('ffmpeg', ['-v', 'error', '-nostdin', ...PICTURE, ...SOUND, ...CODECS, ...maps, '-f', 'tee', outputs]);
  }

  /** The coded media so far. */
  sentFrames(): Promise<readonly RecordedTag[]> {
    return framesOfFile(this.#file);
  }

  stop(): Promise<void> {
    return this.program.stop();
  }
}

/**
 * The test card: a moving picture with a running clock and a tone, published over RTMP like any encoder would.
 *
 * It starts again when ffmpeg dies. The publish address holds a stream key and never reaches a log.
 */
import { ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import type { Milliseconds } from '../../kernel/units.js';
import { createFfmpeg, type FfmpegCommand, ffmpegFailure, requireFfmpeg, words } from './ffmpeg.js';

export interface TestCardOptions {
  /** Where to publish, stream key included. */
  readonly rtmpUrl: string;
  readonly log: Log;
  /** ffmpeg ended although nobody stopped it; it is started again by itself. */
  readonly onEnd?: (reason: string) => void;
}

export interface TestCard {
  /** Ends ffmpeg, by force if it takes longer than `STOP_GRACE_MS`. Resolves when it is gone, within a second. */
  stop(): Promise<void>;
}

/** A published test card that fails at once (no host yet) is tried again after this; doubled at each further failure. */
const BACK_OFF_MIN_MS: Milliseconds = 500;
const BACK_OFF_MAX_MS: Milliseconds = 15_000;
/** A run this long was a good one: the next failure starts at the shortest back-off again. */
const GOOD_RUN_MS: Milliseconds = 20_000;
/** ffmpeg ends an RTMP publication cleanly within a tenth of this. */
const STOP_GRACE_MS: Milliseconds = 600;

const PICTURE = 'testsrc2=size=640x360:rate=25';
/** `beep_factor` adds a short tick at each full second, so that sound and clock can be compared. */
const TONE = 'sine=frequency=440:beep_factor=4:sample_rate=44100';
const CLOCK = [
  'drawbox=x=0:y=ih-92:w=iw:h=92:color=black@0.65:t=fill',
  "drawtext=text='Shoal test card':fontcolor=white@0.85:fontsize=22:x=24:y=h-72",
  "drawtext=text='%{localtime\\:%Y-%m-%d}':fontcolor=white@0.85:fontsize=22:x=24:y=h-40",
  "drawtext=text='%{localtime\\:%X}':fontcolor=white:fontsize=52:x=w-tw-24:y=h-68",
];

/** Two seconds between key frames: what a player that joins waits for at most; scene cuts add none, so windows are alike. */
const VIDEO = '-c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 50 -keyint_min 50 -sc_threshold 0';
const VIDEO_RATE = '-b:v 800k -maxrate 800k -bufsize 800k';
const AUDIO = '-c:a aac -b:a 96k -ac 2 -filter:a volume=0.25';
const SAMPLE = ['-f', 'lavfi', '-i', 'color=size=640x360:duration=0.04'];
const CLOCK_PROBE = [...SAMPLE, '-vf', CLOCK.join(',')];
const CODEC_PROBE = [...SAMPLE, '-f', 'lavfi', '-i', 'sine=duration=0.04', '-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac'];
const QUIET = '-hide_banner -nostats -loglevel warning';

/**
 * Publishes the test card until it is stopped.
 *
 * Resolves when ffmpeg has been started, not when the host has accepted it: a host that refuses is tried again, with back-off.
 *
 * @throws ShoalError `FFMPEG_MISSING`, with the command that installs it; `FFMPEG_FAILED` when this build cannot make H.264 and AAC.
 */
export async function startTestCard(options: TestCardOptions): Promise<TestCard> {
  const path = await requireFfmpeg('the test card needs it');
  const [codecProblem, textProblem] = await Promise.all([ffmpegFailure(path, CODEC_PROBE), ffmpegFailure(path, CLOCK_PROBE)]);
  if (codecProblem !== undefined) {
    throw new ShoalError('FFMPEG_FAILED', `${path} cannot make the test card, which needs libx264 and aac: ${codecProblem}`, { path });
  }
  // Many builds of ffmpeg have no drawtext, or no font: the picture's own running number must do then.
  const card = new RunningTestCard(path, textProblem === undefined, options);
  await card.start();
  return card;
}

class RunningTestCard implements TestCard {
  readonly #path: string;
  readonly #hasClock: boolean;
  readonly #options: TestCardOptions;
  #command: FfmpegCommand | undefined;
  #isStopped = false;
  #ended: Promise<void> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #backOffMs = BACK_OFF_MIN_MS;

  constructor(path: string, hasClock: boolean, options: TestCardOptions) {
    this.#path = path;
    this.#hasClock = hasClock;
    this.#options = options;
  }

  /** Resolves at the first sign of life or death of ffmpeg. */
  start(): Promise<void> {
    const startedMs = performance.now();
    const command = this.#makeCommand();
    this.#command = command;
    return new Promise((resolve) => {
      command.on('start', () => {
        // A stop that came while fluent-ffmpeg was still asking for capabilities found nothing to kill.
        if (this.#isStopped) command.kill('SIGKILL');
        resolve();
      });
      this.#ended = new Promise((ended) => {
        const end = (reason: string): void => {
          resolve();
          ended();
          this.#onEnd(reason, performance.now() - startedMs);
        };
        command.on('end', () => end('it came to its end'));
        command.on('error', (error: Error, _stdout: unknown, stderr: unknown) =>
          end(this.#withoutAddress(`${error.message} ${stderr ?? ''}`)),
        );
      });
      command.run();
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#restart);
    this.#command?.kill('SIGTERM');
    const force = setTimeout(() => this.#command?.kill('SIGKILL'), STOP_GRACE_MS);
    await this.#ended;
    clearTimeout(force);
  }

  #makeCommand(): FfmpegCommand {
    return createFfmpeg(this.#path)
      .input(this.#hasClock ? [PICTURE, ...CLOCK].join(',') : PICTURE)
      .inputOptions(['-re', '-f lavfi'])
      .input(TONE)
      .inputOptions(['-re', '-f lavfi'])
      .outputOptions([QUIET, VIDEO, VIDEO_RATE, AUDIO, '-f flv', '-flvflags no_duration_filesize'].flatMap(words))
      .output(this.#options.rtmpUrl);
  }

  #onEnd(reason: string, ranMs: Milliseconds): void {
    if (this.#isStopped) return;
    const backOffMs = ranMs >= GOOD_RUN_MS ? BACK_OFF_MIN_MS : this.#backOffMs;
    this.#backOffMs = Math.min(backOffMs * 2, BACK_OFF_MAX_MS);
    this.#options.log.warn('the test card has ended and will be started again', { reason, backOffMs });
    this.#options.onEnd?.(reason);
    this.#restart = setTimeout(() => void this.start(), backOffMs);
  }

  /** ffmpeg repeats the address, key included, in its messages: as a whole, and cut into host and stream name. */
  #withoutAddress(text: string): string {
    const { rtmpUrl } = this.#options;
    const name = rtmpUrl.slice(rtmpUrl.lastIndexOf('/') + 1);
    const clean = text.replaceAll(rtmpUrl, '(publish address)');
    return (name === '' ? clean : clean.replaceAll(name, '(stream name)')).trim().slice(0, 500);
  }
}

/**
 * One real viewer of a measured swarm: a process of its own with a player at its HTTP-FLV.
 */
import { join } from 'node:path';
import { classifyTag } from '../../src/media/flv.js';
import type { ChannelStatus } from '../../src/relay/endpoints/channel-status.js';
import { temporaryFolder } from '../../test/support/program.js';
import { ShoalProcess } from '../../test/support/shoal-process.js';
import type { Settings } from './bench-run.js';
import { FlvPlayer } from './flv-player.js';
import type { SeenFrame } from './player-sight.js';
import type { Recording } from './recording.js';
import { SourceCheck } from './source-check.js';
import { SourceTimes } from './source-times.js';
import { statusNow } from './station.js';

export interface SwarmViewerOptions {
  readonly link: string;
  readonly settings: Settings;
  /** What is on the air. */
  readonly recording: Recording;
  /** What stands before its command. */
  readonly within?: readonly string[];
  /** Whether its live exchange is recorded. */
  readonly isRecorded?: boolean;
}

/** `killed`: at once, its sockets closed by the system. `frozen`: it stands still, and its sockets stay open. */
export type Departure = 'leaves' | 'killed' | 'frozen';

export class SwarmViewer {
  readonly process: ShoalProcess;
  /** With their times in the source. */
  readonly frames: SeenFrame[] = [];
  /** Of all that its player got. */
  readonly check: SourceCheck;
  /** Where its live exchange is recorded. */
  readonly tracePath: string | undefined;
  /** Time on `performance`'s clock. */
  leftMs: number | undefined;
  /** Why there is nothing to see, if there is not. */
  fault: string | undefined;
  readonly #sourceTimes: SourceTimes;
  readonly #watching: Promise<void>;
  #player: FlvPlayer | undefined;

  constructor({ link, settings, recording, within = [], isRecorded = false }: SwarmViewerOptions) {
    this.tracePath = isRecorded ? join(temporaryFolder('swarm-viewer'), 'viewer.trace') : undefined;
    const record = this.tracePath === undefined ? [] : ['--record-trace', this.tracePath];
    this.process = new ShoalProcess(['watch', link, '--json', ...record], { settings, within });
    this.#sourceTimes = new SourceTimes(recording);
    this.check = new SourceCheck(recording);
    this.#watching = this.#watch().catch((error: Error) => {
      if (this.leftMs === undefined) this.fault = error.message;
    });
  }

  get joinedMs(): number {
    return this.process.program.startedMs;
  }

  /** Until its player is open, or cannot be. */
  whenWatching(): Promise<void> {
    return this.#watching;
  }

  /** Its figures: of now while it runs, of its last second afterwards. */
  async status(): Promise<ChannelStatus | undefined> {
    if (this.leftMs === undefined && this.process.statuses.length > 0) return statusNow(this.process).catch(() => this.lastStatus);
    return this.lastStatus;
  }

  get lastStatus(): ChannelStatus | undefined {
    return this.process.statuses.at(-1)?.line.channels[0];
  }

  async leave(how: Departure): Promise<void> {
    this.leftMs = performance.now();
    this.#player?.close();
    if (how === 'leaves') await this.process.stop();
    else this.process.signal(how === 'killed' ? 'SIGKILL' : 'SIGSTOP');
  }

  async stop(): Promise<void> {
    this.leftMs ??= performance.now();
    this.#player?.close();
    await this.process.stop();
  }

  async #watch(): Promise<void> {
    await this.process.whenReady();
    if (this.leftMs !== undefined) return;
    const player = await FlvPlayer.open(this.process.channel.watch.flv, (tag, arrivedMs) => {
      const isFrame = classifyTag(tag).kind === 'frame';
      const timestampMs = isFrame ? this.#sourceTimes.of(tag) : tag.timestampMs;
      this.check.take(tag, timestampMs);
      if (isFrame) this.frames.push({ type: tag.type, timestampMs, arrivedMs });
    });
    this.#player = player;
    if (this.leftMs !== undefined) player.close();
  }
}

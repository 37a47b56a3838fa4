/**
 * The live MMS source of a measurement: our own MMS server, sending a recording in its own time and packet by packet.
 */
import { MmsServer } from '../../src/io/mms/mms-server.js';
import { AsfFeed } from '../../src/relay/endpoints/asf-feed.js';
import { MemoryLog } from '../../test/support/memory-log.js';
import type { AsfRecording } from './asf-recording.js';

const STEP_MS = 5;
const PATH = '/bench';

export class PacedAsfSource {
  readonly #recording: AsfRecording;
  readonly #server: MmsServer;
  readonly #feed: AsfFeed;
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #next = 0;

  private constructor(recording: AsfRecording, server: MmsServer) {
    this.#recording = recording;
    this.#server = server;
    this.#feed = new AsfFeed();
    this.#feed.setHeader(recording.header);
    server.offer(PATH, this.#feed);
    this.#timer = setInterval(() => this.#step(), STEP_MS);
  }

  static async start(recording: AsfRecording): Promise<PacedAsfSource> {
    // Nothing waits for company here, so that the source adds no delay of its own.
    const server = await MmsServer.start({ host: '127.0.0.1', port: 0, log: new MemoryLog(), flushMs: 0 });
    return new PacedAsfSource(recording, server);
  }

  get url(): string {
    return `mmsh://127.0.0.1:${this.#server.port}${PATH}`;
  }

  /** Since the start. */
  get sentPackets(): number {
    return this.#next;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#server.stop();
  }

  #step(): void {
    const { packets } = this.#recording;
    const mediaMs = performance.now() - this.#startedMs + (packets[0]?.sendMs ?? 0);
    for (let packet = packets[this.#next]; packet !== undefined && packet.sendMs <= mediaMs; packet = packets[this.#next]) {
      this.#feed.push(this.#next, packet.payload, false);
      this.#next += 1;
    }
    if (this.#next === packets.length) throw new Error('The recording is too short for this measurement.');
  }
}

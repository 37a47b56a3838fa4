/** A real server as the origin of a live stream, with a real encoder that publishes to it. */
import { FfmpegPublisher } from './ffmpeg-publisher.js';
import type { RecordedTag } from './flv-recorder.js';
import { NginxRtmpOrigin } from './nginx-rtmp-origin.js';
import { NodeMediaServerOrigin } from './node-media-server-origin.js';
import type { Origin } from './origin.js';

const NAME = 'origin';
const ENCODER = { size: '320x180', videoKilobitsPerSecond: 400 };

export class ServedOrigin implements Origin {
  readonly url: string;
  readonly #publishUrl: string;
  readonly #server: { stop(): Promise<void> };
  #encoder: FfmpegPublisher;

  /** Node-media-server, in a process of its own. */
  static async nodeMediaServer(protocol: 'rtmp' | 'http'): Promise<ServedOrigin> {
    const server = await NodeMediaServerOrigin.start();
    return new ServedOrigin(server, server.url('rtmp', NAME), server.url(protocol, NAME));
  }

  /** nginx with its RTMP module: Debian's packages nginx and libnginx-mod-rtmp. */
  static async nginx(): Promise<ServedOrigin> {
    const server = await NginxRtmpOrigin.start();
    return new ServedOrigin(server, server.url(NAME), server.url(NAME));
  }

  private constructor(server: { stop(): Promise<void> }, publishUrl: string, url: string) {
    this.#server = server;
    this.#publishUrl = publishUrl;
    this.url = url;
    this.#encoder = new FfmpegPublisher(publishUrl, ENCODER);
  }

  async restartEncoder(): Promise<void> {
    await this.#encoder.stop();
    this.#encoder = new FfmpegPublisher(this.#publishUrl, ENCODER);
  }

  /** Of the encoder that runs now. */
  sentFrames(): Promise<readonly RecordedTag[]> {
    return this.#encoder.sentFrames();
  }

  async stop(): Promise<void> {
    await this.#encoder.stop();
    await this.#server.stop();
  }
}

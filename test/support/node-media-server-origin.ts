/** Node-media-server as the origin of a live stream: the server itself in a process of its own, with an encoder that publishes to it. */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { FfmpegPublisher } from './ffmpeg-publisher.js';
import type { RecordedTag } from './flv-recorder.js';
import type { Origin } from './origin.js';
import { Program, temporaryFolder } from './program.js';
import { whenListening } from './tcp-port.js';
import { freePort } from './vlc-source.js';

const PATH = '/live/origin';

export class NodeMediaServerOrigin implements Origin {
  readonly url: string;
  readonly #server: Program;
  readonly #rtmp: string;
  #encoder: FfmpegPublisher;

  static async start(options: { readonly protocol?: 'rtmp' | 'http' } = {}): Promise<NodeMediaServerOrigin> {
    const folder = temporaryFolder('nms-origin');
    const [rtmpPort, httpPort] = [await freePort(), await freePort()];
    const config = join(folder, 'config.json');
    writeFileSync(
      config,
      JSON.stringify({ bind: '127.0.0.1', rtmp: { port: rtmpPort }, http: { port: httpPort }, store: { path: folder } }),
    );
    const app = createRequire(import.meta.url).resolve('node-media-server/bin/app.js');
    const server = new Program(process.execPath, [app, '--config', config, '--no-admin'], { cwd: folder });
    await Promise.all([whenListening(rtmpPort), whenListening(httpPort)]);
    const rtmp = `rtmp://127.0.0.1:${rtmpPort}${PATH}`;
    return new NodeMediaServerOrigin(server, rtmp, options.protocol === 'http' ? `http://127.0.0.1:${httpPort}${PATH}.flv` : rtmp);
  }

  private constructor(server: Program, rtmp: string, url: string) {
    this.#server = server;
    this.#rtmp = rtmp;
    this.url = url;
    this.#encoder = new FfmpegPublisher(rtmp, { size: '320x180', videoKilobitsPerSecond: 400 });
  }

  async restartEncoder(): Promise<void> {
    await this.#encoder.stop();
    this.#encoder = new FfmpegPublisher(this.#rtmp, { size: '320x180', videoKilobitsPerSecond: 400 });
  }

  sentFrames(): Promise<readonly RecordedTag[]> {
    return this.#encoder.sentFrames();
  }

  async stop(): Promise<void> {
    await this.#encoder.stop();
    await this.#server.stop();
  }
}

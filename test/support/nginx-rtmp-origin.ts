/** nginx with its RTMP module (Debian: nginx, libnginx-mod-rtmp) as the origin of a live stream, with an encoder that publishes to it. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FfmpegPublisher } from './ffmpeg-publisher.js';
import type { RecordedTag } from './flv-recorder.js';
import type { Origin } from './origin.js';
import { Program, temporaryFolder } from './program.js';
import { whenListening } from './tcp-port.js';
import { freePort } from './vlc-source.js';

const MODULE = '/usr/lib/nginx/modules/ngx_rtmp_module.so';
const ENCODER = { size: '320x180', videoKilobitsPerSecond: 400 };

export class NginxRtmpOrigin implements Origin {
  readonly url: string;
  readonly #server: Program;
  #encoder: FfmpegPublisher;

  /** Whether this machine has what it needs. */
  static get isThere(): boolean {
    return existsSync(MODULE);
  }

  static async start(): Promise<NginxRtmpOrigin> {
    const folder = temporaryFolder('nginx');
    const port = await freePort();
    const file = join(folder, 'nginx.conf');
    writeFileSync(file, configOf(folder, port));
    const server = new Program('nginx', ['-p', folder, '-c', file]);
    await whenListening(port);
    return new NginxRtmpOrigin(server, port);
  }

  private constructor(server: Program, port: number) {
    this.#server = server;
    this.url = `rtmp://127.0.0.1:${port}/live/origin`;
    this.#encoder = new FfmpegPublisher(this.url, ENCODER);
  }

  async restartEncoder(): Promise<void> {
    await this.#encoder.stop();
    this.#encoder = new FfmpegPublisher(this.url, ENCODER);
  }

  sentFrames(): Promise<readonly RecordedTag[]> {
    return this.#encoder.sentFrames();
  }

  async stop(): Promise<void> {
    await this.#encoder.stop();
    await this.#server.stop();
  }
}

/** One process in the foreground, so that its pid is all there is to end. */
function configOf(folder: string, port: number): string {
  return `load_module ${MODULE};
daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr warn;
events { worker_connections 64; }
rtmp { access_log off; server { listen 127.0.0.1:${port}; application live { live on; } } }
`;
}

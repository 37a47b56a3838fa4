/** An origin of another make: nginx with its RTMP module, as Debian has it, in the foreground and in a folder of its own. */
import { writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { Program, temporaryFolder } from './program.js';

const START_MS = 10_000;

export class NginxRtmpOrigin {
  readonly port: number;
  readonly program: Program;
  readonly #folder: string;

  /** Listens already. The same port again is the same origin, restarted. */
  static async start(port?: number): Promise<NginxRtmpOrigin> {
    const origin = new NginxRtmpOrigin(port ?? (await freePort()));
    await whenListening(origin.port, () => origin.program.exit === undefined);
    return origin;
  }

  private constructor(port: number) {
    this.port = port;
    this.#folder = temporaryFolder('nginx');
    const path = join(this.#folder, 'nginx.conf');
    writeFileSync(path, this.#configuration());
    // Without master process, so that one signal to one process ends it.
    this.program = new Program('/usr/sbin/nginx', ['-p', this.#folder, '-e', join(this.#folder, 'error.log'), '-c', path]);
  }

  url(name: string): string {
    return `rtmp://127.0.0.1:${this.port}/live/${name}`;
  }

  stop(): Promise<void> {
    return this.program.stop();
  }

  #configuration(): string {
    return `load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
daemon off;
master_process off;
pid ${this.#folder}/nginx.pid;
events { worker_connections 64; }
rtmp {
  access_log off;
  server {
    listen 127.0.0.1:${this.port};
    application live { live on; }
  }
}
`;
  }
}

/** Until something accepts connections at the port. */
export async function whenListening(port: number, isAlive: () => boolean): Promise<void> {
  for (const endMs = performance.now() + START_MS; !(await accepts(port)); ) {
    if (!isAlive() || performance.now() > endMs) throw new Error(`nothing listens at port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    const done = (accepted: boolean): void => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
}

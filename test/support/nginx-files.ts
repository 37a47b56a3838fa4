/** nginx serving one folder over HTTP: the yardstick for ranges and conditions. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { whenListening } from './nginx-rtmp-origin.js';
import { Program, temporaryFolder } from './program.js';

export class NginxFiles {
  readonly port: number;
  readonly program: Program;

  static async start(folder: string): Promise<NginxFiles> {
    const server = new NginxFiles(await freePort(), folder);
    await whenListening(server.port, () => server.program.exit === undefined);
    return server;
  }

  private constructor(port: number, folder: string) {
    this.port = port;
    const home = temporaryFolder('nginx');
    const path = join(home, 'nginx.conf');
    mkdirSync(join(home, 'tmp'));
    writeFileSync(path, configuration(home, port, folder));
    this.program = new Program('/usr/sbin/nginx', ['-p', home, '-e', join(home, 'error.log'), '-c', path]);
  }

  stop(): Promise<void> {
    return this.program.stop();
  }
}

function configuration(home: string, port: number, folder: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${home}/tmp/${name};`);
  // As root, nginx would serve as somebody who may not read the test's folder.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `${user}
daemon off;
master_process off;
pid ${home}/nginx.pid;
events { worker_connections 64; }
http {
  access_log off;
  ${temporary.join('\n  ')}
  types { video/mp4 mp4; video/x-matroska mkv; }
  default_type application/octet-stream;
  server {
    listen 127.0.0.1:${port};
    root ${folder};
    if_modified_since before;
    max_ranges 16;
  }
}
`;
}

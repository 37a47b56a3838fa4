/** An ordinary node-media-server as an origin: the npm package in a process of its own, which has nothing to do with our host. */
import { createRequire } from 'node:module';
import type { TestCertificate } from './certificate.js';
import { freePort } from './free-port.js';
import { whenListening } from './nginx-rtmp-origin.js';
import { Program, temporaryFolder } from './program.js';

export interface NodeMediaServerPorts {
  readonly rtmp: number;
  readonly http: number;
  readonly rtmps: number;
  readonly https: number;
}

export interface NodeMediaServerOptions {
  /** Of an origin that is started again. Default: any free ones. */
  readonly ports?: NodeMediaServerPorts;
  /** Serves RTMPS and HTTPS too. */
  readonly certificate?: TestCertificate;
}

const PACKAGE = createRequire(import.meta.url).resolve('node-media-server');
const SCRIPT = 'const [path, config] = process.argv.slice(1); new (require(path))(JSON.parse(config), "").run();';

export class NodeMediaServerOrigin {
  readonly ports: NodeMediaServerPorts;
  readonly program: Program;

  /** Listens already. */
  static async start(options: NodeMediaServerOptions = {}): Promise<NodeMediaServerOrigin> {
    const ports = options.ports ?? {
      rtmp: await freePort(),
      http: await freePort(),
      rtmps: await freePort(),
      https: await freePort(),
    };
    const origin = new NodeMediaServerOrigin(ports, options.certificate);
    const isAlive = (): boolean => origin.program.exit === undefined;
    await whenListening(ports.rtmp, isAlive);
    await whenListening(ports.http, isAlive);
    return origin;
  }

  private constructor(ports: NodeMediaServerPorts, certificate: TestCertificate | undefined) {
    this.ports = ports;
    const files = certificate && { key: certificate.keyPath, cert: certificate.certificatePath };
    const config = {
      bind: '127.0.0.1',
      rtmp: { port: ports.rtmp },
      http: { port: ports.http },
      ...(files ? { rtmps: { port: ports.rtmps, ...files }, https: { port: ports.https, ...files } } : {}),
      webadmin: { enable: false },
      record: { auto: false },
    };
    // It writes into the folder it runs in.
    this.program = new Program(process.execPath, ['-e', SCRIPT, PACKAGE, JSON.stringify(config)], { cwd: temporaryFolder('nms') });
  }

  url(scheme: 'rtmp' | 'rtmps' | 'http' | 'https', name: string): string {
    return `${scheme}://127.0.0.1:${this.ports[scheme]}/live/${name}${scheme.startsWith('http') ? '.flv' : ''}`;
  }

  stop(): Promise<void> {
    return this.program.stop();
  }
}

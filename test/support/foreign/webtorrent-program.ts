/** One WebTorrent client with one torrent, driven by a job (JSON, last argument); see `scripted-client.ts` for what it says. The argument before is where WebTorrent is installed. */
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { argv, exit, stdout } from 'node:process';
import { pathToFileURL } from 'node:url';
import { isMagnet } from './foreign-client.js';
import type { Job } from './scripted-client.js';

/** As much of WebTorrent as is used here. */
interface Torrent {
  readonly infoHash: string;
  readonly done: boolean;
  readonly files: readonly { readonly path: string }[];
  on(event: 'done' | 'ready' | 'metadata' | 'warning', listener: (error?: Error) => void): void;
  addPeer(address: string): boolean;
}

interface Client {
  readonly torrentPort: number;
  readonly dhtPort: number;
  on(event: 'error', listener: (error: Error) => void): void;
  once(event: 'listening', listener: () => void): void;
  add(source: string | Buffer, options: object): Torrent;
  createServer(options: object): { listen(port: number, host: string, done: () => void): void; address(): AddressInfo };
}

const [folder = '', jobText = ''] = argv.slice(2);
const job = JSON.parse(jobText) as Job;
const { host = '127.0.0.1', dht } = job;
const WebTorrent = (await import(pathToFileURL(join(folder, 'node_modules', 'webtorrent', 'index.js')).href)).default as new (
  options: object,
) => Client;

const client = new WebTorrent({
  torrentPort: job.port ?? 0,
  dht: dht === undefined ? false : { bootstrap: dht === '' ? false : [dht] },
  lsd: false,
  utp: false,
  natUpnp: false,
  natPmp: false,
  utPex: job.pex === true,
  uploadLimit: job.uploadBytesPerSecond ?? -1,
  downloadLimit: job.downloadBytesPerSecond ?? -1,
});
client.on('error', (error) => {
  process.stderr.write(`${error.stack}\n`);
  exit(1);
});
const source = isMagnet(job.source) ? job.source : readFileSync(job.source);
const addedAtMs = Date.now();
const torrent = client.add(source, { path: job.folder, skipVerify: job.role === 'seed' });
torrent.on('warning', (error) => process.stderr.write(`${error?.message}\n`));
torrent.on('done', () => say({ event: 'complete' }));
const isListening = new Promise<void>((resolve) => client.once('listening', resolve));
const isReady = new Promise<void>((resolve) => torrent.on(job.role === 'seed' ? 'ready' : 'metadata', () => resolve()));
if (job.role === 'seed' || !isMagnet(job.source)) await isReady;
await isListening;
for (const peer of job.peers ?? []) torrent.addPeer(peer);
const addresses = job.http ? await serve() : {};
say({ event: 'ready', addedAtMs, port: client.torrentPort, dhtPort: dht === undefined ? 0 : client.dhtPort, ...addresses });

async function serve(): Promise<object> {
  const server = client.createServer({});
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  // A player of a magnet's title has to wait for the names in it.
  await isReady;
  const webSeedUrl = `http://${host}:${server.address().port}/webtorrent/${torrent.infoHash}/`;
  return { webSeedUrl, httpUrl: webSeedUrl + (torrent.files[0]?.path ?? '').split('/').map(encodeURIComponent).join('/') };
}

function say(line: object): void {
  stdout.write(`${JSON.stringify(line)}\n`);
}

/** A tracker for tests, in their own process: it takes every swarm and wants to be asked often, so that who comes second is found. */
import { get } from 'node:http';
import { TrackerServer } from '../../../src/io/trackers/tracker-server.js';
import { MemoryLog } from '../memory-log.js';

const INTERVAL_MS = 2_000;

export interface TestTracker {
  readonly url: string;
  readonly udpUrl: string;
  peerCount(infoHash: string): number;
  /** Announces a peer on this machine again and again, in its place and from its address. */
  announcing(infoHash: string, peer: { readonly host: string; readonly port: number }): { stop(): void };
  stop(): Promise<void>;
}

export async function startTracker(host = '127.0.0.1'): Promise<TestTracker> {
  const log = new MemoryLog();
  const server = await TrackerServer.start({ host, httpPort: 0, udpPort: 0, intervalMs: INTERVAL_MS, allow: () => true, log });
  return {
    url: `http://${host}:${server.httpPort}/announce`,
    udpUrl: `udp://${host}:${server.udpPort}/announce`,
    peerCount: (infoHash) => server.peerCount(infoHash),
    announcing: (infoHash, peer) => announceAgain(`http://${host}:${server.httpPort}/announce`, infoHash, peer),
    stop: () => server.stop(),
  };
}

function announceAgain(url: string, infoHash: string, peer: { readonly host: string; readonly port: number }): { stop(): void } {
  const { host, port } = peer;
  const hash = infoHash.replace(/../g, '%$&');
  const words = `info_hash=${hash}&peer_id=-XX0000-${String(port).padStart(12, '0')}&port=${port}&uploaded=0&downloaded=0&left=1&compact=1&event=started`;
  const announce = (): void => {
    get(`${url}?${words}`, { localAddress: host }, (response) => response.resume()).on('error', () => undefined);
  };
  announce();
  const timer = setInterval(announce, INTERVAL_MS);
  return { stop: () => clearInterval(timer) };
}

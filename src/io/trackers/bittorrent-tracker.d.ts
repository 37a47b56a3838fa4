/** What we call of the npm package `bittorrent-tracker` 11, which ships no types; members with an underscore are internals we rely on. */
declare module 'bittorrent-tracker/server' {
  import type { RemoteInfo, Socket } from 'node:dgram';
  import type { EventEmitter } from 'node:events';
  import type { IncomingMessage, ServerResponse } from 'node:http';

  export interface SwarmPeer {
    readonly peerId: string;
    readonly ip: string;
    readonly port: number;
  }

  /** `keys` also names peers that have outlived their age; `peek` forgets such a peer and returns nothing. */
  export interface PeerCache {
    readonly keys: readonly string[];
    peek(key: string): SwarmPeer | undefined;
  }

  export class Swarm {
    constructor(infoHash: string, server: Server);
    readonly peers: PeerCache;
    _getPeers(numwant: number, ownPeerId: string, isWebRtc: boolean): SwarmPeer[];
  }

  /** A parsed request; HTTP parameters that the package does not know stand beside these, unparsed. */
  export interface RequestParameters {
    readonly type: 'http' | 'udp';
    /** What the swarm keeps the peer under: `ip:port`, `[ip]:port`. */
    readonly addr: string;
    readonly ip: string;
    readonly port: number;
    readonly peer_id: string;
    /** 1: addresses as 6 or 18 bytes each (BEP 23, BEP 7). */
    compact: number;
  }

  export interface TrackerResponse {
    peers?: Buffer;
    peers6?: Buffer;
  }

  export default class Server extends EventEmitter {
    constructor(options: {
      http: false;
      udp: false;
      ws: false;
      stats: false;
      interval: number;
      peersCacheLength: number;
      peersCacheTtl: number;
      filter(infoHash: string, parameters: RequestParameters, callback: (error: Error | null) => void): void;
    });
    static readonly Swarm: typeof Swarm;
    torrents: Record<string, Swarm>;
    udp4: Socket | null;
    udp6: Socket | null;
    createSwarm(infoHash: string, callback: (error: Error | null, swarm: Swarm) => void): void;
    onHttpRequest(request: IncomingMessage, response: ServerResponse): void;
    onUdpRequest(message: Buffer, sender: RemoteInfo): void;
    _onRequest(parameters: RequestParameters, callback: (error: Error | null, response?: TrackerResponse) => void): void;
    close(callback: () => void): void;
  }
}

/** What we call of bittorrent-dht 11, which ships no types; members with an underscore are internals we rely on. */
declare module 'bittorrent-dht' {
  import type { EventEmitter } from 'node:events';

  export interface DhtNode {
    readonly host: string;
    readonly port: number;
  }

  export interface DhtQuery {
    readonly q: string;
    readonly a: { implied_port?: number };
  }

  export interface DhtRpc {
    /** Asked when a look-up knows too few nodes. */
    readonly bootstrap: DhtNode[];
    queryAll(nodes: unknown, message: DhtQuery, visit: unknown, done: unknown): void;
  }

  export class Client extends EventEmitter {
    constructor(options: {
      readonly socket: EventEmitter;
      /** `host:port`; false for none. */
      readonly bootstrap: readonly string[] | false;
      readonly maxTables: number;
      readonly maxValues: number;
      readonly maxPeers: number;
      readonly maxAge: number;
      /** Of one query. */
      readonly timeout: number;
    });
    readonly _rpc: DhtRpc;
    readonly nodes: { count(): number };
    listen(port: number, host: string): void;
    address(): { readonly port: number };
    addNode(node: DhtNode): void;
    announce(infoHash: string, port: number, done: (error: Error | null) => void): void;
    lookup(infoHash: string, done: (error: Error | null) => void): void;
    toJSON(): { readonly nodes: readonly DhtNode[] };
    destroy(done: () => void): void;
  }
}

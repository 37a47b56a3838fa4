/**
 * What every BitTorrent client looks like to the matrix and to the measurements: foreign ones, and Shoal beside them.
 *
 * A driver is one file. What a client is to know (trackers, web seeds) stands in the torrent or magnet it is given, so that no option can tell it more.
 */

export type Encryption = 'plain' | 'allowed' | 'encrypted';

export interface RunOptions {
  /** Address to listen on and to dial from. Default 127.0.0.1. */
  readonly host?: string;
  /** For peers. Default any free one. */
  readonly port?: number;
  /** `encrypted` takes nothing but MSE/PE with RC4 where the client can be told so, `allowed` takes both. Default `plain`. */
  readonly encryption?: Encryption;
  /** `host:port` of peers to dial; only for clients that `canDial`. */
  readonly peers?: readonly string[];
  /** Whether it calls others; only libtorrent can be told. Default true. */
  readonly dials?: boolean;
  /** Default false. */
  readonly pex?: boolean;
  /** `host:port` of a node to begin with, or '' for a node that is the first. Without it the client has no DHT. */
  readonly dht?: string;
  readonly uploadBytesPerSecond?: number;
  readonly downloadBytesPerSecond?: number;
  /** Serve the title over HTTP with ranges; only for clients that `canServe`. Default false. */
  readonly http?: boolean;
  /** Write what comes at once, so that it is there when the client says that it is done; for clients that keep it in memory for a while. Default false. */
  readonly writesThrough?: boolean;
}

export interface ForeignClient {
  readonly name: string;
  /** Whether it can be told addresses of peers. */
  readonly canDial: boolean;
  readonly canEncrypt: boolean;
  /** Whether it plays a title over HTTP while it comes. */
  readonly canServe: boolean;
  /** Whether it dials peers on 127/8. */
  readonly canDialLoopback: boolean;
  /** Whether it names peers to others by PEX (all take them). */
  readonly tellsPex: boolean;
  /** Whether it writes files of no bytes. */
  readonly makesEmptyFiles: boolean;
  /** Whether it escapes the names of files when it asks a web seed for them. */
  readonly escapesPaths: boolean;
  /** Resolves when it listens and is ready to upload. `dataFolder` holds the title's file or folder. */
  seed(torrentPath: string, dataFolder: string, options?: RunOptions): Promise<RunningClient>;
  /** Resolves when it listens; `source` is the path of a torrent, or a magnet. It stays when it is done. */
  download(source: string, folder: string, options?: RunOptions): Promise<RunningClient>;
}

export interface RunningClient {
  readonly pid: number;
  readonly host: string;
  readonly port: number;
  /** UDP port of its DHT node; 0 without one. */
  readonly dhtPort: number;
  /** Address of the title's first file, when it serves. */
  readonly httpUrl?: string;
  /** Address to which the paths of a title's files are added when it is asked as a web seed (BEP 19). */
  readonly webSeedUrl?: string;
  /** When it was given the title, on the clock of the day; not every client tells. */
  readonly addedAtMs?: number;
  /** Resolves when all pieces are there; rejects when the client ends before. */
  readonly completed: Promise<void>;
  /** What it has said, for a message about a failure. */
  said(): string;
  stop(): Promise<void>;
}

export function isMagnet(source: string): boolean {
  return source.startsWith('magnet:');
}

/** A promise that settles from outside and whose rejection nobody has to be waiting for. */
export class Completion {
  readonly promise: Promise<void>;
  #resolve: () => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.promise.catch(() => undefined);
  }

  complete(): void {
    this.#resolve();
  }

  fail(reason: string): void {
    this.#reject(new Error(reason));
  }
}

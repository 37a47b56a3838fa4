/**
 * What we call of bittorrent-protocol 5.0.9, which ships no types; those on the registry describe version 3.
 *
 * `_write` and `_readableState` belong to streamx, whose documented way to extend a stream is to override `_write`.
 */
declare module 'bittorrent-protocol' {
  /** A BEP 10 extension; its prototype must carry `name`. */
  export interface WireExtension {
    onMessage(bytes: Uint8Array): void;
  }

  export default class Wire {
    constructor(type: 'tcpIncoming' | 'tcpOutgoing', encryption: 0);
    /** The extended handshake to send, without `m`. */
    extendedHandshake: Record<string, number | string>;
    readonly _readableState: { readonly buffered: number };
    handshake(infoHash: string, peerId: string, extensions: { readonly dht: boolean; readonly fast: boolean }): void;
    extended(messageId: number, payload: Uint8Array): void;
    use(extension: new () => WireExtension): void;
    keepAlive(): void;
    write(frame: Uint8Array): boolean;
    read(): Uint8Array | null;
    destroy(): void;
    on(
      event: 'handshake',
      listener: (
        infoHash: string,
        peerId: string,
        extensions: { readonly extended: boolean; readonly fast: boolean; readonly dht: boolean },
      ) => void,
    ): this;
    on(event: 'extended', listener: (extension: string | number | undefined, payload: unknown) => void): this;
    on(event: 'data', listener: (bytes: Uint8Array) => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
    _write(frame: Uint8Array, done: (error: Error | null) => void): void;
  }
}

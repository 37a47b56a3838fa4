/** As much of an RTMP server as a client that plays needs: each thing that it sends is answered, and what follows `play` is the test's. */
import type { Socket } from 'node:net';
import type { AmfValue } from '../../src/media/amf0.js';
import type { FlvTag } from '../../src/media/flv.js';
import { ScriptedServer } from './mmst-server.js';
import { encodeAmf0, encodeMessage } from './rtmp-client.js';

/** S0, S1 and S2. */
export const RTMP_SHAKE = Buffer.concat([Buffer.of(3), Buffer.alloc(2 * 1536)]);

export function rtmpCommand(...values: readonly AmfValue[]): Uint8Array {
  return encodeMessage({ type: 20, body: encodeAmf0(values) });
}

export function rtmpStatus(code: string): Uint8Array {
  return rtmpCommand('onStatus', 0, null, new Map([['level', 'status'] as const, ['code', code] as const]));
}

export function rtmpMedia(tag: FlvTag): Uint8Array {
  return encodeMessage({ type: tag.type, timestampMs: tag.timestampMs, body: tag.body, chunkStream: 6 });
}

export function startRtmpServer(onPlay: (socket: Socket, connectionIndex: number) => void): Promise<ScriptedServer> {
  const greeted = new Set<Socket>();
  return ScriptedServer.start((socket, bytes, index) => {
    if (!greeted.has(socket)) socket.write(RTMP_SHAKE);
    greeted.add(socket);
    if (bytes.includes('connect')) socket.write(rtmpCommand('_result', 1, null, new Map()));
    if (bytes.includes('createStream')) socket.write(rtmpCommand('_result', 2, null, 1));
    if (bytes.includes('play')) onPlay(socket, index);
  });
}

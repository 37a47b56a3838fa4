import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HttpServer } from '../../src/io/web/http-server.js';
import { type BinarySocket, WebSocketServer } from '../../src/io/web/websocket-server.js';
import { MemoryLog } from '../support/memory-log.js';
import { ask, RawClient, request } from '../support/raw-http.js';
import { until } from '../support/until.js';

const HANDSHAKE = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='];
const sockets: BinarySocket[] = [];
let server: HttpServer;
let webSockets: WebSocketServer;
let closedCount = 0;

test.before(async () => {
  server = await HttpServer.start({ host: '127.0.0.1', port: 0, log: new MemoryLog() });
  webSockets = new WebSocketServer((path) => {
    if (path !== '/live') return null;
    return (socket) => {
      sockets.push(socket);
      socket.onClose(() => (closedCount += 1));
    };
  });
  server.onUpgrade((incoming, socket, head) => webSockets.handle(incoming, socket, head));
});

test.after(async () => {
  webSockets.stop();
  await server.stop();
});

/** A client frame by RFC 6455, 5.2, masked with zeros so that the bytes stay readable. */
function frame(opcode: number, payload: Uint8Array, { final = true, masked = true } = {}): Buffer {
  const length = payload.length;
  const size =
    length < 126
      ? [length]
      : length < 65_536
        ? [126, length >> 8, length & 255]
        : [127, 0, 0, 0, 0, (length >>> 24) & 255, (length >> 16) & 255, (length >> 8) & 255, length & 255];
  const [first = 0, ...rest] = size;
  return Buffer.concat([
    Buffer.from([(final ? 0x80 : 0) | opcode, (masked ? 0x80 : 0) | first, ...rest]),
    Buffer.alloc(masked ? 4 : 0),
    payload,
  ]);
}

async function open(): Promise<{ readonly client: RawClient; readonly socket: BinarySocket }> {
  const count = sockets.length;
  const client = new RawClient(server.port, request('/live', { headers: HANDSHAKE }));
  await until('the handshake is answered', () => client.answer().status === 101 && sockets.length > count);
  return { client, socket: sockets.at(-1) as BinarySocket };
}

test('a client of a known path gets bytes in binary frames, uncompressed', async () => {
  const { client, socket } = await open();
  assert.is(client.answer().headers['sec-websocket-extensions'], undefined);
  socket.send(Uint8Array.of(1, 2, 3));
  await until('the frame is there', () => client.answer().body.length >= 5);
  assert.equal([...client.answer().body], [0x82, 3, 1, 2, 3]);
  client.destroy();
});

test('compression is not agreed to', async () => {
  const client = new RawClient(server.port, request('/live', { headers: [...HANDSHAKE, 'Sec-WebSocket-Extensions: permessage-deflate'] }));
  await until('the handshake is answered', () => client.answer().status === 101);
  assert.is(client.answer().headers['sec-websocket-extensions'], undefined);
  client.destroy();
});

test('an unknown path is refused before the handshake', async () => {
  assert.is((await ask(server.port, request('/elsewhere', { headers: HANDSHAKE }))).status, 404);
});

test('a handshake that is none is refused', async () => {
  const halves = [
    HANDSHAKE.slice(0, 2),
    [...HANDSHAKE.slice(0, 3), 'Sec-WebSocket-Key: short'],
    ['Upgrade: nonsense', 'Connection: Upgrade'],
  ];
  for (const headers of halves) assert.ok((await ask(server.port, request('/live', { headers }))).status >= 400);
});

test('hostile frames close their own socket, and nobody else notices', async () => {
  const healthy = await open();
  const hostile: readonly Buffer[] = [
    frame(2, new Uint8Array(5000)),
    frame(1, Uint8Array.of(0xff, 0xfe)),
    frame(2, Uint8Array.of(1), { masked: false }),
    frame(9, new Uint8Array(126)),
    frame(3, new Uint8Array(1)),
    frame(0, new Uint8Array(1)),
    Buffer.from([0xf2, 0x81, 0, 0, 0, 0, 1]),
    // One GiB announced, nothing sent.
    Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]),
  ];
  for (const bytes of hostile) {
    const { client } = await open();
    client.socket.write(bytes);
    await until(`${bytes.subarray(0, 8).toString('hex')} is closed`, () => client.closed);
  }
  healthy.socket.send(Uint8Array.of(9));
  await until('the healthy one is still served', () => healthy.client.answer().body.includes(Buffer.from([0x82, 1, 9])));
  healthy.client.destroy();
});

test('many fragments of one message are bounded as a whole', async () => {
  const { client } = await open();
  client.socket.write(frame(2, new Uint8Array(1000), { final: false }));
  for (let count = 0; count < 5; count++) client.socket.write(frame(0, new Uint8Array(1000), { final: false }));
  await until('it is closed', () => client.closed);
});

test('a ping is answered; a flood of them closes the socket', async () => {
  const { client } = await open();
  client.socket.write(frame(9, Uint8Array.of(7)));
  await until('the pong is there', () => client.answer().body.includes(Buffer.from([0x8a, 1, 7])));
  const ping = frame(9, Uint8Array.of(7));
  client.socket.write(Buffer.concat(new Array<Buffer>(10_001).fill(ping)));
  await until('it is closed', () => client.closed);
});

test('whoever serves the socket hears of its end once, and sending afterwards does nothing', async () => {
  const { client, socket } = await open();
  const before = closedCount;
  client.destroy();
  await until('the end is heard', () => closedCount > before);
  socket.send(Uint8Array.of(1));
  socket.close(1000, '');
  socket.destroy();
  assert.is(closedCount, before + 1);
});

test.run();

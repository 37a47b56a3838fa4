import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HttpServer } from '../../src/io/web/http-server.js';
import { ShoalError } from '../../src/kernel/errors.js';
import { MemoryLog } from '../support/memory-log.js';
import { ask, RawClient, request } from '../support/raw-http.js';
import { until } from '../support/until.js';

const CLOSE = ['Connection: close'];
const log = new MemoryLog();
let server: HttpServer;

test.before(async () => {
  server = await HttpServer.start({ host: '127.0.0.1', port: 0, log, allowedHosts: ['shoal.example'] });
  server.get('/plain', () => ({ body: 'here\n' }));
  server.get('/api/channels/:id', ({ parameters }) => ({
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(parameters),
  }));
  server.get('/api/broken', () => {
    throw new Error('a fault of ours');
  });
  server.stream('/stream', (_request, response) => {
    response.writeHead(200);
    response.write('x');
  });
  server.onUpgrade((incoming, socket) => {
    if (incoming.url !== '/socket') return false;
    socket.write('taken');
    return true;
  });
});

test.after(() => server.stop());

test('a route answers GET and HEAD, with the headers that keep a browser safe', async () => {
  const { status, headers, body } = await ask(server.port, request('/plain', { headers: CLOSE }));
  assert.equal([status, body.toString()], [200, 'here\n']);
  assert.is(headers['x-content-type-options'], 'nosniff');
  assert.is(headers['referrer-policy'], 'no-referrer');
  assert.match(headers['content-security-policy'] ?? '', /default-src 'self'/);
  assert.not.match(headers['content-security-policy'] ?? '', /unsafe/);
  const head = await ask(server.port, request('/plain', { method: 'HEAD', headers: CLOSE }));
  assert.equal([head.status, head.body.length], [200, 0]);
});

test('route parameters are handed over decoded', async () => {
  const { body } = await ask(server.port, request('/api/channels/a%20b', { headers: CLOSE }));
  assert.equal(JSON.parse(body.toString()), { id: 'a b' });
});

test('a request under a foreign name is refused before any route, with a sentence', async () => {
  for (const host of ['evil.example', 'evil.example:80', '127.0.0.1.evil.example', '', 'localhost@evil.example', '[::2]', '10.0.0.1']) {
    const { status, body } = await ask(server.port, request('/plain', { host, headers: CLOSE }));
    assert.is(status, 403, host);
    assert.match(body.toString(), /does not answer to the name/);
  }
});

test('this machine and the names in the configuration are answered', async () => {
  for (const host of ['127.0.0.1:8080', 'localhost', 'LOCALHOST:1', '[::1]:80', 'shoal.example']) {
    assert.is((await ask(server.port, request('/plain', { host, headers: CLOSE }))).status, 200, host);
  }
});

test('bound to every address, a server answers to addresses but to no foreign name', async () => {
  const open = await HttpServer.start({ host: '0.0.0.0', port: 0, log });
  open.get('/', () => ({ body: 'here' }));
  assert.is((await ask(open.port, request('/', { host: '192.168.1.5', headers: CLOSE }))).status, 200);
  assert.is((await ask(open.port, request('/', { host: 'evil.example', headers: CLOSE }))).status, 403);
  assert.match(open.url, /^http:\/\/127\.0\.0\.1:\d+\/$/);
  await open.stop();
});

test('an upgrade passes the same check, and an unknown path is refused', async () => {
  const upgrade = ['Upgrade: websocket', 'Connection: Upgrade'];
  assert.is((await ask(server.port, request('/socket', { host: 'evil.example', headers: upgrade }))).status, 403);
  assert.is((await ask(server.port, request('/other', { headers: upgrade }))).status, 404);
  const client = new RawClient(server.port, request('/socket', { headers: upgrade }));
  await until('the upgrade is handed over', () => client.received.toString() === 'taken');
  client.destroy();
});

test('nothing at an address is 404: JSON for programs, a sentence for people', async () => {
  const program = await ask(server.port, request('/api/nothing', { headers: CLOSE }));
  assert.is(program.status, 404);
  assert.is(JSON.parse(program.body.toString()).error.code, 'NOT_FOUND');
  assert.match((await ask(server.port, request('/nothing', { headers: CLOSE }))).body.toString(), /nothing at this address/);
});

test('a wrong method is 405 and names the right ones', async () => {
  const { status, headers } = await ask(server.port, request('/plain', { method: 'DELETE', headers: CLOSE }));
  assert.is(status, 405);
  assert.match(headers['allow'] ?? '', /GET/);
});

test('a handler that fails is 500 without its reason, which is logged', async () => {
  const { status, body } = await ask(server.port, request('/api/broken', { headers: CLOSE }));
  assert.is(status, 500);
  assert.not.match(body.toString(), /a fault of ours/);
  assert.match(log.text, /a fault of ours/);
});

test('garbage, an endless head and a path that is none are answered or dropped, and the server lives', async () => {
  const garbage: readonly (string | Uint8Array)[] = [
    Uint8Array.from({ length: 400 }, (_value, index) => (index * 7) & 255),
    `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
    request('/%E0%A4%A', { headers: CLOSE }),
    request('//..//..//etc/passwd', { headers: CLOSE }),
    'GET / HTTP/9.9\r\n\r\n',
    request('/plain', { headers: ['Content-Length: -1'] }),
  ];
  for (const text of garbage) assert.ok((await ask(server.port, text, 2000)).status !== 200);
  assert.is((await ask(server.port, request('/plain', { headers: CLOSE }))).status, 200);
});

test('a taken port is named, with the key that moves it', async () => {
  try {
    await HttpServer.start({ host: '127.0.0.1', port: server.port, log });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, ShoalError);
    assert.is((error as ShoalError).code, 'PORT_TAKEN');
    assert.match((error as ShoalError).message, new RegExp(`${server.port}.*relay\\.http\\.port`));
  }
});

test('an address that this machine has not is named', async () => {
  try {
    await HttpServer.start({ host: '192.0.2.1', port: 0, log });
    assert.unreachable();
  } catch (error) {
    assert.is((error as ShoalError).code, 'ADDRESS_UNUSABLE');
  }
});

test('stopping ends streams and sockets that are still open, within a second', async () => {
  const other = await HttpServer.start({ host: '127.0.0.1', port: 0, log });
  other.stream('/stream', (_request, response) => {
    response.writeHead(200);
    response.write('x');
  });
  other.onUpgrade((_request, socket) => socket.write('taken') || true);
  const stream = new RawClient(other.port, request('/stream'));
  const socket = new RawClient(other.port, request('/', { headers: ['Upgrade: websocket', 'Connection: Upgrade'] }));
  await until('both are open', () => stream.receivedBytes > 0 && socket.receivedBytes > 0);
  const startMs = performance.now();
  await other.stop();
  assert.ok(performance.now() - startMs < 1000);
  await until('both are closed', () => stream.closed && socket.closed);
});

test.run();

/** The titles of another process, asked over HTTP: its words reach the person, and its silence too. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ShoalError } from '../../src/kernel/errors.js';
import { RemoteLibrary } from '../../src/plugins/titles/remote-library.js';
import { freePort } from '../support/free-port.js';

interface Context {
  server: Server;
  remote: RemoteLibrary;
  asked: string[];
}

const test = suite<Context>('remote library');
const [HERE, LATE, GONE] = ['a', 'b', 'c'].map((digit) => digit.repeat(40)) as [string, string, string];

test.before.each(async (context) => {
  context.asked = [];
  let looks = 0;
  context.server = createServer((request, response) => {
    const { method, url = '', headers } = request;
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      context.asked.push(`${method} ${url} ${headers['content-type'] ?? ''} ${Buffer.concat(parts)}`.trim());
      const answer = (status: number, value: unknown): void => void response.writeHead(status).end(JSON.stringify(value));
      if (method === 'POST' && String(parts).includes('bad'))
        answer(400, { error: { code: 'LINK_MALFORMED', message: 'It has no "xt".' } });
      else if (method === 'POST') answer(201, { id: HERE });
      else if (url === `/api/titles/${HERE}/title.torrent`) response.end(Buffer.from([1, 2, 255]));
      else if (url === `/api/titles/${HERE}`) answer(200, { id: HERE, name: 'Film' });
      else if (url === `/api/titles/${LATE}` && ++looks > 2) answer(200, { id: LATE });
      else answer(404, { error: { code: 'TITLE_UNKNOWN', message: 'There is no such title here.' } });
    });
  });
  await new Promise<void>((resolve) => context.server.listen(0, '127.0.0.1', resolve));
  context.remote = new RemoteLibrary(`http://127.0.0.1:${(context.server.address() as AddressInfo).port}/`);
});
test.after.each(({ server }) => {
  server.closeAllConnections();
  server.close();
});

async function refusal(task: Promise<unknown>): Promise<string> {
  const error = await task.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.instance(error, ShoalError);
  return (error as ShoalError).message;
}

test('a link goes as JSON, a torrent as its bytes', async ({ remote, asked }) => {
  assert.is((await remote.add({ link: 'magnet:?x' })).id, HERE);
  await remote.add({ torrent: Uint8Array.from(Buffer.from('d4:infode')) });
  assert.equal(asked, ['POST /api/titles application/json {"link":"magnet:?x"}', 'POST /api/titles application/x-bittorrent d4:infode']);
});

test('what the station refuses is refused in its own words', async ({ remote }) => {
  assert.is(await refusal(remote.add({ link: 'bad' })), 'It has no "xt".');
  assert.is(await refusal(remote.read(GONE)), 'There is no such title here.');
});

test('a title is read, looked for, and waited for', async ({ remote }) => {
  assert.is((await remote.read(HERE)).name, 'Film');
  assert.is(await remote.find(GONE), undefined);
  assert.equal(await remote.torrent(HERE), Uint8Array.of(1, 2, 255));
  assert.is(await remote.torrent(GONE), undefined);
  assert.is((await remote.whenThere(LATE)).id, LATE);
});

test('a station that does not answer is named', async () => {
  const page = `http://127.0.0.1:${await freePort()}/`;
  assert.is(await refusal(new RemoteLibrary(page).read(HERE)), `The station at ${page} does not answer.`);
});

test.run();

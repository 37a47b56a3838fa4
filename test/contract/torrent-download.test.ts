/** Fetching a torrent from the web: from real servers on this machine, good ones and bad ones. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { downloadTorrent } from '../../src/io/titles/torrent-download.js';
import { ShoalError } from '../../src/kernel/errors.js';
import { freePort } from '../support/free-port.js';

interface Context {
  server: Server;
  base: string;
}

const test = suite<Context>('torrent download');
const TORRENT = Buffer.from('d4:infode');

test.before.each(async (context) => {
  context.server = createServer((request, response) => {
    const path = request.url ?? '';
    const redirect = (location: string): void => void response.writeHead(302, { Location: location }).end('see there');
    if (path === '/good.torrent') response.end(TORRENT);
    else if (path === '/moved') redirect('/good.torrent');
    else if (path === '/magnet') redirect('magnet:?xt=urn:btih:aa');
    else if (path === '/file') redirect('file:///etc/passwd');
    else if (path === '/loop') redirect('/loop');
    else if (path === '/page') response.end('\n <!DOCTYPE html><html>');
    else if (path === '/endless') {
      const more = (): void => void (response.write(Buffer.alloc(65_536, 'd')) ? setImmediate(more) : response.once('drain', more));
      more();
    } else if (path === '/cut') {
      response.writeHead(200, { 'Content-Length': 100 });
      response.write('d4:info', () => response.destroy());
    } else response.writeHead(404).end('nothing');
  });
  await new Promise<void>((resolve) => context.server.listen(0, '127.0.0.1', resolve));
  context.base = `http://127.0.0.1:${(context.server.address() as AddressInfo).port}`;
});
test.after.each(({ server }) => {
  server.closeAllConnections();
  server.close();
});

async function refusal(address: string): Promise<string> {
  try {
    await downloadTorrent(address);
  } catch (error) {
    assert.instance(error, ShoalError);
    assert.is((error as ShoalError).code, 'TORRENT_UNREACHABLE');
    return (error as ShoalError).message;
  }
  throw new Error('it was not refused');
}

test('a torrent comes as it is, through a redirect too; a site that leads on to a magnet link is followed to it', async ({ base }) => {
  for (const path of ['/good.torrent', '/moved']) assert.equal(await downloadTorrent(base + path), { torrent: new Uint8Array(TORRENT) });
  assert.equal(await downloadTorrent(`${base}/magnet`), { link: 'magnet:?xt=urn:btih:aa' });
});

test('what is no torrent is refused with what it is, and the address', async ({ base }) => {
  assert.is(await refusal(`${base}/page`), `${base}/page cannot be fetched: it is a web page, not a torrent file.`);
  assert.is(await refusal(`${base}/none`), `${base}/none cannot be fetched: the server answers 404 Not Found.`);
  assert.match(await refusal(`${base}/endless`), /more than 10485760 bytes, so it is no torrent file/);
});

test('redirects that end nowhere, and those out of the web, are refused', async ({ base }) => {
  assert.match(await refusal(`${base}/loop`), /redirects more than 5 times/);
  assert.match(await refusal(`${base}/file`), /redirects to file:, expected http: or https:/);
});

test('a server that is not there, one that breaks off, and an address that is none', async ({ base }) => {
  assert.match(await refusal(`http://127.0.0.1:${await freePort()}/x`), /ECONNREFUSED/);
  assert.match(await refusal(`${base}/cut`), /cannot be fetched: .+\./);
  assert.match(await refusal('http://'), /Invalid URL/);
});

test.run();

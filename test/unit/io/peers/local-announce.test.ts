/** The datagram of local discovery, as others write it and as we do. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeLocalAnnounce, encodeLocalAnnounce } from '../../../../src/io/peers/local-announce.js';
import { Malformed } from '../../../../src/kernel/errors.js';

const HASH = '0123456789abcdef0123456789abcdef01234567';

test('what is written is read back, and goes by the book', () => {
  const announce = { port: 6881, infoHashes: [HASH, 'ff'.repeat(20)], cookie: 'mine' };
  const bytes = encodeLocalAnnounce(announce, '239.192.152.143:6771');
  assert.equal(decodeLocalAnnounce(bytes), announce);
  assert.ok(Buffer.from(bytes).toString().startsWith('BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: '));
  assert.ok(Buffer.from(bytes).toString().endsWith('\r\n\r\n\r\n'));
});

test('capitals, missing cookies and strange lines are taken as others send them', () => {
  const text = `BT-SEARCH * HTTP/1.1\r\nHOST: x\r\nport:7\r\nINFOHASH: ${HASH.toUpperCase()}\r\nX: y\r\n\r\n`;
  assert.equal(decodeLocalAnnounce(Buffer.from(text)), { port: 7, infoHashes: [HASH], cookie: '' });
});

test('without port, torrent or first line, and above one frame, it is refused', () => {
  const right = Buffer.from(encodeLocalAnnounce({ port: 6881, infoHashes: [HASH], cookie: 'c' }, 'g')).toString();
  for (const wrong of [right.replace('Port: 6881', 'Port: 0'), right.replace(HASH, 'zz'), right.slice(1), right.padEnd(1401, 'x')]) {
    assert.instance(decodeLocalAnnounce(Buffer.from(wrong)), Malformed);
  }
});

test.run();

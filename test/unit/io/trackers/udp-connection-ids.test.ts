/** Connection ids of the UDP tracker. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UdpConnectionIds } from '../../../../src/io/trackers/udp-connection-ids.js';

test('an id serves the address it was issued to, for a minute at least and two at most', () => {
  const ids = new UdpConnectionIds(0);
  const id = ids.issue('192.0.2.1', 30_000);
  assert.is(id.length, 8);
  assert.ok(ids.isValid(id, '192.0.2.1', 30_000));
  assert.ok(ids.isValid(id, '192.0.2.1', 90_000));
  assert.not(ids.isValid(id, '192.0.2.1', 150_001));
});

test('an id of another address, of another server or of another length is refused', () => {
  const ids = new UdpConnectionIds(0);
  const id = ids.issue('192.0.2.1', 0);
  assert.not(ids.isValid(id, '192.0.2.2', 0));
  assert.not(new UdpConnectionIds(0).isValid(id, '192.0.2.1', 0));
  assert.not(ids.isValid(id.subarray(1), '192.0.2.1', 0));
  assert.not(ids.isValid(Buffer.from('0000041727101980', 'hex'), '192.0.2.1', 0));
});

test('after a long silence no old id is accepted', () => {
  const ids = new UdpConnectionIds(0);
  const id = ids.issue('192.0.2.1', 0);
  assert.not(ids.isValid(id, '192.0.2.1', 1_000_000));
});

test.run();

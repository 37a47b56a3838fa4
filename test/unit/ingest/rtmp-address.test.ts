/** What an RTMP URL means: application, stream name and the address of the application. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type RtmpAddress, rtmpAddressOf } from '../../../src/ingest/rtmp-address.js';
import { parseSourceUrl } from '../../../src/ingest/source-url.js';
import { Malformed } from '../../../src/kernel/errors.js';

function addressOf(text: string): RtmpAddress | Malformed {
  const url = parseSourceUrl(text);
  return url instanceof Malformed ? url : rtmpAddressOf(url);
}

test('the last part with its query is the stream, the rest the application', () => {
  assert.equal(addressOf('rtmp://Host.example/live/a'), { app: 'live', name: 'a', tcUrl: 'rtmp://host.example:1935/live' });
  assert.equal(addressOf('rtmps://h:8443/live/inst/a?k=1/2'), { app: 'live/inst', name: 'a?k=1/2', tcUrl: 'rtmps://h:8443/live/inst' });
  assert.equal(addressOf('rtmp://[::1]/a/b'), { app: 'a', name: 'b', tcUrl: 'rtmp://[::1]:1935/a' });
  assert.equal(addressOf('rtmps://h/a/b'), { app: 'a', name: 'b', tcUrl: 'rtmps://h:443/a' });
});

test('a query that stands behind the application belongs to it', () => {
  assert.equal(addressOf('rtmp://h/live?token=x/a'), { app: 'live?token=x', name: 'a', tcUrl: 'rtmp://h:1935/live?token=x' });
});

test('an address without a stream is malformed', () => {
  for (const text of ['rtmp://h', 'rtmp://h/live', 'rtmp://h/live/', 'rtmp://h/live?x', 'rtmp://h//', 'rtmp://h/live/?x'])
    assert.instance(addressOf(text), Malformed, text);
});

test.run();

/** The life of a pulled source: which protocol is tried when, how long it waits, and what ends it for good. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SourceLife, type SourceLifeEffect, type SourceLifeEvent, type SourceLifeInput } from '../../../src/ingest/source-life.js';
import type { SourceContainer } from '../../../src/ingest/source-url.js';
import { ShoalError } from '../../../src/kernel/errors.js';
import { Rng } from '../../../src/kernel/rng.js';
import { AUDIO, encodeFlvHeader, encodeTag } from '../../../src/media/flv.js';
import { encodeMmshData, encodeMmshEnd, encodeMmshHeader } from '../../../src/media/mmsh-chunk.js';
import { bytesOf, simpleHeader } from '../../support/asf-writer.js';

const OK = 'HTTP/1.0 200 OK\r\nPragma: features="broadcast"\r\n\r\n';
const HEADER = encodeMmshHeader(simpleHeader());

class LifeDriver {
  readonly life: SourceLife;
  readonly effects: SourceLifeEffect[] = [];
  nowMs = 0;

  constructor(url: string, seed = 1, container?: SourceContainer) {
    this.life = new SourceLife({ url, rng: new Rng(seed), ...(container ? { container } : {}) });
    this.input({ kind: 'start' });
  }

  input(input: SourceLifeInput): this {
    this.effects.push(...this.life.handle(input, this.nowMs));
    return this;
  }

  receive(...parts: (Uint8Array | string)[]): this {
    return this.input({ kind: 'bytes', bytes: bytesOf(...parts) });
  }

  open(): this {
    return this.input({ kind: 'opened', localHost: '127.0.0.1', localPort: 1 });
  }

  close(): this {
    return this.input({ kind: 'closed', detail: 'the server closed the connection' });
  }

  /** Through describe and play to media. */
  goLive(): this {
    return this.open()
      .receive(OK, HEADER)
      .open()
      .receive(OK, HEADER, encodeMmshData(1, 0, Uint8Array.of(1)));
  }

  get events(): SourceLifeEvent[] {
    return this.effects.flatMap((effect) => (effect.kind === 'emit' ? [effect.event] : []));
  }

  get states(): string[] {
    return this.events.flatMap((event) => (event.kind === 'state' ? [event.state] : []));
  }

  get lastDetail(): string {
    return this.events.findLast((event) => event.kind === 'state')?.detail ?? '';
  }

  get connects(): string[] {
    return this.effects.flatMap((effect) =>
      effect.kind === 'connect'
        ? [`${effect.host}:${effect.port}${effect.redirected ? ' redirected' : ''}${effect.secure ? ' secure' : ''}`]
        : [],
    );
  }

  get retryMs(): number {
    return this.effects.flatMap((effect) => (effect.kind === 'schedule' && effect.timer === 'retry' ? [effect.delayMs] : [])).at(-1) ?? -1;
  }
}

test('mms:// tries MMST at 1755, then MMSH at 80, then waits; the protocol that worked is first next time', () => {
  const driver = new LifeDriver('mms://media.example/x').close();
  assert.equal(driver.connects, ['media.example:1755', 'media.example:80']);
  driver.goLive().close();
  assert.equal(driver.states, ['connecting', 'connecting', 'live', 'lost']);
  driver.input({ kind: 'timer', timer: 'retry' });
  assert.is(driver.connects.at(-1), 'media.example:80');
  driver.close();
  assert.is(driver.connects.at(-1), 'media.example:1755');
});

test('mms:// with a port uses it for both protocols', () => {
  assert.equal(new LifeDriver('mms://media.example:8080/x').close().connects, ['media.example:8080', 'media.example:8080']);
});

test('back-off grows from one second to thirty, differs between stations, and starts over after a good run', () => {
  const waits = (seed: number): number[] => {
    const driver = new LifeDriver('mmsh://media.example/x', seed);
    return Array.from({ length: 12 }, () => {
      driver.close();
      const { retryMs } = driver;
      driver.input({ kind: 'timer', timer: 'retry' });
      return retryMs;
    });
  };
  const first = waits(1);
  for (const waitMs of first) assert.ok(waitMs >= 1000 && waitMs <= 30_000, String(waitMs));
  assert.ok((first[0] ?? 0) <= 1500 && (first[11] ?? 0) >= 15_000);
  assert.not.equal(first, waits(2));
  const driver = new LifeDriver('mmsh://media.example/x');
  for (let count = 0; count < 6; count++) driver.close().input({ kind: 'timer', timer: 'retry' });
  driver.goLive();
  driver.nowMs += 20_000;
  driver.close();
  assert.ok(driver.retryMs >= 300 && driver.retryMs <= 1000, String(driver.retryMs));
});

test('a redirect is followed three times, marked as one, and then given up; the next try begins at the configured address', () => {
  const driver = new LifeDriver('http://a.example/x');
  for (const host of ['b', 'c', 'd', 'e']) driver.open().receive(`HTTP/1.0 302 Found\r\nLocation: http://${host}.example/\r\n\r\n`);
  assert.equal(driver.connects, ['a.example:80', 'b.example:80 redirected', 'c.example:80 redirected', 'd.example:80 redirected']);
  assert.match(driver.lastDetail, /redirects more than 3 times/);
  driver.input({ kind: 'timer', timer: 'retry' });
  assert.is(driver.connects.at(-1), 'a.example:80');
});

test('http:// that answers with an ASX file leads to what it names', () => {
  const driver = new LifeDriver('http://a.example/x.asx').open();
  driver.receive('HTTP/1.0 200 OK\r\n\r\n<asx><ref href="mms://b.example/y"/></asx>').close();
  assert.is(driver.connects.at(-1), 'b.example:1755 redirected');
});

test('the end of a stream is a loss, after which the source is asked again', () => {
  const driver = new LifeDriver('mmsh://media.example/x').goLive().receive(encodeMmshEnd(0));
  assert.equal(driver.states, ['connecting', 'live', 'lost']);
  assert.is(driver.lastDetail, 'the server ended the stream');
});

test('a file on demand is refused for good', () => {
  const driver = new LifeDriver('mmsh://media.example/x').open();
  driver.receive('HTTP/1.0 200 OK\r\n\r\n', encodeMmshHeader(simpleHeader({ broadcast: false })));
  assert.is(driver.states.at(-1), 'refused');
  const count = driver.effects.length;
  driver.input({ kind: 'timer', timer: 'retry' }).close();
  assert.is(driver.effects.length, count);
});

test('wrong credentials are refused for good, but only when no protocol is left', () => {
  const denied = 'HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n';
  assert.is(new LifeDriver('mmsh://media.example/x').open().receive(denied).states.at(-1), 'refused');
  assert.is(new LifeDriver('mms://media.example/x').close().open().receive(denied).states.at(-1), 'lost');
});

test('the reader may refuse a source for good, and stop silences it', () => {
  const refused = new LifeDriver('mmsh://media.example/x').goLive().input({ kind: 'refuse', detail: 'protected by DRM' });
  assert.equal([refused.states.at(-1), refused.lastDetail], ['refused', 'protected by DRM']);
  const stopped = new LifeDriver('mmsh://media.example/x').goLive().input({ kind: 'stop' });
  const count = stopped.effects.length;
  assert.is(stopped.receive(encodeMmshData(2, 0, Uint8Array.of(2))).close().effects.length, count);
});

const FLV_OK = 'HTTP/1.1 200 OK\r\n\r\n';
const FLV_HEADER = encodeFlvHeader({ audio: true, video: true });
const TAG = encodeTag({ type: AUDIO, timestampMs: 7, body: Uint8Array.of(0xaf, 1, 2) });

test('the container decides how an http:// address is asked, the scheme the rest', () => {
  assert.equal(new LifeDriver('http://a.example/x.flv').states, ['connecting']);
  assert.match(new LifeDriver('http://a.example/x.flv').lastDetail, /HTTP-FLV/);
  assert.match(new LifeDriver('http://a.example/x').lastDetail, /MMSH/);
  assert.match(new LifeDriver('http://a.example/x', 1, 'flv').lastDetail, /HTTP-FLV/);
  assert.match(new LifeDriver('http://a.example/x.flv', 1, 'asf').lastDetail, /MMSH/);
  assert.equal(new LifeDriver('rtmps://a.example/x/y').connects, ['a.example:443 secure']);
  assert.equal(new LifeDriver('https://a.example/x').connects, ['a.example:443 secure']);
  assert.is(new LifeDriver('rtmp://a.example/x/y').life.container, 'flv');
});

test('an FLV source is live at its first tag, which comes out untouched', () => {
  const driver = new LifeDriver('http://a.example/x.flv').open().receive(FLV_OK, FLV_HEADER);
  assert.equal(driver.states, ['connecting']);
  driver.receive(TAG, TAG);
  assert.equal(driver.states, ['connecting', 'live']);
  assert.is(driver.lastDetail, 'live by HTTP-FLV');
  const tags = driver.events.flatMap((event) => (event.kind === 'tag' ? [{ ...event.tag, body: [...event.tag.body] }] : []));
  assert.equal(tags[0], { type: AUDIO, timestampMs: 7, body: [0xaf, 1, 2] });
  assert.is(tags.length, 2);
});

test('the first try after a good run comes within a second, the next after one, then ever later', () => {
  const driver = new LifeDriver('http://a.example/x.flv').open().receive(FLV_OK, FLV_HEADER, TAG);
  driver.nowMs += 10_000;
  const waits = [1, 2, 3].map(() => {
    driver.close();
    const { retryMs } = driver;
    driver.input({ kind: 'timer', timer: 'retry' });
    return retryMs;
  });
  const [first = 0, second = 0, third = 0] = waits;
  assert.ok(first >= 300 && first <= 1000 && second >= 1000 && second <= 1500 && third >= 1000 && third <= 3000, waits.join(' '));
});

test('a server that lets us wait for its publisher is asked again soon, however often', () => {
  const driver = new LifeDriver('http://a.example/x.flv');
  for (let count = 0; count < 12; count++) {
    driver.open().receive(FLV_OK, FLV_HEADER);
    driver.nowMs += 10_000;
    driver.input({ kind: 'timer', timer: 'progress' });
    assert.is(driver.lastDetail, 'no media came for 10 s');
    assert.ok(driver.retryMs <= 1000, String(driver.retryMs));
    driver.input({ kind: 'timer', timer: 'retry' });
  }
});

test('an FLV source does not redirect to MMS, and an MMS source not to RTMP', () => {
  const flv = new LifeDriver('http://a.example/x.flv').open().receive('HTTP/1.0 302 Found\r\nLocation: mms://b.example/\r\n\r\n');
  const asf = new LifeDriver('http://a.example/x').open().receive('HTTP/1.0 302 Found\r\nLocation: rtmp://b.example/x/y\r\n\r\n');
  for (const driver of [flv, asf]) assert.is(driver.lastDetail, 'the server redirects to an address that is no source');
  const rtmp = new LifeDriver('http://a.example/x.flv').open().receive('HTTP/1.0 302 Found\r\nLocation: rtmp://b.example/x/y\r\n\r\n');
  assert.is(rtmp.connects.at(-1), 'b.example:1935 redirected');
});

test('an FLV file on demand is refused for good', () => {
  const driver = new LifeDriver('http://a.example/x.flv').open();
  driver.receive('HTTP/1.1 200 OK\r\nContent-Length: 9\r\nAccept-Ranges: bytes\r\n\r\n', FLV_HEADER);
  assert.is(driver.states.at(-1), 'refused');
});

test('a URL that no source can have is refused at once, with a sentence', () => {
  for (const url of [
    'rtsp://a.example/x',
    'rtmp://a.example/x',
    'mms://',
    'mms://a.example:99999/x',
    'mms://a b/x',
    'x',
    `mms://a.example/${'x'.repeat(3000)}`,
  ]) {
    try {
      new LifeDriver(url);
      assert.unreachable(url);
    } catch (error) {
      assert.ok(error instanceof ShoalError && error.code === 'ADDRESS_UNUSABLE', url);
    }
  }
});

test.run();

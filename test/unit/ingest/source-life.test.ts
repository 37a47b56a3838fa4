/** The life of a pulled source: which protocol is tried when, how long it waits, and what ends it for good. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SourceLife, type SourceLifeEffect, type SourceLifeEvent, type SourceLifeInput } from '../../../src/ingest/source-life.js';
import { ShoalError } from '../../../src/kernel/errors.js';
import { Rng } from '../../../src/kernel/rng.js';
import { encodeMmshData, encodeMmshEnd, encodeMmshHeader } from '../../../src/media/mmsh-chunk.js';
import { bytesOf, simpleHeader } from '../../support/asf-writer.js';

const OK = 'HTTP/1.0 200 OK\r\nPragma: features="broadcast"\r\n\r\n';
const HEADER = encodeMmshHeader(simpleHeader());

class LifeDriver {
  readonly life: SourceLife;
  readonly effects: SourceLifeEffect[] = [];
  nowMs = 0;

  constructor(url: string, seed = 1) {
    this.life = new SourceLife({ url, rng: new Rng(seed) });
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
      effect.kind === 'connect' ? [`${effect.host}:${effect.port}${effect.redirected ? ' redirected' : ''}`] : [],
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

test('a URL that no source can have is refused at once, with a sentence', () => {
  for (const url of [
    'rtsp://a.example/x',
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

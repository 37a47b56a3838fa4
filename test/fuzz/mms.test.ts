/** MMSH, MMST, HTTP and ASX under mutation: every decoder and every core returns, stays bounded, and says nothing after it is over. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseAsx } from '../../src/ingest/asx.js';
import { MmshClient } from '../../src/ingest/mmsh-client.js';
import { MmstClient } from '../../src/ingest/mmst-client.js';
import type { SourceClient, SourceEffect } from '../../src/ingest/source-client.js';
import { parseSourceUrl } from '../../src/ingest/source-url.js';
import { Malformed } from '../../src/kernel/errors.js';
import type { Rng } from '../../src/kernel/rng.js';
import { Rng as Seeded } from '../../src/kernel/rng.js';
import { MmshChunkReader } from '../../src/media/mmsh-chunk.js';
import { MmstReader } from '../../src/media/mmst-message.js';
import { MmsPort } from '../../src/relay/endpoints/mms-port.js';
import { simpleHeader } from '../support/asf-writer.js';
import { forMutants } from '../support/mutation.js';

const BUDGET_MS = 500;
const HEADER = simpleHeader();
const OPENED = { kind: 'opened', localHost: '127.0.0.1', localPort: 1 } as const;
/** Far above what any core answers to a few KiB. */
const EFFECTS_MAX = 5000;

function inTwo(bytes: Uint8Array, rng: Rng): Uint8Array[] {
  const cut = rng.below(bytes.length + 1);
  return [bytes.subarray(0, cut), bytes.subarray(cut)];
}

function drive(client: SourceClient, bytes: Uint8Array, rng: Rng): void {
  const effects: SourceEffect[] = [...client.handle({ kind: 'start' }, 0), ...client.handle(OPENED, 0)];
  for (const [index, part] of inTwo(bytes, rng).entries()) {
    effects.push(...client.handle({ kind: 'bytes', bytes: part }, index));
    // A describe ends with a new connection, whose answer is the same bytes again.
    if (effects.filter(({ kind }) => kind === 'connect').length > 1)
      effects.push(...client.handle(OPENED, 1), ...client.handle({ kind: 'bytes', bytes }, 1));
  }
  effects.push(...client.handle({ kind: 'closed', detail: 'gone' }, 2));
  assert.ok(effects.length < EFFECTS_MAX, `${effects.length} effects`);
  const ends = effects.filter((effect) => effect.kind === 'emit' && ['end', 'redirect', 'failed'].includes(effect.event.kind));
  assert.is(ends.length, 1);
  assert.equal(client.handle({ kind: 'bytes', bytes }, 3), []);
}

function urlOf(text: string): Exclude<ReturnType<typeof parseSourceUrl>, Malformed> {
  const url = parseSourceUrl(text);
  if (url instanceof Malformed) throw new Error(url.reason);
  return url;
}

test('the MMSH reader and client return for any bytes', () => {
  const count = forMutants('mmsh', 7_001, BUDGET_MS, (bytes, rng) => {
    const reader = new MmshChunkReader();
    for (const part of inTwo(bytes, rng)) reader.push(part, () => {});
    drive(new MmshClient(urlOf('mmsh://a.example/x')), bytes, rng);
  });
  assert.ok(count > 100, String(count));
});

test('the MMST reader and client return for any bytes', () => {
  const count = forMutants('mmst', 7_002, BUDGET_MS, (bytes, rng) => {
    const reader = new MmstReader({ acceptsData: rng.below(2) === 0 });
    for (const part of inTwo(bytes, rng)) reader.push(part, () => {});
    drive(new MmstClient(urlOf('mmst://a.example/x')), bytes, rng);
  });
  assert.ok(count > 100, String(count));
});

test('the sessions of players return for any bytes', () => {
  const channel = { header: () => HEADER };
  const count = forMutants('mms-request', 7_003, BUDGET_MS, (bytes, rng) => {
    const port = new MmsPort<typeof channel>({ lookup: () => channel, rng: new Seeded(1) });
    const effects = [...port.handle({ kind: 'start' }, 0)];
    for (const part of inTwo(bytes, rng)) effects.push(...port.handle({ kind: 'bytes', bytes: part }, 0));
    effects.push(...port.handle({ kind: 'end' }, 0));
    assert.ok(effects.length < EFFECTS_MAX);
    assert.is(port.packet(1, HEADER), undefined);
  });
  assert.ok(count > 100, String(count));
});

test('redirect files give usable addresses only', () => {
  const count = forMutants('asx', 7_004, BUDGET_MS, (bytes) => {
    const urls = parseAsx(bytes);
    if (urls instanceof Malformed) return;
    assert.ok(urls.length > 0 && urls.length <= 16);
    for (const url of urls) assert.not.instance(parseSourceUrl(url), Malformed);
  });
  assert.ok(count > 100, String(count));
});

test.run();

/** RTMP and HTTP-FLV sources under mutation: both clients return, stay bounded, say one last word, and their tags are tags. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HttpFlvClient } from '../../src/ingest/http-flv-client.js';
import { rtmpAddressOf } from '../../src/ingest/rtmp-address.js';
import { RtmpClient } from '../../src/ingest/rtmp-client.js';
import type { SourceClient, SourceEffect } from '../../src/ingest/source-client.js';
import { containerOf, parseSourceUrl, type SourceUrl } from '../../src/ingest/source-url.js';
import { Malformed } from '../../src/kernel/errors.js';
import type { Rng } from '../../src/kernel/rng.js';
import { AUDIO, SCRIPT, VIDEO } from '../../src/media/flv.js';
import { forMutants } from '../support/mutation.js';

const BUDGET_MS = 700;
const OPENED = { kind: 'opened', localHost: '127.0.0.1', localPort: 1 } as const;
/** Far above what any core answers to a few KiB. */
const EFFECTS_MAX = 5000;
/** S0, S1 and S2; the corpus holds what comes behind them. */
const SHAKE = Uint8Array.from({ length: 1 + 2 * 1536 }, (_, index) => (index === 0 ? 3 : 0));
const LAST_WORDS = ['end', 'redirect', 'failed'];

function urlOf(text: string): SourceUrl {
  const url = parseSourceUrl(text);
  if (url instanceof Malformed) throw new Error(url.reason);
  return url;
}

/** Tags that came out. */
function drive(client: SourceClient, start: Uint8Array, bytes: Uint8Array, rng: Rng): number {
  const cut = rng.below(bytes.length + 1);
  const effects: SourceEffect[] = [...client.handle({ kind: 'start' }, 0), ...client.handle(OPENED, 0)];
  for (const part of [start, bytes.subarray(0, cut), bytes.subarray(cut)])
    effects.push(...client.handle({ kind: 'bytes', bytes: part }, 1));
  for (const timer of ['step', 'progress', 'header'] as const)
    if (rng.below(4) === 0) effects.push(...client.handle({ kind: 'timer', timer }, 20_000));
  effects.push(...client.handle({ kind: 'closed', detail: 'gone' }, 20_001));
  assert.ok(effects.length < EFFECTS_MAX, `${effects.length} effects`);
  const events = effects.flatMap((effect) => (effect.kind === 'emit' ? [effect.event] : []));
  assert.is(events.filter(({ kind }) => LAST_WORDS.includes(kind)).length, 1);
  assert.ok(LAST_WORDS.includes(events.at(-1)?.kind ?? ''));
  assert.equal(client.handle({ kind: 'bytes', bytes }, 20_002), []);
  const tags = events.flatMap((event) => (event.kind === 'tag' ? [event.tag] : []));
  for (const { type, timestampMs, body } of tags) {
    assert.ok(type === AUDIO || type === VIDEO || type === SCRIPT);
    assert.ok(timestampMs >= 0 && timestampMs <= 0xffff_ffff && Number.isInteger(timestampMs));
    assert.ok(body.length > 0 && body.length <= bytes.length);
  }
  return tags.length;
}

test('the RTMP client returns for any bytes', () => {
  let tagCount = 0;
  const count = forMutants('rtmp-server', 7_101, BUDGET_MS, (bytes, rng) => {
    tagCount += drive(new RtmpClient(urlOf('rtmp://a.example/live/x')), SHAKE, bytes, rng);
  });
  assert.ok(count > 100 && tagCount > 100, `${count} sessions, ${tagCount} tags`);
});

test('the RTMP client returns for any handshake', () => {
  const count = forMutants('rtmp-server', 7_102, BUDGET_MS / 2, (bytes, rng) => {
    const start = SHAKE.slice(0, rng.below(SHAKE.length));
    if (start.length > 0) start[rng.below(start.length)] = rng.below(256);
    drive(new RtmpClient(urlOf('rtmps://a.example/live/x')), start, bytes, rng);
  });
  assert.ok(count > 100, String(count));
});

test('the HTTP-FLV client returns for any bytes', () => {
  let tagCount = 0;
  const count = forMutants('http-flv', 7_103, BUDGET_MS, (bytes, rng) => {
    tagCount += drive(new HttpFlvClient(urlOf('http://me:pw@a.example/live/x.flv')), new Uint8Array(0), bytes, rng);
  });
  assert.ok(count > 100 && tagCount > 100, `${count} sessions, ${tagCount} tags`);
});

test('any text is an address or is malformed', () => {
  const count = forMutants('source-url', 7_104, BUDGET_MS / 2, (bytes) => {
    const url = parseSourceUrl(Buffer.from(bytes).toString('latin1'));
    if (url instanceof Malformed) return;
    assert.ok(['flv', 'asf'].includes(containerOf(url)));
    const address = rtmpAddressOf(url);
    if (!(address instanceof Malformed)) assert.ok(address.app !== '' && address.name !== '');
  });
  assert.ok(count > 100, String(count));
});

test.run();

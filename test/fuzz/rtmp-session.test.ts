/** RTMP under mutation: the readers return, and a host that is sent mutated sessions serves an ordinary client afterwards. */
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MediaHost } from '../../src/io/rtmp/media-host.js';
import { Malformed } from '../../src/kernel/errors.js';
import { Rng } from '../../src/kernel/rng.js';
import { decodeAmf0 } from '../../src/media/amf0.js';
import { splitAggregate } from '../../src/media/rtmp-aggregate.js';
import { RtmpChunkReader } from '../../src/media/rtmp-chunk-reader.js';
import { MemoryLog } from '../support/memory-log.js';
import { handshakeBytes, RtmpClient } from '../support/rtmp-client.js';

/** What clients send behind the handshake: publishers (plain, and of 2^31 times), a player, an aggregate. */
const CORPUS = new URL('../../../test/fuzz/corpus/rtmp-session/', import.meta.url);
const READER_BUDGET_MS = 800;
const HOST_BUDGET_MS = 1500;
/** Types, markers and lengths of the grammar. */
const ALPHABET = [0, 1, 2, 3, 5, 8, 9, 10, 15, 16, 17, 18, 20, 22, 0x7f, 0x80, 0xc3, 0xc4, 0xff];

const corpus = readdirSync(CORPUS)
  .sort()
  .map((name) => readFileSync(new URL(name, CORPUS)));

function mutate(rng: Rng): Uint8Array {
  const bytes = [...(corpus[rng.below(corpus.length)] ?? [])];
  for (let count = 1 + rng.below(5); count > 0; count--) {
    const index = rng.below(bytes.length);
    const byte = rng.below(2) === 0 ? rng.below(256) : (ALPHABET[rng.below(ALPHABET.length)] ?? 0);
    const inserted = rng.below(4) === 0 ? bytes.slice(index, index + rng.below(200)) : [byte];
    bytes.splice(index, rng.below(3), ...inserted);
  }
  return Uint8Array.from(bytes);
}

test('the chunk reader, AMF0 and aggregates return for any bytes', () => {
  const rng = new Rng(19_350_101);
  let messageCount = 0;
  for (const endMs = Date.now() + READER_BUDGET_MS; Date.now() < endMs; ) {
    const bytes = mutate(rng);
    const reader = new RtmpChunkReader({ messageBytesMax: 1 << 20, memoryBytesMax: 1 << 21 });
    const cut = rng.below(bytes.length);
    for (const part of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
      reader.push(part, ({ body, timestampMs }) => {
        messageCount += 1;
        assert.ok(timestampMs >= 0 && timestampMs <= 0xffffffff);
        splitAggregate(timestampMs, body);
        const values = decodeAmf0(body);
        assert.ok(values instanceof Malformed || values.length >= 0);
        return undefined;
      });
    }
  }
  assert.ok(messageCount > 1000, `${messageCount} messages`);
});

test('no mutated session harms the host or the next client', async () => {
  const log = new MemoryLog();
  const authorisePublish = () => ({ allowed: true, streamPath: '/live/main' }) as const;
  const host = await MediaHost.start({ host: '127.0.0.1', port: 0, log, authorisePublish });
  let tagCount = 0;
  host.tap('/live/main', { onTag: () => tagCount++, onPublisherStart: () => {}, onPublisherEnd: () => {} });
  const rng = new Rng(19_350_102);
  for (const endMs = Date.now() + HOST_BUDGET_MS; Date.now() < endMs; ) {
    const clients = await Promise.all(Array.from({ length: 8 }, () => RtmpClient.connect(host.port)));
    const handshake = handshakeBytes();
    if (rng.below(8) === 0) handshake[rng.below(handshake.length)] = rng.below(256);
    for (const client of clients) client.send(Buffer.concat([handshake, mutate(rng)]));
    await Promise.all(clients.map((client) => client.waitUntil(() => client.receivedBytes > 0, 'an answer').catch(() => {})));
    for (const client of clients) client.destroy();
  }
  const ordinary = await RtmpClient.open(host.port);
  assert.is(await ordinary.publish('key'), 'NetStream.Publish.Start');
  ordinary.destroy();
  await host.stop();
  assert.equal(
    log.lines.filter(({ level }) => level === 'error'),
    [],
  );
  assert.ok(tagCount > 0, 'some mutated sessions published');
});

test.run();

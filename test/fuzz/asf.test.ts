/** ASF headers, packets and windows under mutation: decoders return, hand out no more than they were given, and what comes behind them stays bounded. */
import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AsfCutter } from '../../src/ingest/asf-cutter.js';
import { Malformed } from '../../src/kernel/errors.js';
import { type AsfHeader, canonicalAsfHeader, parseAsfHeader, servableAsfHeader } from '../../src/media/asf-header.js';
import { AsfKeyDetector } from '../../src/media/asf-key-detector.js';
import { parseAsfPacket } from '../../src/media/asf-packet.js';
import { decodeAsfWindow } from '../../src/media/asf-window.js';
import { encodedTagBytes } from '../../src/media/flv.js';
import { AsfFeed } from '../../src/relay/endpoints/asf-feed.js';
import { AsfToFlv } from '../../src/relay/endpoints/asf-to-flv.js';
import { corpusOf, forMutants } from '../support/mutation.js';

const BUDGET_MS = 700;
const hasher = { sha256: (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest() };

test('a mutated header is read or refused, and what is read can be served and named', () => {
  let readCount = 0;
  const count = forMutants('asf-header', 20_261_121, BUDGET_MS, (mutant) => {
    const header = parseAsfHeader(mutant);
    if (header instanceof Malformed) return;
    readCount += 1;
    assert.ok(header.sizeBytes <= mutant.length && header.streams.length <= 127 && header.warnings.length <= 16);
    const extraBytes = header.streams.reduce((sum, { extraData }) => sum + extraData.length, 0);
    assert.ok(extraBytes <= mutant.length);
    for (const bytes of [canonicalAsfHeader(mutant, header), servableAsfHeader(mutant, header)]) {
      assert.is(bytes.length, header.sizeBytes);
      assert.not.instance(parseAsfHeader(bytes), Malformed);
    }
    new AsfToFlv(header);
  });
  assert.ok(readCount > 20, `${readCount} of ${count} read`);
});

test('a mutated packet is read or not, and its payloads lie inside it', () => {
  const header = parseAsfHeader(corpusOf('asf-header')[0] ?? new Uint8Array(0)) as AsfHeader;
  const detector = new AsfKeyDetector(header);
  const converter = new AsfToFlv(header);
  let payloadCount = 0;
  forMutants('asf-packet', 20_261_122, BUDGET_MS, (mutant, rng) => {
    const packetBytes = rng.below(4) === 0 ? 64 + rng.below(65_000) : Math.max(64, mutant.length);
    for (const tag of converter.push(mutant)) assert.ok(encodedTagBytes(tag) < 9_000_000);
    const packet = parseAsfPacket(mutant, packetBytes);
    if (packet instanceof Malformed) return;
    payloadCount += packet.payloads.length;
    assert.ok(packet.payloads.reduce((sum, { data }) => sum + data.length, 0) <= mutant.length);
    detector.isKey(packet);
  });
  assert.ok(payloadCount > 0);
});

test('a mutated window gives packets inside it, or nothing, and the feed behind it stays bounded', () => {
  const [headerBytes = new Uint8Array(0)] = corpusOf('asf-header');
  const feed = new AsfFeed({ historyBytes: 64 * 1024 });
  feed.setHeader(headerBytes);
  const cutter = new AsfCutter({ windowMs: 500, hasher });
  cutter.pushHeader(headerBytes);
  let last = -1;
  forMutants('asf-window', 20_261_123, BUDGET_MS, (mutant, rng) => {
    const window = decodeAsfWindow(mutant);
    if (window instanceof Malformed) return;
    assert.ok(window.records.reduce((sum, { payload }) => sum + payload.length, 0) <= mutant.length);
    for (const { locationId, payload } of window.records) {
      feed.push(locationId, payload, rng.below(8) === 0);
      for (const { number } of cutter.pushPacket(locationId, payload).windows) {
        assert.ok(number > last && number <= 0xffff_ffff);
        last = number;
      }
    }
    const heldBytes = feed.prelude()?.packets.reduce((sum, { payload }) => sum + payload.length, 0) ?? 0;
    assert.ok(heldBytes <= 64 * 1024 + 65_535);
  });
  assert.ok(feed.packetCount > 0);
});

test.run();

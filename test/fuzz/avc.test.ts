/** Parameter sets, avcC records and frames of H.264 under mutation: readers return, and views lie inside what they were given. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type AsfHeader, parseAsfHeader } from '../../src/media/asf-header.js';
import {
  buildAvcConfig,
  nalType,
  parseAvcConfig,
  parseSps,
  ppsId,
  readPictureOrder,
  splitAnnexB,
  splitLengthPrefixed,
} from '../../src/media/avc.js';
import { PictureClock } from '../../src/media/picture-clock.js';
import { AsfToFlv } from '../../src/relay/endpoints/asf-to-flv.js';
import { packetise, simpleHeader, videoStream } from '../support/asf-writer.js';
import { forMutants } from '../support/mutation.js';

const BUDGET_MS = 700;
const totalBytes = (units: readonly Uint8Array[]): number => units.reduce((sum, unit) => sum + unit.length, 0);

test('whatever the bytes, units lie inside them and facts are in range', () => {
  let factCount = 0;
  const clock = new PictureClock();
  forMutants('avc', 20_261_124, BUDGET_MS, (mutant, rng) => {
    const units = splitAnnexB(mutant);
    assert.ok(totalBytes(units) <= mutant.length);
    assert.ok(totalBytes(splitLengthPrefixed(mutant, 1 + rng.below(4))) <= mutant.length);
    const record = parseAvcConfig(mutant);
    if (record) buildAvcConfig(record.sps, record.pps);
    for (const unit of units) {
      ppsId(unit);
      const facts = nalType(unit) === 7 ? parseSps(unit) : undefined;
      if (facts === undefined) continue;
      factCount += 1;
      assert.ok((facts.reorderFrames ?? 0) <= 16 && facts.frameNumBits <= 16 && (facts.orderBits ?? 4) <= 16);
      readPictureOrder(units, facts);
      clock.configure(facts);
    }
    const object = { stream: 1, objectNumber: rng.below(256), key: false, presentationMs: rng.uint32(), data: mutant };
    const { decodingMs, compositionMs } = clock.read(object, units);
    assert.ok(decodingMs >= 0 && decodingMs < 2 ** 32 && compositionMs >= 0 && compositionMs < 2 ** 23);
  });
  assert.ok(factCount > 0);
});

test('whatever an object holds, the tags it becomes are not much larger', () => {
  const header = parseAsfHeader(simpleHeader({ packetBytes: 4096 }, [videoStream(1, 'H264')])) as AsfHeader;
  const converter = new AsfToFlv(header);
  let tagCount = 0;
  forMutants('avc', 20_261_125, BUDGET_MS, (mutant, rng) => {
    if (mutant.length === 0) return;
    for (const { payload } of packetise([{ stream: 1, key: true, presentationMs: rng.below(100_000), data: mutant }], 4096)) {
      const tags = converter.push(payload);
      tagCount += tags.length;
      for (const { body } of tags) assert.ok(body.length <= 2 * mutant.length + 70_000);
    }
  });
  assert.ok(tagCount > 0);
});

test.run();

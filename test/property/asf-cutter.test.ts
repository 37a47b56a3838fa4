/** Laws of ASF windows: where a publisher joins, what it loses and how often it reconnects changes which windows it makes, and never what is in them. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AsfCutter } from '../../src/ingest/asf-cutter.js';
import type { CutWindow } from '../../src/ingest/window-cutter.js';
import { Malformed } from '../../src/kernel/errors.js';
import { AsfObjects } from '../../src/media/asf-objects.js';
import { parseAsfPacket } from '../../src/media/asf-packet.js';
import { type AsfRecord, decodeAsfWindow, encodeAsfWindow } from '../../src/media/asf-window.js';
import { packetise, programme, simpleHeader } from '../support/asf-writer.js';

const PS = 512;
const HEADER = simpleHeader({ packetBytes: PS, maxBitrate: 81_920 });
const hasher = { sha256: (bytes: Uint8Array): Uint8Array => Uint8Array.from(createHash('sha256').update(bytes).digest()) };
const frames = programme(5);

function cut(records: readonly AsfRecord[]): CutWindow[] {
  const cutter = new AsfCutter({ windowMs: 500, hasher });
  cutter.pushHeader(HEADER);
  return records.flatMap(({ locationId, payload }) => cutter.pushPacket(locationId, payload).windows);
}

/** What must be equal between publishers. */
function essence({ number, previous, bytes, durationMs, startMs, keyMarks }: CutWindow): unknown {
  return { number, previous, durationMs, startMs, keyMarks, hash: createHash('sha256').update(bytes).digest('hex') };
}

const stretch = fc.record({ firstLocation: fc.nat(100_000), stripped: fc.boolean() });

test('joined anywhere, a source gives the same windows from the first whole one on', () => {
  fc.assert(
    fc.property(stretch, fc.double({ min: 0, max: 0.9, noNaN: true }), (options, share) => {
      const records = packetise(frames, PS, options);
      const all = new Map(cut(records).map((window) => [window.number, essence(window)]));
      const late = cut(records.slice(Math.floor(share * records.length)));
      assert.ok(late.length > 0);
      for (const window of late) assert.equal(essence(window), all.get(window.number));
      assert.is(late.at(-1)?.number, [...all.keys()].at(-1));
    }),
    { numRuns: 20 },
  );
});

test('packets lost on the way and packets sent twice leave the other windows as they are', () => {
  fc.assert(
    fc.property(
      stretch,
      fc.array(fc.nat(5000), { maxLength: 6 }),
      fc.array(fc.tuple(fc.nat(5000), fc.integer({ min: 1, max: 30 })), { maxLength: 4 }),
      (options, lost, again) => {
        const records = packetise(frames, PS, options);
        const all = new Map(cut(records).map((window) => [window.number, essence(window)]));
        const gone = new Set(lost.map((place) => place % records.length));
        const arriving: AsfRecord[] = [];
        for (const [place, record] of records.entries()) {
          if (gone.has(place)) continue;
          arriving.push(record);
          for (const [at, count] of again) if (at % records.length === place) arriving.push(...arriving.slice(-count));
        }
        for (const window of cut(arriving)) {
          const { startMs: _one, durationMs: _two, ...mine } = essence(window) as Record<string, unknown>;
          const { startMs: _three, durationMs: _four, ...wanted } = all.get(window.number) as Record<string, unknown>;
          assert.equal(mine, wanted);
        }
      },
    ),
    { numRuns: 20 },
  );
});

test('numbers only grow, whatever the source does with headers and numbering', () => {
  const headers = [HEADER, simpleHeader({ packetBytes: PS, maxBitrate: 300_000 }), simpleHeader({ packetBytes: 300 })];
  const step = fc.oneof(
    fc.record({ header: fc.nat(2) }),
    fc.record({ from: fc.oneof(fc.nat(100), fc.nat(0xffff_ffff)), count: fc.nat(60), mark: fc.nat(1) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const cutter = new AsfCutter({ windowMs: 500, hasher });
      let last = -1;
      const check = (windows: readonly CutWindow[]): void => {
        for (const window of windows) {
          assert.ok(window.number > last && window.number <= 0xffff_ffff, `${window.number} after ${last}`);
          assert.ok(window.previous === null ? window.discontinuity : window.previous < window.number);
          assert.ok(window.durationMs > 0 && window.keyMarks.length <= 32);
          assert.not.instance(decodeAsfWindow(window.bytes), Malformed);
          last = window.number;
        }
      };
      for (const one of steps) {
        if ('header' in one) cutter.pushHeader(headers[one.header] ?? HEADER);
        else
          for (let index = 0; index < one.count; index++)
            check(cutter.pushPacket((one.from + index) % 2 ** 32, Uint8Array.of(index, one.mark)).windows);
      }
      check(cutter.flush().windows);
    }),
    { numRuns: 150 },
  );
});

test('frames survive packets, windows and reassembly', () => {
  fc.assert(
    fc.property(fc.integer({ min: 64, max: 4000 }), fc.boolean(), (packetBytes, stripped) => {
      const objects = new AsfObjects([1, 2]);
      const records = packetise(frames.slice(0, 60), packetBytes, { stripped });
      const window = decodeAsfWindow(encodeAsfWindow({ epochId: new Uint8Array(8), records: records.slice(0, 1024) }));
      assert.not.instance(window, Malformed);
      const found = records.flatMap(({ payload }) => {
        const packet = parseAsfPacket(payload, packetBytes);
        return packet instanceof Malformed ? [] : objects.push(packet);
      });
      for (const stream of [1, 2]) {
        assert.equal(
          found.filter((object) => object.stream === stream).map(({ data }) => data),
          frames
            .slice(0, 60)
            .filter((frame) => frame.stream === stream)
            .map(({ data }) => data),
        );
      }
    }),
    { numRuns: 15 },
  );
});

test.run();

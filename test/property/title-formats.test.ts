/** Laws of torrents and links: what is written reads the same, and spans agree with a naive model. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import { piecesOfFile, spansOf } from '../../src/vod/file-layout.js';
import { formatMagnet, type MagnetLink, parseMagnet } from '../../src/vod/magnet-link.js';
import { pieceSpanBytes, type TitleFile } from '../../src/vod/metainfo.js';
import { safeComponent } from '../../src/vod/safe-path.js';
import { encodeInfo, encodeTorrent } from '../../src/vod/torrent-draft.js';
import { assertLaw } from '../support/law.js';
import { readTorrent } from '../support/metainfo-fixture.js';

const RUNS = { numRuns: 300, seed: 20_260_904 };
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).map(safeComponent);
const url = fc.webUrl({ withQueryParameters: true, size: 'small' }).map((text) => new URL(text).href);

test('a title that is written reads the same', () => {
  const files = fc.array(fc.record({ path: fc.array(name, { minLength: 1, maxLength: 4 }), lengthBytes: fc.nat(70_000) }), {
    minLength: 1,
    maxLength: 12,
  });
  const draft = fc.record({ name, content: fc.oneof(fc.integer({ min: 1, max: 500_000 }), files), isPrivate: fc.boolean() });
  const outer = fc.record({
    tiers: fc.array(fc.uniqueArray(url, { maxLength: 3 }), { maxLength: 3 }),
    webSeeds: fc.uniqueArray(url, { maxLength: 3 }),
  });
  assertLaw(
    fc.property(
      draft,
      outer,
      fc.string({ unit: 'grapheme', maxLength: 40 }),
      fc.option(fc.nat(), { nil: undefined }),
      (info, { tiers, webSeeds }, comment, createdS) => {
        const lengths = typeof info.content === 'number' ? [info.content] : info.content.map(({ lengthBytes }) => lengthBytes);
        const totalBytes = lengths.reduce((sum, lengthBytes) => sum + lengthBytes, 0);
        if (totalBytes === 0) return;
        const pieceHashes = new Uint8Array(20 * Math.ceil(totalBytes / 32_768)).map((_, index) => index);
        const infoBytes = encodeInfo({ ...info, pieceLengthBytes: 32_768, pieceHashes });
        const read = readTorrent(
          encodeTorrent({ infoBytes, trackerTiers: tiers, webSeeds, dhtNodes: [], comment, createdBy: '', createdS }),
        );
        assert.equal(
          [read.name, read.isPrivate, read.totalBytes, read.comment, read.createdS],
          [info.name, info.isPrivate, totalBytes, comment, createdS],
        );
        assert.equal(read.infoBytes, infoBytes);
        assert.equal(read.pieceHashes, pieceHashes);
        assert.equal(
          read.files.map(({ lengthBytes }) => lengthBytes),
          lengths,
        );
        if (typeof info.content !== 'number')
          assert.equal(
            read.files.map(({ originalPath }) => originalPath),
            info.content.map(({ path }) => path),
          );
        assert.equal(new Set(read.trackerTiers.flat()), new Set(tiers.flat()));
        assert.equal(read.webSeeds, webSeeds);
      },
    ),
    RUNS,
  );
});

test('a link that is written reads the same', () => {
  const hex = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 40, maxLength: 40 });
  const port = fc.integer({ min: 1, max: 65_535 });
  const peer = fc.record({ host: fc.constantFrom('192.0.2.7', '2001:db8::7', 'peer.example'), port }, { noNullPrototype: true });
  const link: fc.Arbitrary<MagnetLink> = fc.record(
    {
      infoHash: hex,
      name: fc.option(fc.stringMatching(/^[\w&=%#?é日]{1,40}$/), { nil: undefined }),
      trackers: fc.uniqueArray(url, { maxLength: 5 }),
      webSeeds: fc.uniqueArray(url, { maxLength: 5 }),
      peers: fc.uniqueArray(peer, { maxLength: 5, selector: ({ host, port: number }) => `${host}${number}` }),
      selectOnly: fc.option(
        fc.uniqueArray(fc.nat(99_999), { minLength: 1, maxLength: 50 }).map((list) => list.sort((a, b) => a - b)),
        { nil: undefined },
      ),
    },
    { noNullPrototype: true },
  );
  assertLaw(
    fc.property(link, (written) => {
      const read = parseMagnet(formatMagnet(written));
      assert.equal(read instanceof Malformed ? read.reason : read, written);
    }),
    RUNS,
  );
});

/** File and place of every byte of the title, one by one. */
function naiveBytes(lengths: readonly number[]): [file: number, offset: number][] {
  return lengths.flatMap((length, file) => Array.from({ length }, (_, offset): [number, number] => [file, offset]));
}

test('spans, pieces of files and lengths of pieces are those of a count byte by byte', () => {
  const lengths = fc.array(fc.nat(40), { minLength: 1, maxLength: 10 });
  assertLaw(
    fc.property(lengths, fc.nat(300), fc.nat(300), fc.integer({ min: 1, max: 50 }), (sizes, fromByte, count, pieceLengthBytes) => {
      let offsetBytes = 0;
      const files = sizes.map((lengthBytes, index): TitleFile => {
        const file = { index, path: [`${index}`], originalPath: [`${index}`], offsetBytes, lengthBytes, isPad: false };
        offsetBytes += lengthBytes;
        return file;
      });
      const model = naiveBytes(sizes);
      const spans = spansOf({ files }, fromByte, count);
      const bytes = spans.flatMap((span) =>
        Array.from({ length: span.lengthBytes }, (_, index): [number, number] => [span.file.index, span.offsetBytes + index]),
      );
      assert.equal(bytes, model.slice(fromByte, fromByte + count));
      for (const { file, offsetBytes: within, atBytes, lengthBytes } of spans) {
        assert.ok(lengthBytes > 0);
        assert.equal(model[fromByte + atBytes], [file.index, within]);
      }
      const layout = { files, totalBytes: offsetBytes, pieceLengthBytes };
      const pieceCount = Math.ceil(offsetBytes / pieceLengthBytes);
      const pieces = Array.from({ length: pieceCount }, (_, piece) =>
        model.slice(piece * pieceLengthBytes, (piece + 1) * pieceLengthBytes),
      );
      assert.equal(
        pieces.map((_, piece) => pieceSpanBytes(layout, piece)),
        pieces.map((piece) => piece.length),
      );
      for (const file of files) {
        const holding = pieces.flatMap((piece, index) => (piece.some(([owner]) => owner === file.index) ? [index] : []));
        const run = piecesOfFile(layout, file);
        assert.equal([run?.firstPiece, run?.lastPiece], [holding[0], holding.at(-1)]);
      }
    }),
    RUNS,
  );
});

test.run();

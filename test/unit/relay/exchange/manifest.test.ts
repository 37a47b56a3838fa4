import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../../../src/io/crypto.js';
import { Malformed } from '../../../../src/kernel/errors.js';
import { CERTIFICATE_BYTES } from '../../../../src/relay/exchange/certificate.js';
import {
  certificateIn,
  decodeManifest,
  KEY_MARKS_MAX,
  type Manifest,
  pieceSizeBytes,
  signManifest,
  splitPieces,
  WINDOW_DOMAIN,
  type WindowContent,
  withCertificate,
  withoutCertificate,
} from '../../../../src/relay/exchange/manifest.js';
import {
  authorityAt,
  CERTIFICATE,
  CHANNEL,
  certify,
  makeWindow,
  OWNER,
  PIECE_BYTES,
  PUBLISHER,
  STRANGER,
} from '../../../support/exchange-fixture.js';

const content: fc.Arbitrary<WindowContent> = fc
  .record({
    number: fc.integer({ min: 1, max: 0xffff_ffff }),
    gap: fc.option(fc.integer({ min: 1, max: 200 })),
    discontinuity: fc.boolean(),
    startMs: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    durationMs: fc.integer({ min: 0, max: 0xffff_ffff }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 500 }),
    keyMarks: fc.array(fc.record({ offsetBytes: fc.nat({ max: 500 }), afterStartMs: fc.nat({ max: 500 }) }, { noNullPrototype: true }), {
      maxLength: KEY_MARKS_MAX,
    }),
  })
  .map(({ gap, ...rest }) => ({ ...rest, previous: gap === null || rest.number < gap ? null : rest.number - gap }));

const sign = (made: WindowContent): Manifest => signManifest(made, CHANNEL, PIECE_BYTES, nodeHasher, OWNER);

test('a manifest survives travelling, and carries the signature of its owner, or of whom the owner delegated', () => {
  fc.assert(
    fc.property(content, (made) => {
      const manifest = sign(made);
      const decoded = decodeManifest(manifest.bytes, PIECE_BYTES);
      assert.equal(decoded, manifest);
      assert.is(authorityAt().judge(WINDOW_DOMAIN, manifest), 'valid');
      const delegated = signManifest(made, CHANNEL, PIECE_BYTES, nodeHasher, PUBLISHER, CERTIFICATE);
      assert.equal(decodeManifest(delegated.bytes, PIECE_BYTES), delegated);
      assert.equal([manifest.signer, delegated.signer], [null, PUBLISHER.publicKey]);
      assert.is(authorityAt().judge(WINDOW_DOMAIN, delegated), 'valid');
    }),
    { numRuns: 100 },
  );
});

test('a signature holds for this owner, this channel and these bytes only', () => {
  const { manifest } = makeWindow(4);
  const judge = (judged: Manifest): string => authorityAt().judge(WINDOW_DOMAIN, judged);
  assert.is(judge(makeWindow(4, 3, {}, STRANGER).manifest), 'foreign');
  assert.is(judge(makeWindow(4, 3, {}, OWNER, CHANNEL.replace('c', 'd')).manifest), 'foreign');
  for (const at of [2, 5, 30, manifest.bytes.length - 1]) {
    const bytes = manifest.bytes.slice();
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const decoded = decodeManifest(bytes, PIECE_BYTES);
    assert.ok(decoded instanceof Malformed || judge(decoded) === 'foreign', `byte ${at}`);
  }
});

test('pieces have the size of the channel, but for the last', () => {
  const { manifest, pieces, content } = makeWindow(4, 3);
  assert.equal(
    pieces.map(({ length }) => length),
    [100, 100, 90],
  );
  assert.equal(
    pieces.map((_, index) => pieceSizeBytes(manifest, index, PIECE_BYTES)),
    [100, 100, 90],
  );
  assert.equal(Buffer.concat(pieces), Buffer.from(content.bytes));
  assert.equal(splitPieces(new Uint8Array(), PIECE_BYTES), []);
});

test('our own window without bytes, or with too many key marks, is our bug', () => {
  const { content } = makeWindow(4);
  assert.throws(() => sign({ ...content, bytes: new Uint8Array() }), /between 1 and 8192/);
  const keyMarks = new Array(KEY_MARKS_MAX + 1).fill({ offsetBytes: 0, afterStartMs: 0 });
  assert.throws(() => sign({ ...content, keyMarks }), /32 key marks/);
});

/** The bytes of a good manifest with one field changed. */
function changed(offset: number, ...values: readonly number[]): Uint8Array {
  const bytes = makeWindow(4).manifest.bytes.slice();
  bytes.set(values, offset);
  return bytes;
}

const MALFORMED: readonly [title: string, bytes: Uint8Array][] = [
  ['nothing', new Uint8Array()],
  ['a certificate that is not there', changed(1, 4)],
  ['another version', changed(0, 2)],
  ['a window that names itself as the one before it', changed(6, 0, 0, 0, 4)],
  ['no pieces', changed(24, 0, 0)],
  ['more pieces than the size allows', changed(24, 0, 4)],
  ['a size that does not go with its pieces', changed(20, 0xff, 0xff, 0xff, 0xff)],
  ['too many key marks', changed(26, 33)],
  ['more key marks than there are bytes for', changed(26, 30)],
  ['a byte missing', makeWindow(4).manifest.bytes.subarray(0, -1)],
  ['a byte too many', Buffer.concat([makeWindow(4).manifest.bytes, Uint8Array.of(0)])],
];

for (const [title, bytes] of MALFORMED) {
  test(`a manifest with ${title} is malformed`, () => {
    assert.instance(decodeManifest(bytes, PIECE_BYTES), Malformed);
  });
}

test('bytes too short for a signature are not signed', () => {
  const { manifest } = makeWindow(4);
  assert.is(authorityAt().judge(WINDOW_DOMAIN, { ...manifest, bytes: new Uint8Array(10) }), 'foreign');
});

test('a certificate can be left out and put in again', () => {
  const { bytes, certificate } = makeWindow(4, 3, {}, PUBLISHER, CHANNEL, certify()).manifest;
  assert.equal(certificateIn(bytes), certificate?.bytes);
  const short = withoutCertificate(bytes);
  assert.is(short.length, bytes.length - CERTIFICATE_BYTES);
  assert.equal(withCertificate(short, certificate?.bytes ?? new Uint8Array()), bytes);
  assert.is(certificateIn(makeWindow(4).manifest.bytes), undefined);
  for (const rubbish of [new Uint8Array(), Uint8Array.of(1, 4), new Uint8Array(40).fill(255)]) {
    assert.is(certificateIn(rubbish), undefined);
    assert.is(withCertificate(rubbish, new Uint8Array(CERTIFICATE_BYTES)).length, rubbish.length + CERTIFICATE_BYTES);
  }
});

test.run();

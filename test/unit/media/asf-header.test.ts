import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import { ASF_GUID, encodeGuid, readGuid } from '../../../src/media/asf-guid.js';
import {
  ASF_HEADER_BYTES_MAX,
  type AsfHeader,
  canonicalAsfHeader,
  parseAsfHeader,
  servableAsfHeader,
} from '../../../src/media/asf-header.js';
import {
  asfHeader,
  asfObject,
  audioStream,
  bytesOf,
  dataObject,
  extendedStreamProperties,
  FILE_ID,
  fileProperties,
  headerExtension,
  le,
  simpleHeader,
  streamProperties,
  videoStream,
} from '../../support/asf-writer.js';

function parse(bytes: Uint8Array): AsfHeader {
  const header = parseAsfHeader(bytes);
  if (header instanceof Malformed) throw new Error(header.reason);
  return header;
}

test('a GUID is read with its first three groups turned round', () => {
  const wire = Uint8Array.of(0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11, 0xa6, 0xd9, 0, 0xaa, 0, 0x62, 0xce, 0x6c);
  assert.is(readGuid(wire, 0), ASF_GUID.header);
  assert.equal(encodeGuid(ASF_GUID.header), wire);
});

test('a header tells packet size, flags, preroll, rate, file id and streams', () => {
  const extra = Uint8Array.of(1, 2, 3);
  const header = parse(
    simpleHeader({ packetBytes: 1400, maxBitrate: 700_000, prerollMs: 2500 }, [
      videoStream(3, 'WMV2', extra),
      audioStream(7, 0x161, extra),
    ]),
  );
  assert.is(header.packetBytes, 1400);
  assert.is(header.maxBitrate, 700_000);
  assert.is(header.prerollMs, 2500);
  assert.is(header.broadcast, true);
  assert.is(header.fileId, FILE_ID);
  assert.equal(header.warnings, []);
  const [video, audio] = header.streams;
  assert.equal([video?.number, video?.type, video?.codec, video?.video], [3, 'video', 'WMV2', { fourCc: 'WMV2', width: 320, height: 240 }]);
  assert.equal([audio?.number, audio?.type, audio?.codec], [7, 'audio', '0x161']);
  assert.equal(audio?.audio, { formatTag: 0x161, channelCount: 2, sampleRate: 44_100, bytesPerSecond: 8000, blockBytes: 1 });
  assert.equal([...(video?.extraData ?? [])], [1, 2, 3]);
  assert.equal([...(audio?.extraData ?? [])], [1, 2, 3]);
});

const good = simpleHeader();
const alterSize = (bytes: Uint8Array, offset: number, size: readonly number[]): Uint8Array => {
  const out = bytes.slice();
  out.set(size, offset);
  return out;
};
const REFUSED: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['row 1: shorter than 30 bytes', good.subarray(0, 29), /29 bytes/],
  ['row 1: another GUID', alterSize(good, 0, [0]), /does not begin/],
  ['row 2: a child of size 0', alterSize(good, 46, [0, 0, 0, 0, 0, 0, 0, 0]), /0 bytes, fewer/],
  ['row 2: a child of size 23', alterSize(good, 46, [23, 0, 0, 0, 0, 0, 0, 0]), /23 bytes, fewer/],
  ['row 3: a child beyond the header', alterSize(good, 46, [0xff, 0xff, 0, 0, 0, 0, 0, 0]), /runs past the end/],
  ['row 3: a child of 2^63', alterSize(good, 46, [104, 0, 0, 0, 0, 0, 0, 0x80]), /runs past the end/],
  ['row 3: a header of 2^63', alterSize(good, 16, [30, 0, 0, 0, 0, 0, 0, 0x80]), /at most/],
  ['a header beyond the limit', alterSize(good, 16, [...le(ASF_HEADER_BYTES_MAX + 1, 8)]), /at most/],
  ['row 5: fewer bytes than announced', good.subarray(0, good.length - 1), /announced/],
  [
    'row 5: the Data object elsewhere',
    alterSize(bytesOf(good, new Uint8Array(60)), 16, [...le(good.length - 50 + 1, 8)]),
    /no Data object/,
  ],
  ['row 6: no File Properties', asfHeader([videoStream(1)]), /no File Properties/],
  ['row 8: packet size 0', simpleHeader({ packetBytes: 0 }), /packet size 0/],
  ['row 8: packet size 63', simpleHeader({ packetBytes: 63 }), /packet size 63/],
  ['row 8: packet size 65528', simpleHeader({ packetBytes: 65_528 }), /packet size 65528/],
];

for (const [title, bytes, reason] of REFUSED) {
  test(`refused, ${title}`, () => {
    const result = parseAsfHeader(bytes);
    assert.instance(result, Malformed);
    assert.match((result as Malformed).reason, reason);
  });
}

const ACCEPTED: readonly (readonly [string, Uint8Array, (header: AsfHeader) => void])[] = [
  [
    'row 4: a child count of 2^32 - 1',
    asfHeader([fileProperties(), videoStream(1)], dataObject(), 0xffff_ffff),
    ({ streams }) => assert.is(streams.length, 1),
  ],
  [
    'row 6: two File Properties',
    asfHeader([fileProperties({ packetBytes: 100 }), fileProperties({ packetBytes: 200 })]),
    ({ packetBytes, warnings }) => {
      assert.is(packetBytes, 100);
      assert.match(warnings.join(), /second File Properties/);
    },
  ],
  [
    'row 7: two packet sizes',
    simpleHeader({ packetBytesMin: 100, packetBytes: 300 }),
    ({ packetBytes, warnings }) => {
      assert.is(packetBytes, 300);
      assert.match(warnings.join(), /100 to 300/);
    },
  ],
  [
    'row 8: the smallest and largest packet size',
    simpleHeader({ packetBytes: 65_527 }),
    ({ packetBytes }) => assert.is(packetBytes, 65_527),
  ],
  [
    'row 9: no stream at all',
    asfHeader([fileProperties()]),
    ({ streams, warnings }) => {
      assert.is(streams.length, 0);
      assert.match(warnings.join(), /no stream/);
    },
  ],
  [
    'row 9: a number twice, and number 0',
    simpleHeader({}, [videoStream(1), audioStream(1), audioStream(0)]),
    ({ streams }) => {
      assert.equal(
        streams.map(({ type }) => type),
        ['video'],
      );
    },
  ],
  [
    'row 10: more format than the object has',
    simpleHeader({}, [streamProperties(4, ASF_GUID.videoStream, new Uint8Array(20), 9999)]),
    ({ streams, warnings }) => {
      assert.equal([streams[0]?.number, streams[0]?.video, streams[0]?.codec], [4, null, '']);
      assert.match(warnings.join(), /9999 bytes/);
    },
  ],
  [
    'row 11: streams inside Extended Stream Properties',
    simpleHeader({}, [headerExtension(extendedStreamProperties(5, 123_456, 8, videoStream(5)))]),
    ({ streams }) => {
      assert.equal([streams[0]?.number, streams[0]?.codec, streams[0]?.bitrate], [5, 'WMV2', 123_456]);
      assert.equal(streams[0]?.payloadExtensions, [{ system: FILE_ID, sizeBytes: 8 }]);
    },
  ],
  [
    'rates of Stream Bitrate Properties',
    simpleHeader({}, [videoStream(1), asfObject(ASF_GUID.streamBitrateProperties, bytesOf(le(9, 2), le(1, 2), le(500_000, 4)))]),
    ({ streams }) => {
      assert.is(streams[0]?.bitrate, 500_000);
    },
  ],
  [
    'row 12: a Data object of size 0',
    asfHeader([fileProperties()], dataObject(0)),
    ({ warnings }) => assert.match(warnings.join(), /0 bytes/),
  ],
  [
    'row 13: another end than 01 01',
    asfHeader([fileProperties()], dataObject(50, [7, 7])),
    ({ warnings }) => assert.match(warnings.join(), /0x707/),
  ],
  [
    'row 14: 200 KiB of picture',
    simpleHeader({}, [asfObject(FILE_ID, new Uint8Array(200 * 1024)), videoStream(1)]),
    ({ streams }) => assert.is(streams.length, 1),
  ],
  [
    'row 15: Content Encryption',
    simpleHeader({}, [videoStream(1), asfObject(ASF_GUID.contentEncryption, new Uint8Array(8))]),
    ({ encrypted }) => assert.ok(encrypted),
  ],
  [
    'row 15: an encrypted stream',
    simpleHeader({}, [streamProperties(1, ASF_GUID.audioStream, new Uint8Array(0), 0, true)]),
    ({ encrypted }) => assert.ok(encrypted),
  ],
  [
    'a broken Header Extension',
    simpleHeader({}, [headerExtension(asfObject(FILE_ID, new Uint8Array(4), 3)), videoStream(1)]),
    ({ streams, warnings }) => {
      assert.is(streams.length, 1);
      assert.match(warnings.join(), /inside the Header Extension/);
    },
  ],
  ['bytes behind the header', bytesOf(good, new Uint8Array(5)), ({ sizeBytes }) => assert.is(sizeBytes, good.length)],
];

for (const [title, bytes, check] of ACCEPTED) test(`accepted, ${title}`, () => check(parse(bytes)));

test('two clients of one broadcast get the same canonical header', () => {
  const [one, two] = [
    simpleHeader({ counts: 5 }),
    asfHeader([fileProperties({ counts: 900 }), videoStream(1), audioStream(2)], dataObject(0, [1, 1], 77)),
  ];
  assert.equal(canonicalAsfHeader(one, parse(one)), canonicalAsfHeader(two, parse(two)));
});

test('the caller keeps its bytes, also in a Buffer, whose own slice would share them', () => {
  const bytes = Buffer.from(simpleHeader({ counts: 5 }));
  const header = parse(bytes);
  canonicalAsfHeader(bytes, header);
  assert.equal(Uint8Array.from(bytes), simpleHeader({ counts: 5 }));
});

test('row 28: the same File ID with other streams is another canonical header', () => {
  const [one, two] = [simpleHeader(), simpleHeader({}, [videoStream(1, 'WMV3'), audioStream(2)])];
  assert.not.equal(canonicalAsfHeader(one, parse(one)), canonicalAsfHeader(two, parse(two)));
});

test('the header of a file keeps its counts', () => {
  const bytes = simpleHeader({ broadcast: false, counts: 12 });
  assert.equal(canonicalAsfHeader(bytes, parse(bytes)), bytes);
});

test('a header for players says 50 bytes of data and ends in 01 01', () => {
  const bytes = asfHeader([fileProperties()], dataObject(0, [0, 0]));
  assert.equal(servableAsfHeader(bytes, parse(bytes)), asfHeader([fileProperties()], dataObject(50)));
  const kept = asfHeader([fileProperties()], dataObject(50 + 512));
  assert.equal(servableAsfHeader(kept, parse(kept)), kept);
});

test.run();

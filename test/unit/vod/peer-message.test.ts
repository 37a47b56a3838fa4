/** The words of the peer wire: their bytes, and what is refused. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import { type PeerMessage, PIECE_HEADER_BYTES, peerCodec, REQUEST_BYTES_MAX } from '../../../src/vod/peer-message.js';

const EXAMPLES: readonly (readonly [PeerMessage, string])[] = [
  [{ kind: 'choke' }, '0000000100'],
  [{ kind: 'unchoke' }, '0000000101'],
  [{ kind: 'interested' }, '0000000102'],
  [{ kind: 'not-interested' }, '0000000103'],
  [{ kind: 'have', piece: 0x01020304 }, '000000050401020304'],
  [{ kind: 'bitfield', bytes: Uint8Array.of(0xf0, 0x80) }, '0000000305f080'],
  [{ kind: 'request', piece: 1, offsetBytes: 16_384, lengthBytes: 16_384 }, '0000000d06000000010000400000004000'],
  [{ kind: 'piece', piece: 1, offsetBytes: 2, bytes: Uint8Array.of(9, 8) }, '0000000b0700000001000000020908'],
  [{ kind: 'cancel', piece: 0xffffffff, offsetBytes: 0, lengthBytes: 1 }, '0000000d08ffffffff0000000000000001'],
  [{ kind: 'suggest', piece: 5 }, '000000050d00000005'],
  [{ kind: 'have-all' }, '000000010e'],
  [{ kind: 'have-none' }, '000000010f'],
  [{ kind: 'reject', piece: 1, offsetBytes: 2, lengthBytes: 3 }, '0000000d10000000010000000200000003'],
  [{ kind: 'allowed-fast', piece: 5 }, '000000051100000005'],
  [{ kind: 'dont-have', piece: 7 }, '00000006140100000007'],
  [{ kind: 'upload-only', on: true }, '00000003140201'],
  [{ kind: 'watching', on: false }, '0000000414030100'],
  [{ kind: 'watching', on: true, awaited: [1, 0x20000] }, '0000000c140301010000000100020000'],
];

test('every message has the bytes that the BEPs give it, and comes back from them', () => {
  for (const [message, hex] of EXAMPLES) {
    assert.is(Buffer.from(peerCodec.encode(message)).toString('hex'), hex, message.kind);
    assert.equal(peerCodec.decode(Uint8Array.from(Buffer.from(hex, 'hex'))), message, message.kind);
  }
});

test('a block with room before it becomes a frame without a copy', () => {
  const buffer = new Uint8Array(PIECE_HEADER_BYTES + 3).fill(7);
  const bytes = buffer.subarray(PIECE_HEADER_BYTES);
  const frame = peerCodec.encode({ kind: 'piece', piece: 1, offsetBytes: 2, bytes, hasHeadroom: true });
  assert.is(frame.buffer, buffer.buffer);
  assert.equal(peerCodec.decode(frame), { kind: 'piece', piece: 1, offsetBytes: 2, bytes: Uint8Array.of(7, 7, 7) });
});

test('room that is only claimed is not written to', () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const frame = peerCodec.encode({ kind: 'piece', piece: 1, offsetBytes: 2, bytes, hasHeadroom: true });
  assert.equal(bytes, Uint8Array.of(1, 2, 3));
  assert.equal([...frame.subarray(PIECE_HEADER_BYTES)], [1, 2, 3]);
});

test('frames of wrong lengths, unknown ids and unknown extensions are malformed', () => {
  const bad = [
    '',
    '00000000',
    '0000000200',
    '000000020000',
    '00000004040102',
    '0000000c060000000100004000000040',
    '000000090700000001000000',
    '0000000907000000010000000a',
    '0000000109',
    '000000016f',
    '00000002140100000007',
    '000000031402',
    '0000000314030100',
    '00000003140400',
    '0000000114',
  ];
  for (const hex of bad) assert.instance(peerCodec.decode(Uint8Array.from(Buffer.from(hex, 'hex'))), Malformed, hex);
});

test('a piece longer than anybody may ask for is malformed', () => {
  const frame = peerCodec.encode({ kind: 'piece', piece: 0, offsetBytes: 0, bytes: new Uint8Array(REQUEST_BYTES_MAX) });
  assert.not.instance(peerCodec.decode(frame), Malformed);
  const longer = peerCodec.encode({ kind: 'piece', piece: 0, offsetBytes: 0, bytes: new Uint8Array(REQUEST_BYTES_MAX + 1) });
  assert.instance(peerCodec.decode(longer), Malformed);
});

test.run();

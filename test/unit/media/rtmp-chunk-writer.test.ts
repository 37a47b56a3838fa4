/** Messages as chunks: the layout, and that the reader gets out what went in. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RtmpChunkReader, type RtmpMessage } from '../../../src/media/rtmp-chunk-reader.js';
import { encodeRtmpMessage } from '../../../src/media/rtmp-chunk-writer.js';

function readBack(bytes: Uint8Array): RtmpMessage[] {
  const messages: RtmpMessage[] = [];
  const reader = new RtmpChunkReader({ messageBytesMax: 1 << 20, memoryBytesMax: 1 << 20 });
  reader.push(bytes, (message) => {
    messages.push(message);
    return undefined;
  });
  return messages;
}

test('a short message is one chunk with a whole header, the stream id little-endian', () => {
  const bytes = encodeRtmpMessage({ type: 4, timestampMs: 0x010203, streamId: 0x01020304, body: Uint8Array.of(7, 8) }, 2);
  assert.equal([...bytes], [2, 1, 2, 3, 0, 0, 2, 4, 4, 3, 2, 1, 7, 8]);
});

test('a long message goes on in chunks of 128 bytes, and late times take the extended field in each', () => {
  for (const lengthBytes of [0, 1, 127, 128, 129, 256, 1000]) {
    for (const timestampMs of [0, 0xfffffe, 0xffffff, 0xffffffff]) {
      const message = { type: 20, timestampMs, streamId: 1, body: Uint8Array.from({ length: lengthBytes }, (_, index) => index) };
      const bytes = encodeRtmpMessage(message, 3);
      assert.equal(readBack(bytes), [message]);
      const chunkCount = Math.max(1, Math.ceil(lengthBytes / 128));
      assert.is(bytes.length, 12 + chunkCount - 1 + lengthBytes + (timestampMs >= 0xffffff ? 4 * chunkCount : 0));
    }
  }
});

test.run();

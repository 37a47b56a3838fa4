/** Header, packets, objects and key frames of real ASF against what ffprobe says of the same bytes. */
import { execFileSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import { AsfKeyDetector } from '../../src/media/asf-key-detector.js';
import { AsfObjects } from '../../src/media/asf-objects.js';
import { type AsfPacket, parseAsfPacket } from '../../src/media/asf-packet.js';
import { type AsfRecipe, type AsfRecording, recordAsf } from '../support/asf-recording.js';

interface ProbedPacket {
  readonly stream_index: number;
  readonly pts?: number;
  readonly dts?: number;
  readonly size: string;
  readonly flags: string;
}

function probe(path: string): readonly ProbedPacket[] {
  const output = execFileSync('ffprobe', ['-v', 'error', '-show_packets', '-of', 'json', path], { maxBuffer: 64 * 1024 * 1024 });
  return (JSON.parse(output.toString()) as { packets: ProbedPacket[] }).packets;
}

function packetsOf({ packets, header }: AsfRecording): AsfPacket[] {
  return packets.map(({ payload }) => {
    const packet = parseAsfPacket(payload, header.packetBytes);
    if (packet instanceof Malformed) throw new Error(packet.reason);
    assert.is(packet.fault, undefined);
    return packet;
  });
}

for (const recipe of ['wmv', 'mp43', 'mpeg4', 'wma', 'h264', 'h264-in-order', 'h264-mp3'] as const satisfies readonly AsfRecipe[]) {
  test(`every packet of ${recipe} is read, and its frames have the sizes, order and key marks that ffprobe sees`, () => {
    const recording = recordAsf(recipe, 6);
    assert.equal(recording.header.warnings, []);
    const objects = new AsfObjects(recording.header.streams.map(({ number }) => number));
    const found = packetsOf(recording).flatMap((packet) => objects.push(packet));
    const probed = probe(recording.path);
    for (const [index, stream] of recording.header.streams.entries()) {
      const ours = found.filter((object) => object.stream === stream.number);
      const theirs = probed.filter((packet) => packet.stream_index === index);
      assert.ok(theirs.length > 100, `${theirs.length} frames of stream ${stream.number}`);
      assert.equal(
        ours.map((object) => object.data.length),
        theirs.map((packet) => Number(packet.size)),
      );
      if (stream.type !== 'video') continue;
      assert.equal(
        ours.map((object) => object.key),
        theirs.map((packet) => packet.flags.startsWith('K')),
      );
    }
  });

  test(`the key packets of ${recipe} are found by the bit, and without it where the codec shows them`, () => {
    const recording = recordAsf(recipe, 6);
    const video = recording.header.streams.find(({ type }) => type === 'video');
    if (video === undefined) return;
    const packets = packetsOf(recording);
    const keys = (wanted: readonly AsfPacket[]): number[] => {
      const detector = new AsfKeyDetector(recording.header);
      return wanted.flatMap((packet, index) => (detector.isKey(packet) ? [index] : []));
    };
    const honest = packets.flatMap((packet, index) =>
      packet.payloads.some(({ stream, key, offsetBytes }) => stream === video.number && key && offsetBytes === 0) ? [index] : [],
    );
    assert.ok(honest.length >= 5);
    assert.equal(keys(packets), honest);
    // As VLC's remuxer sends it: every payload flagged.
    const flagged = packets.map((packet) => ({ ...packet, payloads: packet.payloads.map((payload) => ({ ...payload, key: true })) }));
    const found = keys(flagged);
    for (const key of honest) assert.ok(found.includes(key), `key packet ${key} of ${recipe}`);
    const wrong = found.filter((index) => !honest.includes(index));
    assert.ok(wrong.length <= 2, `taken for key packets: ${wrong.join(' ')}`);
  });
}

test.run();

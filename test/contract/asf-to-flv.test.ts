/** ASF of real encoders as FLV: what a decoder makes of both must be the same, and ffmpeg must find nothing wrong with the copy. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AUDIO, classifyTag, encodeFlvHeader, encodeTag, type FlvTag, VIDEO } from '../../src/media/flv.js';
import { AsfToFlv } from '../../src/relay/endpoints/asf-to-flv.js';
import { type AsfRecipe, recordAsf } from '../support/asf-recording.js';
import { temporaryFolder } from '../support/program.js';

const folder = temporaryFolder('asf-to-flv');

function convert(recipe: AsfRecipe): { readonly source: string; readonly flv: string; readonly tags: readonly FlvTag[] } {
  const { header, packets, path } = recordAsf(recipe, 6);
  const converter = new AsfToFlv(header);
  assert.equal(converter.support, { supported: true });
  const tags = packets.flatMap(({ payload }) => converter.push(payload));
  assert.is(converter.droppedFrames, 0);
  const tracks = { audio: tags.some(({ type }) => type === AUDIO), video: tags.some(({ type }) => type === VIDEO) };
  const flv = join(folder, `${recipe}.flv`);
  writeFileSync(flv, Buffer.concat([encodeFlvHeader(tracks), ...tags.map(encodeTag)]));
  return { source: path, flv, tags };
}

/** Lines of ffmpeg's framemd5: times in ms and the hash of each frame. */
function frames(path: string, words: readonly string[]): { readonly ptsMs: number; readonly dtsMs: number; readonly hash: string }[] {
  const { stdout, stderr, status } = spawnSync(
    'ffmpeg',
    ['-v', path.endsWith('.flv') ? 'warning' : 'error', '-copyts', '-i', path, ...words, '-f', 'framemd5', '-'],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  assert.is(status, 0, String(stderr));
  assert.is(String(stderr), '', `what ffmpeg says of ${path}`);
  const text = String(stdout);
  const [, numerator, denominator] = /#tb 0: (\d+)\/(\d+)/.exec(text) ?? [];
  const tickMs = (1000 * Number(numerator)) / Number(denominator);
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(',').map((field) => field.trim()))
    .map((fields) => ({ dtsMs: Number(fields[1]) * tickMs, ptsMs: Number(fields[2]) * tickMs, hash: String(fields[5]) }));
}

const hashes = (list: readonly { readonly hash: string }[]): string[] => list.map(({ hash }) => hash);

for (const recipe of ['h264', 'h264-in-order', 'h264-mp3'] as const) {
  test(`the pictures of ${recipe} decode to the same as the source's, and are presented a frame's length apart`, () => {
    const { source, flv } = convert(recipe);
    const words = ['-map', '0:v', '-fps_mode', 'passthrough', '-enc_time_base', '1:1000'];
    const wanted = frames(source, words);
    const found = frames(flv, words);
    assert.ok(wanted.length >= 145, `${wanted.length} pictures`);
    assert.equal(hashes(found), hashes(wanted));
    const stepsMs = new Set(found.slice(1).map(({ ptsMs }, index) => ptsMs - (found[index]?.ptsMs ?? 0)));
    assert.equal([...stepsMs], [40]);
  });

  test(`the sound frames of ${recipe} are the source's bytes, from the first picture on`, () => {
    const { source, flv } = convert(recipe);
    const wanted = hashes(frames(source, ['-map', '0:a', '-c', 'copy']));
    const found = hashes(frames(flv, ['-map', '0:a', '-c', 'copy']));
    const heldBack = wanted.length - found.length;
    assert.ok(heldBack >= 0 && heldBack <= 2, `${heldBack} frames held back`);
    assert.equal(found, wanted.slice(heldBack));
  });

  test(`the tags of ${recipe} have a header before the first frame, key frames each second, and times that never go back`, () => {
    const { tags } = convert(recipe);
    const video = tags.filter(({ type }) => type === VIDEO);
    const sorts = video.map(classifyTag);
    assert.is(sorts[0]?.kind, 'header');
    assert.is(sorts.filter(({ kind }) => kind === 'header').length, 1);
    assert.is(sorts.filter(({ key }) => key).length, 6);
    for (const [index, { timestampMs, body }] of video.entries()) {
      assert.ok(timestampMs >= (video[index - 1]?.timestampMs ?? 0));
      assert.ok(((body[2] ?? 0) & 0x80) === 0, 'no picture is presented before it is decoded');
    }
  });
}

test('pictures in order have no composition offset at all', () => {
  const { tags } = convert('h264-in-order');
  const offsets = tags
    .filter((tag) => tag.type === VIDEO && classifyTag(tag).kind === 'frame')
    .map(({ body }) => [...body.subarray(2, 5)].join('.'));
  assert.equal([...new Set(offsets)], ['0.0.0']);
});

test('a channel of sound alone becomes a stream of sound alone', () => {
  const { source, flv } = convert('aac');
  assert.equal(hashes(frames(flv, ['-c', 'copy'])), hashes(frames(source, ['-c', 'copy'])));
});

for (const [recipe, codec] of [
  ['wmv', 'WMV2'],
  ['wma', '0x161'],
  ['mp43', 'MP43'],
] as const) {
  test(`${recipe} is declined, and the reason names ${codec}`, () => {
    const { header, packets } = recordAsf(recipe, 6);
    const converter = new AsfToFlv(header);
    assert.is(converter.support.supported, false);
    if (!converter.support.supported) assert.match(converter.support.reason, codec);
    assert.equal(
      packets.flatMap(({ payload }) => converter.push(payload)),
      [],
    );
  });
}

test.run();

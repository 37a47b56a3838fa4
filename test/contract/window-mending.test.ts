/** What is left of windows with gaps, given to players as people use them: the picture goes on to the end. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { padAsfPacket } from '../../src/media/asf-packet.js';
import { encodeFlvHeader, encodeTag } from '../../src/media/flv.js';
import { recordAsf } from '../support/asf-recording.js';
import { recordFlv } from '../support/flv-recording.js';
import { holeAsf, holeFlv } from '../support/holed-stream.js';
import { playWithFfmpeg, playWithMplayer, playWithMpv, playWithVlc } from '../support/players.js';
import { temporaryFolder } from '../support/program.js';

const SECONDS = 10;
/** A window in three is hit, and in FLV the picture then stands still until the next key frame; most of the whole must still be shown. */
const SHARE_SHOWN = 0.7;
const folder = temporaryFolder('window-mending');
// VLC runs as somebody else.
chmodSync(folder, 0o755);

async function allPlay(file: string, players: readonly (typeof playWithMpv)[]): Promise<string> {
  const runs = await Promise.all(players.map((play) => play(file, SECONDS)));
  for (const [index, { seconds, complaints }] of runs.entries())
    assert.ok(seconds >= SHARE_SHOWN * SECONDS, `${players[index]?.name} showed ${seconds} s: ${complaints.slice(0, 500)}`);
  return runs.map(({ complaints }) => complaints).join('');
}

test('FLV that lacks pieces plays to its end, and no player finds anything wrong with it', async () => {
  const { units, windows, mended } = holeFlv(await recordFlv('h264-aac', SECONDS), 7);
  assert.ok(mended >= 3, `${mended} of ${windows} windows have gaps`);
  const file = join(folder, 'holed.flv');
  writeFileSync(file, Buffer.concat([encodeFlvHeader({ audio: true, video: true }), ...units.map(encodeTag)]));
  assert.is(await allPlay(file, [playWithFfmpeg, playWithMpv, playWithVlc]), '');
});

for (const recipe of ['wmv', 'h264'] as const) {
  test(`ASF of ${recipe} that lacks pieces plays to its end`, async () => {
    const { headerBytes, header, packets } = recordAsf(recipe, SECONDS);
    const { units, windows, mended } = holeAsf(headerBytes, packets, 7);
    assert.ok(mended >= 3, `${mended} of ${windows} windows have gaps`);
    const file = join(folder, `${recipe}.asf`);
    writeFileSync(file, Buffer.concat([headerBytes, ...units.map(({ payload }) => padAsfPacket(payload, header.packetBytes))]));
    await allPlay(file, recipe === 'wmv' ? [playWithFfmpeg, playWithMplayer, playWithVlc] : [playWithFfmpeg, playWithVlc]);
  });
}

test.run();

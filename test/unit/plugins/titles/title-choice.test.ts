/** The file a person means, and the subtitles beside it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ShoalError } from '../../../../src/kernel/errors.js';
import { chooseFile, listFiles } from '../../../../src/plugins/titles/title-choice.js';
import type { TitleFileView } from '../../../../src/plugins/titles/title-view.js';
import { mediaKindOf } from '../../../../src/vod/content-type.js';

function files(...paths: readonly string[]): readonly TitleFileView[] {
  return paths.map((path, index) => ({
    index,
    path,
    sizeBytes: 1,
    haveBytes: 0,
    kind: mediaKindOf(path),
    wanted: true,
    play: `/vod/t/${index}`,
    browser: null,
    converted: null,
  }));
}

function chosen(paths: readonly string[], wanted?: string): readonly string[] {
  const choice = chooseFile(files(...paths), wanted);
  return choice.kind === 'playlist' ? ['playlist'] : [choice.file.path, ...choice.subtitles.map(({ path }) => path)];
}

function refusal(paths: readonly string[], wanted?: string): string {
  try {
    chooseFile(files(...paths), wanted);
  } catch (error) {
    assert.ok(error instanceof ShoalError && error.code === 'TITLE_FILE_UNKNOWN');
    return error.message;
  }
  throw new Error('it was not refused');
}

const SERIES = ['S/E01.mkv', 'S/E01.en.srt', 'S/E02.mkv', 'S/E02.de.ass', 'S/E02.en.srt', 'read me.nfo'];

test('the only film is played, sound and pictures beside it or not; with all subtitles', () => {
  assert.equal(chosen(['a.mkv']), ['a.mkv']);
  assert.equal(chosen(['cover.jpg', 'a.mkv', 'theme.mp3', 'b.srt']), ['a.mkv', 'b.srt']);
  assert.equal(chosen(['song.flac', 'cover.jpg']), ['song.flac']);
  assert.equal(chosen(['one', 'other']), ['one']);
});

test('several films are a playlist, unless one is meant', () => {
  assert.equal(chosen(SERIES), ['playlist']);
  assert.equal(chosen(['a.mp3', 'b.mp3']), ['playlist']);
});

test('a number is a place in the list, from 1; a path or a part of it means the film before what lies beside it', () => {
  assert.equal(chosen(SERIES, '1'), ['S/E01.mkv', 'S/E01.en.srt']);
  assert.equal(chosen(SERIES, 'e02'), ['S/E02.mkv', 'S/E02.de.ass', 'S/E02.en.srt']);
  assert.equal(chosen(SERIES, 'S/E01.en.srt'), ['S/E01.en.srt']);
  assert.equal(chosen(SERIES, 'read me'), ['read me.nfo']);
  assert.equal(chosen(['2001.mkv', '2002.mkv'], '2002'), ['2002.mkv']);
  assert.is(listFiles(files(...SERIES))[2], '  3  S/E02.mkv');
});

test('what is not there, or not the only one, is refused with what there is', () => {
  assert.match(refusal(SERIES, 'E03'), 'No file of this title is called "E03". It has:\n  1  S/E01.mkv\n');
  assert.match(refusal(SERIES, '7'), 'No file');
  assert.match(refusal(SERIES, 'S/'), 'More than one file of this title is called "S/":\n  1  S/E01.mkv\n');
  assert.not.match(refusal(SERIES, 'S/'), 'read me');
  assert.match(refusal([]), 'There is no file in this title.');
  assert.match(
    refusal(
      Array.from({ length: 50 }, (_, at) => `${at}.txt`),
      'film',
    ),
    /and 30 more$/,
  );
});

test.run();

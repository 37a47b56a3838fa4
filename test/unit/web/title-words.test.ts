/** The page's words about titles. The page is plain JavaScript; here is the shape that the tests expect of it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';

interface FileLike {
  readonly index: number;
  readonly path: string;
  readonly kind: string;
  readonly sizeBytes: number;
  readonly browser: string | null;
}

interface Words {
  nameOf(text: string, otherwise?: string, charactersMax?: number): string;
  formatSize(sizeBytes: number): string;
  formatPercent(progress: number): string;
  formatDuration(seconds: number): string;
  describeState(title: object): string;
  describeAmount(title: object): string;
  describeRemoval(title: object): { readonly text: string; readonly keep: string; readonly remove: string | null };
  linksIn(text: string): readonly string[];
  faultOf(text: string): string | null;
  looksLikeTorrent(file: { readonly name: string; readonly type: string }): boolean;
  mainFile(files: readonly FileLike[]): FileLike | undefined;
  fileAfter(files: readonly FileLike[], file: FileLike): FileLike | undefined;
  subtitlesOf(
    files: readonly FileLike[],
    file: FileLike,
  ): readonly { readonly source: string; readonly label: string; readonly language: string }[];
  shellAddress(path: string, origin: string): string;
}

/** The compiled test lies in dist/test/unit/web. */
const words = (await import(new URL('../../../../web/title-words.js', import.meta.url).href)) as Words;
const HASH = 'ABCDEF0123456789abcdef0123456789abcdef01';

function file(index: number, path: string, kind: string, sizeBytes = 1000): FileLike {
  return { index, path, kind, sizeBytes, browser: kind === 'other' ? null : `/vod/x/${index}` };
}

test('a name that hides or pretends is shown as what it is', () => {
  assert.is(words.nameOf('Film\u202egpj.exe\u0000\n  x'), 'Film gpj.exe x');
  assert.is(words.nameOf('\u200b\u2066'), 'Unnamed title');
  assert.is(words.nameOf('a'.repeat(10_000)).length, 161);
  assert.is(words.nameOf(`e${'\u0301'.repeat(50)}`), `e${'\u0301'.repeat(4)}`);
  assert.is(words.nameOf('😀'.repeat(5), '', 3), '😀😀😀…');
  assert.is(words.nameOf('<img src=x>'), '<img src=x>');
});

test('sizes, shares and times are as exact as a person needs', () => {
  assert.equal([0, 999, 1000, 999_499, 1_234_567, 5e9, 1e15].map(words.formatSize), [
    '0 B',
    '999 B',
    '1 kB',
    '999 kB',
    '1.23 MB',
    '5 GB',
    '1 PB',
  ]);
  assert.equal([0, 0.004, 0.999, 1].map(words.formatPercent), ['0 %', '0 %', '99 %', '100 %']);
  assert.equal([0.2, 40, 700, 11_100, 400_000].map(words.formatDuration), ['1 s', '40 s', '12 min', '3 h 5 min', '5 days']);
});

test('every state is a sentence', () => {
  const base = { error: null, peers: 0, progress: 0.5, sizeBytes: 1e6, downBytesPerSecond: 0, upBytesPerSecond: 0 };
  const of = (part: object): string => words.describeState({ ...base, ...part });
  assert.is(of({ state: 'metadata' }), 'Looking for peers who know what this is');
  assert.is(of({ state: 'metadata', peers: 1 }), 'Asking 1 peer what this is');
  assert.is(of({ state: 'downloading' }), 'Looking for peers');
  assert.is(of({ state: 'downloading', peers: 2 }), 'Downloading, waiting for peers to send');
  assert.is(of({ state: 'downloading', peers: 2, downBytesPerSecond: 10_000 }), 'Downloading, about 50 s left');
  assert.is(of({ state: 'paused', progress: 1 }), 'Complete, paused');
  assert.is(of({ state: 'failed', error: 'The disk is full.' }), 'Failed: The disk is full.');
  assert.is(of({ state: 'seeding' }), 'Complete, ready to give to others');
});

test('a question before removing says what happens to the files, and never offers to delete originals', () => {
  const files = [{}, {}];
  assert.equal(words.describeRemoval({ published: true, haveBytes: 10, files }).remove, null);
  assert.equal(words.describeRemoval({ published: false, haveBytes: 0, files }), {
    text: 'Nothing of it has been downloaded yet.',
    keep: 'Remove',
    remove: null,
  });
  const { text, keep, remove } = words.describeRemoval({ published: false, haveBytes: 2e6, files });
  assert.match(text, /^What is here of it: 2 files, 2 MB\. .* cannot be brought back; files that were there before Shoal stay/);
  assert.equal([keep, remove], ['Remove, keep the files', 'Remove and delete the files']);
});

test('links are found in a text: several, with spaces in names, and a bare info hash', () => {
  const link = `magnet:?xt=urn:btih:${HASH}`;
  assert.equal(words.linksIn(HASH), [link]);
  assert.equal(words.linksIn(` ${link}&dn=Two words\n`), [`${link}&dn=Two words`]);
  assert.equal(words.linksIn(`see ${link} MAGNET:?xt=2\r\n\r\n${link}`), [link, 'MAGNET:?xt=2']);
  assert.equal(words.linksIn(' https://example.org/a.torrent?x=1\n'), ['https://example.org/a.torrent?x=1']);
  for (const text of ['https://example.org/magnet:?', 'https://example.org/', 'see https://example.org/a.torrent'])
    assert.equal(words.linksIn(text), [], text);
  assert.is(words.linksIn(Array.from({ length: 200 }, (_, index) => `magnet:?${index}`).join('\n')).length, 50);
});

test('what is no link is refused with words that help; what is one is left to the server', () => {
  assert.match(words.faultOf(HASH.slice(1)) ?? '', /has 39 characters; expected 40/);
  assert.match(words.faultOf('hello') ?? '', /no magnet link, no torrent file and no address of one/);
  assert.is(words.faultOf('magnet:?xt=nonsense'), null);
  assert.is(words.faultOf('https://example.org/'), null);
  assert.ok(words.looksLikeTorrent({ name: 'A.TORRENT', type: '' }));
  assert.not(words.looksLikeTorrent({ name: 'a.torrent.exe', type: '' }));
});

test('"Play" means the film, even if a sound is larger; an album begins with its first and goes on by itself', () => {
  const sound = [file(0, 'a.mp3', 'audio', 10), file(1, 'b.nfo', 'other'), file(2, 'c.mp3', 'audio', 9000)] as const;
  const film = file(3, 'film.mkv', 'video', 100);
  assert.is(words.mainFile([...sound, film]), film);
  assert.is(words.mainFile(sound), sound[0]);
  assert.is(words.mainFile([sound[1]]), undefined);
  assert.is(words.fileAfter(sound, sound[0]), sound[2]);
  assert.is(words.fileAfter(sound, sound[2]), undefined);
  assert.is(words.fileAfter([film, ...sound], film), undefined);
});

test('subtitles of a film are those of its name, and all where there is one film', () => {
  const film = file(0, 'S/Film.mkv', 'video', 1e6);
  const own = file(1, 'S/film.de.srt', 'subtitle');
  const other = file(2, 'Subs/English.srt', 'subtitle');
  assert.equal(words.subtitlesOf([film, other, own], film), [
    { source: '/vod/x/1', language: 'de', label: 'German' },
    { source: '/vod/x/2', language: '', label: 'English.srt' },
  ]);
  const second = file(3, 'S/Second.mkv', 'video', 1e6);
  assert.equal(
    words.subtitlesOf([film, second, other, own], film).map(({ label }) => label),
    ['German'],
  );
});

test('an address in a command cannot become a command', () => {
  const address = words.shellAddress('/vod/x/$(id)`id`!"\\.m3u8?token=a', 'http://127.0.0.1:1');
  assert.not.match(address, /[$`!"\\()' ]/);
  assert.is(decodeURIComponent(new URL(address).pathname), '/vod/x/$(id)`id`!"/.m3u8');
});

test.run();

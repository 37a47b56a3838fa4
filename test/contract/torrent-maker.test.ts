/** Torrents of real files and folders: byte by byte what others make of them, and refused rather than wrong. */
import { createHash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { HashWorkers } from '../../src/io/titles/hash-workers.js';
import { changedFiles, listSource } from '../../src/io/titles/title-source.js';
import { choosePieceLength, makeTorrent } from '../../src/io/titles/torrent-maker.js';
import { ShoalError } from '../../src/kernel/errors.js';
import { readTorrent } from '../support/metainfo-fixture.js';

const test = suite<{ folder: string }>('torrent maker');

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'shoal-maker-'));
});
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }));

function write(folder: string, name: string, bytes: Uint8Array | string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  return path;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'made',
    (error: unknown) => (error instanceof ShoalError ? `${error.code}: ${error.message}` : String(error)),
  );
}

/** The SHA-1 of each piece, hashed the plain way. */
function hashesOf(bytes: Buffer, pieceLengthBytes: number): Buffer {
  const hashes: Buffer[] = [];
  for (let offset = 0; offset < bytes.length; offset += pieceLengthBytes) {
    hashes.push(
      createHash('sha1')
        .update(bytes.subarray(offset, offset + pieceLengthBytes))
        .digest(),
    );
  }
  return Buffer.concat(hashes);
}

test('a file becomes a title of its name, with nothing that was not given', async ({ folder }) => {
  const bytes = randomBytes(100_001);
  const { metainfo, torrentBytes, skipped } = await makeTorrent({ source: write(folder, 'Film ü.mkv', bytes) });
  assert.equal([metainfo.name, metainfo.isSingleFile, metainfo.totalBytes, skipped], ['Film ü.mkv', true, 100_001, []]);
  assert.equal(Buffer.from(metainfo.pieceHashes), hashesOf(bytes, metainfo.pieceLengthBytes));
  assert.equal([metainfo.trackerTiers, metainfo.webSeeds, metainfo.isPrivate, metainfo.createdS], [[], [], false, undefined]);
  assert.not.match(Buffer.from(torrentBytes).toString('latin1'), /announce|url-list|nodes/);
  assert.equal(readTorrent(torrentBytes), metainfo);
});

test('what is given is in the torrent', async ({ folder }) => {
  const making = {
    trackerTiers: [['http://t.example/'], ['udp://u.example:1']],
    webSeeds: ['http://w.example/'],
    comment: 'c',
    createdS: 9,
  };
  const { metainfo } = await makeTorrent({ source: write(folder, 'a', 'abc'), ...making, isPrivate: true, pieceLengthBytes: 65_536 });
  assert.equal([metainfo.trackerTiers, metainfo.webSeeds, metainfo.comment, metainfo.createdS], Object.values(making));
  assert.equal([metainfo.isPrivate, metainfo.pieceLengthBytes], [true, 65_536]);
});

test('a folder becomes its files in order; what does not belong is left out and named', async ({ folder }) => {
  const parts = {
    'B.mkv': randomBytes(20_000),
    'Sub/a.srt': randomBytes(7),
    'Sub/deep/x': randomBytes(40_000),
    empty: Buffer.alloc(0),
    'a.mkv': randomBytes(1),
  };
  for (const [name, bytes] of Object.entries(parts)) write(join(folder, 'title'), name, bytes);
  for (const name of ['.hidden', '.git/config', 'Thumbs.db', 'Sub/desktop.ini', '.DS_Store']) write(join(folder, 'title'), name, 'x');
  write(folder, 'secret', 'outside');
  symlinkSync(join(folder, 'secret'), join(folder, 'title', 'out'));
  symlinkSync('..', join(folder, 'title', 'Sub', 'loop'));
  symlinkSync('nowhere', join(folder, 'title', 'dangling'));
  const { metainfo, skipped } = await makeTorrent({ source: join(folder, 'title') });
  const names = metainfo.files.map(({ path }) => path.join('/'));
  assert.equal(names, ['B.mkv', 'Sub/a.srt', 'Sub/deep/x', 'a.mkv', 'empty']);
  const whole = Buffer.concat(names.map((name) => parts[name as keyof typeof parts]));
  assert.equal(Buffer.from(metainfo.pieceHashes), hashesOf(whole, 16_384));
  assert.equal(skipped.map(({ path, why }) => `${path} ${why}`).sort(), [
    '.DS_Store hidden',
    '.git hidden',
    '.hidden hidden',
    'Sub/desktop.ini system',
    'Sub/loop link',
    'Thumbs.db system',
    'dangling link',
    'out link',
  ]);
});

test('what the user names may be a link; it is published by its own name and place', async ({ folder }) => {
  write(folder, 'title/a', 'abc');
  symlinkSync('title', join(folder, 'link'));
  symlinkSync('a', join(folder, 'title', 'b'));
  const made = await makeTorrent({ source: join(folder, 'link') });
  assert.equal([made.metainfo.name, made.folder, made.metainfo.files.length], ['title', realpathSync(folder), 1]);
});

test('the same folder gives the same torrent', async ({ folder }) => {
  for (const name of ['b', 'a', 'ä', 'Z']) write(join(folder, 'title'), name, name);
  const made = [await makeTorrent({ source: join(folder, 'title') }), await makeTorrent({ source: `${folder}/title/` })];
  assert.equal(made[0]?.torrentBytes, made[1]?.torrentBytes);
});

test('nothing to publish is refused with words', async ({ folder }) => {
  mkdirSync(join(folder, 'bare'));
  write(folder, 'hollow/a', '');
  write(folder, 'shy/.a', 'x');
  assert.match(await codeOf(makeTorrent({ source: join(folder, 'bare') })), /^TITLE_EMPTY: .*it holds no files/);
  assert.match(await codeOf(makeTorrent({ source: join(folder, 'hollow') })), /^TITLE_EMPTY: .*all its files are empty/);
  assert.match(await codeOf(makeTorrent({ source: join(folder, 'shy') })), /^TITLE_EMPTY: .*besides \.a, which are left out/);
  assert.match(await codeOf(makeTorrent({ source: write(folder, 'null', '') })), /^TITLE_EMPTY/);
  assert.match(await codeOf(makeTorrent({ source: join(folder, 'gone') })), /^TITLE_UNREADABLE: .*no such file/);
  assert.match(await codeOf(makeTorrent({ source: '/dev/null' })), /^TITLE_UNREADABLE: .*neither a file nor a folder/);
});

test('names that could not be given everywhere are refused with one that could', async ({ folder }) => {
  write(folder, 'title/readme', 'x');
  write(folder, 'title/README', 'y');
  assert.match(await codeOf(makeTorrent({ source: join(folder, 'title') })), /^TITLE_NAME: "readme".*"readme \(2\)" would do/);
  assert.match(await codeOf(makeTorrent({ source: write(folder, 'aux.mkv', 'x') })), /^TITLE_NAME: "aux\.mkv".*"_aux\.mkv"/);
});

test('a file that can not be read is named', async ({ folder }) => {
  if (process.getuid?.() === 0) return;
  write(folder, 'title/a', 'x');
  chmodSync(write(folder, 'title/b', 'x'), 0);
  assert.match(await codeOf(makeTorrent({ source: join(folder, 'title') })), /^TITLE_UNREADABLE: .*\bb can't be read/);
});

function replaceWithItself(path: string): void {
  writeFileSync(`${path}.new`, readFileSync(path));
  renameSync(`${path}.new`, path);
}

const CHANGES: readonly (readonly [what: string, change: (path: string) => void])[] = [
  ['grows', (path) => appendFileSync(path, 'x')],
  ['shrinks', (path) => truncateSync(path, 5)],
  ['is touched', (path) => utimesSync(path, 1, 1)],
  ['is replaced', replaceWithItself],
  ['goes', (path) => rmSync(path)],
];

test('a file that changes while it is hashed is reported, whatever the change', async ({ folder }) => {
  for (const [what, change] of CHANGES) {
    const path = write(folder, `title of ${what}`, randomBytes(3_000_000));
    let changed = false;
    const onProgress = (): void => {
      if (!changed) change(path);
      changed = true;
    };
    assert.match(
      await codeOf(makeTorrent({ source: path, onProgress, pieceLengthBytes: 1_048_576 })),
      /^TITLE_CHANGED: .*while being hashed/,
      what,
    );
  }
});

test('what has not changed since it was listed is not reported', async ({ folder }) => {
  const { files } = await listSource(write(folder, 'a', 'x'));
  assert.equal(await changedFiles(files), []);
});

test('progress is told to the last byte, and abort ends the work', async ({ folder }) => {
  const source = write(folder, 'a', randomBytes(5_000_000));
  const steps: number[] = [];
  await makeTorrent({ source, onProgress: (doneBytes) => steps.push(doneBytes) });
  assert.is(steps.at(-1), 5_000_000);
  assert.equal(
    steps,
    [...steps].sort((a, b) => a - b),
  );
  const abort = new AbortController();
  const workers = new HashWorkers();
  const making = makeTorrent({
    source,
    signal: abort.signal,
    workers,
    pieceLengthBytes: 16_384,
    onProgress: () => abort.abort(new Error('enough')),
  });
  assert.match(await codeOf(making), /enough/);
  assert.match(await codeOf(makeTorrent({ source, signal: AbortSignal.abort(new Error('never')) })), /never/);
  await workers.close();
});

test('hashing holds neither the event loop nor memory', async ({ folder }) => {
  const source = join(folder, 'large');
  writeFileSync(source, '');
  truncateSync(source, 400_000_000);
  const delay = monitorEventLoopDelay({ resolution: 5 });
  const beforeBytes = process.memoryUsage.rss();
  delay.enable();
  await makeTorrent({ source });
  delay.disable();
  console.log(`measured: 400 MB hashed, event-loop delay p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms`);
  assert.ok(process.memoryUsage.rss() - beforeBytes < 80_000_000);
});

test('pieces are as long as gives some fifteen hundred of them', () => {
  const sizes = [1, 24_576_000, 24_576_001, 700 * 2 ** 20, 2 ** 33, 2 ** 45];
  assert.equal(sizes.map(choosePieceLength), [16_384, 16_384, 32_768, 524_288, 8_388_608, 16_777_216]);
});

test.run();

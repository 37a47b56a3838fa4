/** Other programs' torrents are read with the hash those programs give them, and ours are read by them alike. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeTorrent } from '../../src/io/titles/torrent-maker.js';
import type { Metainfo } from '../../src/vod/metainfo.js';
import { readTorrent } from '../support/metainfo-fixture.js';

const LIBTORRENT = `import sys, libtorrent as lt
info = lt.torrent_info(sys.argv[1])
print("hash", info.info_hashes().v1, info.num_pieces(), info.total_size(), info.piece_length())
files = info.files()
for index in range(files.num_files()): print("file", files.file_offset(index), files.file_size(index), files.file_path(index))`;

/** Makes a hybrid torrent, which only libtorrent can. */
const LIBTORRENT_HYBRID = `import sys, libtorrent as lt
storage = lt.file_storage()
lt.add_files(storage, sys.argv[1])
torrent = lt.create_torrent(storage, 32768)
torrent.add_url_seed("http://w.example/dir/")
torrent.add_tracker("udp://t.example:1/announce", 1)
lt.set_piece_hashes(torrent, sys.argv[1] + "/..")
open(sys.argv[2], "wb").write(lt.bencode(torrent.generate()))`;

function has(command: string, ...words: string[]): boolean {
  return spawnSync(command, words).status === 0;
}

const hasAria2 = has('aria2c', '--version');
const hasTransmission = has('transmission-show', '--version');
const hasMktorrent = has('mktorrent', '-h');
/** The system's own: packages of the system are not seen by others. */
const PYTHON = ['/usr/bin/python3', 'python3'].find((command) => has(command, '-c', 'import libtorrent')) ?? '';
const hasLibtorrent = PYTHON !== '';

const test = suite<{ folder: string; title: string }>('foreign torrents');

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'shoal-foreign-'));
  context.title = join(context.folder, 'Titel ü & more');
  mkdirSync(join(context.title, 'Sub dir'), { recursive: true });
  for (const [name, length] of [
    ['film.mkv', 300_000],
    ['Sub dir/ä 1.srt', 50_001],
    ['a', 1],
    ['empty', 0],
  ] as const) {
    writeFileSync(join(context.title, name), Buffer.alloc(length, name));
  }
});
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }));

function run(command: string, ...words: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, words, { encoding: 'utf8' });
  if (error !== undefined || status !== 0) throw new Error(`${command} ${words.join(' ')}: ${stdout}${stderr}${error?.message ?? ''}`);
  return stdout;
}

/**
 * What every program that is there says of a torrent must be what we read of it. Of hybrid ones only libtorrent is asked: Transmission 3.00 refuses
 * them, and aria2 1.36 hashes another encoding of them than the one in the file.
 */
function assertAgreement(path: string, isHybrid = false): Metainfo {
  const metainfo = readTorrent(readFileSync(path));
  if (hasAria2 && !isHybrid) assert.match(run('aria2c', '-S', path), new RegExp(`Info Hash: ${metainfo.infoHash}`));
  if (hasTransmission && !isHybrid) assert.match(run('transmission-show', path), new RegExp(`Hash: ${metainfo.infoHash}`));
  if (hasLibtorrent) {
    const { infoHash, pieceCount, totalBytes, pieceLengthBytes, files, isSingleFile, name } = metainfo;
    const [head = '', ...lines] = run(PYTHON, '-c', LIBTORRENT, path).trim().split('\n');
    assert.is(head, `hash ${infoHash} ${pieceCount} ${totalBytes} ${pieceLengthBytes}`);
    const ours = files.map(
      (file) => `file ${file.offsetBytes} ${file.lengthBytes} ${[...(isSingleFile ? [] : [name]), ...file.path].join('/')}`,
    );
    // Where a pad file is kept is each program's own affair.
    const withoutPads = (list: readonly string[]): string[] => list.filter((_, index) => files[index]?.isPad !== true);
    assert.equal(withoutPads(lines), withoutPads(ours));
  }
  return metainfo;
}

if (hasMktorrent) {
  test('torrents of mktorrent are read', ({ folder, title }) => {
    const path = join(folder, 'mk.torrent');
    run(
      'mktorrent',
      '-l',
      '15',
      '-p',
      '-c',
      'Kommentar',
      '-a',
      'http://t.example/a,http://u.example/a',
      '-a',
      'http://v.example/a',
      '-w',
      'http://w.example/',
      '-o',
      path,
      title,
    );
    const metainfo = assertAgreement(path);
    assert.equal(metainfo.trackerTiers, [['http://t.example/a', 'http://u.example/a'], ['http://v.example/a']]);
    assert.equal(
      [metainfo.isPrivate, metainfo.comment, metainfo.webSeeds, metainfo.totalBytes],
      [true, 'Kommentar', ['http://w.example/'], 350_002],
    );
  });
}

if (hasTransmission) {
  test('torrents of transmission are read, of a folder and of a file', ({ folder, title }) => {
    const [whole, single] = [join(folder, 'tr.torrent'), join(folder, 'single.torrent')];
    run('transmission-create', '-s', '32', '-t', 'http://t.example/a', '-o', whole, title);
    run('transmission-create', '-o', single, join(title, 'film.mkv'));
    assert.is(assertAgreement(whole).isSingleFile, false);
    assert.is(assertAgreement(single).name, 'film.mkv');
  });
}

if (hasLibtorrent) {
  test('hybrid torrents of libtorrent are read as version 1, pad files and all', ({ folder, title }) => {
    const path = join(folder, 'hybrid.torrent');
    run(PYTHON, '-c', LIBTORRENT_HYBRID, title, path);
    const metainfo = assertAgreement(path, true);
    assert.ok(metainfo.files.some(({ isPad }) => isPad));
    assert.equal([metainfo.webSeeds, metainfo.trackerTiers], [['http://w.example/dir/'], [['udp://t.example:1/announce']]]);
  });
}

test('our torrents are read by the others', async ({ folder, title }) => {
  const tiers = [['http://t.example/a', 'udp://u.example:1'], ['http://v.example/a']];
  const makings = [
    { source: title, trackerTiers: tiers, webSeeds: ['http://w.example/'], comment: 'ü', createdS: 1_700_000_000, isPrivate: true },
    { source: title },
    { source: join(title, 'film.mkv'), pieceLengthBytes: 49_152 },
  ];
  for (const making of makings) {
    const { metainfo, torrentBytes } = await makeTorrent(making);
    const path = join(folder, 'ours.torrent');
    writeFileSync(path, torrentBytes);
    assert.equal(assertAgreement(path), metainfo);
  }
});

if (hasTransmission) {
  test('piece for piece our hashes are those of transmission', async ({ folder, title }) => {
    const path = join(folder, 'tr.torrent');
    run('transmission-create', '-s', '32', '-o', path, join(title, 'film.mkv'));
    const { metainfo } = await makeTorrent({ source: join(title, 'film.mkv'), pieceLengthBytes: 32_768 });
    assert.equal(metainfo.pieceHashes, readTorrent(readFileSync(path)).pieceHashes);
  });
}

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Download, Downloads } from '../../../../src/relay/exchange/downloads.js';

function ask(downloads: Downloads, window: number, piece: number, ...peers: readonly string[]): Download {
  const download = downloads.open(window, piece, 300);
  for (const peer of peers) download.asked.push({ peer, askedMs: 0, predictedMs: 100, wasIdle: true, sizeBytes: 10, version: undefined });
  return download;
}

test('downloads are found by piece, by window and by whom they were asked of', () => {
  const downloads = new Downloads();
  const [a, b, c] = [ask(downloads, 1, 0, 'x'), ask(downloads, 1, 1, 'x', 'y'), ask(downloads, 2, 0, 'y')];
  assert.is(downloads.get(1, 1), b);
  assert.equal(downloads.of(1), [a, b]);
  assert.equal(downloads.from('y'), [b, c]);
  assert.equal(downloads.below(2), [a, b]);
  assert.equal([...downloads.all()], [a, b, c]);
});

test('releasing a neighbour says what was asked of it, once', () => {
  const downloads = new Downloads();
  const download = ask(downloads, 1, 0, 'x', 'y');
  assert.is(downloads.release(download, 'x')?.sizeBytes, 10);
  assert.is(downloads.release(download, 'x'), undefined);
  assert.is(download.asked.length, 1);
});

test('what is removed leaves nothing behind', () => {
  const downloads = new Downloads();
  ask(downloads, 1, 0, 'x');
  downloads.remove(1, 0);
  downloads.remove(1, 0);
  assert.equal([...downloads.all()], []);
  assert.equal(downloads.of(1), []);
});

test('what is awaited is counted by window, and windows below a number are found', () => {
  const downloads = new Downloads();
  for (const [window, piece] of [
    [4, 0],
    [4, 2],
    [6, 1],
  ] as const)
    downloads.open(window, piece, 300);
  assert.equal(
    [3, 4, 6].map((window) => downloads.countOf(window)),
    [0, 2, 1],
  );
  assert.equal(
    downloads.below(6).map(({ window, piece }) => `${window}:${piece}`),
    ['4:0', '4:2'],
  );
  assert.equal(downloads.below(4), []);
  assert.equal([[...(downloads.awaitedOf(4)?.keys() ?? [])], downloads.awaitedOf(3)], [[0, 2], undefined]);
});

test.run();

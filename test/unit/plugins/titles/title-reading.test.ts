import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ReadableTitle, type ReadingObservation, TitleReading } from '../../../../src/plugins/titles/title-reading.js';
import { until } from '../../../support/until.js';

/** A title of ten pieces of ten bytes, of which some are here; byte N has the value N. */
class FakeTitle implements ReadableTitle {
  readonly pieceLengthBytes = 10;
  readonly here = new Set<number>();
  readonly needs: string[] = [];
  readonly observed: ReadingObservation['kind'][] = [];
  #atMs = 0;
  #wake: () => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;

  constructor(pieces: readonly number[]) {
    for (const piece of pieces) this.here.add(piece);
  }

  read(fromByte: number, toByte: number): Promise<Uint8Array> {
    const end = this.verifiedUntil(fromByte, toByte);
    return Promise.resolve(Uint8Array.from({ length: end - fromByte }, (_, index) => fromByte + index));
  }

  verifiedUntil(fromByte: number, toByte: number): number {
    let at = fromByte;
    while (at < toByte && this.here.has(Math.floor(at / 10))) at++;
    return at;
  }

  whenPiece(_piece: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#wake = resolve;
      this.#fail = reject;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  come(piece: number): void {
    this.here.add(piece);
    this.#wake();
  }

  fail(): void {
    this.#fail(new Error('gone for ever'));
  }

  need(_reader: string, fromByte: number, toByte: number, _rate: number, isIdle: boolean): void {
    this.needs.push(`${fromByte}-${toByte}${isIdle ? ' idle' : ''}`);
  }

  needGone(): void {
    this.needs.push('gone');
  }

  nowMs(): number {
    this.#atMs += 10;
    return this.#atMs;
  }

  observe({ kind }: ReadingObservation): void {
    this.observed.push(kind);
  }
}

test('what is here comes at once, in order, then the end; the need is told and taken back', async () => {
  const title = new FakeTitle([0, 1, 2]);
  const reading = new TitleReading(title, 5, 25);
  assert.equal([...((await reading.next(8)) ?? [])], [5, 6, 7, 8, 9, 10, 11, 12]);
  assert.is((await reading.next(100))?.length, 12);
  assert.is(await reading.next(100), null);
  assert.is(title.needs[0], '13-25');
  assert.is(title.needs.at(-1), 'gone');
  assert.is(title.observed[0], 'first-bytes');
});

test('what is not here is asked for and waited for', async () => {
  const title = new FakeTitle([0]);
  const reading = new TitleReading(title, 0, 20);
  await reading.next(100);
  const next = reading.next(100);
  await until('the need is told', () => title.needs.includes('10-20'));
  title.come(1);
  assert.is((await next)?.[0], 10);
  assert.ok(title.observed.includes('waited'));
});

test('closing wakes whoever waits, with an error, and the need is gone once', async () => {
  const title = new FakeTitle([]);
  const reading = new TitleReading(title, 0, 20);
  const next = reading.next(100).then(
    () => 'bytes',
    (error: Error) => error.message,
  );
  await until('it waits', () => title.needs.length > 0);
  reading.close();
  reading.close();
  assert.is(await next, 'This reading is closed.');
  assert.is(title.needs.filter((need) => need === 'gone').length, 1);
});

test('a piece that never comes ends the reading with the reason', async () => {
  const title = new FakeTitle([]);
  const reading = new TitleReading(title, 0, 20);
  const next = reading.next(100).catch((error: Error) => error.message);
  await until('it waits', () => title.needs.length > 0);
  title.fail();
  assert.is(await next, 'gone for ever');
  reading.close();
});

test('a session that is new is told again where the player stands, but not after the end', async () => {
  const title = new FakeTitle([0, 1]);
  const reading = new TitleReading(title, 0, 20);
  await reading.next(5);
  reading.tellAgain();
  assert.is(title.needs.at(-1), '5-20');
  reading.close();
  const before = title.needs.length;
  reading.tellAgain();
  assert.is(title.needs.length, before);
});

test('a player that takes nothing for a while is told of, and again when it asks', async () => {
  const title = new FakeTitle([0]);
  const reading = new TitleReading(title, 0, 20);
  await reading.next(100);
  await until('it is idle', () => title.needs.at(-1) === '10-20 idle');
  const next = reading.next(100);
  assert.is(title.needs.at(-1), '10-20');
  title.here.add(1);
  reading.close();
  await next.catch(() => undefined);
});

test('what is ahead is told as time, and is endless when nothing more is needed', async () => {
  const title = new FakeTitle([0]);
  const reading = new TitleReading(title, 0, 20, 10);
  await reading.next(5);
  assert.ok(reading.bufferMs > 0 && Number.isFinite(reading.bufferMs));
  title.here.add(1);
  assert.is(reading.bufferMs, Number.POSITIVE_INFINITY);
  reading.close();
});

test('a piece that comes while the answer that it is missing is on its way is not waited for', async () => {
  const title = new FakeTitle([]);
  const reading = new TitleReading(title, 0, 10);
  const next = reading.next(10);
  // The look has found nothing, and nobody listens yet.
  title.come(0);
  let bytes: Uint8Array | null | undefined;
  void next.then((found) => {
    bytes = found;
  });
  await until('it is read', () => bytes !== undefined, 1_000);
  assert.is(bytes?.length, 10);
  reading.close();
});

test.run();

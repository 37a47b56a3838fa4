import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Bitfield } from '../../../../src/kernel/bitfield.js';
import { LineEstimate } from '../../../../src/relay/exchange/line-estimate.js';
import { Neighbour } from '../../../../src/relay/exchange/neighbour.js';

const PIECE_BYTES = 16_384;
/** Longer than any piece is on its way where no line is full. */
const OVERDUE_MS = 1_200;

class Bench {
  readonly line = new LineEstimate(PIECE_BYTES);
  readonly neighbours: readonly Neighbour[];
  nowMs = 10_000;
  #piece = 0;
  #turn = 0;

  constructor(count = 4) {
    this.neighbours = Array.from({ length: count }, (_, index) => new Neighbour(`n${index}`, 0));
  }

  /** All of them tell of something that they hold, and of nothing that they were sent. */
  tell(who = this.neighbours): this {
    for (const neighbour of who) {
      const windows = [{ number: 1, pieceCount: 4, key: false, held: new Bitfield(4) }];
      this.line.noteMap(neighbour, { kind: 'map', full: true, tail: 1, windows }, this.nowMs);
    }
    return this;
  }

  /** A piece for each; returns which. */
  send(who = this.neighbours): number {
    this.#piece += 1;
    for (const neighbour of who) this.line.noteSent(neighbour, 7, this.#piece, PIECE_BYTES, this.nowMs);
    return this.#piece;
  }

  /** So many seconds with ten pieces each, as far as the line estimate lets them go. Returns how many did. */
  run(seconds: number, who = this.neighbours): number {
    let sent = 0;
    for (const untilMs = this.nowMs + seconds * 1_000; this.nowMs < untilMs; this.nowMs += 100) {
      const to = who[this.#turn++ % who.length];
      if (to === undefined || this.line.delayMs(this.nowMs) > 0) continue;
      this.send([to]);
      sent += 1;
    }
    return sent;
  }

  callOff(piece: number, who = this.neighbours): void {
    for (const neighbour of who) this.line.noteCalledOff(neighbour, 7, [piece], this.nowMs);
  }

  /** Pieces are sent to all, and these say so late that they have not come. */
  blame(who = this.neighbours, overdueMs = OVERDUE_MS): number {
    this.run(4);
    this.tell();
    const piece = this.send();
    this.nowMs += overdueMs;
    this.callOff(piece, who);
    return this.line.bytesPerSecond;
  }
}

test('without any word of lateness there is no limit, however much is sent', () => {
  const bench = new Bench();
  bench.tell();
  assert.is(bench.run(10), 100);
  assert.equal([bench.line.bytesPerSecond, bench.line.delayMs(bench.nowMs), bench.line.uploadMs(1e9, bench.nowMs)], [0, 0, 0]);
});

test('what is called off within a round trip and a little more was only on its way', () => {
  const bench = new Bench();
  bench.run(4);
  bench.tell();
  const piece = bench.send();
  bench.nowMs += 700;
  bench.callOff(piece);
  assert.is(bench.line.bytesPerSecond, 0);
});

test('when half of those served call off what was sent long ago, nothing is sent for a moment, and then less than before', () => {
  const bench = new Bench();
  const limit = bench.blame(bench.neighbours.slice(0, 2));
  assert.ok(limit > 6 * PIECE_BYTES && limit < 12 * PIECE_BYTES, `${limit} bytes a second, of ten pieces before`);
  const pauseMs = bench.line.delayMs(bench.nowMs);
  assert.ok(pauseMs >= OVERDUE_MS / 2 && pauseMs <= 1_000, `a pause of ${pauseMs} ms`);
  bench.nowMs += pauseMs;
  assert.is(bench.line.delayMs(bench.nowMs), 0);
  const sent = bench.run(2);
  assert.ok(sent >= 12 && sent <= 19, `${sent} pieces in two seconds`);
});

test('one of several says nothing about our line, whatever it says and however often', () => {
  const bench = new Bench();
  for (let time = 0; time < 10; time++) assert.is(bench.blame(bench.neighbours.slice(0, 1)), 0);
});

test('the only one that is served is believed', () => {
  const bench = new Bench(1);
  assert.ok(bench.blame() > 0);
});

test('who tells of nothing that it holds is not believed, and does not keep others from being', () => {
  const [bench, other] = [new Bench(), new Bench()];
  bench.run(4);
  const [one, two, ...mute] = bench.neighbours as [Neighbour, Neighbour, ...Neighbour[]];
  bench.tell([one, two]);
  const piece = bench.send();
  bench.nowMs += OVERDUE_MS;
  bench.callOff(piece, mute);
  assert.is(bench.line.bytesPerSecond, 0);
  bench.callOff(piece, [one, two]);
  assert.ok(bench.line.bytesPerSecond > 0);
  other.run(4);
  const unheard = other.send();
  other.nowMs += OVERDUE_MS;
  other.callOff(unheard);
  assert.is(other.line.bytesPerSecond, 0, 'nobody has told of anything');
});

test('a whole map that lacks a piece sent long ago counts as calling it off does; one that shows it, or does not name its window, does not', () => {
  const told = (held: readonly number[] | null, number = 7): number => {
    const bench = new Bench();
    bench.run(4);
    bench.tell();
    const piece = bench.send();
    bench.nowMs += OVERDUE_MS;
    const shown = held === null ? null : new Bitfield(100);
    for (const index of held ?? []) shown?.add(index === 0 ? piece : index);
    // Whatever was sent before has come.
    if (shown) for (let before = 1; before < piece; before++) shown.add(before);
    const windows = [{ number, pieceCount: 100, key: false, held: shown }];
    for (const neighbour of bench.neighbours) bench.line.noteMap(neighbour, { kind: 'map', full: true, tail: 1, windows }, bench.nowMs);
    return bench.line.bytesPerSecond;
  };
  assert.ok(told([]) > 0);
  assert.is(told([0]), 0);
  assert.is(told(null), 0);
  assert.is(told([], 8), 0);
});

test('what was sent before the last decrease does not decrease it again', () => {
  const bench = new Bench();
  bench.run(4);
  bench.tell();
  const [first, second] = [bench.send(), bench.send()];
  bench.nowMs += OVERDUE_MS;
  bench.callOff(first);
  const limit = bench.line.bytesPerSecond;
  bench.nowMs += 1_000;
  bench.callOff(second);
  assert.ok(limit > 0);
  assert.is(bench.line.bytesPerSecond, limit);
});

test('it is less each time, and never less than a piece a second', () => {
  const bench = new Bench();
  const limits = Array.from({ length: 30 }, () => {
    bench.nowMs += 3_000;
    // On a line so slow each piece takes long.
    return bench.blame(bench.neighbours, 3 * OVERDUE_MS);
  });
  assert.ok((limits[1] ?? 0) < (limits[0] ?? 0));
  assert.is(limits.at(-1), PIECE_BYTES);
});

test('a limit that holds us back grows while nobody complains; one of which little is used does not', () => {
  const [busy, idle] = [new Bench(), new Bench()];
  const limits = [busy, idle].map((bench) => bench.blame());
  busy.run(20);
  for (let time = 0; time < 20; time++) {
    idle.nowMs += 1_000;
    if (idle.line.delayMs(idle.nowMs) === 0) idle.send(idle.neighbours.slice(0, 1));
  }
  assert.ok(busy.line.bytesPerSecond > 1.1 * (limits[0] ?? 0), `${busy.line.bytesPerSecond} after ${limits[0]}`);
  assert.is(idle.line.bytesPerSecond, limits[1]);
});

test('a limit that was learnt in error makes bursts late for half a minute, not for good', () => {
  const bench = new Bench();
  const limit = bench.blame();
  for (let second = 0; second < 45; second++, bench.nowMs += 1_000) {
    // A window of a stream that needs half of the limit, all at once.
    for (let piece = 0; piece < 4 && bench.line.delayMs(bench.nowMs) === 0; piece++) bench.send([bench.neighbours[piece] as Neighbour]);
  }
  assert.ok(bench.line.bytesPerSecond > 2 * limit, `${bench.line.bytesPerSecond} after ${limit}`);
});

test('of a line that was found full no more is promised than it carried then, for five minutes', () => {
  const bench = new Bench();
  assert.is(bench.line.provenBytesPerSecond(bench.nowMs), 0);
  const limit = bench.blame();
  bench.run(30);
  assert.ok(bench.line.bytesPerSecond > 1.1 * limit);
  assert.is(bench.line.provenBytesPerSecond(bench.nowMs), limit);
  bench.nowMs += 300_000;
  assert.is(bench.line.provenBytesPerSecond(bench.nowMs), bench.line.bytesPerSecond);
});

test('one late piece makes a line doubtful for a minute', () => {
  const bench = new Bench();
  assert.not(bench.line.isDoubtful(bench.nowMs));
  assert.is(bench.blame(bench.neighbours.slice(0, 1)), 0);
  assert.ok(bench.line.isDoubtful(bench.nowMs));
  bench.nowMs += 60_000;
  assert.not(bench.line.isDoubtful(bench.nowMs));
});

test('the maps of a publisher that took samples say nothing about our line', () => {
  const bench = new Bench(1);
  for (const neighbour of bench.neighbours) neighbour.publisher = true;
  assert.is(bench.blame(), 0);
});

test('a piece that was lost long ago is not held against the line map after map', () => {
  const bench = new Bench(1);
  bench.run(4);
  bench.tell();
  const lost = bench.send();
  bench.nowMs += 4_100;
  bench.callOff(lost);
  assert.is(bench.line.bytesPerSecond, 0);
});

test('a process that stood still, and a neighbour that has gone, leave nothing behind', () => {
  for (const forget of [
    (bench: Bench) => bench.line.onWake(),
    (bench: Bench) => {
      for (const { id } of bench.neighbours) bench.line.dropPeer(id);
    },
  ]) {
    const bench = new Bench();
    bench.run(4);
    bench.tell();
    const piece = bench.send();
    bench.nowMs += 60_000;
    forget(bench);
    bench.callOff(piece);
    assert.is(bench.line.bytesPerSecond, 0);
  }
});

test('a neighbour far away has more time', () => {
  const called = (roundTripMs: number): number => {
    const bench = new Bench();
    bench.run(4);
    bench.tell();
    for (const neighbour of bench.neighbours) {
      neighbour.mediaDownBytes = PIECE_BYTES;
      neighbour.wait.answered(0, 0, 0, true, roundTripMs);
    }
    const piece = bench.send();
    bench.nowMs += 600;
    bench.callOff(piece);
    return bench.line.bytesPerSecond;
  };
  assert.ok(called(50) > 0);
  assert.is(called(350), 0);
});

test.run();

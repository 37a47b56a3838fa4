import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Part } from '../../../../src/relay/exchange/fellow-publishers.js';
import { Neighbour } from '../../../../src/relay/exchange/neighbour.js';
import type { BufferedWindow } from '../../../../src/relay/exchange/window-buffer.js';
import { type Crowd, WindowShares } from '../../../../src/relay/exchange/window-shares.js';
import { availability, hold, makeContext, makeWindow } from '../../../support/exchange-fixture.js';

const REVEAL_MS = 400;
const LOOK_MS = REVEAL_MS / 4;
const VIEWERS = ['a', 'b', 'c', 'd', 'e'];
const PIECES = 5;

function cut(number: number, pieceCount = PIECES): BufferedWindow {
  return hold(makeContext(), makeWindow(number, pieceCount));
}

/** A swarm of which the test says who holds what. */
class Swarm implements Crowd {
  able: readonly string[];
  contested = false;
  readonly #held = new Map<number, Set<string>>();

  constructor(able: readonly string[] = VIEWERS) {
    this.able = able;
  }

  give(piece: number, ...peers: string[]): void {
    for (const peer of peers) this.#held.set(piece, (this.#held.get(piece) ?? new Set()).add(peer));
  }

  take(piece: number, ...peers: string[]): void {
    for (const peer of peers) this.#held.get(piece)?.delete(peer);
  }

  holders(piece: number): readonly string[] {
    return [...(this.#held.get(piece) ?? [])];
  }
}

/** One window that is dealt out, at the pace of its looks. */
class Course {
  readonly window: BufferedWindow;
  readonly swarm: Swarm;
  readonly shares: WindowShares;
  nowMs = 0;
  state = 'dealt';

  constructor(number = 1, { shares = new WindowShares(REVEAL_MS), swarm = new Swarm() } = {}) {
    [this.window, this.shares, this.swarm] = [cut(number), shares, swarm];
    shares.open(this.window, swarm, this.nowMs);
  }

  /** Everybody who was dealt a piece has it. */
  send(): this {
    for (let piece = 0; piece < PIECES; piece++) {
      const dealt = VIEWERS.filter((peer) => this.dealt(peer).includes(piece));
      this.swarm.give(piece, ...dealt);
      for (const peer of dealt) this.window.noteTaker(piece, peer);
      this.window.copies[piece] = dealt.length;
    }
    return this;
  }

  look(forMs = LOOK_MS): this {
    for (const untilMs = this.nowMs + forMs; this.nowMs < untilMs; ) {
      this.nowMs += LOOK_MS;
      this.state = this.shares.next(this.window, this.swarm, this.nowMs);
    }
    return this;
  }

  dealt(peer: string): readonly number[] {
    const visible = this.shares.visibleTo(peer, this.window);
    return [...this.window.copies.keys()].filter((piece) => visible.has(piece));
  }

  count(): number {
    return VIEWERS.reduce((sum, peer) => sum + this.dealt(peer).length, 0);
  }
}

/** Everybody but these passes on what it gets. Returns to how many pieces each of them was dealt at first. */
function pass(number: number, shares: WindowShares, idle: readonly string[] = []): number {
  const course = new Course(number, { shares }).send();
  const dealtToIdle = idle.reduce((sum, peer) => sum + course.dealt(peer).length, 0);
  course.look();
  for (let time = 0; time < 12; time++) {
    const dealt = VIEWERS.filter((peer) => !idle.includes(peer)).flatMap((peer) => course.dealt(peer));
    course.send();
    for (const piece of dealt) course.swarm.give(piece, ...VIEWERS);
    course.look(REVEAL_MS);
  }
  return dealtToIdle;
}

test('each piece is dealt to one neighbour, in turn', () => {
  const course = new Course();
  assert.equal(
    VIEWERS.map((peer) => course.dealt(peer).length),
    [1, 1, 1, 1, 1],
  );
  assert.equal(course.dealt('stranger'), []);
});

test('a window is not held back from one viewer alone, nor when nothing is to be held back', () => {
  const window = cut(1);
  assert.not(new WindowShares(REVEAL_MS).open(window, new Swarm(['a']), 0));
  const shares = new WindowShares(0);
  assert.not(shares.open(window, new Swarm(), 0));
  assert.ok(shares.visibleTo('a', window).full);
});

test('what does not go on is dealt to others, and in the end it is everybody’s', () => {
  const course = new Course().look(REVEAL_MS);
  assert.ok(course.count() > PIECES);
  course.look(REVEAL_MS);
  assert.ok(course.count() >= 2 * PIECES);
  course.look(10 * REVEAL_MS);
  assert.is(course.state, 'over');
  assert.is(course.count(), PIECES * VIEWERS.length);
});

test('it is everybody’s sooner when somebody names another content, and when many viewers are gone', () => {
  const contested = new Course();
  contested.swarm.contested = true;
  assert.is(contested.look(3 * REVEAL_MS).state, 'over');
  const left = new Course();
  left.swarm.able = VIEWERS.slice(2);
  assert.is(left.look(3 * REVEAL_MS).state, 'over');
});

test('what had spread and is gone with those who held it is dealt again', () => {
  const course = new Course().send().look();
  for (let piece = 0; piece < PIECES; piece++) course.swarm.give(piece, ...VIEWERS);
  course.look(REVEAL_MS * 2);
  assert.is(course.count(), PIECES);
  for (let piece = 0; piece < PIECES; piece++) course.swarm.take(piece, ...VIEWERS.slice(1));
  course.look(REVEAL_MS * 2);
  assert.ok(course.count() > PIECES);
});

for (const leave of ['goes', 'spreads nothing any more'] as const)
  test(`what was dealt to somebody who ${leave} is dealt again at the next look, once, unless somebody else has it`, () => {
    const course = new Course().send().look();
    const { swarm, shares } = course;
    const [kept, lost] = [course.dealt('a')[0], course.dealt('b')[0]] as [number, number];
    swarm.give(kept, 'c');
    course.look();
    swarm.able = ['c', 'd', 'e'];
    for (const peer of ['a', 'b']) {
      swarm.take(kept, peer);
      swarm.take(lost, peer);
      if (leave === 'goes') shares.dropPeer(peer);
    }
    const dealtNow = (piece: number): number => swarm.able.filter((peer) => course.dealt(peer).includes(piece)).length;
    course.look();
    assert.equal([dealtNow(lost), dealtNow(kept)], [1, 0]);
    course.look(LOOK_MS * 2);
    assert.is(dealtNow(lost), 1, 'whoever has it now has its time');
    swarm.give(lost, ...swarm.able);
    course.look();
    if (leave === 'goes') assert.equal([shares.recordOf('a'), shares.recordOf('b')], [undefined, undefined], 'nothing is kept of it');
    else assert.ok((shares.recordOf('b') ?? 1) < 0.75, 'it was of no use');
  });

test('what goes on is not dealt again: it was sent, then one more viewer has it, then another', () => {
  const course = new Course()
    .look(LOOK_MS * 2)
    .send()
    .look(LOOK_MS * 3);
  for (let piece = 0; piece < PIECES; piece++)
    course.swarm.give(piece, VIEWERS.find((peer) => !course.dealt(peer).includes(piece)) as string);
  course.look(LOOK_MS * 3);
  assert.equal([course.count(), course.state], [PIECES, 'unchanged']);
  for (let piece = 0; piece < PIECES; piece++) course.swarm.give(piece, ...VIEWERS);
  course.look(REVEAL_MS * 2);
  assert.is(course.count(), PIECES);
});

test('what stops on its way is dealt again, to somebody who does not have it', () => {
  const course = new Course().send().look();
  course.swarm.give(0, 'b', 'c', 'd');
  course.swarm.give(0, 'a');
  course.look(REVEAL_MS * 2);
  assert.equal(
    VIEWERS.filter((peer) => course.dealt(peer).includes(0)).filter((peer) => !['a', 'b', 'c', 'd'].includes(peer)),
    [],
  );
  const stopped = new Course().send().look();
  stopped.swarm.give(0, 'b');
  stopped.look(REVEAL_MS * 3);
  assert.ok(VIEWERS.filter((peer) => peer !== 'a' && peer !== 'b').some((peer) => stopped.dealt(peer).includes(0)));
});

test('nobody can claim to hold what has never been sent, and who claimed it beforehand is not counted at all', () => {
  const course = new Course();
  for (let piece = 0; piece < PIECES; piece++) course.swarm.give(piece, ...VIEWERS);
  course.look(REVEAL_MS);
  assert.is(course.count(), PIECES, 'dealt to those who say that they have it already');
  const swarm = new Swarm();
  for (let piece = 0; piece < PIECES; piece++) swarm.give(piece, 'd', 'e');
  const lied = new Course(1, { swarm }).send().look(REVEAL_MS * 2);
  assert.is(lied.count(), 2 * PIECES);
});

test('where pieces take long from one viewer to the next as a rule, they are waited for', () => {
  const shares = new WindowShares(REVEAL_MS);
  for (let number = 1; number < 12; number++) {
    const course = new Course(number, { shares }).send().look(LOOK_MS * 9);
    for (let piece = 0; piece < PIECES; piece++) course.swarm.give(piece, ...VIEWERS);
    course.look();
  }
  const course = new Course(20, { shares }).send().look(LOOK_MS * 8);
  assert.is(course.count(), PIECES);
});

test('who does not pass on what it is dealt is passed over, and tried again now and then', () => {
  const shares = new WindowShares(REVEAL_MS);
  const windows = Array.from({ length: 200 }, (_, number) => pass(number, shares, ['a'])).flatMap((count, number) =>
    count > 0 ? [number] : [],
  );
  assert.ok(windows.length >= 4 && windows.length <= 6, `dealt something in windows ${windows}`);
  const rests = windows.slice(1).map((number, index) => number - (windows[index] ?? 0));
  assert.equal(
    rests,
    rests.toSorted((one, other) => one - other),
  );
});

test('a viewer that gets nothing from the others is shown everything at once, one such viewer at a time', () => {
  const shares = new WindowShares(REVEAL_MS);
  const others = ['a', 'b', 'c'];
  for (let number = 0; number < 16; number++) {
    const course = new Course(number, { shares }).send().look();
    for (let piece = 0; piece < PIECES; piece++) course.swarm.give(piece, ...others);
    for (const peer of ['d', 'e']) for (const piece of course.dealt(peer)) course.swarm.take(piece, peer);
    course.look(12 * REVEAL_MS);
  }
  const course = new Course(16, { shares });
  assert.equal(
    VIEWERS.map((peer) => course.dealt(peer).length === PIECES),
    [false, false, false, true, false],
  );
  // Who has come since has none of the windows before, and is behind nobody.
  const newcomer = new Course(17, { shares, swarm: new Swarm([...VIEWERS, 'f']) }).send().look();
  for (let piece = 0; piece < PIECES; piece++) newcomer.swarm.give(piece, ...others);
  newcomer.look(12 * REVEAL_MS);
  assert.ok(new Course(18, { shares, swarm: newcomer.swarm }).dealt('f').length < PIECES);
  const torn = new WindowShares(REVEAL_MS);
  for (let number = 0; number < 16; number++) {
    const { swarm, window } = new Course(number, { shares: torn, swarm: new Swarm([...VIEWERS, 'f', 'g']) });
    for (let piece = 0; piece < PIECES; piece++) swarm.give(piece, 'a', 'b', 'f', 'g');
    for (let nowMs = 0; nowMs <= 12 * REVEAL_MS; nowMs += LOOK_MS) torn.next(window, swarm, nowMs);
  }
  const last = new Course(16, { shares: torn, swarm: new Swarm([...VIEWERS, 'f', 'g']) });
  assert.is(VIEWERS.filter((peer) => last.dealt(peer).length === PIECES).length, 1);
});

test('a window that is still going from viewer to viewer is not shown to all after twelve times, but after thirty', () => {
  const [spreading, resting] = [new Course(1).send().look(), new Course(1).send().look()];
  const large = [...VIEWERS, ...Array.from({ length: 100 }, (_, at) => `far ${at}`)];
  spreading.swarm.able = large;
  for (let halves = 1; halves < 59; halves++) {
    for (let piece = 0; piece < PIECES; piece++) spreading.swarm.give(piece, large[large.length - halves] as string);
    spreading.look(REVEAL_MS / 2);
    if (halves > 24) assert.is.not(spreading.state, 'over');
  }
  assert.is(spreading.look(REVEAL_MS).state, 'over');
  for (let piece = 0; piece < PIECES; piece++) resting.swarm.give(piece, 'a', 'b');
  assert.is(resting.look(12 * REVEAL_MS).state, 'over');
});

test('where nobody can pass anything on, nothing is held back', () => {
  const shares = new WindowShares(REVEAL_MS);
  for (let number = 1; number < 4; number++) pass(number, shares, VIEWERS);
  assert.not(shares.open(cut(10), new Swarm(), 0));
  const together = new WindowShares(REVEAL_MS);
  for (let number = 1; number < 4; number++) pass(number, together);
  assert.ok(together.open(cut(10), new Swarm(), 0));
});

test('what has left the buffer, and who has left the swarm, is forgotten', () => {
  const shares = new WindowShares(REVEAL_MS);
  const [first, second] = [new Course(1, { shares }), new Course(2, { shares })];
  shares.forgetBelow(2);
  assert.is(first.look().state, 'over');
  shares.dropPeer('a');
  assert.equal(second.dealt('a'), []);
});

test('what a publisher that has gone had not spread of its part is dealt at the next look, and not before it has gone', () => {
  for (const goes of [true, false]) {
    const shares = new WindowShares(REVEAL_MS);
    const swarm = new Swarm();
    const window = cut(1);
    const other = new Neighbour('other', 0);
    other.map.update(true, 0, [availability(makeWindow(1, PIECES))]);
    let isThere = true;
    const part: Part = {
      count: 2,
      isOurs: (piece) => piece % 2 === 0,
      ownerOf: (piece) => (isThere && piece % 2 === 1 ? other : undefined),
      lagMs: 0,
      serves: () => true,
    };
    shares.open(window, swarm, 0, part);
    const shown = (): number[] => [1, 3].filter((piece) => VIEWERS.some((peer) => shares.visibleTo(peer, window).has(piece)));
    // It has spread one of its two pieces, so the other one is left to it.
    swarm.give(1, 'a');
    for (const nowMs of [140, 280, 300]) shares.next(window, swarm, nowMs);
    assert.equal(shown(), []);
    isThere = !goes;
    shares.next(window, swarm, 400);
    assert.equal(shown(), goes ? [3] : []);
  }
});

test('what is fed to somebody is dealt to that one, and the rest in turn', () => {
  const [window, shares] = [cut(1), new WindowShares(REVEAL_MS)];
  shares.open(window, new Swarm(), 0, undefined, (piece) => (piece < 3 ? 'd' : undefined));
  const dealt = (peer: string): readonly number[] => [...window.copies.keys()].filter((piece) => shares.visibleTo(peer, window).has(piece));
  assert.equal(dealt('d').slice(0, 3), [0, 1, 2]);
  assert.is(
    VIEWERS.reduce((sum, peer) => sum + dealt(peer).length, 0),
    PIECES,
    'each piece once',
  );
});

test('what is fed to somebody who is asleep, or passed over, is dealt in turn', () => {
  const [window, shares] = [cut(1), new WindowShares(REVEAL_MS)];
  shares.open(window, new Swarm(['a', 'b']), 0, undefined, () => 'asleep');
  const count = (peer: string): number => shares.visibleTo(peer, window).count;
  assert.equal(['a', 'b', 'asleep'].map(count).sort(), [0, 2, 3]);
});

test('whoever passes on half of what it is dealt passes on, and so does one of whom nothing is known', () => {
  const shares = new WindowShares(REVEAL_MS);
  assert.ok(shares.passesOn('a'));
  pass(1, shares, ['a']);
  pass(2, shares, ['a']);
  assert.equal([shares.passesOn('a'), shares.passesOn('b')], [false, true]);
});

test.run();

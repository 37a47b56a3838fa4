import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Playout } from '../../../../src/relay/exchange/playout.js';
import { WindowBuffer } from '../../../../src/relay/exchange/window-buffer.js';
import { makeWindow, PARAMETERS } from '../../../support/exchange-fixture.js';

function setUp(announced: (after: number, before: number) => boolean = () => false) {
  const buffer = new WindowBuffer(60, 1_000_000);
  const playout = new Playout(PARAMETERS, buffer, announced);
  const hold = (number: number, overrides: Parameters<typeof makeWindow>[2] = {}, whole = true): void => {
    const { manifest, pieces } = makeWindow(number, 2, overrides);
    const window = buffer.open(manifest, 0);
    if (whole) for (const [index, piece] of pieces.entries()) window?.store(index, piece);
  };
  return { playout, hold, buffer };
}

test('nothing is delivered before a start is chosen, and then in order, each once', () => {
  const { playout, hold } = setUp();
  for (const number of [4, 5, 6]) hold(number);
  assert.is(playout.deliver(0), undefined);
  assert.not(playout.started);
  playout.moveTo(4);
  assert.equal(
    [playout.deliver(0), playout.deliver(0), playout.deliver(0), playout.deliver(0)].map((window) => window?.number),
    [4, 5, 6, undefined],
  );
});

test('a window that is not whole, or not known, holds up those behind it', () => {
  const { playout, hold } = setUp();
  hold(4);
  hold(6);
  playout.moveTo(4);
  playout.deliver(0);
  assert.is(playout.deliver(0), undefined, '6 says that 5 comes before it');
  hold(5, {}, false);
  assert.is(playout.candidate()?.number, 5);
  assert.is(playout.deliver(0), undefined);
});

test('numbers that do not exist are not waited for', () => {
  const { playout, hold } = setUp();
  hold(4);
  hold(9, { previous: 4 });
  playout.moveTo(4);
  playout.deliver(0);
  assert.is(playout.deliver(0)?.number, 9);
});

test('the first window of a restarted publisher follows, unless somebody has one in between', () => {
  const { playout, hold } = setUp((after, before) => after < 6 && before > 6);
  hold(4);
  hold(104, { previous: null });
  playout.moveTo(4);
  playout.deliver(0);
  assert.is(playout.deliver(0), undefined);
  const alone = setUp();
  alone.hold(4);
  alone.hold(104, { previous: null });
  alone.playout.moveTo(4);
  alone.playout.deliver(0);
  assert.is(alone.playout.deliver(0)?.number, 104);
});

test('a window is due when the player would run dry; a late one moves all that follow', () => {
  const { playout, hold } = setUp();
  for (const number of [4, 5, 6]) hold(number);
  playout.moveTo(4);
  assert.is(playout.deadlineMs(4, 1_000), 1_000 + PARAMETERS.startLagMs);
  playout.deliver(1_000);
  assert.equal([playout.deadlineMs(5, 1_000), playout.deadlineMs(7, 1_000)], [1_500, 2_500]);
  playout.deliver(1_800);
  assert.is(playout.deadlineMs(6, 1_800), 2_300);
});

test('a discontinuity starts the clock of the player anew', () => {
  const { playout, hold } = setUp();
  hold(4);
  hold(5, { startMs: 9_000_000, discontinuity: true });
  playout.moveTo(4);
  playout.deliver(1_000);
  playout.deliver(1_100);
  assert.is(playout.deadlineMs(6, 1_100), 1_600);
});

test("time that this process slept is nobody's delay", () => {
  const { playout, hold } = setUp();
  hold(4);
  playout.moveTo(4);
  playout.deliver(1_000);
  playout.blockedMs(1_200);
  playout.shift(10_000);
  assert.is(playout.deadlineMs(5, 11_200), 11_500);
  assert.is(playout.blockedMs(11_300), 100);
});

test('a start that is given up leaves the playhead where it was', () => {
  const { playout, hold } = setUp();
  hold(4);
  playout.moveTo(4);
  assert.is(playout.anchor, 4);
  playout.forgetAnchor();
  assert.not(playout.started);
  playout.moveTo(4);
  playout.deliver(0);
  playout.moveTo(100);
  assert.is(playout.next, 100);
  playout.forgetAnchor();
  assert.is(playout.next, 5);
});

test('being blocked counts from when it was first asked, and idling ends it', () => {
  const { playout } = setUp();
  playout.moveTo(4);
  assert.equal([playout.blockedMs(100), playout.blockedMs(250)], [0, 150]);
  playout.idle(300);
  assert.is(playout.blockedMs(310), 10);
});

test.run();

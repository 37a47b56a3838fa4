import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Neighbour } from '../../../../src/relay/exchange/neighbour.js';
import { byUrgency, chooseHolder, deadlineClass, isHandy, type Need } from '../../../../src/relay/exchange/scheduler.js';

const need = (overrides: Partial<Need> = {}): Need => ({
  window: 5,
  piece: 0,
  sizeBytes: 16_384,
  slackMs: 5_000,
  deadlineClass: 1,
  dealt: false,
  holders: [],
  ...overrides,
});
const evenly = (): number => 0;
const QUIET_MS = 1_200;

function holder(id: string, shape: { slower?: number; publisher?: boolean; outstanding?: number; busyUntilMs?: number } = {}): Neighbour {
  const neighbour = new Neighbour(id, 0);
  neighbour.succeeded();
  neighbour.publisher = shape.publisher ?? false;
  neighbour.outstanding = shape.outstanding ?? 0;
  neighbour.busyUntilMs = shape.busyUntilMs ?? 0;
  for (let count = 0; count < (shape.slower ?? 0); count++) neighbour.wait.timedOut();
  return neighbour;
}

test('the first two windows are urgent, the next four come soon', () => {
  assert.equal([0, 1, 2, 5, 6, 60].map(deadlineClass), [0, 0, 1, 1, 2, 2]);
});

test('needs are ordered by urgency, then rarity, then age', () => {
  const [a, b] = [holder('a'), holder('b')];
  const urgent = need({ deadlineClass: 0, holders: [a, b], window: 9 });
  const rare = need({ holders: [a], window: 7 });
  const older = need({ holders: [a, b], window: 6 });
  const newer = need({ holders: [a, b], window: 7 });
  const last = need({ holders: [a, b], window: 7, piece: 1 });
  assert.equal([last, newer, older, rare, urgent].sort(byUrgency), [urgent, rare, older, newer, last]);
});

test('the holder that will have it here first is asked', () => {
  const quick = holder('quick');
  assert.is(chooseHolder(need({ holders: [holder('slow', { slower: 1 }), quick] }), 0, QUIET_MS, evenly), quick);
});

test('a publisher is spared while somebody else has the piece, and asked when nobody has', () => {
  const publisher = holder('publisher', { publisher: true });
  const viewer = holder('viewer', { slower: 1 });
  assert.is(chooseHolder(need({ holders: [publisher, viewer] }), 0, QUIET_MS, evenly), viewer);
  assert.is(chooseHolder(need({ holders: [publisher] }), 0, QUIET_MS, evenly), publisher);
});

test('whoever has said nothing for a while is asked only where nobody else is left, however quick it was', () => {
  const [quiet, heard] = [holder('quiet'), holder('heard', { slower: 2 })];
  heard.lastHeardMs = 5_000;
  assert.is(chooseHolder(need({ holders: [quiet, heard], deadlineClass: 0 }), 6_000, QUIET_MS, evenly), heard);
  assert.is(chooseHolder(need({ holders: [quiet], deadlineClass: 0 }), 6_000, QUIET_MS, evenly), quiet);
  assert.is(
    chooseHolder(need({ holders: [quiet, heard], deadlineClass: 0 }), 1_000, QUIET_MS, evenly),
    quiet,
    'a moment without a word means nothing',
  );
});

test('who is busy, or has enough to do, is not asked', () => {
  const busy = holder('busy', { busyUntilMs: 100 });
  const loaded = holder('loaded', { outstanding: 64 });
  assert.is(chooseHolder(need({ holders: [busy, loaded] }), 0, QUIET_MS, evenly), undefined);
  assert.is(chooseHolder(need({ holders: [busy, loaded] }), 100, QUIET_MS, evenly), busy);
});

test('a third piece is never asked of a viewer on trial, but of a publisher that has just come', () => {
  const newcomer = new Neighbour('newcomer', 0);
  newcomer.outstanding = 2;
  const slow = holder('slow', { slower: 1 });
  assert.is(chooseHolder(need({ holders: [newcomer, slow], deadlineClass: 0 }), 0, QUIET_MS, evenly), slow);
  assert.is(chooseHolder(need({ holders: [newcomer], deadlineClass: 0 }), 0, QUIET_MS, evenly), undefined);
  newcomer.publisher = true;
  assert.is(chooseHolder(need({ holders: [newcomer], deadlineClass: 0 }), 0, QUIET_MS, evenly), newcomer);
});

test('what a publisher has dealt to us is asked of it at once, unless it owes us two seconds of work already', () => {
  const [publisher, viewer] = [holder('publisher', { publisher: true, outstanding: 3 }), holder('viewer', { outstanding: 3 })];
  for (const { wait } of [publisher, viewer]) wait.asked(400_000);
  const chosen = (holders: readonly Neighbour[], dealt: boolean) =>
    chooseHolder(need({ holders, dealt, deadlineClass: 2 }), 0, QUIET_MS, evenly);
  assert.equal([isHandy(publisher), isHandy(viewer)], [true, false]);
  assert.equal([chosen([publisher], true), chosen([publisher], false), chosen([viewer], false)], [publisher, undefined, undefined]);
  publisher.wait.asked(200_000);
  assert.is(chosen([publisher], true), undefined);
});

test('nobody is given a second of work in advance, unless it is urgent', () => {
  const behind = holder('behind', { outstanding: 3 });
  behind.wait.asked(1_000_000);
  assert.is(chooseHolder(need({ holders: [behind] }), 0, QUIET_MS, evenly), undefined);
  assert.is(chooseHolder(need({ holders: [behind], deadlineClass: 0 }), 0, QUIET_MS, evenly), behind);
});

test('who is idle is tried even if it looks too slow', () => {
  const slow = holder('slow', { slower: 3 });
  assert.is(chooseHolder(need({ holders: [slow], slackMs: 10 }), 0, QUIET_MS, evenly), slow);
});

test.run();

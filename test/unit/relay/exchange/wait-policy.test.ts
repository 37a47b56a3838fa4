import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Neighbour } from '../../../../src/relay/exchange/neighbour.js';
import type { Need } from '../../../../src/relay/exchange/scheduler.js';
import { WaitPolicy } from '../../../../src/relay/exchange/wait-policy.js';
import { PARAMETERS, PIECE_BYTES } from '../../../support/exchange-fixture.js';

const [X, Y, SOURCE] = ['x', 'y', 'source'].map((id) => new Neighbour(id, 0)) as [Neighbour, Neighbour, Neighbour];
SOURCE.publisher = true;
const sources = () => [SOURCE];
const PREDICTED_MS = SOURCE.wait.predictMs(PIECE_BYTES);

function need(slackMs: number, ...holders: readonly Neighbour[]): Need {
  return { window: 1, piece: 0, sizeBytes: PIECE_BYTES, slackMs, deadlineClass: 0, dealt: false, holders };
}

test('what ships waits by the past of the neighbour, and leaves room for one retry where there is somebody else', () => {
  const policy = new WaitPolicy(PARAMETERS);
  const alone = policy.waitMs(need(1_000, X), X, sources);
  assert.is(alone, Math.max(2 * PARAMETERS.waitMinMs, X.wait.waitMs(PIECE_BYTES, PARAMETERS.tickMs)));
  assert.is(policy.waitMs(need(10_000, X, Y), X, sources), alone);
  assert.is(policy.waitMs(need(PREDICTED_MS + 200, X, Y), X, sources), 200);
  assert.is(policy.waitMs(need(0, X, Y), X, sources), PARAMETERS.waitMinMs);
  assert.ok(policy.movesOnNews);
  assert.equal(policy.secondChoice([X, Y], sources, 0), [X, Y]);
  assert.equal(policy.secondChoice([], sources, 0), [SOURCE]);
  assert.equal(policy.secondChoice([SOURCE, X, Y], sources, 0), [X, Y], 'a publisher is spared');
  const [quiet, heard] = [new Neighbour('quiet', 0), new Neighbour('heard', 0)];
  heard.lastHeardMs = 5_000;
  heard.wait.timedOut();
  assert.equal(
    policy.secondChoice([quiet, heard, SOURCE], sources, 5_000),
    [heard, SOURCE],
    'a viewer that says nothing comes last, however quick it was',
  );
});

test('a fixed wait knows neither the neighbour nor the deadline', () => {
  const policy = new WaitPolicy({ ...PARAMETERS, fixedWaitMs: 2_000, waitMaxMs: 2_000 });
  assert.equal(
    [10_000, 500, 0].map((slackMs) => policy.waitMs(need(slackMs, X, Y), X, sources)),
    [2_000, 2_000, 2_000],
  );
  assert.not.ok(policy.movesOnNews);
});

test('a deadline hedge asks viewers first, waits until the source could only just send it, and then asks the source', () => {
  const policy = new WaitPolicy({ ...PARAMETERS, deadlineHedgeMs: 100 });
  const early = need(PREDICTED_MS + 700, X, SOURCE);
  assert.equal(policy.narrowed(early, sources).holders, [X]);
  assert.is(policy.waitMs(early, X, sources), 600);
  assert.equal(policy.secondChoice([Y], sources, 0), [SOURCE]);
  assert.equal(policy.narrowed(need(PREDICTED_MS + 100, X, SOURCE), sources).holders, [SOURCE], 'too late for anybody else');
  assert.equal(policy.narrowed(need(5_000, SOURCE), sources).holders, [SOURCE], 'nobody else has it');
});

test('a deadline hedge without a source at hand asks as the wait times say', () => {
  const policy = new WaitPolicy({ ...PARAMETERS, deadlineHedgeMs: 100 });
  const shipped = new WaitPolicy(PARAMETERS);
  const none = () => [];
  assert.equal(policy.narrowed(need(0, X, Y), none).holders, [X, Y]);
  assert.is(policy.waitMs(need(300, X, Y), X, none), shipped.waitMs(need(300, X, Y), X, none));
  assert.equal(policy.secondChoice([Y], none, 0), [Y]);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { entityTagOf, judgeConditions, rangeApplies } from '../../../src/vod/conditional-request.js';
import { formatHttpDate } from '../../../src/vod/http-date.js';

const entityTag = entityTagOf('ab'.repeat(20), 3);
const modifiedS = 1_700_000_000;
const known = { entityTag, modifiedS };
const date = (offsetS: number) => formatHttpDate(modifiedS + offsetS);

test('an entity tag names the title and the file', () => {
  assert.is(entityTag, `"${'ab'.repeat(20)}-3"`);
});

test('whoever has the file is told so, by its tag first and by its date only without one', () => {
  assert.is(judgeConditions({ ifNoneMatch: `"x", W/${entityTag}` }, known), 'not-modified');
  assert.is(judgeConditions({ ifNoneMatch: '*' }, known), 'not-modified');
  assert.is(judgeConditions({ ifNoneMatch: '"x"', ifModifiedSince: date(0) }, known), 'proceed');
  assert.is(judgeConditions({ ifModifiedSince: date(0) }, known), 'not-modified');
  assert.is(judgeConditions({ ifModifiedSince: date(-1) }, known), 'proceed');
});

test('a condition that does not hold is 412; a weak tag is no proof of equal bytes', () => {
  assert.is(judgeConditions({ ifMatch: entityTag }, known), 'proceed');
  assert.is(judgeConditions({ ifMatch: `W/${entityTag}` }, known), 'precondition-failed');
  assert.is(judgeConditions({ ifUnmodifiedSince: date(-1) }, known), 'precondition-failed');
  assert.is(judgeConditions({ ifMatch: entityTag, ifUnmodifiedSince: date(-1) }, known), 'proceed');
});

test('without an honest date no condition on dates holds or fails', () => {
  assert.is(judgeConditions({ ifModifiedSince: date(9) }, { entityTag }), 'proceed');
  assert.is(judgeConditions({ ifUnmodifiedSince: date(-9) }, { entityTag }), 'proceed');
  assert.is(rangeApplies(date(0), { entityTag }), false);
});

test('a range is honoured for the very same file only', () => {
  assert.is(rangeApplies(undefined, known), true);
  assert.is(rangeApplies(entityTag, known), true);
  assert.is(rangeApplies(`W/${entityTag}`, known), false);
  assert.is(rangeApplies(date(0), known), true);
  assert.is(rangeApplies(date(1), known), false);
});

test.run();

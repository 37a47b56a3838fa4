/** Which channels a person may declare, and what is said about the others. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { declareChannel, declareChannels } from '../../../src/plugins/declared-channel.js';

function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
  return 'nothing was refused';
}

test('a name alone is a pushed channel, an address as source a pulled one', () => {
  assert.equal(declareChannel('Main Stage'), { slug: 'main-stage', name: 'Main Stage', source: 'main-stage', container: 'flv' });
  assert.is(declareChannel('Radio', 'studio 1').container, 'flv');
  for (const source of ['mms://h/p', 'MMSH://h:8080/p', 'mmst://h/p', 'http://h/p'])
    assert.is(declareChannel('Old', source).container, 'asf');
});

test('a name of no Latin letters still has an address of its own', () => {
  assert.match(declareChannel('电视').slug, /^channel-[0-9a-f]{8}$/);
  assert.is.not(declareChannel('电视').slug, declareChannel('电台').slug);
});

test('names and sources that cannot be are refused, with what would be right', () => {
  assert.match(
    refusal(() => declareChannel('x'.repeat(81))),
    /expected 1 to 80 characters/,
  );
  assert.match(
    refusal(() => declareChannel('evil\u001b[31m\nname')),
    /characters that can be printed/,
  );
  assert.match(
    refusal(() => declareChannel('A', 'rtmp://h/live')),
    /rtmp:\/\/h\/live cannot be pulled; expected an mms:/,
  );
  assert.match(
    refusal(() => declareChannel('A', 'mms://h/a b')),
    /its source "mms:\/\/h\/a b" cannot be used/,
  );
  assert.match(
    refusal(() => declareChannel('A', 'mms://h/a', 'flv')),
    /a pulled source is asf, not flv/,
  );
});

test('two channels never share an address or a stream key', () => {
  const two = (first: object, second: object): string =>
    refusal(() =>
      declareChannels(
        [
          { name: 'A', ...first },
          { name: 'B', ...second },
        ],
        ['Test card'],
      ),
    );
  assert.is(two({}, {}), 'nothing was refused');
  assert.match(two({}, { name: 'a' }), /another channel whose address is "a"/);
  assert.match(two({}, { name: 'test card' }), /another channel whose address is "test-card"/);
  assert.match(two({ key: 'samekey123' }, { key: 'samekey123' }), /"A" and "B" have the same stream key/);
});

test.run();

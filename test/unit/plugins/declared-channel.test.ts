/** Which channels a person may declare, and what is said about the others. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { declareChannel, declareChannels, pullAddressOf, showsQuery } from '../../../src/plugins/declared-channel.js';

function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
  return 'nothing was refused';
}

test('a name alone is a pushed channel, an address as source a pulled one', () => {
  assert.equal(declareChannel({ name: 'Main Stage' }), { slug: 'main-stage', name: 'Main Stage', source: 'main-stage', container: 'flv' });
  assert.is(declareChannel({ name: 'Radio', source: 'studio 1' }).container, 'flv');
  for (const source of ['mms://h/p', 'MMSH://h:8080/p', 'mmst://h/p', 'http://h/p', 'https://h/p.asx?x=.flv'])
    assert.is(declareChannel({ name: 'Old', source }).container, 'asf');
  for (const source of ['rtmp://h/a/p', 'RTMPS://h:1936/a/b/p?x', 'http://h/a/p.flv', 'https://h/P.FLV?token=1'])
    assert.is(declareChannel({ name: 'New', source }).container, 'flv');
});

test('a name of no Latin letters still has an address of its own', () => {
  assert.match(declareChannel({ name: '电视' }).slug, /^channel-[0-9a-f]{8}$/);
  assert.is.not(declareChannel({ name: '电视' }).slug, declareChannel({ name: '电台' }).slug);
});

test('names and sources that cannot be are refused, with what would be right', () => {
  assert.match(
    refusal(() => declareChannel({ name: 'x'.repeat(81) })),
    /expected 1 to 80 characters/,
  );
  assert.match(
    refusal(() => declareChannel({ name: 'evil\u001b[31m\nname' })),
    /characters that can be printed/,
  );
  assert.match(
    refusal(() => declareChannel({ name: 'A', source: 'rtsp://h/live' })),
    /the source rtsp:\/\/h\/live cannot be pulled; expected an rtmp:.*or a plain name/,
  );
  assert.match(
    refusal(() => declareChannel({ name: 'A', source: 'rtmp://h/live' })),
    /names no stream; expected rtmp:\/\/host\/application\/name/,
  );
  assert.match(
    refusal(() => declareChannel({ name: 'A', source: 'mms://h/a b' })),
    /the source mms:\/\/h\/a b cannot be pulled.*write it as %20/,
  );
  assert.match(
    refusal(() => declareChannel({ name: 'A', source: 'mms://h/a', container: 'flv' })),
    /its source is an mms: address and cannot give flv; leave the container out/,
  );
  assert.match(
    refusal(() => declareChannel({ name: 'A', container: 'asf' })),
    /a pushed source is flv, not asf/,
  );
});

test('a container may be said where the address alone does not tell', () => {
  assert.is(declareChannel({ name: 'A', source: 'http://h/live', container: 'flv' }).container, 'flv');
  assert.is(declareChannel({ name: 'A', source: 'http://h/live.flv', container: 'asf' }).container, 'asf');
});

test('where a source is fetched is kept beside it, and does not change what the channel is', () => {
  const source = 'rtmp://public.example/app/name';
  const pull = 'http://10.0.0.5/app/name?token=secret';
  const declared = declareChannel({ name: 'A', source, pull });
  assert.equal(declared, { slug: 'a', name: 'A', source, container: 'flv', pull });
  assert.is(pullAddressOf(declared), pull);
  assert.is(pullAddressOf(declareChannel({ name: 'A', source })), source);
  assert.is(pullAddressOf(declareChannel({ name: 'A', source: 'studio' })), undefined);
  assert.is(declareChannel({ name: 'A', source: 'studio', pull: 'mms://h/x' }).container, 'asf');
  assert.is(declareChannel({ name: 'A', pull: 'rtmp://h/a/x' }).source, 'a');
});

test('addresses that give different containers do not fit, and no message holds a secret', () => {
  const messages = [
    { source: 'rtmp://h/a/b', pull: 'mms://h/x?secret' },
    { source: 'mms://h/x', pull: 'rtmp://secret:secret@h/a/b?secret' },
    { source: 'rtmp://h/a/b', pull: 'rtmp://secret@h/a?secret' },
    { source: 'rtsp://secret@h/a?secret' },
    { source: 'mms://h/x', pull: 'secret' },
  ].map((channel) => refusal(() => declareChannel({ name: 'A', ...channel })));
  for (const message of messages) assert.not.match(message, /secret|nothing was refused/);
  assert.match(messages[0] ?? '', /its pull is an mms: address and cannot give flv; give addresses that fit/);
});

test('a query is public only in the address that the channel is known by', () => {
  assert.is(showsQuery({ source: 'rtmp://h/a/b?x' }), true);
  assert.is(showsQuery({ source: 'rtmp://h/a/b?x', pull: 'rtmp://h/a/b?y' }), false);
  assert.is(showsQuery({ source: 'what?' }), false);
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

/** The page's words about publishers. The page is plain JavaScript; here is the shape that the tests expect of it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ChannelStatus } from '../../../src/relay/endpoints/channel-status.js';
import { IDLE_STATUS } from '../../support/portal-fixture.js';

interface Notice {
  readonly title: string;
  readonly text: string;
  readonly keys: readonly { readonly label: string; readonly key: string }[];
  readonly commands: readonly (readonly [string, string])[];
}

interface Words {
  shortKey(key: string): string;
  formatSpan(spanMs: number): string;
  formatAgo(seconds: number): string;
  publisherRows(
    status: ChannelStatus,
  ): readonly { readonly key: string; readonly share: string; readonly last: string; readonly mark: string }[];
  describePlace(status: ChannelStatus): string | null;
  describeRight(status: ChannelStatus, timeZone: string): string | null;
  summarise(status: ChannelStatus): string | null;
  isNotable(status: ChannelStatus): boolean;
  notesOf(status: ChannelStatus): readonly string[];
  noticesOf(channel: { readonly name: string; readonly status: ChannelStatus }, nowMs: number, timeZone: string): readonly Notice[];
}

/** The compiled test lies in dist/test/unit/web. */
const words = (await import(new URL('../../../../web/publishers.js', import.meta.url).href)) as Words;

const ONE = 'aaaaaaaa'.padEnd(64, '0');
const TWO = 'bbbbbbbb'.padEnd(64, '1');
const UNTIL = '2027-01-31T12:00:00.000Z';
const NOW_MS = Date.UTC(2027, 0, 15);
const CONFLICT = { publishers: [TWO, ONE], window: 7 } as const;
const STATION: ChannelStatus = { ...IDLE_STATUS, role: 'publisher', authority: 'owner', publisherKey: ONE };

function aligned(state: 'waiting' | 'looking' | 'leading' | 'aligned' | 'standby', offsetMs = 0): ChannelStatus {
  return { ...STATION, alignment: { state, detail: 'the swarm shows other content', offsetMs } };
}

function notices(status: ChannelStatus, name = 'News', nowMs = NOW_MS): readonly Notice[] {
  return words.noticesOf({ name, status }, nowMs, 'UTC');
}

test('spans and ages are as exact as a person needs', () => {
  assert.equal([-2020, 14_230, 740_000, 7_500_000].map(words.formatSpan), ['2020 ms', '14.2 s', '12 min', '2 h 5 min']);
  assert.equal([0.4, 12.3, 119, 200].map(words.formatAgo), ['0.4 s ago', '12 s ago', '119 s ago', '3 min ago']);
});

test('rows have the share of the windows, in the order of the keys', () => {
  const publishers = [
    { key: TWO, windows: 3, lastSeconds: 0.2 },
    { key: ONE, windows: 1, lastSeconds: 30 },
  ];
  assert.equal(words.publisherRows({ ...IDLE_STATUS, publishers, conflict: CONFLICT }), [
    { key: ONE, share: '25 %', windows: 1, last: '30 s ago', mark: 'other content' },
    { key: TWO, share: '75 %', windows: 3, last: '0.2 s ago', mark: 'followed here' },
  ]);
  assert.equal(
    words.publisherRows({ ...IDLE_STATUS, publishers }).map(({ mark }) => mark),
    ['', ''],
  );
});

test('a station says where it stands, and how far its times are moved', () => {
  const places = [
    aligned('waiting'),
    aligned('looking'),
    aligned('leading'),
    aligned('aligned', 2020),
    aligned('aligned', -90),
    aligned('standby'),
  ];
  assert.equal(places.map(words.describePlace), [
    'Waiting for its source',
    'Not on the air yet: looking for its place among the publishers',
    'On the air, leading: others go by its times',
    'On the air together with others: aligned, 2020 ms later than its own times',
    'On the air together with others: aligned, 90 ms earlier than its own times',
    'Standing by: the swarm shows other content than this source',
  ]);
  assert.is(words.describePlace({ ...aligned('aligned'), authority: 'withdrawn' }), 'Off the air: it has no right to publish now');
  assert.is(words.describePlace(STATION), 'Waiting for its source');
  assert.is(words.describePlace(IDLE_STATUS), null);
});

test('a station says by what right it publishes', () => {
  const right = (fields: Partial<ChannelStatus>): string | null => words.describeRight({ ...STATION, ...fields }, 'UTC');
  assert.is(right({}), 'Owner of the channel');
  assert.is(right({ publisherKey: null }), 'Open channel: everybody may publish it');
  assert.is(right({ authority: 'delegated', certificateUntil: UNTIL }), 'Delegated by the owner until 31 Jan 2027, 12:00');
  assert.is(right({ authority: 'expired', certificateUntil: UNTIL }), 'Expired: its certificate ended on 31 Jan 2027, 12:00');
  assert.is(right({ authority: 'withdrawn', certificateUntil: UNTIL }), 'Withdrawn by the owner');
  assert.is(right({ authority: 'none' }), 'None yet: it has no certificate');
  assert.is(right({ authority: 'none', certificateUntil: UNTIL }), 'None yet: its certificate begins later');
  assert.is(right({ role: 'viewer', authority: 'none' }), null);
});

test('where all is well there is one line and no notice', () => {
  const alone = { ...IDLE_STATUS, publishers: [{ key: ONE, windows: 9, lastSeconds: 0.1 }] };
  assert.is(words.summarise(alone), 'One, aaaaaaaa');
  assert.is(words.summarise(IDLE_STATUS), null);
  for (const status of [alone, aligned('leading'), { ...aligned('leading'), authority: 'delegated', certificateUntil: UNTIL } as const]) {
    assert.not(words.isNotable(status));
    assert.equal(words.notesOf(status), []);
    assert.equal(notices(status), []);
  }
});

test('several publishers that agree are shown, without a notice', () => {
  const publishers = [ONE, TWO].map((key) => ({ key, windows: 5, lastSeconds: 0.1 }));
  const status = { ...IDLE_STATUS, publishers };
  assert.is(words.summarise(status), '2, all showing the same');
  assert.ok(words.isNotable(status));
  assert.equal(notices(status), []);
});

test('a conflict names both publishers, who is followed, and which of them is this station', () => {
  const [notice, ...rest] = notices({ ...aligned('standby'), conflict: CONFLICT });
  assert.equal(rest, []);
  assert.is(notice?.title, 'Two publishers show different content');
  assert.match(notice?.text ?? '', /This station stands by/);
  assert.equal(notice?.keys, [
    { label: 'On the air', key: TWO },
    { label: 'Stands by (this station)', key: ONE },
  ]);
  const [seen] = notices({ ...IDLE_STATUS, conflict: CONFLICT });
  assert.not.match(seen?.text ?? '', /stands by/);
  assert.equal(seen?.keys, [
    { label: 'Followed here', key: TWO },
    { label: 'Shows other content', key: ONE },
  ]);
  assert.equal(words.notesOf({ ...aligned('standby'), conflict: CONFLICT }), ['publishers disagree', 'standing by']);
});

test('a station that stands by says why, also before a conflict is proven', () => {
  assert.equal(
    notices(aligned('standby')).map(({ title, text }) => `${title}: ${text}`),
    ['This station stands by: The swarm shows other content. It takes over when the others fall silent.'],
  );
});

test('a station without a right is told what mends it; a right that ends within a day is told before', () => {
  const mend = [
    ['The owner', `shoal channel delegate "News" ${ONE}`],
    ['Then here', 'shoal channel accept GRANT'],
  ];
  const titles = {
    expired: 'This station publishes no more',
    withdrawn: 'This station publishes no more',
    none: 'This station may not publish yet',
  };
  for (const authority of ['expired', 'withdrawn', 'none'] as const) {
    const certificateUntil = authority === 'none' ? null : UNTIL;
    const [notice, ...rest] = notices({ ...aligned('standby'), authority, certificateUntil });
    assert.equal(rest, [], 'what its source shows does not matter then');
    assert.is(notice?.title, titles[authority]);
    assert.equal(notice?.commands, mend);
  }
  assert.equal(notices({ ...STATION, authority: 'none', certificateUntil: UNTIL })[0]?.commands, []);
  const delegated = { ...STATION, authority: 'delegated', certificateUntil: UNTIL } as const;
  assert.equal(notices(delegated, 'News', Date.parse(UNTIL) - 3_600_000)[0]?.commands, mend);
});

test('a name that somebody else chose is no command in the shell it is pasted into', () => {
  const command = (name: string): string | undefined => notices({ ...STATION, authority: 'withdrawn' }, name)[0]?.commands[0]?.[1];
  assert.is(command("Tom's $(id) show"), `shoal channel delegate 'Tom'\\''s $(id) show' ${ONE}`);
  assert.is(command("Tom's show"), `shoal channel delegate "Tom's show" ${ONE}`);
});

test.run();

/**
 * Publishers in words: who they are, whether they agree, and how a station stands among them. Texts only; the page shows them elsewhere.
 */

const DAY_MS = 86_400_000;

/** What a person sees of a key: enough to tell two apart, short enough to read aloud. */
export function shortKey(key) {
  return key.slice(0, 8);
}

/** `2020 ms`, `14.2 s`, `12 min`, `2 h 5 min`; without a sign. */
export function formatSpan(spanMs) {
  const ms = Math.abs(spanMs);
  if (ms < 10_000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.round(ms / 60_000);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function formatAgo(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s ago`;
  if (seconds < 120) return `${Math.round(seconds)} s ago`;
  return `${formatSpan(seconds * 1000)} ago`;
}

/** In the reader's own time zone unless one is given. */
export function formatDate(iso, timeZone) {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone }).format(new Date(iso));
}

/** Rows of the table, in an order that does not change while people read it. */
export function publisherRows({ publishers, conflict }) {
  const windows = publishers.reduce((sum, publisher) => sum + publisher.windows, 0);
  return [...publishers]
    .sort((one, other) => (one.key < other.key ? -1 : 1))
    .map(({ key, windows: own, lastSeconds }) => ({
      key,
      share: `${Math.round((own / Math.max(1, windows)) * 100)} %`,
      windows: own,
      last: formatAgo(lastSeconds),
      mark: markOf(key, conflict),
    }));
}

function markOf(key, conflict) {
  const place = conflict === null ? -1 : conflict.publishers.indexOf(key);
  return ['followed here', 'other content'][place] ?? '';
}

/** A station may not publish, whatever its source does. */
function isBarred({ role, authority }) {
  return role === 'publisher' && authority !== 'owner' && authority !== 'delegated';
}

/** Where a station stands among the publishers of its channel; null for a viewer. */
export function describePlace(status) {
  const { role, alignment } = status;
  if (role !== 'publisher') return null;
  if (isBarred(status)) return 'Off the air: it has no right to publish now';
  const moved = alignment && alignment.offsetMs !== 0 ? movedBy(alignment.offsetMs) : '';
  switch (alignment?.state) {
    case 'looking':
      return 'Not on the air yet: looking for its place among the publishers';
    case 'leading':
      return `On the air, leading: others go by its times${moved && `, ${moved}`}`;
    case 'aligned':
      return `On the air together with others: aligned${moved && `, ${moved}`}`;
    case 'standby':
      return 'Standing by: the swarm shows other content than this source';
    default:
      return 'Waiting for its source';
  }
}

function movedBy(offsetMs) {
  return `${formatSpan(offsetMs)} ${offsetMs > 0 ? 'later' : 'earlier'} than its own times`;
}

/** By what right a station publishes; null for a viewer. */
export function describeRight({ role, authority, publisherKey, certificateUntil }, timeZone) {
  if (role !== 'publisher') return null;
  switch (authority) {
    case 'owner':
      return publisherKey === null ? 'Open channel: everybody may publish it' : 'Owner of the channel';
    case 'delegated':
      return `Delegated by the owner until ${formatDate(certificateUntil, timeZone)}`;
    case 'expired':
      return `Expired: its certificate ended on ${formatDate(certificateUntil, timeZone)}`;
    case 'withdrawn':
      return 'Withdrawn by the owner';
    default:
      return certificateUntil === null ? 'None yet: it has no certificate' : 'None yet: its certificate begins later';
  }
}

/** One line for all of it; null when there is nothing to tell. */
export function summarise(status) {
  const { publishers } = status;
  const place = describePlace(status);
  if (place !== null) return place;
  const [first] = publishers;
  if (first === undefined) return null;
  if (status.conflict !== null) return 'Two show different content';
  return publishers.length === 1 ? `One, ${shortKey(first.key)}` : `${publishers.length}, all showing the same`;
}

/** Whether people should see the details without asking. */
export function isNotable(status) {
  return status.publishers.length > 1 || notesOf(status).length > 0 || status.alignment?.state === 'aligned';
}

/** A word or two for each thing that is wrong, for the list of channels. */
export function notesOf(status) {
  const { conflict, alignment, authority } = status;
  const notes = [];
  if (conflict !== null) notes.push('publishers disagree');
  if (isBarred(status)) notes.push({ expired: 'certificate expired', withdrawn: 'withdrawn' }[authority] ?? 'no right to publish yet');
  else if (alignment?.state === 'standby') notes.push('standing by');
  return notes;
}

/**
 * What people must know, the worst first: title, text, the keys it is about, and commands that mend it.
 */
export function noticesOf({ name, status }, nowMs, timeZone) {
  const notices = [];
  const right = rightNotice(name, status, nowMs, timeZone);
  const standsBy = !isBarred(status) && status.alignment?.state === 'standby';
  if (right !== null) notices.push(right);
  if (status.conflict !== null) notices.push(conflictNotice(status, standsBy));
  else if (standsBy) notices.push(standbyNotice(status));
  return notices;
}

/** A station that stands by goes on showing its own source on its own page, which is not what viewers see. */
const STANDS_BY =
  'This station stands by: it publishes nothing now, and takes over when the others fall silent. The picture here is its own source.';
const MEND = 'Their stations should have one and the same source;';

function conflictNotice({ conflict, publisherKey }, standsBy) {
  const label = (words, key) => (key === publisherKey ? `${words} (this station)` : words);
  const [followed, other] = conflict.publishers;
  return {
    title: 'Two publishers show different content',
    text: standsBy
      ? `${STANDS_BY} ${MEND} until they do, viewers get the first one.`
      : `${MEND} until they do, only the first one is followed here.`,
    keys: [
      { label: label(standsBy ? 'On the air' : 'Followed here', followed), key: followed },
      { label: label(standsBy ? 'Stands by' : 'Shows other content', other), key: other },
    ],
    commands: [],
  };
}

function standbyNotice({ alignment }) {
  return {
    title: 'This station stands by',
    text: `${sentence(alignment.detail)} It takes over when the others fall silent.`,
    keys: [],
    commands: [],
  };
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function rightNotice(name, status, nowMs, timeZone) {
  const { role, authority, publisherKey, certificateUntil } = status;
  const key = publisherKey ?? '';
  const commands = [
    ['The owner', `shoal channel delegate ${quoted(name)} ${key}`],
    ['Then here', 'shoal channel accept GRANT'],
  ];
  const mends = { keys: [], commands };
  if (role !== 'publisher' || authority === 'owner') return null;
  if (authority === 'delegated') {
    if (Date.parse(certificateUntil) - nowMs > DAY_MS) return null;
    return {
      title: `This station may publish only until ${formatDate(certificateUntil, timeZone)}`,
      text: 'The owner of the channel can prolong it.',
      ...mends,
    };
  }
  if (authority === 'none' && certificateUntil !== null)
    return {
      title: 'This station may not publish yet',
      text: "Its certificate begins later, and by itself. Is this machine's clock right?",
      keys: [],
      commands: [],
    };
  const why = {
    expired: () => `Its certificate ended on ${formatDate(certificateUntil, timeZone)}. The owner of the channel can renew it.`,
    withdrawn: () => 'The owner of the channel has withdrawn its key, and can let it in again.',
    none: () => 'It has no certificate. The owner of the channel can give it one.',
  };
  return { title: `This station ${authority === 'none' ? 'may not publish yet' : 'publishes no more'}`, text: why[authority](), ...mends };
}

/** For a shell. The name may have been chosen by somebody else. */
function quoted(name) {
  return /["$`\\!]/.test(name) ? `'${name.replaceAll("'", "'\\''")}'` : `"${name}"`;
}

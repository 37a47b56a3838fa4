/**
 * Shows who publishes the channel: warnings above the picture, and a part below it that is folded up while there is nothing to say.
 *
 * Called once a second. What has not changed is left as it is, so that the keyboard's focus, a selection and a screen reader stay where they are.
 */
import { byId, copyButton, copyRow, make } from '/elements.js';
import { describeRight, isNotable, notesOf, noticesOf, publisherRows, shortKey, summarise } from '/publishers.js';

const rows = new Map();
let noticesShown = '';
let factsShown = '';
let stateShown = '';

export function showPublishers(channel) {
  showNotices(channel);
  const { status } = channel;
  const summary = summarise(status);
  const panel = byId('publishers');
  panel.hidden = summary === null;
  if (summary === null) return;
  // Folded or not is the reader's choice, until something happens.
  const state = JSON.stringify([channel.id, isNotable(status), notesOf(status), status.alignment?.state]);
  if (state !== stateShown) panel.open = isNotable(status);
  stateShown = state;
  write(byId('publishers-summary'), summary);
  showFacts(status);
  showRows(status);
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function showNotices(channel) {
  const notices = noticesOf(channel, Date.now());
  const text = JSON.stringify([channel.id, notices]);
  if (text === noticesShown) return;
  noticesShown = text;
  byId('notices').replaceChildren(...notices.map(notice));
}

function notice({ title, text, keys, commands }) {
  const box = make('section', { className: 'notice' }, make('h2', { textContent: title }), make('p', { textContent: text }));
  box.setAttribute('role', 'alert');
  if (keys.length > 0) box.append(make('dl', { className: 'facts' }, ...keys.flatMap(({ label, key }) => fact(label, keyText(key)))));
  for (const [label, command] of commands) box.append(copyRow(label, command));
  return box;
}

function fact(label, value) {
  return [make('dt', { textContent: label }), make('dd', {}, value)];
}

/** The first digits of a key; all of them on hover and by the button. */
function keyText(key) {
  const short = shortKey(key);
  return make('span', { className: 'key' }, make('code', { textContent: short, title: key }), copyButton(`publisher key ${short}`, key));
}

function showFacts(status) {
  const right = describeRight(status);
  const text = JSON.stringify([right, status.publisherKey]);
  if (text === factsShown) return;
  factsShown = text;
  const facts = right === null ? [] : fact("This station's right", right);
  if (status.publisherKey !== null) facts.push(...fact("This station's key", keyText(status.publisherKey)));
  byId('station-facts').replaceChildren(...facts);
  byId('station-facts').hidden = facts.length === 0;
}

function showRows(status) {
  const wanted = publisherRows(status);
  byId('publisher-list').hidden = wanted.length === 0;
  byId('publishers-note').hidden = wanted.length < 2;
  const keys = wanted.map(({ key }) => key);
  const changed = keys.join() !== [...rows.keys()].join();
  for (const row of wanted) fill(rows.get(row.key) ?? makeRow(row.key), row);
  if (!changed) return;
  for (const key of rows.keys()) if (!keys.includes(key)) rows.delete(key);
  const ordered = keys.map((key) => [key, rows.get(key)]);
  rows.clear();
  for (const [key, row] of ordered) rows.set(key, row);
  byId('publisher-rows').replaceChildren(...ordered.map(([, { line }]) => line));
}

function makeRow(key) {
  const [mark, share, last] = [make('span', { className: 'mark' }), make('td'), make('td')];
  const head = make('th', { scope: 'row' }, keyText(key), mark);
  const row = { line: make('tr', {}, head, share, last), mark, share, last };
  rows.set(key, row);
  return row;
}

function fill(row, { mark, share, windows, last }) {
  row.mark.hidden = mark === '';
  write(row.mark, mark);
  write(row.share, share);
  row.share.title = `${windows} windows`;
  write(row.last, last);
}

/**
 * The titles of this machine: a card for each, and one of them in detail. The address part behind # says which: `#/titles`,
 * `#/titles/ID`, and `#/titles/ID/play` to play it at once.
 */
import { byId, make } from '/elements.js';
import { formatRate } from '/figures.js';
import { ask, forgetFaults, startAdding, tell } from '/title-adding.js';
import { closeDetail, playSoon, showDetail, startDetail } from '/title-detail.js';
import { askRemoval, startRemoval } from '/title-removal.js';
import { counted, describeAmount, describeProgress, describeState, formatPercent, titleName } from '/title-words.js';

const ADDRESS = /^#\/titles(?:\/([0-9a-f]{40})(\/play)?)?$/;
/** A picture that did not load is asked for again after this. */
const PICTURE_AGAIN_MS = 10_000;

/** A title with more files than this is long. */
const LONG_FILES = 500;
const LONG_FILES_MS = 10_000;
/** What was just added is looked at more often until it is known what it is. */
const HURRY_MS = 4000;
const HURRY_EVERY_MS = 150;

const cards = new Map();
/** Files of the long title that is shown. */
let longFiles = null;
/** States by title, to tell when one has become complete. */
const states = new Map();
let isThere = false;
let mayChange = false;
let titles = [];
let focusHeading = false;
/** The page goes there by itself, to show what is being added. */
let isOwnStep = false;
let generation = 0;
let hurryUntilMs = 0;
let hurryTimer;

/** Whether the address names titles. */
export function isTitlesAddress() {
  return ADDRESS.test(location.hash);
}

export function startTitles() {
  startAdding({
    isThere: () => isThere,
    canAdd: () => isThere && mayChange,
    onBegin() {
      if (location.hash === '#/titles') return;
      isOwnStep = true;
      location.hash = '#/titles';
    },
    onAdded() {
      hurryUntilMs = performance.now() + HURRY_MS;
      refreshTitles().catch(() => undefined);
    },
  });
  startRemoval({
    onRemoved(id) {
      if (chosenId() === id) location.hash = '#/titles';
      else refreshTitles();
    },
  });
  startDetail({ onChangeState: changeState, onRecheck: ({ id }) => order(id, 'recheck', 'Checking the files'), onRemove: askRemoval });
  addEventListener('hashchange', () => {
    focusHeading = isTitlesAddress();
    if (!isOwnStep) forgetFaults();
    isOwnStep = false;
  });
}

/** Told once a second whether this process keeps titles at all. */
export function setTitlesThere(value) {
  isThere = value;
}

/** The page shows something else now. */
export function leaveTitles() {
  closeDetail();
  forgetFaults();
}

function chosenId() {
  return ADDRESS.exec(location.hash)?.[1];
}

/** Reads the list, and the detail of the one that is shown. Rejects when the server does not answer. */
export async function refreshTitles() {
  generation += 1;
  const own = generation;
  const id = chosenId();
  if (ADDRESS.exec(location.hash)?.[2] !== undefined) {
    playSoon();
    history.replaceState(null, '', `#/titles/${id}`);
  }
  const [list, detail] = await Promise.all([read('/api/titles?files=no'), id === undefined ? undefined : readDetail(id)]);
  // An answer that was overtaken by another one, or by the reader, is of no use.
  if (own !== generation || id !== chosenId() || list === null) return;
  titles = list.titles;
  mayChange = list.mayChange;
  announce();
  byId('title-list').hidden = id !== undefined;
  byId('title-detail').hidden = id === undefined || !detail;
  byId('title-gone').hidden = detail !== null;
  if (id === undefined) showList();
  else if (detail === null) closeDetail();
  else showDetail(detail, mayChange);
  moveFocus(id);
  hurry();
}

function hurry() {
  const isNew = performance.now() < hurryUntilMs && titles.some(({ state }) => state === 'metadata' || state === 'checking');
  clearTimeout(hurryTimer);
  if (isNew) hurryTimer = setTimeout(() => refreshTitles().catch(() => undefined), HURRY_EVERY_MS);
}

/** Files of a title that has very many are read now and then. */
async function readDetail(id) {
  const isFresh = longFiles?.id === id && performance.now() - longFiles.readMs < LONG_FILES_MS;
  const detail = await read(`/api/titles/${id}${isFresh ? '?files=no' : ''}`);
  if (detail === null) return null;
  if (isFresh) return { ...detail, files: longFiles.files };
  longFiles = detail.files.length < LONG_FILES ? null : { id, files: detail.files, readMs: performance.now() };
  return detail;
}

/** null when there is no such thing. */
async function read(path) {
  const response = await fetch(path, { cache: 'no-store' });
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

/** Whoever followed a link is brought to what it led to. */
function moveFocus(id) {
  if (!focusHeading) return;
  focusHeading = false;
  if (document.activeElement?.closest('dialog, .add') ?? false) return;
  byId(id === undefined ? 'titles-heading' : 'title-name').focus({ preventScroll: true });
}

function announce() {
  for (const title of titles) {
    const before = states.get(title.id);
    if (before !== undefined && before < 1 && title.progress >= 1) byId('said').textContent = `${titleName(title)} is complete`;
    states.set(title.id, title.state === 'metadata' ? 1 : title.progress);
  }
}

function showList() {
  closeDetail();
  document.title = 'Titles · Shoal';
  const down = titles.reduce((sum, { downBytesPerSecond }) => sum + downBytesPerSecond, 0);
  const up = titles.reduce((sum, { upBytesPerSecond }) => sum + upBytesPerSecond, 0);
  write(
    byId('titles-summary'),
    titles.length === 0 ? '' : `${counted(titles.length, 'title')} · ${formatRate(down)} down · ${formatRate(up)} up`,
  );
  byId('add').hidden = !mayChange;
  byId('titles-elsewhere').hidden = mayChange;
  byId('titles-empty').hidden = titles.length > 0;
  const ids = new Set(titles.map(({ id }) => id));
  for (const [id, card] of cards) {
    if (ids.has(id)) continue;
    card.item.remove();
    cards.delete(id);
  }
  for (const title of titles) fill(cards.get(title.id) ?? makeCard(title), title);
}

function makeCard({ id }) {
  const image = make('img', { alt: '', width: 320, height: 180, hidden: true });
  const name = make('span', { className: 'title-name', dir: 'auto' });
  const link = make('a', { className: 'title-link', href: `#/titles/${id}` }, make('span', { className: 'title-picture' }, image), name);
  const state = make('p', { className: 'title-doing' });
  const bar = make('progress', { max: 1 });
  const figures = make('p', { className: 'muted small' });
  const play = make('a', { className: 'button small', href: `#/titles/${id}/play`, textContent: 'Play' });
  const pause = make('button', { type: 'button', className: 'button small' });
  const remove = make('button', { type: 'button', className: 'button small', textContent: 'Remove…' });
  const buttons = make('div', { className: 'title-buttons' }, play, pause, remove);
  const item = make('li', { className: 'title-card' }, link, make('div', { className: 'title-text' }, state, bar, figures, buttons));
  const card = { item, image, name, state, bar, figures, play, pause, remove, title: null, pictureFailedMs: 0 };
  pause.addEventListener('click', () => changeState(card.title));
  remove.addEventListener('click', () => askWithFiles(card.title));
  image.addEventListener('load', () => {
    image.hidden = false;
  });
  image.addEventListener('error', () => {
    image.hidden = true;
    image.removeAttribute('src');
    card.pictureFailedMs = performance.now();
  });
  cards.set(id, card);
  byId('title-cards').append(item);
  return card;
}

function fill(card, title) {
  card.title = title;
  const name = titleName(title);
  write(card.name, name);
  write(card.state, describeState(title));
  card.state.classList.toggle('failed', title.state === 'failed');
  if (card.bar.value !== title.progress) card.bar.value = title.progress;
  card.bar.classList.toggle('done', title.progress >= 1);
  label(card.bar, `Progress of ${name}`);
  card.bar.setAttribute('aria-valuetext', describeProgress(title));
  write(card.figures, figuresOf(title));
  card.play.hidden = title.playlist === null;
  label(card.play, `Play ${name}`);
  card.pause.hidden = !mayChange || title.state === 'checking';
  const verb = title.state === 'paused' || title.state === 'failed' ? 'Resume' : 'Pause';
  write(card.pause, verb);
  label(card.pause, `${verb} ${name}`);
  card.remove.hidden = !mayChange;
  label(card.remove, `Remove ${name}…`);
  showPicture(card, title.picture);
}

function figuresOf(title) {
  const parts = [title.state === 'metadata' ? describeAmount(title) : `${formatPercent(title.progress)} · ${describeAmount(title)}`];
  if (title.downBytesPerSecond >= 1) parts.push(`${formatRate(title.downBytesPerSecond)} down`);
  if (title.upBytesPerSecond >= 1) parts.push(`${formatRate(title.upBytesPerSecond)} up`);
  parts.push(counted(title.peers, 'peer'));
  return parts.join(' · ');
}

function showPicture({ image, pictureFailedMs }, picture) {
  if (picture === null || image.getAttribute('src') === picture) return;
  if (pictureFailedMs > 0 && performance.now() - pictureFailedMs < PICTURE_AGAIN_MS) return;
  image.src = picture;
}

function label(element, text) {
  if (element.getAttribute('aria-label') !== text) element.setAttribute('aria-label', text);
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function changeState({ id, state }) {
  return state === 'paused' || state === 'failed' ? order(id, 'resume', 'Resumed') : order(id, 'pause', 'Paused');
}

/** Has it done, and says so. */
async function order(id, verb, said) {
  forgetFaults();
  try {
    await ask(`/api/titles/${id}/${verb}`, { method: 'POST' });
    byId('said').textContent = said;
  } catch (error) {
    tell(error.message);
  }
  await refreshTitles().catch(() => undefined);
}

/** The list has no files; the question tells how many there are. */
async function askWithFiles({ id }) {
  const detail = await read(`/api/titles/${id}`).catch(() => null);
  if (detail === null) await refreshTitles().catch(() => undefined);
  else askRemoval(detail);
}

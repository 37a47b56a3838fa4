/**
 * The list of a title's files. Rows stay what they are while their figures change.
 */
import { byId, copyButton, make } from '/elements.js';
import { counted, describeAmount, formatPercent, nameOf } from '/title-words.js';

/** More rows than this are shown when somebody asks for them. */
const ROWS_AT_ONCE = 100;
const PATH_CHARACTERS_MAX = 300;
const KINDS = { video: 'Video', audio: 'Sound', subtitle: 'Subtitles', picture: 'Picture', other: 'File' };

const rows = new Map();
let listedTitle = '';
let rowsMax = ROWS_AT_ONCE;
let host = { onPlay() {} };

/** @param options `onPlay(index)` when somebody presses a Play button. */
export function startFiles(options) {
  host = options;
  byId('files-more').addEventListener('click', () => {
    rowsMax += 5 * ROWS_AT_ONCE;
    byId('files-more').dataset.pressed = 'yes';
  });
}

/** @param playing index of the file that plays; null when none does. */
export function showFiles({ id, files }, playing) {
  if (listedTitle !== id) {
    listedTitle = id;
    rowsMax = ROWS_AT_ONCE;
    rows.clear();
    byId('file-rows').replaceChildren();
  }
  byId('files-title').textContent = files.length === 0 ? 'Files' : `Files (${files.length})`;
  byId('files-none').hidden = files.length > 0;
  for (const file of files.slice(0, rowsMax)) fill(rows.get(file.index) ?? makeRow(file), file, playing);
  const restCount = Math.max(0, files.length - rowsMax);
  byId('files-more').hidden = restCount === 0;
  byId('files-more').textContent = `Show more files (${counted(restCount, 'file')} left)`;
}

function makeRow(file) {
  const name = nameOf(file.path, 'Unnamed file', PATH_CHARACTERS_MAX);
  const amount = make('span', { className: 'file-amount muted' });
  const bar = make('progress', { max: 1, className: 'file-progress', ariaLabel: `Progress of ${nameOf(file.path, 'Unnamed file', 80)}` });
  const buttons = make('span', { className: 'file-buttons' });
  const short = nameOf(file.path, 'Unnamed file', 80);
  const address = new URL(file.play, location.origin).href;
  const isPlayable = file.browser !== null && (file.kind === 'video' || file.kind === 'audio');
  const play = make('button', { type: 'button', className: 'button small', textContent: 'Play', ariaLabel: `Play ${short}` });
  play.addEventListener('click', () => host.onPlay(file.index));
  if (isPlayable) buttons.append(play);
  const copy = copyButton(`address of ${short}`, address);
  copy.textContent = 'Copy';
  buttons.append(copy);
  const item = make(
    'li',
    { className: 'file' },
    make(
      'span',
      { className: 'file-text' },
      make('span', { className: 'file-name', textContent: name, dir: 'auto' }),
      make('span', { className: 'muted small' }, `${KINDS[file.kind] ?? KINDS.other} · `, amount),
    ),
    bar,
    buttons,
  );
  const row = { item, amount, bar, play };
  rows.set(file.index, row);
  byId('file-rows').append(item);
  return row;
}

function fill({ item, amount, bar, play }, file, playing) {
  const progress = file.sizeBytes === 0 ? 1 : file.haveBytes / file.sizeBytes;
  const words = file.wanted || progress >= 1 ? describeAmount(file) : `${describeAmount(file)}, not wanted`;
  if (amount.textContent !== words) amount.textContent = words;
  if (bar.value !== progress) bar.value = progress;
  bar.setAttribute('aria-valuetext', formatPercent(progress));
  bar.classList.toggle('done', progress >= 1);
  const isPlaying = playing === file.index;
  item.classList.toggle('playing', isPlaying);
  const label = isPlaying ? 'Playing' : 'Play';
  if (play.textContent !== label) play.textContent = label;
}

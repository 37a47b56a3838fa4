/**
 * Adding titles: a link in the field or pasted anywhere, a torrent file chosen or dropped anywhere on the page.
 */
import { byId, make } from '/elements.js';
import { faultOf, formatSize, linksIn, looksLikeTorrent, nameOf, titleName } from '/title-words.js';

/** What the server takes; asked before megabytes are sent in vain. */
const TORRENT_BYTES_MAX = 10 * 1024 * 1024;
const FILES_MAX = 50;
const FAULT_CHARACTERS_MAX = 600;
/** Marks what is dragged from this page itself. */
const OWN_TYPE = 'application/x-shoal-own';

/** Set by `startAdding`. */
let host = { isThere: () => false, canAdd: () => false, onBegin() {}, onAdded() {} };

/**
 * Begins to listen.
 *
 * @param options `isThere()`, whether titles are kept here; `canAdd()`, whether this reader may add some; `onBegin()` before the first answer, to show where it will appear; `onAdded(title)` for each.
 */
export function startAdding(options) {
  host = options;
  byId('add').addEventListener('submit', (event) => {
    event.preventDefault();
    addFromField();
  });
  byId('add-file').addEventListener('change', (event) => {
    addFiles([...event.target.files]);
    event.target.value = '';
  });
  document.addEventListener('paste', onPaste);
  document.addEventListener('dragstart', ({ dataTransfer }) => dataTransfer?.setData(OWN_TYPE, 'yes'));
  for (const type of ['dragenter', 'dragover']) document.addEventListener(type, onDragOver);
  // Between two elements of the page there is one it goes to.
  document.addEventListener('dragleave', ({ relatedTarget }) => relatedTarget === null && hideDrop());
  document.addEventListener('drop', onDrop);
}

/** Takes what is told to the reader away, for instance when they go elsewhere. */
export function forgetFaults() {
  byId('add-faults').replaceChildren();
}

async function addFromField() {
  const field = byId('add-link');
  const text = field.value.trim();
  if (text === '') {
    field.focus();
    return;
  }
  const links = linksIn(text);
  const added = await addAll((links.length === 0 ? [text] : links).map((link) => () => addLink(link)));
  if (added) field.value = '';
}

function addFiles(files) {
  const tasks = files.slice(0, FILES_MAX).map((file) => () => addFile(file));
  const restCount = files.length - tasks.length;
  if (restCount > 0) tasks.push(() => Promise.reject(new Error(`At most ${FILES_MAX} files are taken at once; ${restCount} are left.`)));
  return addAll(tasks);
}

function onPaste(event) {
  if (!host.isThere()) return;
  if (event.target instanceof Element && event.target.closest('input, textarea, [contenteditable]') !== null) return;
  const { files } = event.clipboardData;
  const links = linksIn(event.clipboardData.getData('text/plain'));
  if (files.length === 0 && links.length === 0) return;
  event.preventDefault();
  if (files.length > 0) addFiles([...files]);
  else addAll(links.map((link) => () => addLink(link)));
}

/** Files, links and text from elsewhere; a text over a field is for the field. */
function isOffer({ dataTransfer, target }) {
  const types = dataTransfer?.types ?? [];
  if (types.includes('Files')) return true;
  if (types.includes(OWN_TYPE) || (target instanceof Element && target.closest('input, textarea') !== null)) return false;
  return types.includes('text/uri-list') || types.includes('text/plain');
}

function onDragOver(event) {
  if (!isOffer(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = host.canAdd() ? 'copy' : 'none';
  byId('drop').hidden = !host.canAdd();
}

function hideDrop() {
  byId('drop').hidden = true;
}

/** A dropped file that nobody takes would replace the page. */
function onDrop(event) {
  hideDrop();
  if (!isOffer(event)) return;
  event.preventDefault();
  if (!host.isThere()) return;
  const { files } = event.dataTransfer;
  if (files.length > 0) {
    addFiles([...files]);
    return;
  }
  const text = (event.dataTransfer.getData('text/uri-list') || event.dataTransfer.getData('text/plain')).trim();
  const links = linksIn(text);
  addAll((links.length === 0 ? [text] : links).map((link) => () => addLink(link)));
}

/** One after the other, so that they stand in the order they came. True when all went well. */
async function addAll(tasks) {
  if (tasks.length === 0) return false;
  host.onBegin();
  forgetFaults();
  const button = byId('add-button');
  button.disabled = true;
  let faults = 0;
  for (const task of tasks) {
    try {
      const { title, isNew } = await task();
      byId('said').textContent = isNew ? `${titleName(title)} added` : `${titleName(title)} is here already`;
      host.onAdded(title, isNew);
    } catch (error) {
      faults += 1;
      tell(error.message);
    }
  }
  button.disabled = false;
  return faults === 0;
}

/** Shows what went wrong, until somebody has read it or something else is tried. */
export function tell(message) {
  const button = make('button', { type: 'button', className: 'button small', textContent: 'OK', ariaLabel: 'OK, hide this message' });
  const line = make('div', {}, make('p', { textContent: nameOf(message, 'That did not work.', FAULT_CHARACTERS_MAX) }), button);
  button.addEventListener('click', () => line.remove());
  byId('add-faults').append(line);
}

/** What is wrong within a link, the server says best. */
function addLink(link) {
  const fault = faultOf(link);
  if (fault !== null) throw new Error(fault);
  return post('application/json', JSON.stringify({ link }));
}

async function addFile(file) {
  const name = nameOf(file.name, 'This file', 80);
  if (!looksLikeTorrent(file)) throw new Error(`${name} is no torrent file: their names end in .torrent.`);
  if (file.size > TORRENT_BYTES_MAX)
    throw new Error(`${name} is too large for a torrent file: ${formatSize(file.size)}, and at most 10.5 MB are taken.`);
  return post('application/x-bittorrent', file).catch((error) => {
    throw new Error(`${name}: ${error.message}`);
  });
}

async function post(contentType, body) {
  const response = await ask('/api/titles', { method: 'POST', headers: { 'Content-Type': contentType }, body });
  return { title: await response.json(), isNew: response.status === 201 };
}

/** Asks the API to change something; rejects with its words. */
export async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { cache: 'no-store', ...options });
  } catch {
    throw new Error('Shoal does not answer. Is it still running?');
  }
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({ error: { message: `The server answered ${response.status}.` } }));
  throw new Error(error.message);
}

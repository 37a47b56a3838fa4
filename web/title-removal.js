/**
 * The question before a title is removed: what becomes of its files.
 */
import { byId } from '/elements.js';
import { ask } from '/title-adding.js';
import { describeRemoval, titleName } from '/title-words.js';

let asked = null;

/** @param options `onRemoved(id)` when it is gone. */
export function startRemoval({ onRemoved }) {
  const dialog = byId('removal');
  for (const [id, data] of [
    ['removal-keep', 'keep'],
    ['removal-delete', 'remove'],
  ])
    byId(id).addEventListener('click', () => remove(data, onRemoved));
  byId('removal-cancel').addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    asked = null;
  });
}

/** @param title with its files. */
export function askRemoval(title) {
  asked = title;
  const { text, keep, remove: deletion } = describeRemoval(title);
  byId('removal-title').textContent = `Remove ${titleName(title)}?`;
  byId('removal-text').textContent = text;
  byId('removal-keep').textContent = keep;
  byId('removal-delete').hidden = deletion === null;
  byId('removal-delete').textContent = deletion ?? '';
  byId('removal-fault').textContent = '';
  setBusy(false);
  byId('removal').showModal();
  // Whoever presses Enter without reading loses nothing.
  byId('removal-cancel').focus();
}

async function remove(data, onRemoved) {
  if (asked === null) return;
  const { id } = asked;
  const name = titleName(asked);
  setBusy(true);
  try {
    await ask(`/api/titles/${id}?data=${data}`, { method: 'DELETE' });
    byId('removal').close();
    byId('said').textContent = data === 'keep' ? `${name} removed, its files are kept` : `${name} and its files removed`;
    onRemoved(id);
  } catch (error) {
    setBusy(false);
    byId('removal-fault').textContent = error.message;
  }
}

function setBusy(isBusy) {
  for (const button of byId('removal').querySelectorAll('button')) button.disabled = isBusy;
}

/**
 * What every part of the page is built with: elements, and texts that can be copied.
 *
 * Text goes in as text, never as markup: names and keys come from other people.
 */

const COPIED_FOR_MS = 1600;

export const byId = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A labelled text with a button that copies it. */
export function copyRow(label, value) {
  return make(
    'div',
    { className: 'row' },
    make('span', { className: 'row-label', textContent: label }),
    make('code', { textContent: value, title: value }),
    copyButton(label, value),
  );
}

/** `label` is what a person hears was copied. */
export function copyButton(label, value) {
  const button = make('button', { type: 'button', className: 'copy', textContent: 'Copy', ariaLabel: `Copy ${label}` });
  button.addEventListener('click', async () => {
    const done = await copy(value);
    button.textContent = done ? 'Copied' : 'Press Ctrl+C';
    button.classList.toggle('done', done);
    byId('said').textContent = done ? `${label} copied` : 'Copying is not allowed here; select the text';
    setTimeout(() => {
      button.textContent = 'Copy';
      button.classList.remove('done');
    }, COPIED_FOR_MS);
  });
  return button;
}

/** The clipboard exists only on secure origins and this machine; elsewhere the old way through a selection works. */
async function copy(value) {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    const area = make('textarea', { value, className: 'unseen' });
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

/**
 * The map of a title's pieces: what is here, what is on its way and what is missing, drawn as cells and told in words.
 *
 * A title may have a hundred thousand pieces and a screen has a few hundred cells, so one cell stands for a run of pieces.
 */

const CELL_PIXELS = 10;
const GAP_PIXELS = 2;
const ROWS_MAX = 12;

/** Bytes of a base64 text. */
export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function has(bits, piece) {
  return ((bits[piece >> 3] ?? 0) & (0x80 >> (piece & 7))) !== 0;
}

/**
 * One entry per cell: `share` of its pieces that are here, 0 to 1, and whether one is on its way.
 *
 * There are never more cells than pieces.
 */
export function cellsOf(bits, pieceCount, requested, cellsMax) {
  const count = Math.min(pieceCount, cellsMax);
  const cells = [];
  for (let cell = 0; cell < count; cell += 1) {
    const first = Math.floor((cell * pieceCount) / count);
    const end = Math.floor(((cell + 1) * pieceCount) / count);
    let here = 0;
    for (let piece = first; piece < end; piece += 1) if (has(bits, piece)) here += 1;
    cells.push({ share: here / (end - first), isOnItsWay: false });
  }
  for (const piece of requested) {
    if (piece >= pieceCount || has(bits, piece)) continue;
    // The inverse of the rounding above.
    const cell = cells[Math.floor(((piece + 1) * count - 1) / pieceCount)];
    if (cell !== undefined) cell.isOnItsWay = true;
  }
  return cells;
}

/** The same for people who do not see it. */
export function describePieces(bits, pieceCount, requested) {
  if (pieceCount === 0) return 'The pieces are not known yet.';
  let here = 0;
  let run = 0;
  let longest = { length: 0, end: 0 };
  for (let piece = 0; piece < pieceCount; piece += 1) {
    if (has(bits, piece)) {
      here += 1;
      run = 0;
    } else {
      run += 1;
      if (run > longest.length) longest = { length: run, end: piece + 1 };
    }
  }
  if (here === pieceCount) return `All ${pieceCount} pieces are here.`;
  const percent = (piece) => Math.floor((piece / pieceCount) * 100);
  const way = requested.length === 0 ? '' : `, ${requested.length} on the way`;
  const gap = here === 0 ? '' : ` The longest gap goes from ${percent(longest.end - longest.length)} % to ${percent(longest.end)} %.`;
  return `${here} of ${pieceCount} pieces are here${way}.${gap}`;
}

/** How many cells fit on a canvas of this width. */
export function gridOf(widthPixels, pieceCount) {
  const columns = Math.max(1, Math.floor((widthPixels + GAP_PIXELS) / (CELL_PIXELS + GAP_PIXELS)));
  const rows = Math.min(ROWS_MAX, Math.max(1, Math.ceil(pieceCount / columns)));
  return { columns, rows };
}

/** Draws into a canvas as wide as its box; sets its height. Colours are those of the style sheet. */
export function drawPieces(canvas, bits, pieceCount, requested) {
  const scale = globalThis.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  if (width === 0) return;
  const { columns, rows } = gridOf(width, pieceCount);
  const height = rows * (CELL_PIXELS + GAP_PIXELS) - GAP_PIXELS;
  // Setting a size empties the canvas, and a new height moves the page.
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const context = canvas.getContext('2d');
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name).trim();
  const [missing, here, coming] = [colour('--piece-missing'), colour('--piece-here'), colour('--piece-coming')];
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  const cellWidth = (width + GAP_PIXELS) / columns - GAP_PIXELS;
  for (const [index, { share, isOnItsWay }] of cellsOf(bits, pieceCount, requested, columns * rows).entries()) {
    const x = (index % columns) * (cellWidth + GAP_PIXELS);
    const y = Math.floor(index / columns) * (CELL_PIXELS + GAP_PIXELS);
    context.fillStyle = isOnItsWay && share === 0 ? coming : missing;
    context.fillRect(x, y, cellWidth, CELL_PIXELS);
    context.fillStyle = here;
    context.fillRect(x, y, cellWidth * share, CELL_PIXELS);
    if (!isOnItsWay || share === 0) continue;
    context.fillStyle = coming;
    context.fillRect(x, y + CELL_PIXELS - 3, cellWidth, 3);
  }
}

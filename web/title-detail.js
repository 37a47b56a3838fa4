/**
 * One title: its picture or player, what it does, files, pieces, peers, trackers and addresses.
 *
 * Called once a second. What has not changed is left as it is, so that the keyboard's focus, a selection and a screen reader stay where they are.
 */
import { byId, copyRow, make } from '/elements.js';
import { formatRate } from '/figures.js';
import { bytesOf, describePieces, drawPieces } from '/piece-map.js';
import { formatDate } from '/publishers.js';
import { SubtitleChoice } from '/subtitle-choice.js';
import { showFiles, startFiles } from '/title-files.js';
import { TitlePlayer } from '/title-player.js';
import {
  counted,
  describeAmount,
  describeProgress,
  describeState,
  fileAfter,
  formatPercent,
  formatSize,
  mainFile,
  nameOf,
  shellAddress,
  titleName,
} from '/title-words.js';

const PEERS_MAX = 100;
const PEER_CELLS = 7;

const subtitles = new SubtitleChoice(byId('title-video'), byId('title-subtitles'), byId('title-subtitle'));
const player = new TitlePlayer(byId('title-video'), byId('title-state'), subtitles, (file) => {
  const next = shown === null ? undefined : fileAfter(shown.files, file);
  if (next !== undefined) playFile(next.index);
});
const peerRows = new Map();
/** The detail on the page; null when none is. */
let shown = null;
let wantsPlay = false;
const written = new Map();

export function startDetail({ onChangeState, onRecheck, onRemove }) {
  startFiles({ onPlay: playFile });
  byId('title-play').addEventListener('click', playMain);
  byId('title-stop').addEventListener('click', stopPlaying);
  byId('title-pause').addEventListener('click', () => shown !== null && onChangeState(shown));
  byId('title-recheck').addEventListener('click', () => shown !== null && onRecheck(shown));
  byId('title-remove').addEventListener('click', () => shown !== null && onRemove(shown));
  new ResizeObserver(drawMap).observe(byId('piece-map'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawMap);
}

/** Plays the main file as soon as it is known which that is. */
export function playSoon() {
  wantsPlay = true;
}

export function closeDetail() {
  wantsPlay = false;
  if (shown === null) return;
  stopPlaying();
  shown = null;
}

/** Shows the newest view of a title. */
export function showDetail(detail, mayChange) {
  const isOther = shown?.id !== detail.id;
  if (isOther) {
    stopPlaying();
    written.clear();
  }
  shown = detail;
  player.setComing(detail.progress >= 1 || !['paused', 'failed'].includes(detail.state));
  showHead(detail, mayChange);
  showFiles(detail, player.file?.index ?? null);
  showFigures(detail);
  drawMap();
  showPeers(detail);
  showAddresses(detail);
  showFacts(detail);
  if (wantsPlay && mainFile(detail.files) !== undefined) playMain();
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes a part anew when what it is made from has changed. */
function rewrite(name, value, make) {
  const text = JSON.stringify(value);
  if (written.get(name) === text) return;
  written.set(name, text);
  make();
}

function showHead(detail, mayChange) {
  const name = titleName(detail);
  write(byId('title-name'), name);
  document.title = `${name} · Shoal`;
  write(byId('title-about'), describeState(detail));
  byId('title-about').classList.toggle('failed', detail.state === 'failed');
  const bar = byId('title-progress');
  bar.value = detail.progress;
  bar.setAttribute('aria-valuetext', describeProgress(detail));
  write(
    byId('title-amount'),
    detail.state === 'metadata' ? describeAmount(detail) : `${formatPercent(detail.progress)} · ${describeAmount(detail)}`,
  );
  byId('title-play').hidden = player.file !== null || mainFile(detail.files) === undefined;
  byId('title-pause').hidden = !mayChange || detail.state === 'checking';
  write(byId('title-pause'), detail.state === 'paused' || detail.state === 'failed' ? 'Resume' : 'Pause');
  byId('title-recheck').hidden = !mayChange || detail.state === 'checking' || detail.pieceCount === 0;
  byId('title-remove').hidden = !mayChange;
}

function showFigures(detail) {
  const values = {
    down: formatRate(detail.downBytesPerSecond),
    up: formatRate(detail.upBytesPerSecond),
    peers: `${detail.peers}`,
    seeders: `${detail.seeders}`,
    given: formatSize(detail.uploadedBytes),
    ratio: detail.ratio.toFixed(2),
  };
  for (const [name, value] of Object.entries(values)) write(document.querySelector(`[data-title-figure=${name}]`), value);
}

function drawMap() {
  if (shown === null) return;
  const { have, pieceCount, requested } = shown;
  const bits = bytesOf(have);
  const words = describePieces(bits, pieceCount, requested);
  write(byId('piece-words'), words);
  byId('piece-map').hidden = pieceCount === 0;
  byId('piece-legend').hidden = pieceCount === 0;
  drawPieces(byId('piece-map'), bits, pieceCount, requested);
}

function showPeers({ peerList, peers }) {
  write(byId('peers-summary'), peerList.length === 0 ? 'none at the moment' : counted(Math.max(peers, peerList.length), 'peer'));
  byId('peer-table').hidden = peerList.length === 0;
  const listed = peerList.slice(0, PEERS_MAX);
  const addresses = new Set(listed.map(({ address }) => address));
  for (const [address, { line }] of peerRows) {
    if (addresses.has(address)) continue;
    line.remove();
    peerRows.delete(address);
  }
  for (const peer of listed) {
    const { cells } = peerRows.get(peer.address) ?? makePeerRow(peer.address);
    const values = [
      nameOf(peer.client, 'Unknown client', 60),
      nameOf(peer.address, 'unknown', 80),
      formatPercent(peer.progress),
      formatRate(peer.downBytesPerSecond),
      formatRate(peer.upBytesPerSecond),
      formatPercent(peer.priority),
      peer.kind === 'web-seed' ? 'web seed' : peer.encrypted ? 'encrypted' : 'plain',
    ];
    for (const [index, value] of values.entries()) write(cells[index], value);
  }
}

function makePeerRow(address) {
  const cells = Array.from({ length: PEER_CELLS }, (_, index) => (index === 0 ? make('th', { scope: 'row' }) : make('td')));
  const row = { line: make('tr', {}, ...cells), cells };
  peerRows.set(address, row);
  byId('peer-rows').append(row.line);
  return row;
}

function showAddresses({ id, link, playlist, pieceCount }) {
  rewrite('addresses', [id, link, playlist, pieceCount > 0], () => {
    const list = playlist === null ? null : shellAddress(playlist, location.origin);
    const rows = [
      ['VLC', list && `vlc "${list}"`],
      ['mpv', list && `mpv "${list}"`],
      ['Playlist', list],
      ['Magnet', link],
    ];
    byId('title-addresses').replaceChildren(...rows.filter(([, value]) => value !== null).map((row) => make('li', {}, copyRow(...row))));
    const torrent = byId('title-torrent');
    torrent.hidden = pieceCount === 0;
    torrent.href = `/api/titles/${id}/title.torrent`;
  });
}

function showFacts(detail) {
  const { id, comment, isPrivate, published, pieceCount, pieceLengthBytes, addedAt, trackers, sizeBytes } = detail;
  rewrite('facts', [id, comment, isPrivate, published, pieceCount, pieceLengthBytes, addedAt, trackers, sizeBytes], () => {
    const facts = [
      ['Added', formatDate(addedAt)],
      ['Info hash', make('code', { textContent: id, className: 'long' })],
    ];
    if (pieceCount > 0)
      facts.unshift(['Size', `${formatSize(sizeBytes)} in ${counted(pieceCount, 'piece')} of ${formatBinary(pieceLengthBytes)}`]);
    if (published) facts.push(['Origin', 'made from files of this machine']);
    if (isPrivate) facts.push(['Private', 'peers come from its trackers alone']);
    if (comment !== '') facts.push(['Comment', make('span', { textContent: nameOf(comment, '', 1000), dir: 'auto' })]);
    for (const tracker of trackers.slice(0, 20))
      facts.push([
        'Tracker',
        `${nameOf(tracker.url, 'unknown', 200)}: ${nameOf(tracker.state, 'unknown', 200)}, ${counted(tracker.peers, 'peer')}`,
      ]);
    byId('title-facts').replaceChildren(...facts.flatMap(([label, value]) => [make('dt', { textContent: label }), make('dd', {}, value)]));
  });
}

/** Piece lengths are powers of two. */
function formatBinary(bytes) {
  return bytes >= 1_048_576 ? `${bytes / 1_048_576} MiB` : `${bytes / 1024} KiB`;
}

function playMain() {
  const file = shown === null ? undefined : mainFile(shown.files);
  if (file !== undefined) playFile(file.index);
}

function playFile(index) {
  wantsPlay = false;
  const file = shown?.files.find((candidate) => candidate.index === index);
  if (file === undefined) return;
  byId('title-screen').hidden = false;
  byId('title-screen').classList.toggle('sound', file.kind === 'audio');
  byId('title-stop').hidden = false;
  byId('title-play').hidden = true;
  player.open(file, shown);
  showFiles(shown, index);
  byId('title-screen').scrollIntoView({ block: 'nearest' });
  byId('title-video').focus({ preventScroll: true });
}

function stopPlaying() {
  const hadFocus = document.activeElement === byId('title-stop');
  player.close();
  byId('title-screen').hidden = true;
  byId('title-stop').hidden = true;
  if (shown === null) return;
  byId('title-play').hidden = mainFile(shown.files) === undefined;
  showFiles(shown, null);
  if (hadFocus) byId('title-play').focus();
}

/**
 * The page: reads the API once a second and shows what it says. The address part behind # names the channel shown.
 */
import { byId, copyRow, make } from '/elements.js';
import { formatDelay, formatRate, formatSeconds, formatShare, Sparkline } from '/figures.js';
import { canPlayFlv, Player } from '/player.js';
import { showPublishers } from '/publisher-panel.js';
import { notesOf } from '/publishers.js';
import { isTitlesAddress, leaveTitles, refreshTitles, setTitlesThere, startTitles } from '/titles.js';

const POLL_EVERY_MS = 1000;

const STATES = {
  connecting: ['Connecting', 'Looking for the picture.'],
  waiting: ['Nobody publishes at the moment', 'The picture starts by itself as soon as somebody does.'],
  stalled: ['The picture has stopped', 'Nothing has come for a while. Trying again.'],
  unplayable: ['This browser cannot play this channel', 'Open it in VLC or mpv with an address below.'],
};

const video = byId('video');
const player = new Player(video, showState);
/** Sparklines per channel id, kept while the page is open. */
const sparklines = new Map();
const cards = new Map();

let channels = [];
let shown = null;
let kindChosen = null;
let isTitlesShown = false;

/** Polling stands still while nobody looks. */
async function poll() {
  if (!document.hidden) await refresh();
  setTimeout(poll, POLL_EVERY_MS);
}

async function refresh() {
  try {
    const [list, self] = await Promise.all([readJson('/api/channels'), readJson('/api/status')]);
    byId('offline').hidden = true;
    channels = list.channels;
    setTitlesThere(self.titles !== null);
    showAll(self);
    if (isTitlesShown) await refreshTitles();
  } catch {
    byId('offline').hidden = false;
  }
}

async function readJson(path) {
  const response = await fetch(path, { cache: 'no-store' });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

function showAll(self) {
  showSections(self);
  byId('titles').hidden = !isTitlesShown;
  byId('watch').hidden = isTitlesShown || channels.length === 0;
  byId('empty').hidden = isTitlesShown || channels.length > 0;
  for (const channel of channels) sample(channel);
  showCards();
  if (isTitlesShown) leaveChannel();
  else if (channels.length === 0) showEmpty(self);
  else showChannel(chosen());
}

/** Channels, or titles: what the address says; whoever has titles and no channels begins with titles. */
function showSections({ titles }) {
  const wasShown = isTitlesShown;
  const isUnsaid = location.hash === '' || location.hash === '#';
  isTitlesShown = titles !== null && (isTitlesAddress() || (isUnsaid && titles > 0 && channels.length === 0));
  if (wasShown && !isTitlesShown) leaveTitles();
  byId('sections').hidden = titles === null;
  for (const [id, isCurrent] of [
    ['to-live', !isTitlesShown],
    ['to-titles', isTitlesShown],
  ]) {
    if (isCurrent) byId(id).setAttribute('aria-current', 'page');
    else byId(id).removeAttribute('aria-current');
  }
  const players = channels.reduce((sum, { status }) => sum + status.players, 0);
  const parts = channels.length === 0 ? [] : [count(channels.length, 'channel'), count(players, 'player')];
  if (titles > 0) parts.push(count(titles, 'title'));
  byId('summary').textContent = parts.join(' · ');
}

/** Nobody wants to hear a channel while looking at a title. */
function leaveChannel() {
  if (shown === null) return;
  shown = null;
  player.close();
}

function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function chosen() {
  const slug = decodeURIComponent(location.hash.slice(1));
  return channels.find((channel) => channel.slug === slug) ?? channels.find((channel) => channel.id === shown?.id) ?? channels[0];
}

function sample({ id, status }) {
  if (!sparklines.has(id)) sparklines.set(id, { up: new Sparkline(), down: new Sparkline() });
  const lines = sparklines.get(id);
  lines.up.add(status.upBytesPerSecond);
  lines.down.add(status.downBytesPerSecond);
}

function showCards() {
  for (const [id, card] of cards) {
    if (channels.some((channel) => channel.id === id)) continue;
    card.item.remove();
    cards.delete(id);
  }
  for (const channel of channels) {
    const card = cards.get(channel.id) ?? makeCard(channel);
    const { live, peers, role } = channel.status;
    card.dot.classList.toggle('live', live);
    card.name.textContent = channel.name;
    card.detail.textContent = `${live ? 'Live' : 'Off air'} · ${role === 'publisher' ? 'published here' : 'from the swarm'} · ${count(peers, 'peer')}`;
    const notes = notesOf(channel.status);
    card.notes.hidden = notes.length === 0;
    card.notes.textContent = `Attention: ${notes.join(', ')}`;
  }
}

function makeCard(channel) {
  const dot = make('span', { className: 'dot', ariaHidden: 'true' });
  const name = make('span', { className: 'card-name' });
  const detail = make('span', { className: 'card-detail' });
  const notes = make('span', { className: 'card-notes' });
  const text = make('span', { className: 'card-text' }, name, detail, notes);
  const link = make('a', { className: 'card', href: `#${channel.slug}` }, dot, text);
  const card = { item: make('li', {}, link), link, dot, name, detail, notes };
  byId('cards').append(card.item);
  cards.set(channel.id, card);
  return card;
}

function showChannel(channel) {
  const changed = shown?.id !== channel.id;
  shown = channel;
  if (changed) openChannel(channel);
  else player.update(channel);
  for (const [id, card] of cards) {
    if (id === channel.id) card.link.setAttribute('aria-current', 'page');
    else card.link.removeAttribute('aria-current');
  }
  byId('about').textContent = describe(channel);
  showFigures(channel);
  showPublishers(channel);
}

function openChannel(channel) {
  document.title = `${channel.name} · Shoal`;
  byId('name').textContent = channel.name;
  byId('qr').src = `/api/channels/${channel.id}/qr.svg`;
  byId('addresses').replaceChildren(...addressRows(channel).map((row) => make('li', {}, row)));
  byId('links').replaceChildren(copyRow('Link', channel.link), copyRow('shoal:', channel.shoalLink));
  play(channel);
}

function play(channel) {
  const kind = kindChosen ?? (canPlayFlv(channel.tracks) ? 'flv' : 'hls');
  for (const input of document.querySelectorAll('input[name=kind]')) input.checked = input.value === kind;
  player.open(channel, kind);
}

const CODEC_NAMES = { avc1: 'H.264', hvc1: 'HEVC', av01: 'AV1', vp09: 'VP9', mp4a: 'AAC', '.mp3': 'MP3', Opus: 'Opus', fLaC: 'FLAC' };

function describe({ tracks, status }) {
  const codecs = [tracks.videoCodec, tracks.audioCodec].filter((codec) => codec !== null).map((codec) => CODEC_NAMES[codec] ?? codec);
  const where = status.role === 'publisher' ? 'Published by this machine' : 'From the swarm';
  return [status.live ? 'Live' : 'Off air', where, ...codecs, count(status.players, 'local player')].join(' · ');
}

function showFigures({ id, status }) {
  const values = {
    down: formatRate(status.downBytesPerSecond),
    up: formatRate(status.upBytesPerSecond),
    peers: String(status.peers),
    share: formatShare(status.shareFromPeers),
    delay: formatDelay(status.delayMs),
    buffer: formatSeconds(status.bufferSeconds),
  };
  for (const [name, value] of Object.entries(values)) document.querySelector(`[data-figure=${name}]`).textContent = value;
  for (const [name, line] of Object.entries(sparklines.get(id))) line.draw(document.querySelector(`[data-spark=${name}]`));
}

function addressRows({ watch }) {
  // Players that know no mms: address know mmsh:, which is MMS over HTTP.
  const best = watch.flv ?? watch.mms?.replace('mms:', 'mmsh:') ?? null;
  const command = (line) => (best === null ? null : `${line} ${best}`);
  const rows = [
    ['VLC', command('vlc')],
    ['mpv', command('mpv --profile=low-latency')],
    ['ffplay', command('ffplay -fflags nobuffer')],
    ['HTTP-FLV', watch.flv],
    ['WS-FLV', watch.wsFlv],
    ['HLS', watch.hls],
    ['RTMP', watch.rtmp],
    ['MMS', watch.mms],
  ];
  return rows.filter(([, value]) => value !== null).map(([label, value]) => copyRow(label, value));
}

function showEmpty({ publishRtmp }) {
  document.title = 'Shoal';
  shown = null;
  player.close();
  const server = publishRtmp ?? 'rtmp://127.0.0.1:1935/live';
  const rows = {
    create: ['Command', 'shoal channel create "My channel"'],
    server: ['Server', server],
    ffmpeg: ['ffmpeg', `ffmpeg -re -i film.mp4 -c copy -f flv ${server}/KEY`],
    watch: ['Command', 'shoal watch LINK'],
  };
  for (const [name, row] of Object.entries(rows)) {
    const place = document.querySelector(`[data-copy-row=${name}]`);
    if (place.childElementCount === 0) place.append(copyRow(...row));
  }
}

function showState(state) {
  const box = byId('state');
  const text = STATES[state];
  box.hidden = text === undefined;
  box.classList.toggle('busy', state === 'connecting' || state === 'stalled');
  video.dataset.state = state;
  video.controls = text === undefined;
  showUnmute();
  if (text === undefined) return;
  box.querySelector('.state-title').textContent = text[0];
  box.querySelector('.state-detail').textContent = text[1];
}

function showUnmute() {
  byId('unmute').hidden = !(video.muted && video.dataset.state === 'playing' && shown?.tracks.audio);
}

byId('unmute').addEventListener('click', () => {
  video.muted = false;
  video.focus();
});
video.addEventListener('volumechange', showUnmute);
addEventListener('hashchange', refresh);
byId('skip').addEventListener('click', (event) => {
  event.preventDefault();
  const main = isTitlesShown ? byId('titles') : byId('stage');
  main.focus();
  main.scrollIntoView();
});
startTitles();
document.addEventListener('visibilitychange', () => !document.hidden && refresh());
for (const input of document.querySelectorAll('input[name=kind]')) {
  input.addEventListener('change', () => {
    kindChosen = input.value;
    play(shown);
  });
}

poll();

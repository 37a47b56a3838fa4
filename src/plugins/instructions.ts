/**
 * What a person is told: where to watch, how to publish, the link, and how it goes. Plain text for a terminal.
 */
import type { ChannelStatus } from '../relay/endpoints/channel-status.js';
import type { WatchAddresses } from '../relay/endpoints/local-channel.js';

/** What the instructions need to know of a channel. */
export interface InstructedChannel {
  readonly name: string;
  readonly link: string;
  readonly publish: { readonly rtmp: string; readonly key: string } | null;
  readonly watch: WatchAddresses;
}

/** Printed once when a station is up. */
export function stationInstructions(page: string, channels: readonly InstructedChannel[]): readonly string[] {
  const lines = ['', 'Shoal is up.', '', `  Watch in a browser   ${page}`];
  for (const channel of channels) lines.push(...channelLines(channel), ...publishLines(channel), ...linkLines(channel));
  if (channels.length === 0) lines.push('', '  There is no channel yet: npx shoal channel create "My channel"');
  lines.push('', '  Ctrl+C stops it.', '');
  return lines;
}

/** Printed once when a viewer's endpoints are up. */
export function viewerInstructions(page: string, channel: InstructedChannel): readonly string[] {
  return [
    '',
    `Watching "${channel.name}".`,
    '',
    `  Watch in a browser   ${page}`,
    ...playerLines(channel.watch),
    '',
    '  Ctrl+C stops it.',
    '',
  ];
}

function channelLines({ name, watch }: InstructedChannel): readonly string[] {
  return ['', `Channel "${name}"`, ...playerLines(watch)];
}

function playerLines(watch: WatchAddresses): readonly string[] {
  const address = watch.flv ?? watch.mms?.replace('mms:', 'mmsh:');
  const lines = [
    `  VLC                  vlc ${address}`,
    `  mpv                  mpv ${address}`,
    `  ffplay               ffplay -fflags nobuffer ${address}`,
  ];
  const others = [
    [watch.rtmp, 'RTMP'],
    [watch.hls, 'HLS'],
    [watch.wsFlv, 'WebSocket FLV'],
    [watch.mms, 'MMS; mmsh: and mmst: too'],
  ].filter(([other]) => other !== null);
  return [
    ...lines,
    ...others.map(([other, kind], index) => `  ${index === 0 ? 'Other addresses     ' : '                    '} ${other}   (${kind})`),
  ];
}

function publishLines({ publish }: InstructedChannel): readonly string[] {
  if (!publish) return [];
  return [
    `  Publish from OBS     Server: ${publish.rtmp}   Stream key: ${publish.key}`,
    `  Publish with ffmpeg  ffmpeg -re -i FILE -c:v libx264 -pix_fmt yuv420p -g 50 -c:a aac -f flv ${publish.rtmp}/${publish.key}`,
  ];
}

function linkLines({ link }: InstructedChannel): readonly string[] {
  return [`  Watch elsewhere      npx shoal watch "${link}"`];
}

/** One line that says how a channel does: peers, buffer, rates, delay behind the publisher. */
export function progressLine(name: string, status: ChannelStatus): string {
  const parts = [
    name,
    stateOf(status),
    `${status.peers} ${status.peers === 1 ? 'peer' : 'peers'}`,
    `buffer ${status.bufferSeconds.toFixed(1)} s`,
    `down ${kilobits(status.downBytesPerSecond)}`,
    `up ${kilobits(status.upBytesPerSecond)}`,
  ];
  if (status.shareFromPeers !== null)
    parts.push(status.shareFromPeers === 0 ? 'all from the station' : `${Math.round(status.shareFromPeers * 100)} % from peers`);
  if (status.delayMs !== null) parts.push(`delay ${(status.delayMs / 1000).toFixed(1)} s`);
  if (status.holes > 0) parts.push(`${status.holes} windows missed`);
  return parts.join(' · ');
}

/** Without a single peer nobody can say whether the channel is on the air. */
function stateOf({ live, peers }: ChannelStatus): string {
  if (live) return 'live';
  return peers === 0 ? 'looking for peers' : 'waiting for the publisher';
}

function kilobits(bytesPerSecond: number): string {
  return `${Math.round((bytesPerSecond * 8) / 1000)} kbit/s`;
}

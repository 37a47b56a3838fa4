/**
 * How ffmpeg and ffprobe are told to read a stranger's file: over HTTP from this process, and as a container of media only.
 *
 * What is called a film may be a playlist (HLS, DASH, concat), and a playlist names other addresses. Without the list of formats, whoever makes a
 * torrent could send this machine's ffmpeg to any web server in its network.
 */

/** Containers of films and sound that carry their data in themselves. */
const FORMATS = [
  ...[
    'matroska',
    'webm',
    'mov',
    'mp4',
    'avi',
    'flv',
    'kux',
    'live_flv',
    'asf',
    'asf_o',
    'ogg',
    'mpegts',
    'mpeg',
    'mpegvideo',
    'rm',
    'dv',
    'ivf',
    'nut',
    'mxf',
  ],
  ...[
    'mp3',
    'aac',
    'flac',
    'wav',
    'w64',
    'aiff',
    'ac3',
    'eac3',
    'dts',
    'dtshd',
    'truehd',
    'ape',
    'caf',
    'amr',
    'tta',
    'wv',
    'mpc',
    'mpc8',
    'tak',
    'dsf',
  ],
  ...['h264', 'hevc', 'm4v', 'av1', 'obu', 'vc1', 'yuv4mpegpipe'],
];

/** Goes before `-i`, for ffmpeg and ffprobe alike. */
export const SAFE_INPUT_WORDS: readonly string[] = ['-protocol_whitelist', 'http,tcp', '-format_whitelist', FORMATS.join(',')];

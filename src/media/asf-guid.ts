/**
 * The object and stream type names of ASF that Shoal looks at, and how a GUID is read from the wire.
 *
 * On the wire the first three groups of a GUID's text form are little-endian, the last two stand as written (protocols sheet 1.1).
 */

export const ASF_GUID = {
  header: '75B22630-668E-11CF-A6D9-00AA0062CE6C',
  data: '75B22636-668E-11CF-A6D9-00AA0062CE6C',
  fileProperties: '8CABDCA1-A947-11CF-8EE4-00C00C205365',
  streamProperties: 'B7DC0791-A9B7-11CF-8EE6-00C00C205365',
  headerExtension: '5FBF03B5-A92E-11CF-8EE3-00C00C205365',
  extendedStreamProperties: '14E6A5CB-C672-4332-8399-A96952065B5A',
  streamBitrateProperties: '7BF875CE-468D-11D1-8D82-006097C9A2B2',
  contentEncryption: '2211B3FB-BD23-11D2-B4B7-00A0C955FC6E',
  extendedContentEncryption: '298AE614-2622-4C17-B935-DAE07EE9289C',
  audioStream: 'F8699E40-5B4D-11CF-A8FD-00805F5C442B',
  videoStream: 'BC19EFC0-5B4D-11CF-A8FD-00805F5C442B',
  commandStream: '59DACFC0-59E6-11D0-A3AC-00A0C90348F6',
} as const;

export const GUID_BYTES = 16;

/** Which wire byte stands at each place of the text form. */
const TEXT_ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

/** The text form, in capitals, of the GUID at `offset`. Bytes past the end read as 0. */
export function readGuid(bytes: Uint8Array, offset: number): string {
  const hex = TEXT_ORDER.map((index) => (bytes[offset + index] ?? 0).toString(16).padStart(2, '0')).join('');
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return groups.join('-').toUpperCase();
}

/** The 16 wire bytes of a GUID's text form. */
export function encodeGuid(text: string): Uint8Array {
  const hex = text.replaceAll('-', '');
  const out = new Uint8Array(GUID_BYTES);
  for (const [place, index] of TEXT_ORDER.entries()) out[index] = Number.parseInt(hex.slice(2 * place, 2 * place + 2), 16);
  return out;
}

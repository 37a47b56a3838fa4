/**
 * QR codes as SVG text. The only importer of qrcode.
 */
/** Beyond this a code needs a larger symbol than a phone reads from a screen; a link with some trackers has 200 to 600. */
export const QR_TEXT_BYTES_MAX = 1200;

/** A square SVG, dark on white with a quiet zone, so that it reads on a dark page too. `undefined` when the text is too long. */
export async function qrCodeSvg(text: string): Promise<string | undefined> {
  if (Buffer.byteLength(text) > QR_TEXT_BYTES_MAX) return undefined;
  // Loaded with the first code: many never show one, and it is sixty files.
  // By its default export: bundled, a package without modules has no other.
  const { default: qrCode } = await import('qrcode');
  return qrCode.toString(text, { type: 'svg', errorCorrectionLevel: 'L', margin: 2 });
}

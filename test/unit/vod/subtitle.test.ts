import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import { decodeText, SUBTITLE_BYTES_MAX, toWebVtt } from '../../../src/vod/subtitle.js';

const srt = (text: string): string => `1\n00:00:01,000 --> 00:00:02,000\n${text}\n`;
const vtt = (text: string): string => `WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n${text}\n`;
const convert = (text: string): string | Malformed => toWebVtt(Buffer.from(text));

test('the text is read in whatever encoding it was saved', () => {
  const text = srt('Über größere Fälle – «да»');
  const little = Buffer.from(text, 'utf16le');
  const plain = srt('Über größere Fälle');
  for (const bytes of [
    Buffer.from(text),
    Buffer.from(`\ufeff${text}`),
    Buffer.concat([Buffer.from([0xff, 0xfe]), little]),
    little,
    Buffer.from(little).swap16(),
    Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(little).swap16()]),
  ])
    assert.is(toWebVtt(bytes), vtt('Über größere Fälle – «да»'));
  assert.is(toWebVtt(Buffer.from(plain, 'latin1')), vtt('Über größere Fälle'));
  assert.is(decodeText(Uint8Array.of(0x80)), '€');
});

test('line ends, missing numbers and empty lines, points for commas and short fractions are taken', () => {
  const text =
    '\r\n\r\n00:00:01.5 --> 0:00:02,25 X1:10\r\nA\r\n\r\n\r\n3\r\n00:00:03,000 --> 00:00:04,000\r\nB\r\n4\r\n00:00:05 --> 00:00:06\r\nC';
  assert.is(
    convert(text),
    'WEBVTT\n\n00:00:01.500 --> 00:00:02.250\nA\n\n00:00:03.000 --> 00:00:04.000\nB\n\n00:00:05.000 --> 00:00:06.000\nC\n',
  );
});

test('markup that WebVTT knows stays, other markup goes, and the rest is text', () => {
  assert.is(
    convert(srt('<I>a</I> <font color="#fff">b</font> {\\an8}c <script>d & e -->')),
    vtt('<i>a</i> b c &lt;script&gt;d &amp; e --&gt;'),
  );
});

test('cues are put in order; one without length or text is left out', () => {
  const text =
    '00:00:09,000 --> 00:00:10,000\nlate\n\n00:00:01,000 --> 00:00:02,000\nearly\n\n00:00:05,000 --> 00:00:05,000\nnever\n\n00:00:06,000 --> 00:00:07,000\n\n';
  assert.is(convert(text), 'WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nearly\n\n00:00:09.000 --> 00:00:10.000\nlate\n');
});

test('WebVTT stays what it is, in UTF-8', () => {
  assert.is(toWebVtt(Buffer.from(`\ufeff${vtt('ä')}`, 'utf16le')), vtt('ä'));
});

test('what is no subtitle, or too long, is refused with a sentence', () => {
  for (const bytes of [Buffer.alloc(0), Buffer.from('hello'), Buffer.alloc(SUBTITLE_BYTES_MAX + 1)]) {
    const result = toWebVtt(bytes);
    assert.ok(result instanceof Malformed && result.reason.endsWith('.'));
  }
});

test.run();

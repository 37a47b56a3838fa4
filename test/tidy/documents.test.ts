/**
 * The documents say what is there: every file of `src` in the table of contents, every parameter of the live exchange in its page, and example bytes that the
 * code really writes.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { shippedExchange } from '../../src/commands/simulate.js';
import { channelId, encodeDescriptor } from '../../src/ingest/channel.js';
import { type ChannelLink, formatMagnet, formatShoalLink } from '../../src/ingest/channel-link.js';
import { createSigner, nodeHasher } from '../../src/io/crypto.js';
import { Bitfield } from '../../src/kernel/bitfield.js';
import { signCertificate } from '../../src/relay/exchange/certificate.js';
import { type LiveMessage, liveCodec } from '../../src/relay/exchange/live-message.js';
import { signManifest } from '../../src/relay/exchange/manifest.js';
import { signRevocationList } from '../../src/relay/exchange/revocation-list.js';
import { signStreamInfo } from '../../src/relay/exchange/stream-info.js';
import { filesBelow, type SourceFile } from './tidy-rules.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Files that have no row in the table, as the row to add, and rows of files that are gone. */
function badContents(document: string, files: readonly SourceFile[]): string[] {
  const rows = new Set([...document.matchAll(/^\| *`(src\/[^`]+\.ts)` *\|/gm)].map((match) => String(match[1])));
  const paths = new Set(files.map(({ path }) => path));
  return [
    ...files.filter(({ path }) => !rows.has(path)).map(({ path, text }) => `add: | \`${path}\` | ${firstSentence(text)} |`),
    ...[...rows].filter((path) => !paths.has(path)).map((path) => `remove the row of ${path}`),
  ];
}

/** Parts of the live exchange whose constants are of the wire, or of no algorithm. */
const OF_THE_WIRE =
  /\/(manifest|live-message|certificate|stream-(info|description)|signature|dissent|revocation-list|authority|viewing-mode|live-parameters|downloads)\.ts$/;

/** Constants that have no row with their value, as the row to add, and rows of constants that are gone. */
function badConstants(document: string, files: readonly SourceFile[]): string[] {
  const rows = new Set(
    [...document.matchAll(/^\| *`([a-z-]+)` *\| *`([A-Z][A-Z_0-9]*)` *\| *(.*?) *\|/gm)].map(([, ...cells]) => cells.join(' ')),
  );
  const found = files
    .filter(({ path }) => !OF_THE_WIRE.test(path))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/^(?:export )?const ([A-Z][A-Z_0-9]*)(?:: \w+)? = ([-0-9_./ *]+);$/gm)].map(([, name, value]) => ({
        part: path.slice(path.lastIndexOf('/') + 1, -'.ts'.length),
        name,
        value,
      })),
    );
  const known = new Set(found.map(({ part, name, value }) => `${part} ${name} ${value}`));
  return [
    ...found
      .filter(({ part, name, value }) => !rows.has(`${part} ${name} ${value}`))
      .map(({ part, name, value }) => `add: | \`${part}\` | \`${name}\` | ${value} | why |`),
    ...[...rows].filter((row) => !known.has(row)).map((row) => `remove the row of ${row}`),
  ];
}

/** The first sentence of a file's header: what the file is. */
function firstSentence(text: string): string {
  const header = text.slice(text.indexOf('/**') + 3, text.indexOf('*/'));
  const paragraph =
    header
      .replace(/^[ *]+/gm, '')
      .trim()
      .split('\n\n')[0] ?? '';
  return (/^.*?[.](?=\s|$)/s.exec(paragraph)?.[0] ?? paragraph).replace(/\s+/g, ' ').replaceAll('|', '\\|');
}

/** Text with all white space taken out: long bytes stand in several lines. */
function dense(text: string): string {
  return text.replace(/\s+/g, '');
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** The channel of the examples in docs/live-exchange.md. */
function exampleChannel() {
  const signer = createSigner(Uint8Array.from({ length: 32 }, (_, index) => index));
  const descriptor = encodeDescriptor({
    container: 'flv',
    source: 'push:example',
    windowMs: 500,
    pieceBytes: 16_384,
    owner: signer.publicKey,
  });
  return { signer, descriptor, id: channelId(descriptor, nodeHasher) };
}

function exampleMessages(): readonly LiveMessage[] {
  const held = new Bitfield(3);
  held.add(0);
  held.add(2);
  const whole = { key: false, held: null };
  return [
    { kind: 'hello', version: 4, publisher: true, rank: 0x01020304 },
    {
      kind: 'map',
      full: true,
      tail: 5,
      windows: [
        { ...whole, number: 5, pieceCount: 3, key: true, version: 0x0a0b0c0d },
        { ...whole, number: 6, pieceCount: 2, version: 0x0a0b0c0e },
        { number: 7, pieceCount: 3, key: false, held, version: 0x0a0b0c0f },
      ],
    },
    {
      kind: 'map',
      full: true,
      tail: 5,
      windows: [
        { ...whole, number: 5, pieceCount: 0 },
        { ...whole, number: 6, pieceCount: 0 },
      ],
    },
    { kind: 'request', window: 7, pieces: [0, 2], wantManifest: true, patienceMs: 400 },
    { kind: 'piece', window: 7, piece: 0, payload: Buffer.from('shoal') },
    { kind: 'cancel', window: 7, pieces: [2] },
    { kind: 'refuse', why: 'busy', window: 7, etaMs: 90, pieces: [0] },
    { kind: 'have', window: 7, pieces: [1] },
  ];
}

test('every source file stands in the table of contents, and nothing else does', () => {
  assert.equal(badContents(readFileSync(join(ROOT, 'docs', 'architecture.md'), 'utf8'), filesBelow(ROOT, 'src', '.ts')), []);
});

test('a file without a row, and a row without a file, are noticed', () => {
  const files = [{ path: 'src/io/a.ts', text: '/**\n * Reads a, b\n * and c. Never d.\n *\n * More.\n */\n' }];
  assert.equal(badContents('| `src/io/a.ts` | x |\n', files), []);
  assert.equal(badContents('| `src/io/b.ts` | x |\n', files), [
    'add: | `src/io/a.ts` | Reads a, b and c. |',
    'remove the row of src/io/b.ts',
  ]);
});

test('every parameter and every constant of the live exchange stands in its page, with its value', () => {
  const page = readFileSync(join(ROOT, 'docs', 'live-exchange-algorithm.md'), 'utf8');
  const rows = new Map(
    [...page.matchAll(/^\| *`([a-z][A-Za-z]*)` *\| *[a-z]+ *\| *`([0-9.]+)` *\|/gm)].map(([, name, value]) => [name, Number(value)]),
  );
  assert.equal(Object.fromEntries(rows), shippedExchange());
  assert.equal(badConstants(page, filesBelow(ROOT, 'src/relay/exchange', '.ts')), []);
});

test('a constant without a row, and a row with another value, are noticed', () => {
  const files = [{ path: 'src/relay/exchange/a.ts', text: '/** Why. */\nconst LONG_MS: Milliseconds = 1_000;\nconst NAMES = [1];\n' }];
  assert.equal(badConstants('| `a` | `LONG_MS` | 1_000 | Why. |\n', files), []);
  assert.equal(badConstants('| `a` | `LONG_MS` | 2_000 | Why. |\n', files), [
    'add: | `a` | `LONG_MS` | 1_000 | why |',
    'remove the row of a LONG_MS 2_000',
  ]);
});

test('the example bytes of the wire protocol are what the code writes', () => {
  const document = dense(readFileSync(join(ROOT, 'docs', 'live-exchange.md'), 'utf8'));
  const { signer, descriptor, id } = exampleChannel();
  const publisher = createSigner(Uint8Array.from({ length: 32 }, (_, index) => 32 + index));
  const fromMs = Date.UTC(2027, 0, 1);
  const certificate = signCertificate({ key: publisher.publicKey, fromMs, untilMs: Date.UTC(2027, 0, 31) }, id, signer);
  const sinceMs = Date.UTC(2027, 0, 15);
  const link: ChannelLink = { id, name: 'Example', trackers: ['http://192.0.2.1:6969/announce'], peers: ['192.0.2.1:16881'] };
  const content = {
    number: 7,
    previous: null,
    discontinuity: true,
    startMs: 3500,
    durationMs: 500,
    bytes: Buffer.from('shoal'),
    keyMarks: [{ offsetBytes: 0, afterStartMs: 20 }],
  };
  const examples = [
    formatMagnet(link),
    formatShoalLink(link),
    hex(descriptor),
    hex(signManifest(content, id, 16_384, nodeHasher, signer).bytes),
    hex(signStreamInfo(8, Buffer.from('x'), id, signer).bytes),
    hex(certificate.bytes),
    hex(signManifest(content, id, 16_384, nodeHasher, publisher, certificate).bytes),
    hex(signRevocationList(sinceMs, [{ key: publisher.publicKey, sinceMs }], id, signer).bytes),
    ...exampleMessages().map((message) => `\`${hex(liveCodec.encode(message))}\``),
  ];
  for (const example of examples) assert.ok(document.includes(example), `docs/live-exchange.md lacks ${example}`);
});

test.run();

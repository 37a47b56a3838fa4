/** The bencode codec: canonical output, and a table of everything it must refuse. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type BencodeLimits,
  type BencodeValue,
  bencodeText,
  decodeBencode,
  decodeBencodeDictionary,
  decodeBencodePrefix,
  encodeBencode,
} from '../../../src/kernel/bencode.js';
import { Malformed } from '../../../src/kernel/errors.js';

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

const reasonOf = (text: string, limits?: BencodeLimits): string => {
  const decoded = decodeBencode(bytesOf(text), limits);
  return decoded instanceof Malformed ? decoded.reason : `accepted ${text}`;
};

test('every kind of value decodes to its shape', () => {
  const value = decodeBencode(bytesOf('d1:ai-7e1:bl3:xyze1:cd0:i0eee'));
  const expected: BencodeValue = new Map<string, BencodeValue>([
    ['a', -7],
    ['b', [bytesOf('xyz')]],
    ['c', new Map<string, BencodeValue>([['', 0]])],
  ]);
  assert.equal(value, expected);
});

test('the largest safe integers pass, one more does not', () => {
  assert.is(decodeBencode(bytesOf('i9007199254740991e')), Number.MAX_SAFE_INTEGER);
  assert.is(decodeBencode(bytesOf('i-9007199254740991e')), Number.MIN_SAFE_INTEGER);
  assert.match(reasonOf('i9007199254740992e'), /above 2\^53/);
});

const REFUSED: readonly (readonly [bytes: string, reason: RegExp, limits?: BencodeLimits])[] = [
  ['', /the end within a string length, at byte 0/],
  ['i', /the end within an integer/],
  ['ie', /"e" where an integer should be, at byte 1/],
  ['i-e', /"e" where an integer/],
  ['i-0e', /the integer -0/],
  ['i+1e', /"\+" where an integer/],
  ['i1.5e', /"\." where an integer/],
  ['i01e', /a leading zero in an integer/],
  ['i00e', /a leading zero/],
  ['i-01e', /a leading zero/],
  ['i1', /the end within an integer/],
  ['i99999999999999999999999e', /above 2\^53/],
  ['01:a', /a leading zero in a string length/],
  ['-1:a', /"-" where a string length/],
  [':a', /":" where a string length/],
  ['5:abc', /a string of 5 bytes where 3 are left, at byte 0/],
  ['9007199254740991:a', /a string of 9007199254740991 bytes/],
  ['l', /the end/],
  ['li1e', /the end/],
  ['d1:a', /the end/],
  ['d1:ae', /a key without a value/],
  ['di1ei2ee', /"i" where a string length/],
  ['dlei1ee', /"l" where a string length/],
  ['d1:ai1e1:ai2ee', /a key that the dictionary already has, at byte 7/],
  ['d1:bi1e1:ai2ee', /a key out of order/, { canonical: true }],
  ['i1ex', /1 bytes follow/],
  ['e', /"e" where a string length/],
  ['x', /"x" where/],
  ['\x00', /byte 0x00 where/],
  ['l'.repeat(33) + 'e'.repeat(33), /deeper than 32, at byte 32/],
  ['ll', /deeper than 1/, { maxDepth: 1 }],
  ['li1ei2ee', /more than 2 tokens/, { maxTokens: 2 }],
  ['10:0123456789', /13 bytes, at most 12/, { maxBytes: 12 }],
];

for (const [bytes, reason, limits] of REFUSED) {
  test(`${JSON.stringify(bytes.slice(0, 40))} is refused because ${reason.source}`, () => {
    assert.match(reasonOf(bytes, limits), reason);
  });
}

test('a hundred thousand nested lists are refused, not recursed into', () => {
  assert.match(reasonOf('l'.repeat(200_000)), /deeper than 32/);
});

test('unsorted keys pass unless canonical is asked for', () => {
  assert.ok(decodeBencode(bytesOf('d1:bi1e1:ai2ee')) instanceof Map);
});

test('the key __proto__ is a key like any other', () => {
  const value = decodeBencode(bytesOf('d9:__proto__d8:pollutedi1eee'));
  assert.ok(value instanceof Map && value.has('__proto__'));
  assert.is((value as unknown as { polluted?: number }).polluted, undefined);
});

test('keys that are no UTF-8 stay apart from their hex spelling and survive a round trip', () => {
  const bytes = bytesOf('d1:\xffi1e2:ffi2ee');
  const value = decodeBencode(bytes);
  assert.ok(value instanceof Map && value.size === 2);
  assert.is(textOf(encodeBencode(value)), 'd2:ffi2e1:\xffi1ee');
});

test('encoding sorts keys by raw bytes and writes text as UTF-8', () => {
  assert.is(textOf(encodeBencode({ b: 1, a: [], 'a-': 'é', B: new Map() })), 'd1:Bde1:ale2:a-2:\xc3\xa91:bi1ee');
  assert.is(textOf(encodeBencode(-0)), 'i0e');
});

test('what bencode cannot hold is our bug', () => {
  assert.throws(() => encodeBencode(1.5), /whole numbers/);
  assert.throws(() => encodeBencode(2 ** 53), /whole numbers/);
  assert.throws(() => encodeBencode({ 'ü€': 1 }), /one character per byte/);
});

test('a prefix tells where the value ends, and the rest is left alone', () => {
  const decoded = decodeBencodePrefix(bytesOf('d8:msg_typei1e5:piecei0eeRAW DATA ee'));
  assert.ok(!(decoded instanceof Malformed));
  assert.is(decoded.bytesUsed, 25);
  assert.ok(decodeBencodePrefix(bytesOf('10:0123456789'), { maxBytes: 8 }) instanceof Malformed);
});

test('decoded strings are copies, so a reused receive buffer cannot change them', () => {
  const buffer = Buffer.from('3:abc');
  const value = decodeBencode(buffer);
  buffer.fill(0);
  assert.is(bencodeText(value instanceof Malformed ? undefined : value), 'abc');
});

test('every input of up to three characters of the grammar is a value or a refusal', () => {
  const alphabet = [...'dlie0123456789:-\xff'];
  const inputs = ['', ...alphabet.flatMap((a) => [a, ...alphabet.flatMap((b) => [a + b, ...alphabet.map((c) => a + b + c)])])];
  const values = inputs.filter((text) => !(decodeBencode(bytesOf(text)) instanceof Malformed));
  assert.equal(
    values.sort(),
    [
      '0:',
      ...Array.from('dl', (letter) => `${letter}e`),
      ...Array.from('0123456789', (digit) => `i${digit}e`),
      ...alphabet.map((c) => `1:${c}`),
    ].sort(),
  );
});

test('text is read from UTF-8 strings only', () => {
  assert.is(bencodeText(bytesOf('\xc3\xa9')), 'é');
  assert.is(bencodeText(bytesOf('\xff')), undefined);
  assert.is(bencodeText(5), undefined);
  assert.is(bencodeText(undefined), undefined);
});

test('a dictionary says where each of its own values lies, whatever the order of its keys', () => {
  const text = 'd1:bd1:ai1ee1:al3:xyzd1:bi2eee0:i-5ee';
  const decoded = decodeBencodeDictionary(bytesOf(text));
  if (decoded instanceof Malformed) throw new Error(decoded.reason);
  const slices = [...decoded.spans].map(([key, { startBytes, endBytes }]) => [key, text.slice(startBytes, endBytes)]);
  assert.equal(slices, [
    ['b', 'd1:ai1ee'],
    ['a', 'l3:xyzd1:bi2eee'],
    ['', 'i-5e'],
  ]);
  assert.equal([...decoded.dictionary.keys()], ['b', 'a', '']);
});

test('only a dictionary that fills the bytes has places', () => {
  for (const text of ['le', 'i1e', 'dee', 'd', '']) assert.instance(decodeBencodeDictionary(bytesOf(text)), Malformed);
  assert.instance(decodeBencodeDictionary(bytesOf('d1:a1:be'), { maxBytes: 5 }), Malformed);
});

test.run();

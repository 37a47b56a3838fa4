import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../../src/kernel/errors.js';
import { LIVE_VERSION, liveCodec } from '../../../../src/relay/exchange/live-message.js';
import { decodeInput, encodeInput, type LiveInput, wordsOfInput } from '../../../../src/relay/trace/trace-input.js';

const INPUTS: readonly LiveInput[] = [
  { kind: 'command', command: { kind: 'start' } },
  { kind: 'timer', timer: 'tick' },
  { kind: 'timer', timer: 'request:4294967295:65535' },
  { kind: 'message', from: 'c3', message: { kind: 'cancel', window: 7, pieces: [1, 2] } },
  { kind: 'peer-up', peer: 'c3' },
  { kind: 'peer-down', peer: 'c3' },
  { kind: 'peer-blocked', peer: 'c3' },
  { kind: 'peer-drained', peer: 'c3' },
  { kind: 'peer-up', peer: 'c3', addressBlock: 'block 4' },
  { kind: 'peer-up', peer: 'c3', peerId: 'peer 5' },
  { kind: 'peer-up', peer: 'c3', peerId: 'peer 5', addressBlock: 'block 4' },
];
const numberOf = (name: string): number => Number(/\d+$/.exec(name)?.[0]);

test('every input of a viewer comes back', () => {
  for (const input of INPUTS) assert.equal(decodeInput(encodeInput(input, numberOf, undefined) as Uint8Array), input);
});

test('a message is kept as it came, with what a later version has behind its fields', () => {
  const message = { kind: 'hello', version: LIVE_VERSION, publisher: false, rank: 3 } as const;
  const wire = Buffer.concat([liveCodec.encode(message), Buffer.from('more')]);
  const bytes = encodeInput({ kind: 'message', from: 'c1', message }, numberOf, wire) as Uint8Array;
  assert.equal(Buffer.from(bytes.subarray(5)), wire);
  assert.equal(decodeInput(bytes), { kind: 'message', from: 'c1', message });
});

test('what no viewer is told is not carried', () => {
  assert.is(encodeInput({ kind: 'command', command: { kind: 'on-air', onAir: true } }, numberOf, undefined), undefined);
});

test('what is no input is refused', () => {
  const bad = [
    [],
    [9, 0, 0, 0, 1],
    [3, 0],
    [3, 0, 0, 0, 1, 0],
    [7, 0, 0, 0, 1],
    [7, 0, 0, 0, 1, 0, 0, 0, 2, 0],
    [2, 0, 0, 0, 1, 99],
    [1],
    [1, ...Buffer.from('Tick')],
    [1, ...Buffer.from('request:x')],
  ];
  for (const bytes of bad.slice(1)) assert.instance(decodeInput(Uint8Array.from(bytes)), Malformed, String(bytes));
});

test('each has words', () => {
  const words = INPUTS.map(wordsOfInput);
  assert.is(words[1], 'timer tick');
  assert.is(words[3], 'from c3: cancel {window: 7, pieces: [1, 2]}');
  assert.is(words[4], 'peer-up c3');
  assert.is(words[8], 'peer-up c3 of block 4');
});

test.run();

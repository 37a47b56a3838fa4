/** The live exchange's messages under mutation: decoding returns, within its bounds, and what it accepts it can say again. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import { type LiveMessage, liveCodec, MAP_WINDOWS_MAX, PIECES_PER_MESSAGE_MAX } from '../../src/relay/exchange/live-message.js';
import { PIECES_MAX } from '../../src/relay/exchange/manifest.js';
import { corpusOf, forMutants } from '../support/mutation.js';

const BUDGET_MS = 800;
const corpus = corpusOf('live-message');

function checkBounds(message: LiveMessage): void {
  if ('pieces' in message) assert.ok(message.pieces.length <= PIECES_PER_MESSAGE_MAX);
  if (message.kind !== 'map') return;
  assert.ok(message.windows.length <= MAP_WINDOWS_MAX);
  assert.ok(message.windows.every(({ pieceCount, held }) => pieceCount <= PIECES_MAX && (held === null || held.length === pieceCount)));
}

test('the kept messages are good', () => {
  for (const bytes of corpus) assert.not.instance(liveCodec.decode(bytes), Malformed);
});

test('mutated messages are decoded or refused, never thrown at', () => {
  let acceptedCount = 0;
  forMutants('live-message', 20_260_201, BUDGET_MS, (mutant) => {
    const message = liveCodec.decode(mutant);
    if (message instanceof Malformed) return;
    acceptedCount++;
    checkBounds(message);
    const again = liveCodec.decode(liveCodec.encode(message));
    assert.not.instance(again, Malformed);
    assert.is((again as LiveMessage).kind, message.kind);
  });
  assert.ok(acceptedCount > 0, 'the mutations never met a valid message');
});

test.run();

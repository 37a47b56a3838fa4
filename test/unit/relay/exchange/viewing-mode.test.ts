import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pacingOf, startLagOf, VIEWING_MODES } from '../../../../src/relay/exchange/viewing-mode.js';

test('who wants more safety starts further behind, and keeps a larger reserve', () => {
  for (const figure of [startLagOf, (mode: (typeof VIEWING_MODES)[number]) => pacingOf(mode).targetMs]) {
    const figures = VIEWING_MODES.map(figure);
    assert.equal(
      figures,
      [...new Set(figures)].sort((a, b) => a - b),
    );
  }
});

test('a player comes down to its target before it has to jump, and has half a second in hand at least', () => {
  for (const { targetMs, maxMs, jumpMs, rateMax } of VIEWING_MODES.map(pacingOf)) {
    assert.ok(targetMs >= 500 && targetMs < maxMs && maxMs < jumpMs);
    assert.ok(rateMax > 1 && rateMax <= 1.1);
  }
});

test.run();

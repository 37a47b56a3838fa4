/** Subtitles under mutation: text or a sentence comes back, and the text is WebVTT that says nothing but its cues. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import { toWebVtt } from '../../src/vod/subtitle.js';
import { forMutants } from '../support/mutation.js';

const TIME = /^\d{2,}:\d{2}:\d{2}\.\d{3} --> \d{2,}:\d{2}:\d{2}\.\d{3}$/;

test('mutated subtitles are refused with a sentence, or become cues with a time and a text each', () => {
  let converted = 0;
  forMutants('subtitle', 20_261_122, 800, (bytes) => {
    const text = toWebVtt(bytes);
    if (text instanceof Malformed) return assert.match(text.reason, /[.?]$/);
    converted++;
    // What was WebVTT already is passed on.
    if (Buffer.from(bytes).includes('WEBVTT')) return;
    const [head, ...cues] = text.trimEnd().split('\n\n');
    assert.is(head, 'WEBVTT');
    for (const cue of cues) {
      const [time = '', ...lines] = cue.split('\n');
      assert.match(time, TIME);
      assert.ok(lines.length > 0);
      for (const line of lines) assert.ok(!line.includes('-->') && !/<(?!\/?[biu]>)/.test(line), line);
    }
  });
  assert.ok(converted > 0);
});

test.run();

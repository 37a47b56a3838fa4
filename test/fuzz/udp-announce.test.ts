/** Answers of UDP trackers under mutation: bounded, of the transaction that was asked, or refused. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PEERS_PER_RESPONSE_MAX_COUNT, peersOf } from '../../src/io/trackers/announce.js';
import { decodeUdpAnswer } from '../../src/io/trackers/udp-announce.js';
import { Malformed } from '../../src/kernel/errors.js';
import { forMutants } from '../support/mutation.js';

/** Of every answer in the corpus. */
const TRANSACTION = 0x0102_0304;

test('mutated answers are read within bounds, passed over, or refused', () => {
  const kinds = new Set<string>();
  forMutants('udp-announce', 23, 500, (mutant) => {
    for (const isIpv6 of [false, true]) {
      const answer = decodeUdpAnswer(mutant, TRANSACTION, isIpv6);
      if (answer === undefined || answer instanceof Malformed) {
        kinds.add(answer === undefined ? 'passed over' : 'refused');
        continue;
      }
      kinds.add(answer.kind);
      assert.is(new DataView(mutant.buffer, mutant.byteOffset).getUint32(4), TRANSACTION);
      if (answer.kind === 'connection') assert.is(answer.connectionId.length, 8);
      if (answer.kind !== 'answer') continue;
      assert.ok((answer.response.intervalS ?? 1) > 0);
      assert.ok([...peersOf(answer.response)].length <= PEERS_PER_RESPONSE_MAX_COUNT);
    }
  });
  assert.equal([...kinds].sort(), ['answer', 'connection', 'passed over', 'refusal', 'refused']);
});

test.run();

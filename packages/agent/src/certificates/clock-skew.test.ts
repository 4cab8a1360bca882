import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  CLOCK_SKEW_MS,
  createCsr,
  createRootCertificate,
  describeCertificate,
  generatePrivateKey,
  loadAuthority,
} from '@istio-ts/security';
import { clockComplaint, renewalDelay } from './rotation.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const rule = { graceRatio: 0.5, graceJitter: 0 };
/** What time it is in truth; istiod and the agent may think otherwise. */
const TRUTH = Date.UTC(2030, 0, 1);

/** A certificate by an istiod whose clock is off by so much. */
function issued(ttl: number, istiodOff: number) {
  const now = new Date(TRUTH + istiodOff);
  const authority = loadAuthority(createRootCertificate({ organization: 'cluster.local', now: new Date(TRUTH) }), {
    maxTtl: 24 * HOUR,
    defaultTtl: 24 * HOUR,
  });
  const identity = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart' };
  const csr = createCsr(generatePrivateKey(), [{ kind: 'uri', value: 'spiffe://cluster.local/ns/shop/sa/cart' }]);
  const { certificate } = authority.sign({ csr, identity, ttl, now });
  const { notBefore, notAfter } = describeCertificate(certificate);
  return { notBefore: notBefore.getTime(), notAfter: notAfter.getTime() };
}

/** In truth: when an agent with such a clock renews. */
const renewal = (validity: ReturnType<typeof issued>, ttl: number, agentOff: number): number => {
  const asked = TRUTH + agentOff;
  return TRUTH + renewalDelay(validity, { asked, ttl }, asked, rule, 0.5);
};

describe('clocks that are off', () => {
  test('a proxy whose clock is up to two minutes behind takes a certificate that was signed this moment', () => {
    const { notBefore } = issued(HOUR, 0);
    assert.equal(notBefore, TRUTH - CLOCK_SKEW_MS);
    assert.equal(clockComplaint(issued(HOUR, 0), TRUTH - CLOCK_SKEW_MS), undefined);
    assert.equal(clockComplaint(issued(HOUR, CLOCK_SKEW_MS), TRUTH), undefined);
  });

  for (const ttl of [2 * MINUTE, 10 * MINUTE, HOUR, 24 * HOUR])
    for (const [istiodOff, agentOff] of [
      [0, 5 * MINUTE],
      [0, -5 * MINUTE],
      [5 * MINUTE, 0],
      [-5 * MINUTE, 0],
      [5 * MINUTE, -5 * MINUTE],
      [-5 * MINUTE, 5 * MINUTE],
    ] as const)
      test(`certificates of ${ttl / MINUTE} min, istiod's clock ${istiodOff / MINUTE} min and the agent's ${agentOff / MINUTE} min off: renewed before they end, and not without pause`, () => {
        const validity = issued(ttl, istiodOff);
        const at = renewal(validity, ttl, agentOff);
        // By the clock of istiod, which is also that of the machine where peers are asked to trust it when it ends.
        const endsInTruth = validity.notAfter - istiodOff;
        assert.ok(at < endsInTruth, `renewed ${(at - endsInTruth) / 1000} s after its end`);
        assert.ok(at >= TRUTH + Math.min(ttl * 0.1, 30_000), `renewed after ${(at - TRUTH) / 1000} s`);
      });

  test('the agent says which way its clock is off, and by how much at least', () => {
    assert.match(
      clockComplaint(issued(HOUR, 0), TRUTH - 5 * MINUTE) ?? '',
      /^the clock of this machine is at least 180 s behind the CA's/,
    );
    assert.match(
      clockComplaint(issued(2 * MINUTE, 0), TRUTH + 5 * MINUTE) ?? '',
      /^the clock of this machine is at least 180 s ahead of the CA's/,
    );
    assert.equal(clockComplaint(issued(HOUR, 0), TRUTH + 5 * MINUTE), undefined);
  });
});

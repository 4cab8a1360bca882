import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KubeObject } from '@istio-ts/kube';
import { playedClient } from '@istio-ts/kube/testing/played-client';
import { createTokenAuthenticator, TooManyTokensError } from './token-authenticator.ts';

const jwt = (claims: object): string =>
  ['{}', JSON.stringify(claims), 'signature'].map((part) => Buffer.from(part).toString('base64url')).join('.');
const accepted = {
  authenticated: true,
  audiences: ['istio-ca'],
  user: { username: 'system:serviceaccount:shop:cart' },
};

function reviewer(answer: () => Promise<object>) {
  let asked = 0;
  let clock = 1_000_000;
  const client = playedClient({
    create: async (_: unknown, review: KubeObject) => {
      asked++;
      return { ...review, status: await answer() };
    },
  });
  return {
    authenticate: createTokenAuthenticator(client, ['istio-ca'], () => clock),
    asked: () => asked,
    pass: (ms: number) => {
      clock += ms;
    },
  };
}

describe('token reviews', () => {
  it('an accepted token is remembered for a minute, a refused one never', async () => {
    let status: object = { authenticated: false };
    const { authenticate, asked, pass } = reviewer(async () => status);
    const token = jwt({ sub: 'x' });
    assert.equal((await authenticate(token)).authenticated, false);
    status = accepted;
    assert.deepEqual(await authenticate(token), {
      authenticated: true,
      namespace: 'shop',
      serviceAccount: 'cart',
      podName: undefined,
      podUid: undefined,
    });
    await authenticate(token);
    assert.equal(asked(), 2);
    pass(61_000);
    await authenticate(token);
    assert.equal(asked(), 3);
  });

  it('what is no token or has expired costs the API server nothing', async () => {
    const { authenticate, asked } = reviewer(async () => accepted);
    assert.equal((await authenticate('password')).authenticated, false);
    assert.equal((await authenticate(jwt({ exp: 1 }))).authenticated, false);
    assert.equal((await authenticate('x'.repeat(100_000))).authenticated, false);
    assert.equal(asked(), 0);
  });

  it('many at once ask once for each token, and only so many tokens', async () => {
    const { promise, resolve } = Promise.withResolvers<object>();
    const { authenticate, asked } = reviewer(() => promise);
    const same = [1, 2, 3].map(() => authenticate(jwt({ sub: 'same' })));
    assert.equal(asked(), 1);
    const others = Array.from({ length: 63 }, (_, index) => authenticate(jwt({ sub: String(index) })));
    await assert.rejects(authenticate(jwt({ sub: 'one too many' })), TooManyTokensError);
    resolve(accepted);
    for (const result of await Promise.all([...same, ...others])) assert.equal(result.authenticated, true);
  });

  it('a question that fails is an error and not a refusal, and the next one is asked anew', async () => {
    let away = true;
    const { authenticate } = reviewer(async () => {
      if (away) throw new Error('connect ECONNREFUSED');
      return accepted;
    });
    await assert.rejects(authenticate(jwt({ sub: 'x' })), /ECONNREFUSED/);
    away = false;
    assert.equal((await authenticate(jwt({ sub: 'x' }))).authenticated, true);
  });
});

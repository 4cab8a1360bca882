import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultMeshConfig, validate } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import fc from 'fast-check';
import { type ConfigKinds, MeshSources } from './index.ts';
import { type ClosingKind, closingKinds, standInFor } from './stand-in.ts';

const object = (kind: ClosingKind, spec: unknown): KubeObject => ({
  apiVersion: 'security.istio.io/v1',
  kind,
  metadata: { name: 'one', namespace: 'default' },
  spec,
});
const instead = (kind: ClosingKind, spec: unknown): unknown => standInFor(kind, object(kind, spec))?.spec;
const deny = (...rules: readonly unknown[]): unknown =>
  (instead('AuthorizationPolicy', { action: 'DENY', rules }) as { readonly rules: unknown }).rules;

describe('an AuthorizationPolicy that was never right', () => {
  it('allows nothing where it was to allow something, or nobody knows what', () => {
    const rules = [{ from: [{ source: { ipBlocks: ['x'] } }] }];
    const selector = { matchLabels: { app: 'web' } };
    assert.deepEqual(instead('AuthorizationPolicy', { selector, rules }), { selector, action: 'ALLOW' });
    assert.deepEqual(instead('AuthorizationPolicy', { selector, action: 'deny', rules }), {
      selector,
      action: 'ALLOW',
    });
    assert.deepEqual(instead('AuthorizationPolicy', { selector: 'web', action: 'ALLOW', rules }), { action: 'ALLOW' });
    assert.deepEqual(instead('AuthorizationPolicy', 'all'), { action: 'ALLOW' });
  });

  it('denies more than was said: conditions that are wrong fall away, of what is excepted only the wrong value', () => {
    const to = [{ operation: { paths: ['/admin'] } }];
    assert.deepEqual(deny({ to, from: [{ source: { ipBlocks: ['10.0.0.1', 'x'], namespaces: ['a'] } }] }), [
      { to, from: [{ source: { namespaces: ['a'] } }] },
    ]);
    assert.deepEqual(deny({ to, from: [{ source: { notIpBlocks: ['10.0.0.1', 'x'] } }] }), [
      { to, from: [{ source: { notIpBlocks: ['10.0.0.1'] } }] },
    ]);
    assert.deepEqual(deny({ to, from: [{ source: { ipBlocks: ['x'] } }, { source: { namespaces: ['a'] } }] }), [
      { to },
    ]);
    assert.deepEqual(deny({ to, from: [{ sauce: { namespaces: ['a'] } }] }), [{ to }]);
    assert.deepEqual(deny({ to: [{ operation: { pathz: ['/admin'], methods: ['GET'] } }] }), [
      { to: [{ operation: { methods: ['GET'] } }] },
    ]);
    assert.deepEqual(deny({ to, when: [{ key: 'source.ip', values: ['x'] }] }), [{ to, when: [] }]);
    assert.deepEqual(deny({ to, when: [{ key: 'nobody.knows', values: ['x'] }] }), [{ to, when: [] }]);
    assert.deepEqual(deny({ to, when: [{ key: 'source.ip', values: ['x'], notValues: ['10.0.0.1'] }] }), [
      { to, when: [{ key: 'source.ip', notValues: ['10.0.0.1'] }] },
    ]);
    assert.deepEqual(deny('all', { to }), [{}, { to }]);
    assert.deepEqual(instead('AuthorizationPolicy', { action: 'DENY', rules: 'all' }), { action: 'DENY', rules: [{}] });
  });

  it('is for more workloads where nobody knows for which', () => {
    const rules = [{ to: [{ operation: { paths: ['/admin'] } }] }];
    const gateway = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'door' };
    for (const wrong of [
      { selector: { matchLabels: { app: 'w*b' } } },
      { targetRefs: [gateway, { kind: 'Door', name: 'x' }] },
      { targetRef: { ...gateway, namespace: 'other' } },
      { targetRef: gateway, selector: { matchLabels: { app: 'web' } } },
      { zelector: { matchLabels: { app: 'web' } } },
    ])
      assert.deepEqual(instead('AuthorizationPolicy', { ...wrong, action: 'DENY', rules }), { action: 'DENY', rules });
  });

  it('asks nobody and refuses without a provider, and needs rules to do anything', () => {
    const rules = [{ to: [{ operation: { paths: ['/admin'] } }] }];
    const custom = { action: 'CUSTOM', rules };
    assert.deepEqual(instead('AuthorizationPolicy', custom), { ...custom, provider: { name: 'none' } });
    assert.equal(instead('AuthorizationPolicy', { action: 'DENY', rules: [] }), undefined);
    assert.equal(instead('AuthorizationPolicy', { action: 'CUSTOM', provider: { name: 'x' } }), undefined);
  });
});

describe('a PeerAuthentication that was never right', () => {
  it('is STRICT where it might have been', () => {
    const selector = { matchLabels: { app: 'web' } };
    const peers = (spec: unknown): unknown => instead('PeerAuthentication', spec);
    const strict = { mtls: { mode: 'STRICT' } };
    assert.deepEqual(peers({ selector, mtls: { mode: 'strict' } }), { selector, ...strict });
    assert.deepEqual(peers({ selector, mtls: { mod: 'STRICT' } }), { selector, ...strict });
    assert.deepEqual(peers({ mtsl: { mode: 'STRICT' } }), strict);
    assert.deepEqual(peers('STRICT'), strict);
    assert.deepEqual(peers({ selector: 'web', ...strict }), strict);
    const ports = (portLevelMtls: unknown, mode = 'PERMISSIVE') => peers({ selector, mtls: { mode }, portLevelMtls });
    assert.deepEqual(ports({ 8080: { mode: 'Strict' }, 9000: { mode: 'DISABLE' } }), {
      selector,
      mtls: { mode: 'PERMISSIVE' },
      portLevelMtls: { 8080: { mode: 'STRICT' }, 9000: { mode: 'DISABLE' } },
    });
    assert.deepEqual(ports({ http: { mode: 'STRICT' } }), { selector, ...strict, portLevelMtls: {} });
    assert.deepEqual(ports({ http: { mode: 'DISABLE' } }), {
      selector,
      mtls: { mode: 'PERMISSIVE' },
      portLevelMtls: {},
    });
    assert.deepEqual(peers({ mtls: { mode: 'DISABLE' }, portLevelMtls: { 80: { mode: 'STRICT' } } }), strict);
  });
});

describe('a RequestAuthentication that was never right', () => {
  it('has no keys in the rules that are wrong, and takes out the headers that they write', () => {
    const good = { issuer: 'one', jwks: '{"keys":[{"kty":"EC"}]}' };
    const outputClaimToHeaders = [{ header: 'x-sub', claim: 'sub' }];
    const rules = (...jwtRules: readonly unknown[]): unknown =>
      (instead('RequestAuthentication', { jwtRules }) as { readonly jwtRules: unknown }).jwtRules;
    const jwks = '{"keys":[{}]}';
    assert.deepEqual(rules(good, { issuer: 'two', jwks: 'x', outputClaimToHeaders }), [
      good,
      { issuer: 'two', jwks, outputClaimToHeaders },
    ]);
    assert.deepEqual(rules({ ...good, jwksUri: 'https://keys.test' }), [{ issuer: 'one', jwks }]);
    assert.deepEqual(rules({ ...good, fromHeaders: [{ name: 'a b' }, { name: 'x-token' }] }), [
      { issuer: 'one', jwks, fromHeaders: [{ name: 'x-token' }] },
    ]);
    assert.deepEqual(rules({ ...good, requiredClaims: ['admin'] }), [{ issuer: 'one', jwks }]);
    assert.deepEqual(rules({ jwks: good.jwks }, 7), [
      { issuer: 'unreadable', jwks },
      { issuer: 'unreadable', jwks },
    ]);
    assert.deepEqual(instead('RequestAuthentication', { jwtRules: 'x' }), {
      jwtRules: [{ issuer: 'unreadable', jwks }],
    });
  });
});

describe('what stands in', () => {
  const sources = (): MeshSources => new MeshSources({ meshConfig: defaultMeshConfig() });
  const one = <K extends ClosingKind>(from: MeshSources, kind: K): ConfigKinds[K] | undefined =>
    from.configs(kind).get('default/one')?.spec;

  it('is replaced by the first version that is right, which then outlives wrong ones', () => {
    for (const [kind, wrong, right] of [
      ['PeerAuthentication', { mtls: { mode: 'strict' } }, { mtls: { mode: 'DISABLE' } }],
      [
        'AuthorizationPolicy',
        { action: 'DENY', rules: [7] },
        { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/a'] } }] }] },
      ],
      ['RequestAuthentication', { jwtRules: 7 }, { jwtRules: [] }],
    ] as const) {
      const from = sources();
      from.set(object(kind, wrong));
      const standIn = one(from, kind);
      assert.notEqual(standIn, undefined);
      assert.equal(from.problems.get(`${kind}/default/one`)?.[0]?.onlyPart, true);
      from.set(object(kind, right));
      assert.deepEqual(one(from, kind), right);
      assert.equal(from.problems.get(`${kind}/default/one`), undefined);
      from.set(object(kind, wrong));
      assert.deepEqual(one(from, kind), right);
      assert.equal(from.problems.get(`${kind}/default/one`)?.[0]?.lastGoodStays, true);
      from.delete(object(kind, wrong));
      assert.equal(one(from, kind), undefined);
      from.set(object(kind, wrong));
      assert.deepEqual(one(from, kind), standIn);
    }
  });

  it('is right itself, whatever it stands in for, and of bounded cost', () => {
    const name = fc.constantFrom(
      ...[
        'selector',
        'matchLabels',
        'app',
        'targetRef',
        'targetRefs',
        'kind',
        'name',
        'group',
        'namespace',
        'rules',
        'from',
      ],
      ...[
        'to',
        'when',
        'source',
        'operation',
        'ipBlocks',
        'notIpBlocks',
        'paths',
        'notPorts',
        'key',
        'values',
        'notValues',
      ],
      ...[
        'mtls',
        'mode',
        'portLevelMtls',
        '80',
        'x',
        'jwtRules',
        'issuer',
        'jwks',
        'jwksUri',
        'fromHeaders',
        'provider',
      ],
    );
    const leaf = fc.constantFrom<unknown>(
      'STRICT',
      'DISABLE',
      '',
      '/a',
      '10.0.0.1',
      'source.ip',
      7,
      true,
      null,
      '*',
      '80',
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'large' },
        leaf,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(name, tie('tree'), { maxKeys: 5 }),
      ),
    }));
    const action = fc.constantFrom(undefined, 'ALLOW', 'DENY', 'AUDIT', 'CUSTOM', 'NONE', 7);
    fc.assert(
      fc.property(fc.constantFrom(...closingKinds), fc.dictionary(name, tree), action, (kind, fields, what) => {
        const spec =
          kind === 'AuthorizationPolicy' ? { ...fields, ...(what !== undefined && { action: what }) } : fields;
        const standIn = standInFor(kind, object(kind, spec));
        if (standIn === undefined) return;
        const wrong = validate(object(kind, standIn.spec)).filter(({ severity }) => severity === 'error');
        assert.deepEqual(wrong, []);
      }),
      { numRuns: 500 },
    );
    const many = Array.from({ length: 512 }, () => ({ from: [{ source: { ipBlocks: Array(20).fill('x') } }] }));
    assert.notEqual(instead('AuthorizationPolicy', { action: 'DENY', rules: many }), undefined);
  });
});

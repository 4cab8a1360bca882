import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube/object';
import fc from 'fast-check';
import { decode, decodeAndValidate, formatProblem, kindOf, kinds, validate } from './index.ts';
import type { AnySchema } from './schema/schema.ts';
import { external, GOOD_SPECS, http, server } from './test-specs.ts';

type Spec = Record<string, unknown>;

function object(kind: string, spec: unknown, name = 'test'): KubeObject {
  const definition = kinds.find((candidate) => candidate.kind === kind);
  assert.ok(definition, kind);
  const apiVersion = `${definition.group}/${definition.storedVersion}`;
  return { apiVersion, kind, metadata: { name, namespace: 'shop' }, spec };
}

const problems = (kind: string, spec: unknown): string[] => validate(object(kind, spec)).map(formatProblem);

const policy = (source: Spec): Spec => ({ rules: [{ from: [{ source }] }] });

test('objects as the documentation shows them have no problems', () => {
  for (const [kind, spec] of GOOD_SPECS) assert.deepEqual(problems(kind, spec), [], `${kind} ${JSON.stringify(spec)}`);
});

test('what is wrong is named with its path, and what to do', () => {
  const bad: [string, Spec, RegExp][] = [
    ['VirtualService', { hosts: ['a'] }, /^spec: needs at least one of http, tls, tcp$/],
    [
      'VirtualService',
      { hosts: ['a b'], http: [{ route: [{ destination: { host: 'a' } }] }] },
      /^spec\.hosts\[0\]: "a b" is not a host name/,
    ],
    [
      'VirtualService',
      { hosts: ['*'], http: [{ route: [{ destination: { host: 'a' } }] }] },
      /^spec\.hosts\[0\]: "\*" is not allowed for sidecars/,
    ],
    ['VirtualService', http({ redirect: { uri: '/' } }), /^spec\.http\[0\]: only one of route, redirect may be set$/],
    ['VirtualService', http({ route: [] }), /^spec\.http\[0\]: needs one of route, redirect/],
    ['VirtualService', http({ timeout: '0s' }), /^spec\.http\[0\]\.timeout: must be at least 1ms, not 0s$/],
    ['VirtualService', http({ timeout: 2 }), /^spec\.http\[0\]\.timeout: must be text, not "2" \(put it in quotes\)$/],
    ['VirtualService', http({ timout: '2s' }), /^spec\.http\[0\]\.timout: unknown field; did you mean timeout\?$/],
    [
      'VirtualService',
      http({ match: [{ uri: { regex: '(a' } }] }),
      /^spec\.http\[0\]\.match\[0\]\.uri\.regex: "\(a" is not an RE2 regular expression/,
    ],
    ['VirtualService', http({ match: [{ uri: { regex: 'a'.repeat(1025) } }] }), /uri\.regex: .*longer than 1024/],
    [
      'VirtualService',
      http({ match: [{ uri: { regex: '((a{100}){100}){10}' } }] }),
      /uri\.regex: .*repeats more than 1000 times/,
    ],
    [
      'VirtualService',
      http({ match: [{ uri: { exact: 'a', prefix: 'b' } }] }),
      /match\[0\]\.uri: only one of exact, prefix may be set/,
    ],
    [
      'VirtualService',
      http({ route: [{ destination: { host: 'a' }, weight: -1 }] }),
      /^spec\.http\[0\]\.route\[0\]\.weight: must be between 0 and 2147483647, not -1$/,
    ],
    [
      'VirtualService',
      http({ route: [{ destination: { host: 'a' } }, { destination: { host: 'b' } }] }),
      /^spec\.http\[0\]\.route: the sum of the weights must not be 0/,
    ],
    [
      'VirtualService',
      http({ route: [{ destination: { host: 'a', port: { number: 70000 } } }] }),
      /destination\.port\.number: must be between 1 and 65535/,
    ],
    [
      'VirtualService',
      http({ retries: { attempts: 2, retryOn: 'always' } }),
      /retries\.retryOn: "always" is not a retry condition/,
    ],
    [
      'VirtualService',
      http({ fault: { abort: { percentage: { value: 101 }, httpStatus: 500 } } }),
      /fault\.abort\.percentage\.value: must be between 0 and 100, not 101/,
    ],
    [
      'VirtualService',
      http({ fault: { abort: { httpStatus: 99 } } }),
      /abort\.httpStatus: must be between 200 and 599/,
    ],
    [
      'VirtualService',
      http({ headers: { request: { add: { host: 'x' } } } }),
      /headers\.request\.add\.host: "host" cannot be changed/,
    ],
    [
      'VirtualService',
      http({ headers: { request: { set: { a: '50%' } } } }),
      /set\.a: "50%": write %% for a percent sign/,
    ],
    [
      'VirtualService',
      http({ mirror: { host: 'a' }, mirrors: [{ destination: { host: 'b' } }] }),
      /^spec\.http\[0\]: only one of mirror, mirrors/,
    ],
    [
      'VirtualService',
      { hosts: ['a.com'], tls: [{ match: [{ sniHosts: ['b.com'] }], route: [{ destination: { host: 'a' } }] }] },
      /sniHosts\[0\]: "b\.com" is not within spec\.hosts/,
    ],
    [
      'VirtualService',
      { hosts: ['a', 'a'], http: [{ directResponse: { status: 100 } }] },
      /^spec\.hosts\[1\]: "a" is there twice/,
    ],
    [
      'DestinationRule',
      { host: 'a', subsets: [{ name: 'v1' }, { name: 'v1' }] },
      /^spec\.subsets\[1\]\.name: "v1" is there twice/,
    ],
    ['DestinationRule', {}, /^spec\.host: is required$/],
    [
      'DestinationRule',
      { host: 'a', trafficPolicy: { tls: { mode: 'MUTUAL' } } },
      /tls\.clientCertificate: is required for MUTUAL/,
    ],
    [
      'DestinationRule',
      { host: 'a', trafficPolicy: { connectionPool: { tcp: { connectTimeout: '-1s' } } } },
      /connectTimeout: must be at least 1ms/,
    ],
    [
      'DestinationRule',
      { host: 'a', trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN', consistentHash: { useSourceIp: true } } } },
      /loadBalancer: only one of simple, consistentHash/,
    ],
    [
      'DestinationRule',
      {
        host: 'a',
        trafficPolicy: { loadBalancer: { localityLbSetting: { distribute: [{ from: 'a/*', to: { b: 50 } }] } } },
      },
      /the weights must add up to 100, not 50/,
    ],
    ['Gateway', { selector: {} }, /^spec\.servers: needs at least one server$/],
    ['Gateway', server({}), /^spec\.servers\[0\]\.tls: is required for protocol HTTPS$/],
    ['Gateway', server({ tls: { mode: 'SIMPLE' } }), /tls: SIMPLE needs a certificate: set credentialName/],
    [
      'Gateway',
      server({ tls: { mode: 'MUTUAL', serverCertificate: 'a', privateKey: 'b' } }),
      /caCertificates: is required for MUTUAL/,
    ],
    [
      'Gateway',
      server({ tls: { mode: 'SIMPLE', credentialName: 'a' } }, { protocol: 'HTTP' }),
      /cannot have TLS settings other than httpsRedirect/,
    ],
    ['Gateway', server({ hosts: [], tls: { mode: 'SIMPLE', credentialName: 'a' } }), /hosts: needs at least one host/],
    [
      'Gateway',
      server({ hosts: ['a/b/c'], tls: { mode: 'SIMPLE', credentialName: 'a' } }),
      /hosts\[0\]: "a\/b\/c" must have the form/,
    ],
    [
      'Gateway',
      server({ tls: { mode: 'SIMPLE', credentialName: 'a' } }, { number: 0 }),
      /port\.number: must be between 1 and 65535/,
    ],
    ['ServiceEntry', external({ hosts: ['*'] }), /^spec\.hosts\[0\]: "\*" is not allowed/],
    ['ServiceEntry', external({ hosts: ['*.a.com'] }), /cannot be resolved by DNS/],
    [
      'ServiceEntry',
      external({ resolution: 'NONE', endpoints: [{ address: '1.2.3.4' }] }),
      /^spec\.endpoints: must be empty with resolution NONE/,
    ],
    [
      'ServiceEntry',
      external({ resolution: 'STATIC', endpoints: [{ address: 'a.com' }] }),
      /endpoints\[0\]\.address: "a\.com" must be an IP address/,
    ],
    ['ServiceEntry', external({ addresses: ['10.0.0.0/8'] }), /address ranges need resolution NONE or STATIC/],
    [
      'ServiceEntry',
      external({ endpoints: [{ address: 'a', ports: { http: 1 } }] }),
      /endpoints\[0\]\.ports\.http: spec\.ports has no port of this name/,
    ],
    [
      'ServiceEntry',
      external({
        ports: [
          { number: 1, name: 'a' },
          { number: 1, name: 'b' },
        ],
      }),
      /ports\[1\]\.number: "1" is there twice/,
    ],
    [
      'ServiceEntry',
      external({ endpoints: [{ address: 'a' }], workloadSelector: {} }),
      /^spec: only one of endpoints, workloadSelector/,
    ],
    ['Sidecar', {}, /^spec: needs at least one of ingress, egress/],
    [
      'Sidecar',
      { egress: [{ hosts: ['reviews'] }] },
      /egress\[0\]\.hosts\[0\]: "reviews" must have the form namespace\/host/,
    ],
    ['Sidecar', { egress: [{ hosts: ['./*'] }, { hosts: ['./*'] }] }, /egress\[0\]: the listener without a port/],
    ['AuthorizationPolicy', { action: 'DENY' }, /^spec\.rules: is required for action DENY/],
    ['AuthorizationPolicy', { action: 'CUSTOM', rules: [{}] }, /^spec\.provider\.name: is required/],
    ['AuthorizationPolicy', policy({}), /rules\[0\]\.from\[0\]\.source: needs at least one condition/],
    ['AuthorizationPolicy', policy({ ipBlocks: ['1.2.3'] }), /source\.ipBlocks\[0\]: "1\.2\.3" is not an IP address/],
    ['AuthorizationPolicy', policy({ principals: ['spiffe://a/ns/b/sa/c'] }), /must not start with spiffe/],
    [
      'AuthorizationPolicy',
      { rules: [{ to: [{ operation: { ports: ['http'] } }] }] },
      /ports\[0\]: "http" is not a port/,
    ],
    [
      'AuthorizationPolicy',
      { rules: [{ when: [{ key: 'request.header', values: ['a'] }] }] },
      /when\[0\]\.key: "request\.header" is not an attribute/,
    ],
    [
      'AuthorizationPolicy',
      { selector: {}, targetRefs: [{ kind: 'Service', name: 'a' }] },
      /^spec: only one of selector, targetRefs/,
    ],
    [
      'AuthorizationPolicy',
      { action: 'allow' },
      /^spec\.action: must be one of ALLOW, DENY, AUDIT, CUSTOM, not "allow"$/,
    ],
    ['PeerAuthentication', { portLevelMtls: { 80: { mode: 'STRICT' } } }, /^spec\.portLevelMtls: needs a selector/],
    [
      'PeerAuthentication',
      { selector: { matchLabels: { a: 'b' } }, portLevelMtls: { x: {} } },
      /^spec\.portLevelMtls\.x: must be a port/,
    ],
    [
      'RequestAuthentication',
      { jwtRules: [{ issuer: 'a', jwks: '{}', jwksUri: 'ftp://a' }] },
      /only one of jwks, jwksUri/,
    ],
    ['Telemetry', { metrics: [{ overrides: [{ tagOverrides: { a: {} } }] }] }, /tagOverrides\.a\.value: is required/],
    [
      'Telemetry',
      { accessLogging: [{ filter: { expression: 'response.code >=' } }] },
      /^spec\.accessLogging\[0\]\.filter\.expression: is no expression in CEL: /,
    ],
    [
      'Telemetry',
      { metrics: [{ overrides: [{ tagOverrides: { a: { value: 'request.host +' } } }] }] },
      /tagOverrides\.a\.value: is no expression in CEL: /,
    ],
    ['WasmPlugin', { url: 'ftp://x' }, /^spec\.url: "ftp:\/\/x" must be an image/],
    [
      'EnvoyFilter',
      { configPatches: [{ applyTo: 'CLUSTER', match: { listener: {} }, patch: { operation: 'MERGE', value: {} } }] },
      /match\.listener: does not fit applyTo CLUSTER/,
    ],
    [
      'EnvoyFilter',
      { configPatches: [{ applyTo: 'CLUSTER', patch: { operation: 'MERGE' } }] },
      /patch\.value: is required for MERGE/,
    ],
    [
      'EnvoyFilter',
      {
        configPatches: [
          { applyTo: 'HTTP_FILTER', match: { waypoint: { portNumber: 80 } }, patch: { operation: 'REMOVE' } },
        ],
      },
      /match\.waypoint: is about waypoint proxies, which are not built yet/,
    ],
    [
      'WasmPlugin',
      { url: 'oci://a/b', targetRefs: [{ kind: 'Service', name: 'shop' }] },
      /^spec\.targetRefs\[0\]: a Service is reached through waypoint proxies, which are not built yet/,
    ],
    [
      'DestinationRule',
      {
        host: 'a',
        trafficPolicy: {
          loadBalancer: { localityLbSetting: { enabled: true }, zoneAwareLbSetting: { enabled: true } },
        },
      },
      /loadBalancer: only one of localityLbSetting, zoneAwareLbSetting may be set/,
    ],
    [
      'DestinationRule',
      {
        host: 'a',
        trafficPolicy: {
          loadBalancer: { zoneAwareLbSetting: { failoverPriority: ['version', 'topology.kubernetes.io/zone'] } },
        },
      },
      /failoverPriority\[1\]: must not be topology\.kubernetes\.io\/zone/,
    ],
    ['WorkloadEntry', {}, /^spec\.address: is required/],
  ];
  for (const [kind, spec, pattern] of bad) {
    const found = problems(kind, spec);
    assert.ok(
      found.some((line) => pattern.test(line)),
      `${kind} ${JSON.stringify(spec)}\n${pattern}\n${found.join('\n')}`,
    );
  }
});

test('rules that are never reached, and deprecated fields, are warnings', () => {
  const route = { route: [{ destination: { host: 'a' } }] };
  const found = validate(
    object('VirtualService', { hosts: ['a'], http: [route, { match: [{ uri: { prefix: '/b' } }], ...route }] }),
  );
  assert.deepEqual(
    found.map((problem) => [problem.severity, problem.path]),
    [['warning', 'spec.http[0]']],
  );
});

test('finds kinds in all served versions, and leaves others alone', () => {
  assert.equal(kindOf('networking.istio.io/v1alpha3', 'VirtualService')?.plural, 'virtualservices');
  assert.equal(kindOf('networking.istio.io/v2', 'VirtualService'), undefined);
  assert.equal(kindOf('gateway.networking.k8s.io/v1', 'Gateway'), undefined);
  assert.equal(kindOf('v1', 'toString'), undefined);
  assert.deepEqual(validate({ apiVersion: 'v1', kind: 'ConfigMap', metadata: {} }), []);
});

test('decoding fills in defaults, drops what does not fit, and shares what needs no change', () => {
  const spec = { hosts: ['a.com'], ports: [{ number: '443', name: 'x' }], unknown: 1, resolution: null };
  const { value, problems: found } = decode('ServiceEntry', object('ServiceEntry', spec));
  assert.deepEqual(value.spec, {
    hosts: ['a.com'],
    ports: [{ number: 0, name: 'x' }],
    location: 'MESH_EXTERNAL',
    resolution: 'NONE',
  });
  assert.equal(value.spec.hosts, spec.hosts);
  assert.deepEqual(
    found.map((problem) => `${problem.severity} ${problem.path}`),
    ['error spec.ports[0].number', 'warning spec.unknown'],
  );
  const whole = { hosts: ['a'], http: [{ route: [{ destination: { host: 'a' } }] }] };
  assert.equal(decode('VirtualService', object('VirtualService', whole)).value.spec, whole);
  const headers = { hosts: ['a'], http: [{ match: [{ headers: { 'x-user': null } }] }] };
  assert.deepEqual(
    decode('VirtualService', object('VirtualService', headers)).value.spec.http?.[0]?.match?.[0]?.headers,
    { 'x-user': {} },
  );
});

/** Values near a schema: mostly of the right type, sometimes anything. */
function near(schema: AnySchema, depth = 0): fc.Arbitrary<unknown> {
  const { shape } = schema;
  const right = (): fc.Arbitrary<unknown> => {
    switch (shape.kind) {
      case 'string':
        return fc.oneof(
          fc.constantFrom(
            '',
            '*',
            'a',
            'a.b',
            '1s',
            '-1s',
            '(',
            '10.0.0.0/8',
            'unix:///x',
            'a/b',
            '{**}',
            '~/*',
            '%',
            '{}',
          ),
          fc.string({ maxLength: 8 }),
        );
      case 'enum':
        return fc.constantFrom(...shape.values);
      case 'boolean':
        return fc.boolean();
      case 'integer':
      case 'number':
        return fc.oneof(fc.integer({ min: -5, max: 70000 }), fc.double());
      case 'list':
        return fc.array(near(shape.items, depth + 1), { maxLength: 3 });
      case 'map':
        return fc.dictionary(fc.constantFrom('a', '80', '__proto__', 'x y', ':a', ''), near(shape.values, depth + 1), {
          maxKeys: 3,
        });
      case 'struct':
        return fc.dictionary(fc.string({ maxLength: 3 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 2 });
      case 'object':
        return depth > 7
          ? fc.constant({})
          : fc.record(
              Object.fromEntries(Object.entries(shape.fields).map(([name, field]) => [name, near(field, depth + 1)])),
              { requiredKeys: [] },
            );
    }
  };
  return fc.oneof({ weight: 12, arbitrary: right() }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) });
}

test('no JSON makes validation throw', () => {
  for (const definition of kinds) {
    const apiVersion = `${definition.group}/${definition.storedVersion}`;
    fc.assert(
      fc.property(
        fc.oneof({ weight: 4, arbitrary: near(definition.spec) }, fc.jsonValue()),
        fc.jsonValue({ maxDepth: 1 }),
        (spec, metadata) => {
          const hostile = { apiVersion, kind: definition.kind, metadata, spec } as unknown as KubeObject;
          for (const problem of validate(hostile)) assert.ok(problem.message.length < 2000);
          decodeAndValidate(definition.kind as 'VirtualService', hostile);
        },
      ),
      { numRuns: 60 },
    );
  }
});

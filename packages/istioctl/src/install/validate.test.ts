import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { profileNames } from '@istio-ts/charts';
import { chartDefaults } from './chart-values.ts';
import { readSpec } from './input.ts';

const chartsDir = join(import.meta.dirname, '..', '..', '..', 'charts', 'manifests');
const read = (...sets: string[]) => readSpec({ chartsDir, files: [], sets, istioNamespace: 'istio-system' });

describe('settings of an installation', () => {
  for (const [set, message] of [
    ['meshConfig.accessLogEncoding=JSN', /^meshConfig\.accessLogEncoding: must be one of TEXT, JSON, not "JSN"/],
    ['meshConfig.outboundTrafficPolicy.mode=ANY', /^meshConfig\.outboundTrafficPolicy\.mode: must be one of/],
    ['meshConfig.accesLogFile=/dev/stdout', /^meshConfig\.accesLogFile: unknown field; did you mean accessLogFile\?/],
    ['meshConfig.enableTracing=perhaps', /^meshConfig\.enableTracing: must be true or false/],
    ['meshConfig=text', /^meshConfig: must be a mapping, not "text"/],
    ['meshconfig.accessLogFile=x', /^meshconfig: unknown setting; did you mean meshConfig\?/],
    ['components.pilots.enabled=true', /^components\.pilots: unknown setting; did you mean pilot\?/],
    ['components.pilot.enabled=often', /^components\.pilot\.enabled: must be true or false, not "often"/],
    ['components.ingressGateways.name=x', /something that is no mapping|must be a list/],
    ['revision=A_b', /^revision: "A_b" is no valid name/],
    ['values.gateways.istio-ingressgateway.type=Nodeport', /did you mean NodePort\?/],
    ['values.global.proxy.holdAplicationUntilProxyStarts=true', /did you mean holdApplicationUntilProxyStarts\?/],
    ['values.global.proxy.privileged=7', /^values\.global\.proxy\.privileged: must be true or false, not 7/],
    ['values.pilot.replicaCount=many', /^values\.pilot\.replicaCount: must be a number, not "many"/],
    ['values.global.proxy=small', /^values\.global\.proxy: must be a mapping, not "small"/],
    ['addonComponents.kiali.enabled=true', /samples\/addons/],
  ] as const)
    test(`${set} is refused with its path`, () => {
      assert.throws(
        () => read(set),
        (error: Error) => error.name === 'OperatorError' && message.test(error.message),
      );
    });

  test('all mistakes are told at once, and only told with force', () => {
    const sets = ['meshConfig.accessLogEncoding=JSN', 'hubb=x'];
    assert.throws(
      () => read(...sets),
      /2 mistakes:\n {2}hubb: .*did you mean hub\?\n {2}meshConfig\.accessLogEncoding: /,
    );
    const { messages } = readSpec({ chartsDir, files: [], sets, istioNamespace: 'istio-system', force: true });
    assert.equal(messages.length, 2);
  });

  test('an unknown value that resembles nothing is a warning', () => {
    assert.match(read('values.somethingElse=1').messages.join('\n'), /^values\.somethingElse: .*no effect/);
  });

  test('settings of the tutorials are accepted without a word', () => {
    const { spec, messages } = read(
      'values.global.proxy.holdApplicationUntilProxyStarts=true',
      'values.gateways.istio-ingressgateway.type=NodePort',
      'values.gateways.istio-ingressgateway.labels.team=a',
      'values.pilot.env.PILOT_ENABLE_AMBIENT=true',
      'values.pilot.traceSampling=100',
      'values.global.meshID=mesh1',
      'values.global.multiCluster.clusterName=c1',
      'values.sidecarInjectorWebhook.rewriteAppHTTPProbe=false',
      'meshConfig.accessLogFile=/dev/stdout',
      'meshConfig.accessLogEncoding=JSON',
      'meshConfig.defaultConfig.proxyMetadata.ISTIO_META_DNS_CAPTURE=true',
      'components.pilot.k8s.replicaCount=2',
      'tag=2',
    );
    assert.deepEqual(messages, []);
    assert.equal(spec.tag, '2');
    assert.deepEqual((spec.meshConfig as { defaultConfig?: unknown }).defaultConfig, {
      proxyMetadata: { ISTIO_META_DNS_CAPTURE: 'true' },
    });
  });

  test('every profile is valid and inherits from the default one', () => {
    for (const profile of profileNames(chartsDir)) {
      const { spec, messages } = read(`profile=${profile}`);
      assert.deepEqual(messages, [], profile);
      assert.equal(spec.hub, 'docker.io/istio', profile);
    }
  });

  test('the namespace of the control plane by -i, by its own setting and by the value of the charts', () => {
    const namespaces = (istioNamespace: string, ...sets: string[]) => {
      const { spec, messages } = readSpec({ chartsDir, files: [], sets, istioNamespace });
      return [
        spec.namespace,
        (spec.values?.global as { istioNamespace?: string } | undefined)?.istioNamespace,
        messages.length,
      ];
    };
    assert.deepEqual(namespaces('istio-system'), ['istio-system', 'istio-system', 0]);
    assert.deepEqual(namespaces('mesh'), ['mesh', 'mesh', 0]);
    assert.deepEqual(namespaces('istio-system', 'namespace=mesh'), ['mesh', 'mesh', 0]);
    assert.deepEqual(namespaces('istio-system', 'values.global.istioNamespace=mesh'), ['mesh', 'mesh', 0]);
    assert.deepEqual(namespaces('istio-system', 'namespace=a', 'values.global.istioNamespace=b'), ['a', 'b', 1]);
  });

  test('the defaults of the charts are found below pilot too', () => {
    const { pilot } = chartDefaults(chartsDir) as { pilot: { traceSampling?: unknown } };
    assert.equal(typeof pilot.traceSampling, 'number');
  });
});

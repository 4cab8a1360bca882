import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { everyHost, everyHostToHttpbin } from '../support/httpbin.ts';
import { eventually } from '../support/shell.ts';
import { becomes, type Lab } from './lab.ts';

/** The task "Ingress Access Control", and who a client says it is: addresses, trusted proxies, certificates. */
export function ingressAddresses(lab: () => Lab): void {
  const status = (...args: readonly string[]) => lab().statusHere(...args, `http://${lab().ingress}/headers`);
  const policy = (action: string, field: string, ...blocks: readonly string[]) =>
    lab().apply(
      `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: ingress-policy
spec:
  selector:
    matchLabels:
      app: istio-ingressgateway
  action: ${action}
  rules:
    - from:
        - source:
            ${field}: ${JSON.stringify(blocks)}
`,
      'istio-system',
    );
  /** The address of this machine as the gateway sees it. */
  let client = '';

  test('ingress access control by the address of the connection', async () => {
    proves(
      'AuthorizationPolicy.spec.rules[].from[].source.ipBlocks',
      'AuthorizationPolicy.spec.rules[].from[].source.notIpBlocks',
      'AuthorizationPolicy.spec.action',
      'AuthorizationPolicy.spec.action=ALLOW',
      'AuthorizationPolicy.spec.action=DENY',
    );
    await lab().apply(everyHostToHttpbin());
    await becomes('the gateway', '200', () => status());
    const { origin } = JSON.parse(await lab().curlHere(`http://${lab().ingress}/ip`)) as { readonly origin: string };
    client = origin.split(',').at(-1)?.trim() ?? '';
    await policy('ALLOW', 'ipBlocks', '1.2.3.4', '5.6.7.0/24');
    await becomes('others only', '403', () => status());
    await becomes('what a client says of itself', '403', () => status('-H', 'X-Forwarded-For: 1.2.3.4'));
    await policy('ALLOW', 'ipBlocks', '1.2.3.4', '5.6.7.0/24', client);
    await becomes('this machine too', '200', () => status());
    await policy('DENY', 'ipBlocks', client);
    await becomes('this machine not', '403', () => status());
    await policy('DENY', 'notIpBlocks', `${client}/32`);
    await becomes('all others not', '200', () => status());
  });

  test('ingress access control by the address of the original client', async () => {
    proves(
      'AuthorizationPolicy.spec.rules[].from[].source.remoteIpBlocks',
      'AuthorizationPolicy.spec.rules[].from[].source.notRemoteIpBlocks',
      'MeshConfig.defaultConfig.gatewayTopology.numTrustedProxies',
    );
    // Without trusted proxies in front, that is the address of the connection.
    await policy('ALLOW', 'remoteIpBlocks', '1.2.3.4');
    await becomes('nobody is believed', '403', () => status('-H', 'X-Forwarded-For: 1.2.3.4'));
    const { cluster } = lab();
    const annotated = (config: string | null) =>
      cluster.kubectl(
        ...['patch', '-n', 'istio-system', 'deploy/istio-ingressgateway', '-p'],
        JSON.stringify({ spec: { template: { metadata: { annotations: { 'proxy.istio.io/config': config } } } } }),
      );
    await annotated('{"gatewayTopology": {"numTrustedProxies": 1}}');
    await cluster.kubectl('rollout', 'status', '-n', 'istio-system', 'deploy/istio-ingressgateway');
    const from = (...addresses: readonly string[]) => status('-H', `X-Forwarded-For: ${addresses.join(', ')}`);
    // One proxy is trusted: what it says of who it talks to is the last entry.
    await becomes('the client behind the proxy', '200', () => from('1.2.3.4'));
    await becomes('entries before are the client’s own words', '200', () => from('9.9.9.9, 1.2.3.4'));
    await becomes('a refusal', '403', () => from('1.2.3.4, 9.9.9.9'));
    await becomes('a refusal', '403', () => status());
    await policy('DENY', 'remoteIpBlocks', '1.2.3.0/24');
    await becomes('a network refused', '403', () => from('1.2.3.4'));
    await becomes('an answer', '200', () => from('1.2.4.4'));
    await policy('DENY', 'notRemoteIpBlocks', '1.2.3.0/24');
    await becomes('all but that network refused', '200', () => from('1.2.3.4'));
    await becomes('a refusal', '403', () => from('1.2.4.4'));
    await eventually('the addresses in the headers', async () => {
      const { headers } = JSON.parse(
        await lab().curlHere('-H', 'X-Forwarded-For: 1.2.3.4', `http://${lab().ingress}/headers`),
      ) as { readonly headers: Readonly<Record<string, string>> };
      assert.equal(headers['X-Forwarded-For'], `1.2.3.4,${client}`);
      assert.equal(headers['X-Envoy-External-Address'], '1.2.3.4');
    });
    await lab().remove('istio-system', 'authorizationpolicy/ingress-policy');
    await annotated(null);
    await cluster.kubectl('rollout', 'status', '-n', 'istio-system', 'deploy/istio-ingressgateway');
  });

  test('a gateway believes no header about client certificates that comes from outside', async () => {
    proves('MeshConfig.defaultConfig.gatewayTopology.forwardClientCertDetails');
    await becomes('the gateway', '200', () => status());
    const forged = 'URI=spiffe://cluster.local/ns/istio-system/sa/admin';
    // The gateway from before may still be there for a moment.
    await eventually('the gateway’s own certificate', async () => {
      const text = await lab().curlHere('-H', `X-Forwarded-Client-Cert: ${forged}`, `http://${lab().ingress}/headers`);
      const { headers } = JSON.parse(text) as { readonly headers: Record<string, string> };
      const seen = headers['X-Forwarded-Client-Cert'] ?? '';
      assert.match(seen, /URI=spiffe:\/\/cluster\.local\/ns\/istio-system\/sa\/istio-ingressgateway-service-account$/);
      assert.doesNotMatch(seen, /admin/);
    });
  });

  test('headers have limits, which the gateway keeps before the application sees them', async () => {
    /** Status, and whether the answer came from behind the gateway. */
    const answer = async (...args: readonly string[]) => {
      const text = await lab().curlHere('-D', '-', '-o', '/dev/null', ...args, `http://${lab().ingress}/ip`);
      return [/^HTTP\/1\.1 (\d+)/.exec(text)?.[1], /^x-envoy-upstream-service-time:/im.test(text)];
    };
    const long = (bytes: number) => answer('-H', `x-long: ${'x'.repeat(bytes)}`);
    const many = (count: number) => answer(...Array.from({ length: count }, (_, i) => ['-H', `x-${i}: 1`]).flat());
    await eventually('the limits', async () => {
      assert.deepEqual(await long(10_000), ['200', true]);
      // Envoy's defaults: 60 KiB of headers, and 100 of them.
      assert.deepEqual(await long(62_000), ['431', false]);
      assert.deepEqual(await many(60), ['200', true]);
      assert.deepEqual(await many(150), ['431', false]);
    });
    await lab().remove('foo', ...everyHost);
  });
}

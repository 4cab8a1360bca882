import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dump, load } from 'js-yaml';
import { proves } from '@istio-ts/xds/field-proof';
import { eventually } from '../support/shell.ts';
import { becomes, type Lab } from './lab.ts';

/** The task "External Authorization": policies with the action CUSTOM ask a service, by HTTP or gRPC. */
export function externalAuthorization(lab: () => Lab): void {
  const url = (path: string) => `http://httpbin.foo:8000${path}`;
  const ask = (path: string, ...args: readonly string[]) => lab().status('bar', ...args, url(path));
  const allow = ['-H', 'x-ext-authz: allow'] as const;
  const deny = ['-H', 'x-ext-authz: deny'] as const;

  /** `kubectl edit configmap istio -n istio-system`, with these providers beside those that are there. */
  async function providers(...added: readonly object[]): Promise<void> {
    const { cluster } = lab();
    const text = await cluster.kubectl('get', 'cm', 'istio', '-n', 'istio-system', '-o', 'jsonpath={.data.mesh}');
    const mesh = load(text) as { readonly extensionProviders?: readonly { readonly name: string }[] };
    const others = (mesh.extensionProviders ?? []).filter(({ name }) => !name.startsWith('sample-'));
    const changed = dump({ ...mesh, extensionProviders: [...others, ...added] });
    await cluster.kubectl(
      ...['patch', 'cm', 'istio', '-n', 'istio-system', '--type=merge', '-p'],
      JSON.stringify({ data: { mesh: changed } }),
    );
  }
  const service = (port: number) => ({ service: 'ext-authz.foo.svc.cluster.local', port });
  const custom = (provider: string) =>
    lab().apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: ext-authz
spec:
  selector:
    matchLabels:
      app: httpbin
  action: CUSTOM
  provider:
    name: ${provider}
  rules:
    - to:
        - operation:
            paths: ["/headers"]
`);

  test('external authorization: before the provider is known, what the policy covers is refused', async () => {
    proves(
      'AuthorizationPolicy.spec.action',
      'AuthorizationPolicy.spec.action=CUSTOM',
      'AuthorizationPolicy.spec.provider.name',
    );
    await lab().applySamples('foo', 'extauthz/ext-authz.yaml');
    await lab().cluster.podsReady('foo');
    await custom('sample-ext-authz-grpc');
    await becomes('refused', '403', () => ask('/headers', ...allow));
    await becomes('other paths', '200', () => ask('/ip'));
  });

  for (const [name, kind, port] of [
    ['sample-ext-authz-grpc', 'envoyExtAuthzGrpc', 9000],
    ['sample-ext-authz-http', 'envoyExtAuthzHttp', 8000],
  ] as const)
    test(`external authorization: ${kind}`, async () => {
      proves(
        'AuthorizationPolicy.spec.action',
        'AuthorizationPolicy.spec.provider.name',
        'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.service',
        'MeshConfig.extensionProviders[].envoyExtAuthzGrpc.port',
        'MeshConfig.extensionProviders[].envoyExtAuthzHttp.service',
        'MeshConfig.extensionProviders[].envoyExtAuthzHttp.port',
        'MeshConfig.extensionProviders[].envoyExtAuthzHttp.includeRequestHeadersInCheck',
      );
      await providers(
        { name: 'sample-ext-authz-grpc', envoyExtAuthzGrpc: service(9000) },
        {
          name: 'sample-ext-authz-http',
          envoyExtAuthzHttp: { ...service(8000), includeRequestHeadersInCheck: ['x-ext-authz'] },
        },
      );
      await custom(name);
      await becomes('allowed', '200', () => ask('/headers', ...allow));
      await becomes('a refusal', '403', () => ask('/headers', ...deny));
      await eventually('the words of the authoriser', async () =>
        assert.match(await lab().curl('bar', ...deny, url('/headers')), /^denied: /),
      );
      await becomes('a refusal', '403', () => ask('/headers'));
      await becomes('not asked about', '200', () => ask('/ip', ...deny));
      await eventually('the log of the authoriser', async () => {
        const log = await lab().cluster.kubectl('logs', '-n', 'foo', 'deploy/ext-authz', '-c', 'ext-authz');
        assert.match(log, new RegExp(`${port === 9000 ? 'gRPC' : 'HTTP'} denied: GET httpbin\\.foo:8000/headers`));
      });
    });

  test('external authorization: an authoriser that is away refuses, and policies of others go on', async () => {
    proves('AuthorizationPolicy.spec.provider.name');
    const { cluster } = lab();
    await cluster.kubectl('scale', '-n', 'foo', 'deploy/ext-authz', '--replicas=0');
    await becomes('nobody answers', '403', () => ask('/headers', ...allow));
    await becomes('an answer', '200', () => ask('/ip'));
    await lab().remove('foo', 'authorizationpolicy/ext-authz');
    await becomes('everything', '200', () => ask('/headers'));
    await cluster.kubectl('delete', '-n', 'foo', 'deploy/ext-authz', 'svc/ext-authz', 'sa/ext-authz');
    await providers();
  });
}

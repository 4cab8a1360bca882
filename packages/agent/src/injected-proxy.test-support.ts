import assert from 'node:assert/strict';
import { decodeMeshConfig } from '@istio-ts/api';
import { injectPod } from '@istio-ts/injector';
import { chartConfig, containerOf } from '@istio-ts/injector/injection.test-support';
import { eventually, freePort, http, type RunningAgent, startAgent } from './agent.test-support.ts';
import type { startFakeIstiod } from './fake-istiod.test-support.ts';

/** The agent of an injected pod. */
export interface InjectedProxy extends RunningAgent {
  readonly statusPort: number;
  /** Those of the pod after the injection. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** Runs the proxy of a pod with these annotations as injection has it, but for what belongs to the cluster. */
export async function startProxy(
  istiod: Awaited<ReturnType<typeof startFakeIstiod>>,
  annotations: Readonly<Record<string, string>>,
  more: Readonly<Record<string, string>> = {},
  mesh: object = {},
): Promise<InjectedProxy> {
  const ports = { status: await freePort(), admin: await freePort() };
  const all = {
    'sidecar.istio.io/discoveryAddress': istiod.address,
    'status.sidecar.istio.io/port': String(ports.status),
    'proxy.istio.io/config': `proxyAdminPort: ${ports.admin}\nterminationDrainDuration: 0.1s`,
    ...annotations,
  };
  const result = injectPod({
    pod: {
      metadata: { name: 'cart-1', labels: { app: 'cart' }, annotations: all },
      spec: { containers: [{ name: 'app', image: 'app' }] },
    },
    namespace: 'shop',
    config: chartConfig(),
    meshConfig: decodeMeshConfig(mesh).value,
    revision: 'default',
  });
  assert.ok(result.injected);
  const proxy = containerOf(result.pod, 'istio-proxy');
  const variables = proxy.env as readonly { readonly name: string; readonly value?: string }[];
  const env = Object.fromEntries(
    variables.flatMap(({ name, value }) => (value === undefined || name === 'CA_ADDR' ? [] : [[name, value]])),
  ) as Record<string, string>;
  const own = JSON.parse(env.PROXY_CONFIG ?? '{}') as Record<string, unknown>;
  const flags = (proxy.args as readonly string[]).filter(
    (argument) => argument.startsWith('--') && argument.includes('='),
  );
  const agent = await startAgent(
    istiod,
    { ...env, ...more },
    { statusPort: undefined, proxyAdminPort: undefined, ...own },
    all,
    flags,
  );
  const { annotations: injected } = result.pod.metadata as { readonly annotations: Readonly<Record<string, string>> };
  return { ...agent, ports: { ...agent.ports, ...ports }, statusPort: ports.status, annotations: injected };
}

/** Resolves when Envoy has its configuration. */
export const ready = (agent: RunningAgent) =>
  eventually(
    'ready',
    () => http(agent.ports.ready, '/healthz/ready'),
    ({ status }) => status === 200,
  );

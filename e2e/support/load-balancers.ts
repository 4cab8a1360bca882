import type { Cluster } from './cluster.ts';

export interface LoadBalancers {
  stop(): void;
}

/** The addresses of a range such as `172.30.0.64/26`; undefined where none is given. Throws for what is not an IPv4 range of 1 to 1024 addresses. */
export function addressPool(range: string | undefined): readonly string[] | undefined {
  if (!range) return undefined;
  const [base, length] = range.split('/');
  const parts = (base ?? '').split('.').map(Number);
  const bits = Number(length);
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255)) || !(bits >= 22 && bits <= 32))
    throw new Error(`"${range}" is not a range of addresses for load balancers (expected for example 172.30.0.64/26)`);
  const first = parts.reduce((sum, part) => sum * 256 + part, 0);
  return Array.from({ length: 2 ** (32 - bits) }, (_, index) =>
    [24, 16, 8, 0].map((shift) => Math.floor((first + index) / 2 ** shift) % 256).join('.'),
  );
}

interface ServiceSummary {
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: { readonly type: string; readonly loadBalancerClass?: string };
  readonly status: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } };
}

/**
 * Gives services of type LoadBalancer addresses in a cluster that has nobody who does. kube-proxy forwards what is sent to them on its node, so this is for
 * tests that run in the network of a node.
 */
export function startLoadBalancers(
  { tryKubectl }: Pick<Cluster, 'tryKubectl'>,
  pool: readonly string[],
): LoadBalancers {
  let stopped = false;
  const look = async () => {
    const { stdout, exitCode } = await tryKubectl('get', 'services', '-A', '-o', 'json');
    if (exitCode !== 0) return;
    const services = (JSON.parse(stdout) as { readonly items: readonly ServiceSummary[] }).items;
    const addressOf = (service: ServiceSummary) => service.status.loadBalancer?.ingress?.[0]?.ip;
    const taken = new Set(services.map(addressOf));
    for (const service of services) {
      if (service.spec.type !== 'LoadBalancer' || service.spec.loadBalancerClass || addressOf(service)) continue;
      const ip = pool.find((address) => !taken.has(address));
      if (ip === undefined) return;
      taken.add(ip);
      const { namespace, name } = service.metadata;
      const status = JSON.stringify({ status: { loadBalancer: { ingress: [{ ip }] } } });
      await tryKubectl('patch', 'service', '-n', namespace, name, '--subresource=status', '--type=merge', '-p', status);
    }
  };
  const loop = async () => {
    while (!stopped) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  };
  void loop();
  return {
    stop: () => {
      stopped = true;
    },
  };
}

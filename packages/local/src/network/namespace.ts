import { existsSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { NODE_ADDRESS, DNS_ADDRESS, POD_CIDR, SERVICE_CIDR } from './addresses.ts';
import { type RunCommand, shellQuote } from './command.ts';

/** Path of a named network namespace, as `ip netns` keeps them. */
export function namespacePath(name: string): string {
  return `/run/netns/${name}`;
}

/** Name of the network namespace of a pod. */
export function podNamespace(cluster: string, podUid: string): string {
  return `${cluster}-${podUid}`;
}

/**
 * Makes the cluster's network namespace: the node address, the service network and forwarding. Pods are reached by routes, not
 * by a bridge, so that replies of a pod always pass this namespace, where a ClusterIP is translated back.
 */
export async function ensureClusterNamespace(run: RunCommand, cluster: string): Promise<void> {
  if (!(await namespaceAlive(run, cluster))) await run('ip', ['netns', 'add', cluster]);
  const script = `
set -e
echo 1 > /proc/sys/net/ipv4/ip_forward
for f in /proc/sys/net/ipv4/conf/all/rp_filter /proc/sys/net/ipv4/conf/default/rp_filter; do echo 0 > $f; done
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
for f in /proc/sys/net/ipv4/neigh/default/gc_thresh3; do [ ! -w $f ] || echo 8192 > $f; done
ip -batch - <<'END'
link set lo up
address replace ${NODE_ADDRESS}/32 dev lo
address replace ${DNS_ADDRESS}/32 dev lo
route replace ${SERVICE_CIDR} dev lo src ${NODE_ADDRESS}
route replace unreachable ${POD_CIDR}
END
`;
  await run('nsenter', [`--net=${namespacePath(cluster)}`, '--', 'sh', '-c', script]);
}

async function namespaceAlive(run: RunCommand, name: string): Promise<boolean> {
  if (!existsSync(namespacePath(name))) return false;
  try {
    await run('nsenter', [`--net=${namespacePath(name)}`, '--', 'true']);
    return true;
  } catch {
    // A file without a namespace behind it is left over from before a reboot.
    await run('ip', ['netns', 'delete', name]).catch(() => {});
    return false;
  }
}

/** Name of the node's end of a pod's cable; at most 15 characters. */
export function cableName(podUid: string): string {
  return `pod${createHash('sha256').update(podUid).digest('hex').slice(0, 11)}`;
}

/** Makes the network namespace of a pod with `eth0` at `address`. Runs inside the cluster's namespace. */
export async function createPodNetwork(
  run: RunCommand,
  options: {
    readonly namespace: string;
    readonly podUid: string;
    readonly address: string;
    readonly sysctls?: readonly { readonly name: string; readonly value: string }[];
  },
): Promise<void> {
  const { namespace, address } = options;
  const cable = cableName(options.podUid);
  const sysctls = (options.sysctls ?? [])
    .filter(({ name }) => /^net(\.[A-Za-z0-9_-]+)+$/.test(name))
    .map(({ name, value }) => `printf %s ${shellQuote(value)} > /proc/sys/${name.replaceAll('.', '/')}`);
  const inside = `
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
${sysctls.join('\n')}
ip -batch - <<'END'
link set lo up
address add ${address}/32 dev eth0
link set eth0 up
route add ${NODE_ADDRESS} dev eth0 scope link
route add default via ${NODE_ADDRESS} dev eth0
END
`;
  const script = `
set -e
ip netns add ${namespace}
ip -batch - <<'END'
link add ${cable} type veth peer name eth0 netns ${namespace}
link set ${cable} up
route replace ${address} dev ${cable} src ${NODE_ADDRESS}
END
exec nsenter --net=${namespacePath(namespace)} -- sh -ec ${shellQuote(inside)}
`;
  await run('sh', ['-c', script]);
}

/** Removes a pod's network namespace; its cable and routes go with it. Not an error when it is gone already. */
export async function deletePodNetwork(run: RunCommand, namespace: string, podUid: string): Promise<void> {
  await run('sh', [
    '-c',
    `ip link delete ${cableName(podUid)} 2>/dev/null; [ ! -e ${namespacePath(namespace)} ] || ip netns delete ${namespace}`,
  ]);
}

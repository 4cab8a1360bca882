import { KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { NODES } from '../controllers/kinds.ts';
import { NODE_ADDRESS, POD_CIDR } from '../network/addresses.ts';
import { machineCapacity, machineInfo } from './machine.ts';
import { rfc3339 } from './slot.ts';

/** Writes the Node object of this machine: who it is, what it has, and that it is ready. */
export async function registerNode(client: KubeClient, name: string, warning: string | undefined): Promise<KubeObject> {
  const info = machineInfo();
  const labels = {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': info.architecture ?? '',
    'node.kubernetes.io/instance-type': 'local',
    'node-role.kubernetes.io/control-plane': '',
    'topology.kubernetes.io/region': 'local',
    'topology.kubernetes.io/zone': 'local-a',
  };
  const spec = { podCIDR: POD_CIDR, podCIDRs: [POD_CIDR], providerID: `istio-local://${name}` };
  try {
    await client.get(NODES, name);
    await client.patch(NODES, name, undefined, 'merge', { metadata: { labels }, spec });
  } catch (error) {
    if (!(error instanceof KubeApiError && error.status === 404)) throw error;
    await client.create(NODES, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, labels, annotations: { 'node.alpha.kubernetes.io/ttl': '0' } },
      spec,
    });
  }
  const time = rfc3339(new Date());
  const condition = (type: string, status: string, reason: string, message: string) => ({
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: time,
    lastTransitionTime: time,
  });
  const capacity = machineCapacity();
  return client.patch(
    NODES,
    name,
    undefined,
    'merge',
    {
      status: {
        capacity,
        allocatable: capacity,
        addresses: [
          { type: 'InternalIP', address: NODE_ADDRESS },
          { type: 'Hostname', address: name },
        ],
        nodeInfo: info,
        daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
        conditions: [
          condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'the node has sufficient memory'),
          condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'the node has no disk pressure'),
          condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'the node has sufficient PID available'),
          condition('Ready', 'True', 'KubeletReady', warning ?? 'the node is posting ready status'),
        ],
      },
    },
    { subresource: 'status' },
  );
}

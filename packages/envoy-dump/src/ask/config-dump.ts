import type { KubeClient } from '@istio-ts/kube';
import { type ConfigDump, parseConfigDump } from '../config-dump.ts';
import { podHttp } from './pod-http.ts';
import type { PodName } from './pods.ts';

/** Fetches the configuration of a pod's Envoy. */
export async function fetchConfigDump(client: KubeClient, pod: PodName, adminPort: number): Promise<ConfigDump> {
  return parseConfigDump(
    await podHttp(client, pod, adminPort, '/config_dump?include_eds'),
    `${pod.name}.${pod.namespace}`,
  );
}

import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import type { KubeConfig } from './kubeconfig.ts';

/** Where Kubernetes mounts a pod's service account. */
export const serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The configuration of a process inside a pod: address from the environment, certificate authority, token and namespace
 * from the mounted service account. `undefined` outside a pod.
 * Rules: Kubernetes documentation, "Accessing the Kubernetes API from a Pod".
 */
export function loadInCluster(
  env: Readonly<Record<string, string | undefined>>,
  directory: string,
): KubeConfig | undefined {
  const host = env.KUBERNETES_SERVICE_HOST;
  const port = env.KUBERNETES_SERVICE_PORT_HTTPS || env.KUBERNETES_SERVICE_PORT;
  const tokenPath = join(directory, 'token');
  if (!host || !port || readOptional(tokenPath) === undefined) return undefined;
  const ca = readOptional(join(directory, 'ca.crt'));
  return {
    contextName: 'in-cluster',
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    namespace: readOptional(join(directory, 'namespace'))?.trim() || 'default',
    tls: { insecureSkipVerify: false, ...(ca !== undefined && { ca }) },
    credentials: { kind: 'tokenFile', path: tokenPath },
  };
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

import { isIPv6 } from 'node:net';

/** Access of the plugin to the API server: the identity of the installer's pod. */
export interface PluginAccess {
  readonly protocol: string;
  readonly host: string;
  readonly port: string;
  readonly token: string;
  /** PEM of the API server's authority; undefined when it is not to be checked. */
  readonly ca: string | undefined;
}

/** Text of the plugin's kubeconfig. The plugin starts anew for every pod and reads only this file. */
export function formatKubeconfig(access: PluginAccess): string {
  const host = isIPv6(access.host) ? `[${access.host}]` : access.host;
  const trust =
    access.ca === undefined
      ? 'insecure-skip-tls-verify: true'
      : `certificate-authority-data: ${Buffer.from(access.ca).toString('base64')}`;
  return `# Kubeconfig of the Istio CNI plugin, written by install-cni and renewed with its token.
apiVersion: v1
kind: Config
clusters:
- name: local
  cluster:
    server: ${JSON.stringify(`${access.protocol}://${host}:${access.port}`)}
    ${trust}
users:
- name: istio-cni
  user:
    token: ${JSON.stringify(access.token)}
contexts:
- name: istio-cni-context
  context:
    cluster: local
    user: istio-cni
current-context: istio-cni-context
`;
}

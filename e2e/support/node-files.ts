import type { Cluster } from './cluster.ts';
import { cniFolders } from './cni-folders.ts';

/** The CNI folders of a node as a pod sees them that has nothing to do with the mesh: on any cluster, also while no agent runs. */
export interface NodeFiles {
  /** Names in the folder of configuration, in order. */
  list(folder: 'config' | 'programs'): Promise<readonly string[]>;
  read(name: string): Promise<string>;
  /** Permissions of a file of the configuration, as octal digits. */
  mode(name: string): Promise<string>;
  /** Replaces a file of the configuration all at once, as network plugins do. */
  replace(name: string, text: string): Promise<void>;
}

const NAMESPACE = 'node-files';

const manifest = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: node-files, namespace: ${NAMESPACE}}
---
apiVersion: v1
kind: Pod
metadata: {name: node-files, namespace: ${NAMESPACE}}
spec:
  serviceAccountName: node-files
  terminationGracePeriodSeconds: 0
  tolerations: [{operator: Exists}]
  containers:
  - name: files
    image: curlimages/curl
    imagePullPolicy: IfNotPresent
    command: [sleep, infinity]
    securityContext: {runAsUser: 0, runAsNonRoot: false}
    volumeMounts:
    - {name: config, mountPath: /host/etc/cni/net.d}
    - {name: programs, mountPath: /host/opt/cni/bin, readOnly: true}
  volumes:
  - name: config
    hostPath: {path: ${cniFolders.config}, type: DirectoryOrCreate}
  - name: programs
    hostPath: {path: ${cniFolders.programs}, type: DirectoryOrCreate}
`;

/** Starts the pod that shows them; it goes with the cluster's `down`. */
export async function nodeFiles({ apply, podsReady, kubectl }: Cluster): Promise<NodeFiles> {
  await kubectl('create', 'namespace', NAMESPACE);
  await apply(manifest, NAMESPACE);
  await podsReady(NAMESPACE);
  const run = (script: string, ...words: readonly string[]) =>
    kubectl('-n', NAMESPACE, 'exec', 'node-files', '--', 'sh', '-c', script, 'sh', ...words);
  const folders = { config: '/host/etc/cni/net.d', programs: '/host/opt/cni/bin' };
  return {
    list: async (folder) => (await run('ls -1 "$1"', folders[folder])).split('\n').filter((name) => name !== ''),
    read: (name) => run('cat "$1"', `${folders.config}/${name}`),
    mode: async (name) => (await run('stat -c %a "$1"', `${folders.config}/${name}`)).trim(),
    replace: async (name, text) => {
      await run('printf %s "$2" > "$1.new" && mv "$1.new" "$1"', `${folders.config}/${name}`, text);
    },
  };
}

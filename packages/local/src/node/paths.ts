import { join } from 'node:path';

/** Files of one pod below the cluster's run directory. They live as long as the pod's sandbox. */
export interface PodPaths {
  readonly root: string;
  /** JSON, `SandboxRecord`. */
  readonly sandbox: string;
  /** Lower layer with the pod's own /etc files. */
  readonly etc: string;
  volume(name: string): string;
  /** One start of a container. */
  container(name: string, attempt: number): string;
  readonly containers: string;
  readonly volumes: string;
}

export function podPaths(runDir: string, uid: string): PodPaths {
  const root = join(runDir, 'pods', uid);
  return {
    root,
    sandbox: join(root, 'sandbox.json'),
    etc: join(root, 'layer'),
    volumes: join(root, 'volumes'),
    containers: join(root, 'containers'),
    volume: (name) => join(root, 'volumes', name),
    container: (name, attempt) => join(root, 'containers', name, String(attempt)),
  };
}

/** Log file of one start of a container, in the layout of a kubelet: `NAMESPACE_POD_UID/CONTAINER/ATTEMPT.log`. */
export function logFile(
  logDir: string,
  namespace: string,
  pod: string,
  uid: string,
  container: string,
  attempt: number,
) {
  return join(logDir, 'pods', `${namespace}_${pod}_${uid}`, container, `${attempt}.log`);
}

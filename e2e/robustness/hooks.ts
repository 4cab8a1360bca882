// Hands on the parts of a control plane that no API gives: command lines of whoever runs the cluster, by environment variables (docs/testing.md).
import { run, until } from '../support/shell.ts';
import type { Cluster } from '../support/cluster.ts';

const env = process.env;

/** Command lines for `sh -c`; undefined where whoever runs the tests gave none. */
export const hooks = {
  apiServerStop: env.E2E_APISERVER_STOP || undefined,
  apiServerStart: env.E2E_APISERVER_START || undefined,
  /** Compacts etcd up to its present revision. */
  etcdCompact: env.E2E_ETCD_COMPACT || undefined,
  /** What is put before a command to run it on the node: as root, in its network. */
  node: env.E2E_NODE || undefined,
} as const;

type Hook = keyof typeof hooks;

const VARIABLES: Readonly<Record<Hook, string>> = {
  apiServerStop: 'E2E_APISERVER_STOP',
  apiServerStart: 'E2E_APISERVER_START',
  etcdCompact: 'E2E_ETCD_COMPACT',
  node: 'E2E_NODE',
};

/** Why a test that needs these hooks is left out; false where it runs. */
export function without(...needed: readonly Hook[]): string | false {
  const missing = needed.filter((hook) => hooks[hook] === undefined).map((hook) => VARIABLES[hook]);
  return missing.length > 0 && `the test needs hands on the control plane: ${missing.join(', ')} (docs/testing.md)`;
}

/** Runs a hook to its end, with more words for the node's. Throws when it fails. */
export async function hook(name: Hook, ...words: readonly string[]): Promise<string> {
  const line = [hooks[name] ?? 'false', ...words].join(' ');
  const { stdout, stderr, exitCode } = await run('sh', ['-c', line]);
  if (exitCode !== 0) throw new Error(`${VARIABLES[name]} failed with ${exitCode}: ${line}\n${stdout}${stderr}`);
  return stdout;
}

/** Starts the API server and waits until it says that it is ready. */
export async function startApiServer({ kubectl }: Cluster): Promise<void> {
  await hook('apiServerStart');
  await until('the API server to be ready', async () =>
    (await kubectl('get', '--raw', '/readyz')) === 'ok' ? true : undefined,
  );
}

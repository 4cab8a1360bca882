import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { ExecSpec } from './exec-credentials.ts';
import { loadInCluster, serviceAccountDirectory } from './in-cluster.ts';
import { parseYaml } from './yaml.ts';

/** A kubeconfig that cannot be used; the message names the file, the entry and what to do. */
export class KubeConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'KubeConfigError';
  }
}

/** How requests prove who sends them. Client certificates stand in `KubeConfig.tls`, because TLS sends them. */
export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly token: string }
  /** The file is read again once a minute, because Kubernetes rotates it. */
  | { readonly kind: 'tokenFile'; readonly path: string }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'exec'; readonly spec: ExecSpec };

/** Everything needed to talk to one API server as one user. */
export interface KubeConfig {
  /** Name of the context it came from; `in-cluster` inside a pod. */
  readonly contextName: string;
  /** `https://host:port`, without a trailing slash; may have a path. */
  readonly server: string;
  /** Namespace for objects that name none. */
  readonly namespace: string;
  readonly tls: {
    /** PEM. Absent: Node's built-in roots. */
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly insecureSkipVerify: boolean;
    readonly serverName?: string;
  };
  readonly credentials: Credentials;
  readonly impersonate?: { readonly user: string; readonly groups: readonly string[]; readonly uid?: string };
}

export interface LoadOptions {
  /** A file's path, as the flag `--kubeconfig` gives it; stands in for `KUBECONFIG` and the default file. */
  readonly kubeconfig?: string;
  /** Name of a context instead of `current-context`. */
  readonly context?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** User to impersonate, as kubectl's `--as`. */
  readonly as?: string;
  readonly asGroups?: readonly string[];
  readonly asUid?: string;
  /** Inside a pod, use the pod's service account even where the home directory has a kubeconfig. */
  readonly preferInCluster?: boolean;
}

type Fields = Readonly<Record<string, unknown>>;
interface Entry {
  readonly fields: Fields;
  /** File that defines the entry: relative paths in it start from the file's folder. */
  readonly file: string;
}
interface Merged {
  readonly clusters: ReadonlyMap<string, Entry>;
  readonly users: ReadonlyMap<string, Entry>;
  readonly contexts: ReadonlyMap<string, Entry>;
  readonly currentContext: string | undefined;
}

/**
 * Finds and reads the configuration as kubectl does: the given file, else the list in `KUBECONFIG` (the first file that
 * sets a value wins), else `~/.kube/config`, else the service account of the pod this process runs in.
 * Rules: Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files".
 * Throws `KubeConfigError`.
 */
export function loadKubeConfig(options: LoadOptions): KubeConfig {
  const config = withoutImpersonation(options);
  if (options.as === undefined) {
    if (options.asGroups?.length || options.asUid !== undefined)
      throw new KubeConfigError('Impersonating a group or a UID needs a user too: add --as.');
    return config;
  }
  const uid = options.asUid !== undefined && { uid: options.asUid };
  return { ...config, impersonate: { user: options.as, groups: options.asGroups ?? [], ...uid } };
}

/** Names of all contexts of the files that `loadKubeConfig` would read; empty where there is none. Throws `KubeConfigError`. */
export function contextNames(options: Pick<LoadOptions, 'kubeconfig' | 'env'>): readonly string[] {
  const { env, kubeconfig } = options;
  const files = kubeconfig || env.KUBECONFIG || join(env.HOME || homedir(), '.kube', 'config');
  const present = (kubeconfig ? [kubeconfig] : files.split(delimiter)).filter(
    (file) => file !== '' && existsSync(file),
  );
  return [...merge(present).contexts.keys()];
}

function withoutImpersonation(options: LoadOptions): KubeConfig {
  const { env } = options;
  const fromEnv = env.KUBECONFIG;
  const explicit = options.kubeconfig !== undefined && options.kubeconfig !== '';
  if (explicit || fromEnv) {
    const files = explicit ? [options.kubeconfig ?? ''] : (fromEnv ?? '').split(delimiter).filter((f) => f !== '');
    const present = files.filter((file) => existsSync(file));
    if (present.length === 0) {
      throw new KubeConfigError(
        `No kubeconfig at ${files.join(' or ')}. Give --kubeconfig or set KUBECONFIG to an existing file.`,
      );
    }
    return fromFiles(present, options.context);
  }
  const inCluster = (): KubeConfig | undefined => loadInCluster(env, serviceAccountDirectory);
  if (options.preferInCluster) {
    const config = inCluster();
    if (config) return config;
  }
  const home = join(env.HOME || homedir(), '.kube', 'config');
  if (existsSync(home)) {
    const merged = merge([home]);
    if (merged.contexts.size > 0 || options.context !== undefined) return select(merged, options.context, home);
  }
  const config = inCluster();
  if (config) return config;
  throw new KubeConfigError(
    `No Kubernetes cluster is configured: ${home} does not exist, KUBECONFIG is not set and this is not a pod. Start the local cluster with "istioctl local up", or give --kubeconfig.`,
  );
}

function fromFiles(files: readonly string[], context: string | undefined): KubeConfig {
  return select(merge(files), context, files.join(', '));
}

function merge(files: readonly string[]): Merged {
  const clusters = new Map<string, Entry>();
  const users = new Map<string, Entry>();
  const contexts = new Map<string, Entry>();
  let currentContext: string | undefined;
  for (const file of files) {
    let text: string;
    let root: unknown;
    try {
      text = readFileSync(file, 'utf8');
      root = text.trim() === '' ? {} : parseYaml(text, file);
    } catch (error) {
      throw new KubeConfigError(`Cannot read the kubeconfig ${file}: ${messageOf(error)}`);
    }
    const fields = asFields(root);
    if (!fields) throw new KubeConfigError(`The kubeconfig ${file} is not a YAML mapping.`);
    currentContext ??= stringOf(fields['current-context']);
    collect(fields.clusters, 'cluster', file, clusters);
    collect(fields.users, 'user', file, users);
    collect(fields.contexts, 'context', file, contexts);
  }
  return { clusters, users, contexts, currentContext };
}

function collect(list: unknown, key: string, file: string, into: Map<string, Entry>): void {
  if (!Array.isArray(list)) return;
  for (const item of list) {
    const entry = asFields(item);
    const name = stringOf(entry?.name);
    if (!entry || name === undefined || into.has(name)) continue;
    into.set(name, { fields: asFields(entry[key]) ?? {}, file });
  }
}

function select(merged: Merged, wanted: string | undefined, files: string): KubeConfig {
  const names = [...merged.contexts.keys()].join(', ') || 'none';
  const contextName = wanted ?? merged.currentContext;
  if (!contextName) {
    throw new KubeConfigError(`${files} has no current-context. Give --context (there are: ${names}).`);
  }
  const context = merged.contexts.get(contextName);
  if (!context) throw new KubeConfigError(`${files} has no context "${contextName}" (there are: ${names}).`);
  const clusterName = stringOf(context.fields.cluster) ?? '';
  const cluster = merged.clusters.get(clusterName);
  if (!cluster) {
    throw new KubeConfigError(
      `Context "${contextName}" in ${context.file} names the cluster "${clusterName}", which is not there.`,
    );
  }
  const server = stringOf(cluster.fields.server);
  if (!server || !/^https?:\/\//.test(server)) {
    throw new KubeConfigError(`Cluster "${clusterName}" in ${cluster.file}: server must be an http(s) URL.`);
  }
  if (stringOf(cluster.fields['proxy-url'])) {
    throw new KubeConfigError(
      `Cluster "${clusterName}" in ${cluster.file} uses proxy-url, which is not supported. Forward a local port through the proxy and give its address as server.`,
    );
  }
  const userName = stringOf(context.fields.user);
  const user = userName === undefined ? undefined : merged.users.get(userName);
  if (userName && !user) {
    throw new KubeConfigError(
      `Context "${contextName}" in ${context.file} names the user "${userName}", which is not there.`,
    );
  }
  const ca = pem(cluster, 'certificate-authority');
  const cert = user && pem(user, 'client-certificate');
  const key = user && pem(user, 'client-key');
  const serverName = stringOf(cluster.fields['tls-server-name']);
  const insecureSkipVerify = cluster.fields['insecure-skip-tls-verify'] === true;
  const impersonatedUser = user && stringOf(user.fields.as);
  const groups = user?.fields['as-groups'];
  return {
    contextName,
    server: server.replace(/\/+$/, ''),
    namespace: stringOf(context.fields.namespace) || 'default',
    tls: {
      insecureSkipVerify,
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(serverName !== undefined && { serverName }),
    },
    credentials: user && userName !== undefined ? credentialsOf(user, userName, cluster) : { kind: 'none' },
    ...(impersonatedUser && {
      impersonate: {
        user: impersonatedUser,
        groups: Array.isArray(groups) ? groups.filter((g): g is string => typeof g === 'string') : [],
      },
    }),
  };
}

function credentialsOf(user: Entry, userName: string, cluster: Entry): Credentials {
  const { fields } = user;
  const tokenFile = stringOf(fields.tokenFile);
  if (tokenFile) return { kind: 'tokenFile', path: resolve(dirname(user.file), tokenFile) };
  const token = stringOf(fields.token);
  if (token) return { kind: 'token', token };
  const username = stringOf(fields.username);
  if (username) return { kind: 'basic', username, password: stringOf(fields.password) ?? '' };
  const exec = asFields(fields.exec);
  if (exec) return { kind: 'exec', spec: execSpec(exec, user.file, userName, cluster) };
  if (fields['auth-provider']) {
    throw new KubeConfigError(
      `User "${userName}" in ${user.file} uses auth-provider, which Kubernetes removed in 1.26. Use an exec credential plugin instead.`,
    );
  }
  return { kind: 'none' };
}

function execSpec(exec: Fields, file: string, userName: string, cluster: Entry): ExecSpec {
  const apiVersion = stringOf(exec.apiVersion) ?? '';
  const command = stringOf(exec.command);
  if (apiVersion !== 'client.authentication.k8s.io/v1' && apiVersion !== 'client.authentication.k8s.io/v1beta1') {
    throw new KubeConfigError(
      `User "${userName}" in ${file}: exec.apiVersion "${apiVersion}" is not supported. Use client.authentication.k8s.io/v1.`,
    );
  }
  if (!command) throw new KubeConfigError(`User "${userName}" in ${file}: exec.command is missing.`);
  const env = Array.isArray(exec.env) ? exec.env : [];
  const server = stringOf(cluster.fields.server);
  return {
    apiVersion,
    // A path with a slash is relative to the kubeconfig; a bare name is looked up in PATH.
    command: command.includes('/') ? resolve(dirname(file), command) : command,
    args: Array.isArray(exec.args) ? exec.args.map(String) : [],
    env: env.flatMap((item): [string, string][] => {
      const pair = asFields(item);
      const name = stringOf(pair?.name);
      return name === undefined ? [] : [[name, stringOf(pair?.value) ?? '']];
    }),
    interactive: exec.interactiveMode !== 'Never',
    installHint: stringOf(exec.installHint) ?? '',
    ...(exec.provideClusterInfo === true && {
      cluster: {
        server: server ?? '',
        'certificate-authority-data': stringOf(cluster.fields['certificate-authority-data']),
        'insecure-skip-tls-verify': cluster.fields['insecure-skip-tls-verify'] === true || undefined,
        'tls-server-name': stringOf(cluster.fields['tls-server-name']),
      },
    }),
  };
}

/** PEM text of `NAME-data` (base64) or of the file `NAME`. */
function pem(entry: Entry, name: string): string | undefined {
  const data = stringOf(entry.fields[`${name}-data`]);
  if (data) return Buffer.from(data, 'base64').toString('utf8');
  const path = stringOf(entry.fields[name]);
  if (!path) return undefined;
  const file = resolve(dirname(entry.file), path);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new KubeConfigError(`${entry.file}: cannot read ${name} ${file}: ${messageOf(error)}`);
  }
}

function asFields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import type { KubeClient } from '@istio-ts/kube';
import type { ClusterTrustBundle, DownwardItem, KeyToPath, Pod, Volume } from '../controllers/kinds.ts';
import { nameOf, namespaceOf, SERVICE_ACCOUNTS, uidOf } from '../controllers/kinds.ts';
import type { RunCommand } from '../network/command.ts';
import { trustAnchors } from './trust-anchors.ts';
import { ConfigError, fieldValue, type Lookup, type PodFacts, resourceValue } from './environment.ts';

/** Directories of the host that pods see in place of the ones they name, so that node components stay inside the cluster's own state. */
export interface HostDirectories {
  readonly cniConfig: string;
  readonly cniBin: string;
  /** Holds `istio-cni` and `ztunnel`, which node agents put their sockets into. */
  readonly cniRun: string;
  readonly cniLogs: string;
}

/** Folders of a Kubernetes node that the cluster has of its own, by the names that pods and CNI plugins know. */
export function nodeDirectories(directories: HostDirectories): readonly (readonly [name: string, own: string])[] {
  return [
    ['/etc/cni/net.d', directories.cniConfig],
    ['/opt/cni/bin', directories.cniBin],
    ['/run/istio-cni', join(directories.cniRun, 'istio-cni')],
    ['/run/ztunnel', join(directories.cniRun, 'ztunnel')],
    ['/var/log/istio-cni', directories.cniLogs],
  ];
}

export interface VolumeContext {
  readonly client: KubeClient;
  readonly lookup: Lookup;
  readonly trustBundles: () => readonly ClusterTrustBundle[];
  readonly facts: PodFacts;
  readonly run: RunCommand;
  readonly directories: HostDirectories;
  /** Directory of persistent volume claims, kept over restarts of the cluster. */
  readonly claims: string;
  readonly now: () => number;
}

/** Where a volume of a pod lies, and when it wants to be looked at again (tokens expire). */
export interface MountedVolume {
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly refreshAt: number | undefined;
}

interface File {
  readonly data: Buffer;
  readonly mode: number;
}

/**
 * Makes or refreshes one volume of a pod at `path`. Files of ConfigMaps, Secrets, projections and the downward API are replaced all at once by a
 * symbolic link, as a kubelet does it. Throws `ConfigError` when something it refers to is missing.
 */
export async function mountVolume(
  context: VolumeContext,
  pod: Pod,
  volume: Volume,
  path: string,
  refreshAt: number | undefined,
): Promise<MountedVolume> {
  const group = pod.spec.securityContext?.fsGroup;
  if (volume.hostPath !== undefined) return { path: await hostPath(context, volume.hostPath), refreshAt: undefined };
  if (volume.persistentVolumeClaim !== undefined) {
    const claim = join(context.claims, namespaceOf(pod), volume.persistentVolumeClaim.claimName);
    await makeDirectory(claim, group);
    return { path: claim, refreshAt: undefined };
  }
  const files = await volumeFiles(context, pod, volume, path, refreshAt);
  if (files !== undefined) {
    await writeAtomically(path, files.files, group);
    return { path, refreshAt: files.refreshAt };
  }
  // emptyDir, and kinds that need hardware or drivers this node does not have.
  if (volume.csi !== undefined) throw new ConfigError(`volume ${volume.name}: this node has no CSI drivers`);
  const exists = await fs.stat(path).then(
    () => true,
    () => false,
  );
  if (!exists) {
    await fs.mkdir(path, { recursive: true });
    if (volume.emptyDir?.medium === 'Memory') {
      const size = volume.emptyDir.sizeLimit;
      const bytes = size === undefined ? '' : `,size=${Math.max(1, await sizeOf(size))}`;
      await context.run('mount', ['-t', 'tmpfs', '-o', `mode=0777,nosuid,nodev${bytes}`, 'tmpfs', path]);
    }
    await makeDirectory(path, group);
  }
  return { path, refreshAt: undefined };
}

async function sizeOf(quantity: string): Promise<number> {
  const { parseQuantity } = await import('./quantity.ts');
  const size = parseQuantity(quantity);
  return Number.isFinite(size) ? Math.ceil(size) : 64 * 2 ** 20;
}

async function makeDirectory(path: string, group: number | undefined): Promise<void> {
  await fs.mkdir(path, { recursive: true });
  if (group === undefined) await fs.chmod(path, 0o777);
  else {
    await fs.chown(path, 0, group);
    await fs.chmod(path, 0o2777);
  }
}

async function hostPath(
  { directories }: VolumeContext,
  { path, type }: { readonly path: string; readonly type?: string },
): Promise<string> {
  let real = normalize(path).replace(/^\/var\/run(?=\/|$)/, '/run');
  for (const [prefix, target] of nodeDirectories(directories)) {
    if (real === prefix || real.startsWith(`${prefix}/`)) real = target + real.slice(prefix.length);
  }
  const stat = await fs.stat(real).catch(() => undefined);
  switch (type) {
    case undefined:
    case '':
      if (stat === undefined) await fs.mkdir(real, { recursive: true });
      break;
    case 'DirectoryOrCreate':
      if (stat === undefined) await fs.mkdir(real, { recursive: true });
      else if (!stat.isDirectory()) throw new ConfigError(`hostPath type check failed: ${path} is not a directory`);
      break;
    case 'FileOrCreate':
      if (stat === undefined) {
        await fs.mkdir(dirname(real), { recursive: true });
        await fs.writeFile(real, '');
      } else if (!stat.isFile()) throw new ConfigError(`hostPath type check failed: ${path} is not a file`);
      break;
    case 'Directory':
      if (!stat?.isDirectory()) throw new ConfigError(`hostPath type check failed: ${path} is not a directory`);
      break;
    case 'File':
      if (!stat?.isFile()) throw new ConfigError(`hostPath type check failed: ${path} is not a file`);
      break;
    case 'Socket':
      if (!stat?.isSocket()) throw new ConfigError(`hostPath type check failed: ${path} is not a socket file`);
      break;
    default:
      if (stat === undefined) throw new ConfigError(`hostPath ${path} does not exist`);
  }
  return real;
}

async function volumeFiles(
  context: VolumeContext,
  pod: Pod,
  volume: Volume,
  path: string,
  refreshAt: number | undefined,
): Promise<{ files: Map<string, File>; refreshAt: number | undefined } | undefined> {
  const files = new Map<string, File>();
  const namespace = namespaceOf(pod);
  if (volume.configMap !== undefined) {
    const { name = '', items, defaultMode = 0o644, optional } = volume.configMap;
    addKeptData(context, files, { kind: 'configmap', namespace, name, items, mode: defaultMode, optional });
    return { files, refreshAt: undefined };
  }
  if (volume.secret !== undefined) {
    const { secretName = '', items, defaultMode = 0o644, optional } = volume.secret;
    addKeptData(context, files, { kind: 'secret', namespace, name: secretName, items, mode: defaultMode, optional });
    return { files, refreshAt: undefined };
  }
  if (volume.downwardAPI !== undefined) {
    addDownward(context, files, pod, volume.downwardAPI.items, volume.downwardAPI.defaultMode ?? 0o644);
    return { files, refreshAt: undefined };
  }
  if (volume.projected === undefined) return undefined;
  const mode = volume.projected.defaultMode ?? 0o644;
  let next: number | undefined;
  for (const source of volume.projected.sources ?? []) {
    if (source.configMap !== undefined) {
      const { name = '', items, optional } = source.configMap;
      addKeptData(context, files, { kind: 'configmap', namespace, name, items, mode, optional });
    } else if (source.secret !== undefined) {
      const { name = '', items, optional } = source.secret;
      addKeptData(context, files, { kind: 'secret', namespace, name, items, mode, optional });
    } else if (source.downwardAPI !== undefined) addDownward(context, files, pod, source.downwardAPI.items, mode);
    else if (source.clusterTrustBundle !== undefined) {
      const anchors = trustAnchors(source.clusterTrustBundle, context.trustBundles());
      files.set(safePath(source.clusterTrustBundle.path), { data: Buffer.from(anchors), mode });
    } else if (source.serviceAccountToken !== undefined) {
      const { audience, expirationSeconds = 3600, path: file } = source.serviceAccountToken;
      const due = refreshAt === undefined || refreshAt <= context.now();
      const kept = due ? undefined : await fs.readFile(join(path, file)).catch(() => undefined);
      files.set(safePath(file), { data: kept ?? (await token(context, pod, audience, expirationSeconds)), mode });
      // A kubelet asks for a new token when 80 percent of its time or 24 hours have passed.
      const refresh =
        kept !== undefined && refreshAt !== undefined
          ? refreshAt
          : context.now() + Math.min(expirationSeconds * 0.8, 86_400) * 1000;
      next = next === undefined ? refresh : Math.min(next, refresh);
    }
  }
  return { files, refreshAt: next };
}

async function token(
  { client }: VolumeContext,
  pod: Pod,
  audience: string | undefined,
  expirationSeconds: number,
): Promise<Buffer> {
  const account = pod.spec.serviceAccountName ?? 'default';
  const path = `/api/${SERVICE_ACCOUNTS.version}/namespaces/${namespaceOf(pod)}/${SERVICE_ACCOUNTS.resource}/${account}/token`;
  const answer = await client.request('POST', path, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      audiences: audience === undefined ? [] : [audience],
      expirationSeconds,
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: nameOf(pod), uid: uidOf(pod) },
    },
  });
  const status = typeof answer === 'object' && answer !== null && 'status' in answer ? answer.status : undefined;
  const value = typeof status === 'object' && status !== null && 'token' in status ? status.token : undefined;
  if (typeof value !== 'string') throw new ConfigError(`no token for service account ${account}`);
  return Buffer.from(value);
}

/** What a volume says of a ConfigMap or a Secret that it holds. */
interface KeptData {
  readonly kind: 'configmap' | 'secret';
  readonly namespace: string;
  readonly name: string;
  readonly items: readonly KeyToPath[] | undefined;
  readonly mode: number;
  readonly optional: boolean | undefined;
}

/** The values of a ConfigMap or Secret by their keys; undefined where there is no such object. */
function keptData(
  lookup: VolumeContext['lookup'],
  { kind, namespace, name }: KeptData,
): Map<string, Buffer> | undefined {
  const decoded = (values: Readonly<Record<string, string>> | undefined, encoding: 'utf8' | 'base64') =>
    Object.entries(values ?? {}).map(([key, value]) => [key, Buffer.from(value, encoding)] as const);
  if (kind === 'secret') {
    const secret = lookup.secret(namespace, name);
    return secret && new Map(decoded(secret.data, 'base64'));
  }
  const map = lookup.configMap(namespace, name);
  return map && new Map([...decoded(map.data, 'utf8'), ...decoded(map.binaryData, 'base64')]);
}

function addKeptData({ lookup }: VolumeContext, files: Map<string, File>, kept: KeptData): void {
  const { kind, namespace, name, items, mode, optional } = kept;
  const data = keptData(lookup, kept);
  if (data === undefined) {
    if (optional === true) return;
    throw new ConfigError(`${kind} "${name}" not found`);
  }
  addItems(files, data, items, mode, optional, `${kind} ${namespace}/${name}`);
}

function addItems(
  files: Map<string, File>,
  data: ReadonlyMap<string, Buffer>,
  items: readonly KeyToPath[] | undefined,
  mode: number,
  optional: boolean | undefined,
  title: string,
): void {
  if (items === undefined || items.length === 0) {
    for (const [key, value] of data) files.set(safePath(key), { data: value, mode });
    return;
  }
  for (const item of items) {
    const value = data.get(item.key);
    if (value === undefined) {
      if (optional === true) continue;
      throw new ConfigError(`${title} references non-existent key: ${item.key}`);
    }
    files.set(safePath(item.path), { data: value, mode: item.mode ?? mode });
  }
}

function addDownward(
  { facts }: VolumeContext,
  files: Map<string, File>,
  pod: Pod,
  items: readonly DownwardItem[] | undefined,
  mode: number,
): void {
  for (const item of items ?? []) {
    const text =
      item.fieldRef !== undefined
        ? fieldValue(pod, item.fieldRef.fieldPath, facts)
        : item.resourceFieldRef !== undefined
          ? resourceValue(pod, '', item.resourceFieldRef, facts)
          : '';
    files.set(safePath(item.path), { data: Buffer.from(text), mode: item.mode ?? mode });
  }
}

function safePath(path: string): string {
  const clean = normalize(path);
  if (clean.startsWith('/') || clean.split('/').includes('..') || clean === '.') {
    throw new ConfigError(`path "${path}" leads out of the volume`);
  }
  return clean;
}

async function writeAtomically(
  path: string,
  files: ReadonlyMap<string, File>,
  group: number | undefined,
): Promise<void> {
  await fs.mkdir(path, { recursive: true, mode: 0o755 });
  const link = join(path, '..data');
  const current = await fs.readlink(link).catch(() => undefined);
  if (current !== undefined && (await same(join(path, current), files))) return;
  const name = `..${new Date().toISOString().replaceAll(/[-:.]/g, '_')}.${randomBytes(4).toString('hex')}`;
  const directory = join(path, name);
  await fs.mkdir(directory, { mode: 0o755 });
  for (const [file, { data, mode }] of files) {
    const target = join(directory, file);
    await fs.mkdir(dirname(target), { recursive: true, mode: 0o755 });
    await fs.writeFile(target, data, { mode: 0o600 });
    if (group !== undefined) await fs.chown(target, 0, group);
    await fs.chmod(target, group === undefined ? mode : mode | 0o440);
  }
  const fresh = join(path, '..data_tmp');
  await fs.rm(fresh, { force: true });
  await fs.symlink(name, fresh);
  await fs.rename(fresh, link);
  const tops = new Set([...files.keys()].map((file) => file.split('/')[0] ?? file));
  for (const entry of await fs.readdir(path)) {
    if (entry.startsWith('..')) continue;
    if (!tops.has(entry)) await fs.rm(join(path, entry), { force: true });
  }
  for (const top of tops) await fs.symlink(join('..data', top), join(path, top)).catch(() => {});
  if (current !== undefined) await fs.rm(join(path, current), { recursive: true, force: true });
}

async function same(directory: string, files: ReadonlyMap<string, File>): Promise<boolean> {
  const entries = await fs.readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  if (entries.filter((entry) => entry.isFile()).length !== files.size) return false;
  for (const [file, { data }] of files) {
    const old = await fs.readFile(join(directory, file)).catch(() => undefined);
    if (old === undefined || !old.equals(data)) return false;
  }
  return true;
}

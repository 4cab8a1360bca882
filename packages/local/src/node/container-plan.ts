import * as fs from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';
import type { Container, Pod } from '../controllers/kinds.ts';
import type { PreparedImage } from '../images/image-store.ts';
import { type ContainerMount, type ContainerPlan, boundingSet } from './container-script.ts';
import { ConfigError, expand } from './environment.ts';
import type { PodPaths } from './paths.ts';
import type { Sandbox } from './sandbox.ts';

export interface PlanInput {
  readonly pod: Pod;
  readonly container: Container;
  readonly image: PreparedImage;
  readonly directory: string;
  readonly paths: PodPaths;
  readonly sandbox: Sandbox;
  readonly networkNamespace: string;
  /** Without what the image brings. */
  readonly env: Readonly<Record<string, string>>;
  /** Volume name to directory on the host. */
  readonly volumes: ReadonlyMap<string, string>;
  readonly devices: string;
  readonly cgroup: string | undefined;
}

/** Works out how a container is to be started, and makes the places its mounts need. Throws `ConfigError`. */
export async function planContainer(input: PlanInput): Promise<ContainerPlan> {
  const { pod, container, image, sandbox, directory } = input;
  const security = container.securityContext;
  const podSecurity = pod.spec.securityContext;
  const uid = security?.runAsUser ?? podSecurity?.runAsUser ?? image.image.user;
  // A user that the pod chooses has group 0 unless it says otherwise, as in container runtimes.
  const chosen = security?.runAsUser ?? podSecurity?.runAsUser;
  const gid =
    security?.runAsGroup ??
    podSecurity?.runAsGroup ??
    (chosen === undefined || chosen === image.image.user ? image.image.group : 0);
  if (uid === 0 && (security?.runAsNonRoot ?? podSecurity?.runAsNonRoot) === true) {
    throw new ConfigError('container has runAsNonRoot and image will run as root');
  }
  const groups = [...(podSecurity?.supplementalGroups ?? [])];
  if (podSecurity?.fsGroup !== undefined) groups.push(podSecurity.fsGroup);
  const privileged = security?.privileged === true;
  const env: Record<string, string> = {
    HOSTNAME: sandbox.hostname,
    HOME: uid === 0 ? '/root' : uid === 1337 ? '/home/istio-proxy' : '/',
    ...image.image.env,
    ...input.env,
    ...(container.tty === true && input.env.TERM === undefined ? { TERM: 'xterm' } : {}),
  };
  const command = (container.command ?? []).map((word) => expand(word, env));
  const args = (container.args ?? []).map((word) => expand(word, env));
  const argv =
    command.length > 0
      ? [...command, ...args]
      : [...image.image.entrypoint, ...(args.length > 0 ? args : image.image.cmd)];
  if (argv.length === 0) throw new ConfigError('no command specified: the image has none and neither has the pod');
  return {
    directory,
    networkNamespace: input.networkNamespace,
    hostname: sandbox.hostname,
    rootLayers: [join(input.paths.etc), image.root],
    usrLayers: [image.usr],
    readOnlyRoot: security?.readOnlyRootFilesystem === true,
    devices: input.devices,
    mounts: await containerMounts(input, env),
    workingDir: container.workingDir || image.image.workingDir || '/',
    env,
    argv,
    credentials: {
      uid,
      gid,
      groups: [...new Set(groups)],
      capabilities: boundingSet(security?.capabilities?.add ?? [], security?.capabilities?.drop ?? [], privileged),
      noNewPrivileges: security?.allowPrivilegeEscalation === false && !privileged,
    },
    cgroup: input.cgroup,
    tty: container.tty === true,
    sharedPid: undefined,
    hostPid: pod.spec.hostPID === true,
  };
}

async function containerMounts(input: PlanInput, env: Readonly<Record<string, string>>): Promise<ContainerMount[]> {
  const { container, image, directory } = input;
  const mounts: ContainerMount[] = [];
  for (const { source, path } of image.binds) {
    mounts.push({ source, path, readOnly: true, isFile: (await fs.stat(source)).isFile() });
  }
  for (const mount of container.volumeMounts ?? []) {
    const volume = input.volumes.get(mount.name);
    if (volume === undefined) throw new ConfigError(`volume "${mount.name}" of volumeMounts is not defined`);
    const subPath = mount.subPathExpr === undefined ? mount.subPath : expand(mount.subPathExpr, env);
    const path = normalize(mount.mountPath);
    if (!isAbsolute(path) || path === '/') throw new ConfigError(`cannot mount a volume at ${mount.mountPath}`);
    const source = subPath ? await insideVolume(volume, subPath) : volume;
    const stat = await fs.stat(source);
    const isFile = !stat.isDirectory();
    if (isFile) await makePlace(path, directory, image);
    const follows = mount.mountPropagation === 'HostToContainer' || mount.mountPropagation === 'Bidirectional';
    mounts.push({ source, path: path.replace(/\/$/, ''), readOnly: mount.readOnly === true, isFile, follows });
  }
  const message = container.terminationMessagePath ?? '/dev/termination-log';
  const messageFile = join(directory, 'termination-log');
  await fs.mkdir(directory, { recursive: true });
  await fs.writeFile(messageFile, '');
  await fs.chmod(messageFile, 0o666);
  if (message !== '/dev/termination-log') await makePlace(message, directory, image);
  mounts.push({ source: messageFile, path: normalize(message), readOnly: false, isFile: true });
  return mounts;
}

async function insideVolume(volume: string, subPath: string): Promise<string> {
  const clean = normalize(subPath);
  if (isAbsolute(clean) || clean.split('/').includes('..')) {
    throw new ConfigError(`subPath "${subPath}" leads out of the volume`);
  }
  const path = join(volume, clean);
  const exists = await fs.stat(path).catch(() => undefined);
  if (exists === undefined) await fs.mkdir(path, { recursive: true, mode: 0o777 });
  const real = await fs.realpath(path);
  const root = await fs.realpath(volume);
  if (real !== root && !real.startsWith(`${root}/`)) {
    throw new ConfigError(`subPath "${subPath}" leads out of the volume by a symbolic link`);
  }
  return real;
}

/** An empty file at `path` in the container's own layer, for a file to be bound over it; directories on the way keep the image's modes. */
async function makePlace(path: string, directory: string, image: PreparedImage): Promise<void> {
  const inUsr = path.startsWith('/usr/');
  const upper = join(directory, inUsr ? 'upper-usr' : 'upper');
  const lower = inUsr ? image.usr : image.root;
  const parts = (inUsr ? path.slice('/usr/'.length) : path.replace(/^\/var\/run\//, '/run/').slice(1)).split('/');
  const name = parts.pop() ?? '';
  let at = '';
  await fs.mkdir(upper, { recursive: true, mode: 0o755 });
  for (const part of parts) {
    at = join(at, part);
    await fs.mkdir(join(upper, at)).catch(() => {});
    const stat =
      (await fs.stat(join(lower, at)).catch(() => undefined)) ??
      (inUsr ? await fs.stat(join('/usr', at)).catch(() => undefined) : undefined);
    await fs.chmod(join(upper, at), stat === undefined ? 0o755 : stat.mode & 0o7777);
  }
  await fs.writeFile(join(upper, at, name), '');
}

import { existsSync } from 'node:fs';
import { shellQuote } from '../network/command.ts';

/** Everything a container's process is made of. All paths without prefix `in` are paths of the host. */
export interface ContainerPlan {
  /** Directory of this start; gets `pid`, `exit`, `setup`. */
  readonly directory: string;
  readonly networkNamespace: string;
  readonly hostname: string;
  /** Lower directories of the root file system, the topmost first. */
  readonly rootLayers: readonly string[];
  /** Lower directories of /usr, the topmost first, without the host's own. */
  readonly usrLayers: readonly string[];
  readonly readOnlyRoot: boolean;
  readonly devices: string;
  readonly mounts: readonly ContainerMount[];
  readonly workingDir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
  readonly credentials: Credentials;
  /** cgroup v2 directory to join, if there is one. */
  readonly cgroup: string | undefined;
  readonly tty: boolean;
  /** Process id in whose pid namespace the container runs, for pods that share it. */
  readonly sharedPid: number | undefined;
  /** Sees the processes of the machine (`hostPID`). */
  readonly hostPid: boolean;
}

export interface ContainerMount {
  readonly source: string;
  readonly path: string;
  readonly readOnly: boolean;
  readonly isFile: boolean;
  /** What the machine mounts below `source` later appears in the container too. */
  readonly follows?: boolean;
}

export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Bounding set of capabilities in setpriv's names; undefined means all. */
  readonly capabilities: readonly string[] | undefined;
  readonly noNewPrivileges: boolean;
}

/** What containers may do as root unless the pod says otherwise: the set of containerd and Docker. */
const DEFAULT_CAPABILITIES = [
  'audit_write',
  'chown',
  'dac_override',
  'fowner',
  'fsetid',
  'kill',
  'mknod',
  'net_bind_service',
  'net_raw',
  'setfcap',
  'setgid',
  'setpcap',
  'setuid',
  'sys_chroot',
] as const;

/** The bounding set after `capabilities.add` and `drop`; undefined when everything is allowed. */
export function boundingSet(
  add: readonly string[],
  drop: readonly string[],
  privileged: boolean,
): readonly string[] | undefined {
  if (privileged) return undefined;
  const normalize = (name: string) => name.toLowerCase().replace(/^cap_/, '');
  const added = add.map(normalize);
  const dropped = drop.map(normalize);
  if (added.includes('all') && dropped.length === 0) return undefined;
  const set = new Set<string>(dropped.includes('all') ? [] : DEFAULT_CAPABILITIES);
  for (const name of dropped) set.delete(name);
  for (const name of added) if (/^[a-z_]+$/.test(name) && name !== 'all') set.add(name);
  return [...set].sort();
}

/** How the container's mounts relate to the machine's: apart from them, unless a mount follows what the machine mounts. */
function propagation({ mounts }: ContainerPlan): 'slave' | 'private' {
  return mounts.some(({ follows }) => follows === true) ? 'slave' : 'private';
}

/** Arguments of setpriv for a container's credentials. */
export function setprivArguments({ uid, gid, groups, capabilities, noNewPrivileges }: Credentials): string[] {
  const args = ['--reuid', String(uid), '--regid', String(gid)];
  if (groups.length === 0) args.push('--clear-groups');
  else args.push('--groups', groups.join(','));
  if (capabilities !== undefined) {
    args.push('--bounding-set', ['-all', ...capabilities.map((name) => `+${name}`)].join(','));
  }
  args.push('--inh-caps', '-all');
  if (noNewPrivileges) args.push('--no-new-privs');
  return args;
}

/** Arguments of `env` that make exactly this environment. */
export function envArguments(env: Readonly<Record<string, string>>): string[] {
  return ['-i', ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
}

/** Lines for `mount --all --fstab`; one process makes all mounts. */
export function fstab(plan: ContainerPlan): string {
  const root = `${plan.directory}/root`;
  const lines = [
    line('overlay', root, 'overlay', [
      `lowerdir=${plan.rootLayers.join(':')}`,
      `upperdir=${plan.directory}/upper`,
      `workdir=${plan.directory}/work`,
    ]),
    line('overlay', `${root}/usr`, 'overlay', [
      `lowerdir=${[...plan.usrLayers, '/usr'].join(':')}`,
      `upperdir=${plan.directory}/upper-usr`,
      `workdir=${plan.directory}/work-usr`,
    ]),
    // Mounting a fresh proc needs a pid namespace of our own; a shared one shows what its members see.
    plan.hostPid
      ? line('/proc', `${root}/proc`, 'none', ['rbind'])
      : line('proc', `${root}/proc`, 'proc', ['nosuid', 'nodev', 'noexec']),
    // Settings of the whole machine are not a container's to change.
    ...(plan.hostPid || plan.credentials.capabilities === undefined
      ? []
      : [
          line(`${root}/proc/sys`, `${root}/proc/sys`, 'none', ['bind', 'ro']),
          ...['sysrq-trigger', 'kcore', 'irq', 'bus', 'fs']
            .filter((name) => existsSync(`/proc/${name}`))
            .map((name) => line(`${root}/proc/${name}`, `${root}/proc/${name}`, 'none', ['bind', 'ro'])),
        ]),
    line(plan.devices, `${root}/dev`, 'none', ['bind']),
    line('devpts', `${root}/dev/pts`, 'devpts', ['newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']),
    line('shm', `${root}/dev/shm`, 'tmpfs', ['nosuid', 'nodev', 'size=64m', 'mode=1777']),
    line('sysfs', `${root}/sys`, 'sysfs', ['ro', 'nosuid', 'nodev', 'noexec']),
  ];
  const mounts = [...plan.mounts].sort((a, b) => depth(a.path) - depth(b.path));
  for (const mount of mounts) {
    const options = [mount.isFile ? 'bind' : 'rbind'];
    if (mount.readOnly) options.push('ro');
    if (!mount.isFile) options.push('X-mount.mkdir');
    lines.push(line(mount.source, `${root}${mount.path}`, 'none', options));
  }
  return `${lines.join('\n')}\n`;
}

function depth(path: string): number {
  return path.split('/').length;
}

function line(source: string, target: string, type: string, options: readonly string[]): string {
  return `${escapeField(source)} ${escapeField(target)} ${type} ${escapeField(options.join(','))} 0 0`;
}

function escapeField(text: string): string {
  return text.replaceAll('\\', '\\134').replaceAll(' ', '\\040').replaceAll('\t', '\\011').replaceAll('\n', '\\012');
}

/**
 * The script that runs inside the container's new namespaces: puts the file system together, enters it and becomes the program.
 * Descriptor 3 tells the node the process id and then that the program starts; `setup` collects what goes wrong before.
 */
export function innerScript(plan: ContainerPlan): string {
  const root = `${plan.directory}/root`;
  const command = plan.argv[0] ?? '';
  const path = plan.env.PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return `exec 5>&2 2>${shellQuote(`${plan.directory}/setup`)}
read pid rest < /proc/self/stat
echo $pid > ${shellQuote(`${plan.directory}/pid`)}
echo "pid $pid" >&3
fail() { echo "fail" >&3; exit 128; }
mount --make-r${propagation(plan)} / || fail
mount -a -T ${shellQuote(`${plan.directory}/fstab`)} || fail
${plan.readOnlyRoot ? `mount -o remount,bind,ro ${shellQuote(root)} || fail\nmount -o remount,bind,ro ${shellQuote(`${root}/usr`)} || fail` : ''}
cd ${shellQuote(root)} && pivot_root . . && umount -l . && cd / || fail
hostname ${shellQuote(plan.hostname)} 2>/dev/null
[ -d ${shellQuote(plan.workingDir)} ] || mkdir -p ${shellQuote(plan.workingDir)} 2>/dev/null
cd ${shellQuote(plan.workingDir)} || fail
export PATH=${shellQuote(path)}
command -v -- ${shellQuote(command)} > /dev/null || { echo exec: ${shellQuote(JSON.stringify(command))}: ${command.includes('/') ? 'no such file or directory' : "executable file not found in '$PATH'"} >&2; fail; }
umask 022
echo start >&3
exec ${plan.tty ? '/usr/bin/setsid -c ' : ''}/usr/bin/setpriv ${setprivArguments(plan.credentials).join(' ')} -- /usr/bin/env ${[...envArguments(plan.env), ...plan.argv].map(shellQuote).join(' ')} 2>&5 3>&- 5>&-
`;
}

/** The script that stays outside, waits for the container and keeps its exit code, also while the cluster process is away. */
export function outerScript(plan: ContainerPlan): string {
  const unshare = ['--mount', '--propagation', propagation(plan), '--uts', '--ipc', '--fork'];
  if (!plan.hostPid && plan.sharedPid === undefined) unshare.push('--pid');
  const enter = [`--net=${plan.networkNamespace}`];
  if (plan.sharedPid !== undefined) enter.push(`--pid=/proc/${plan.sharedPid}/ns/pid`);
  const launch = `nsenter ${enter.map(shellQuote).join(' ')} -- unshare ${unshare.join(' ')} -- sh ${shellQuote(`${plan.directory}/inner.sh`)}`;
  const join = plan.cgroup === undefined ? '' : `echo $$ > ${shellQuote(`${plan.cgroup}/cgroup.procs`)} 2>/dev/null\n`;
  // script(1) gives the program a terminal.
  const command = plan.tty ? `script -qfec ${shellQuote(launch)} /dev/null` : launch;
  return `${join}trap '' TERM INT HUP QUIT
(trap - TERM INT HUP QUIT; exec ${command})
echo $? > ${shellQuote(`${plan.directory}/exit`)}
`;
}

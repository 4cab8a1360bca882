import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A reason the cluster cannot start here, with what to do about it. */
export class PreflightError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PreflightError';
  }
}

/** Programs the cluster calls, and the packages of Debian and Ubuntu, Fedora, and Alpine they come with. */
const PROGRAMS: Readonly<Record<string, readonly [string, string, string]>> = {
  ip: ['iproute2', 'iproute', 'iproute2'],
  nft: ['nftables', 'nftables', 'nftables'],
  iptables: ['iptables', 'iptables', 'iptables'],
  nsenter: ['util-linux', 'util-linux', 'util-linux'],
  unshare: ['util-linux', 'util-linux', 'util-linux'],
  setpriv: ['util-linux', 'util-linux', 'setpriv'],
  setsid: ['util-linux', 'util-linux', 'setsid'],
  script: ['bsdutils', 'util-linux-script', 'util-linux-misc'],
  mount: ['mount', 'util-linux', 'mount'],
  umount: ['mount', 'util-linux', 'umount'],
  pivot_root: ['util-linux', 'util-linux', 'util-linux'],
  mkfifo: ['coreutils', 'coreutils', 'coreutils'],
  mknod: ['coreutils', 'coreutils', 'coreutils'],
  env: ['coreutils', 'coreutils', 'coreutils'],
  sh: ['dash', 'bash', 'busybox'],
};

const SEARCH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Throws `PreflightError` when something basic is missing. */
export function checkMachine(options: {
  readonly platform: string;
  readonly uid: number | undefined;
  readonly hasProgram?: (name: string) => boolean;
  readonly filesystems?: string;
}): void {
  if (options.platform !== 'linux') {
    throw new PreflightError(
      `the local cluster needs Linux (network namespaces); this is ${options.platform}. Use a Linux machine or virtual machine, or your own Kubernetes cluster with "istioctl install"`,
    );
  }
  if (options.uid !== 0) {
    throw new PreflightError(
      'the local cluster needs root to make network namespaces and mounts. Try the same command with sudo',
    );
  }
  const has = options.hasProgram ?? ((name) => SEARCH.some((directory) => existsSync(join(directory, name))));
  const missing = Object.keys(PROGRAMS).filter((name) => !has(name));
  if (missing.length > 0) {
    const packages = (column: 0 | 1 | 2) =>
      [...new Set(missing.map((name) => PROGRAMS[name]?.[column] ?? name))].join(' ');
    throw new PreflightError(
      `missing programs: ${missing.join(', ')}. Install them: Debian, Ubuntu: apt-get install ${packages(0)}; Fedora: dnf install ${packages(1)}; Alpine: apk add ${packages(2)}`,
    );
  }
  const filesystems = options.filesystems ?? readFileSync('/proc/filesystems', 'utf8');
  if (!/\boverlay$/m.test(filesystems)) {
    throw new PreflightError(
      'the kernel has no overlay file system, which containers are made of. Load it with "modprobe overlay"',
    );
  }
}

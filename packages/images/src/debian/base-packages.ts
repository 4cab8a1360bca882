/** Suite of Debian that the base layers come from. */
export const SUITE = 'bookworm';

/** Indexes that packages are looked up in: archive, suite, component. */
export const INDEXES = [
  { archive: 'debian', suite: SUITE, component: 'main' },
  { archive: 'debian', suite: `${SUITE}-updates`, component: 'main' },
  { archive: 'debian-security', suite: `${SUITE}-security`, component: 'main' },
] as const;

/** A package of a base layer with all that it depends on; or some of its files, with the packages that these need. */
export type Pick =
  | string
  | { readonly name: string; readonly files: readonly string[]; readonly needs: readonly string[] };

export type BaseLayer = 'runtime' | 'netfilter' | 'tools';

/**
 * The base layers, in the order they lie on each other. A package is in the first layer that needs it.
 * - `runtime`: what Node and Envoy are linked with, roots of trust, names of services, time zones, and `env`, which starts programs with their flags.
 * - `netfilter`: programs that write interception rules, also in the network of a pod.
 * - `tools`: a shell and what people use in `kubectl exec`; not in the distroless variant.
 */
export const BASE_LAYERS: Readonly<Record<BaseLayer, readonly Pick[]>> = {
  runtime: [
    'libc6',
    'libgcc-s1',
    'libstdc++6',
    // Where the licences of these two are.
    { name: 'gcc-12-base', files: ['usr/share/doc/gcc-12-base/copyright'], needs: [] },
    'ca-certificates',
    'tzdata',
    'netbase',
    { name: 'coreutils', files: ['usr/bin/env'], needs: [] },
    // By which scanners know the distribution.
    { name: 'base-files', files: ['etc/os-release', 'etc/debian_version', 'usr/lib/os-release'], needs: [] },
  ],
  netfilter: [
    'iptables',
    'nftables',
    {
      name: 'iproute2',
      files: ['usr/bin/ip', 'usr/sbin/ip'],
      needs: ['libbpf1', 'libcap2', 'libelf1', 'libmnl0', 'libselinux1'],
    },
    { name: 'util-linux', files: ['usr/bin/nsenter'], needs: ['libselinux1'] },
  ],
  tools: [
    'base-files',
    'bash',
    'dash',
    'coreutils',
    'grep',
    'sed',
    'mawk',
    'findutils',
    'diffutils',
    'gzip',
    'tar',
    'hostname',
    { name: 'libc-bin', files: ['usr/bin/getent'], needs: [] },
    'procps',
    'iputils-ping',
    'curl',
    'jq',
    // Tutorials look at certificates with it, in the proxy's container.
    {
      name: 'openssl',
      files: ['usr/bin/openssl', 'etc/ssl/openssl.cnf', 'usr/lib/ssl/openssl.cnf'],
      needs: ['libssl3'],
    },
  ],
};

/** Packages that only serve installing packages, or that a container has no use for. */
export const LEFT_OUT: ReadonlySet<string> = new Set([
  'debconf',
  'debianutils',
  'dpkg',
  'gawk',
  'gcc-12-base',
  'init-system-helpers',
  'libcap2-bin',
  'libpam-cap',
  'openssl',
  'readline-common',
]);

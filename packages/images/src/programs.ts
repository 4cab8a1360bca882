/** Where the project's programs are inside containers: bundles in `bin`, what they read in `data`. */
export const PROGRAMS_FOLDER = '/opt/istio-ts/dist';
/** The Node that runs them. */
export const NODE_PATH = '/usr/local/bin/node';

/** A command of an image that is one of this project's programs. */
export interface Launcher {
  readonly path: string;
  /** Bundle below `dist/bin`, without `.mjs`. */
  readonly program: string;
  /** Flags of Node. */
  readonly flags: readonly string[];
  /** Arguments before those that the container gives. */
  readonly args?: readonly string[];
}

/** What an image of this project runs and how, on the local cluster as in an OCI image. */
export interface ProgramImage {
  readonly title: string;
  /** Commands by their paths in the image. */
  readonly launchers: readonly Launcher[];
  /** Files for a shell. */
  readonly scripts?: readonly { readonly path: string; readonly text: string }[];
  readonly directories?: readonly { readonly path: string; readonly mode: number }[];
  readonly entrypoint: readonly string[];
  readonly cmd?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** User and group id; 0 when absent. */
  readonly user?: number;
  readonly group?: number;
  readonly workingDir?: string;
  /** Whether Envoy is in it. */
  readonly envoy?: boolean;
  /** Whether it writes interception rules. */
  readonly netfilter?: boolean;
  /** The image's launchers as one executable file, for programs that are copied to where no Node is; only OCI images have it. */
  readonly executable?: Executable;
}

/** Programs bundled into Node's binary. */
export interface Executable {
  readonly path: string;
  /** Source file, relative to the repository. */
  readonly source: string;
  /** Flags of Node. */
  readonly flags: readonly string[];
}

/**
 * How istiod is started, so that a large mesh takes little memory. Most of what a change of all proxies leaves behind is garbage: the heap may grow by
 * 40 % before it is collected (V8 would let it grow to several times its size), and new objects have two spaces of 4 MiB.
 */
export const ISTIOD_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=4', '--heap-growing-percent=40'];

/**
 * Settings of glibc's allocator (mallopt(3)): buffers of connections are 64 KiB and come and go by thousands; from a size of their own they are given
 * back to the system at once instead of leaving holes between what stays.
 */
export const ISTIOD_MALLOC: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '131072',
};

const SMALL = ['--max-semi-space-size=1'];
const MEDIUM = ['--max-semi-space-size=4'];

const istio = { user: 1337, group: 1337 } as const;

/** An image with one command, which is its entry point. */
function command(
  title: string,
  path: string,
  program: string,
  more: Partial<ProgramImage> & Partial<Pick<Launcher, 'flags' | 'args'>> = {},
): ProgramImage {
  const { flags = [], args, launchers = [], ...rest } = more;
  return {
    title,
    entrypoint: [path],
    ...rest,
    launchers: [{ path, program, flags, ...(args !== undefined && { args }) }, ...launchers],
  };
}

/** A program of the samples: they are many and do little, so their heaps are small. */
const sample = (program: string, more: Partial<ProgramImage> = {}): ProgramImage =>
  command(program, `/usr/local/bin/${program}`, `samples/${program}`, { flags: SMALL, ...more });

/** The store that keeps traces in the place of Jaeger's, Zipkin's and SkyWalking's. */
const traceStore = (title: string, flags: readonly string[] = []): ProgramImage =>
  command(title, '/usr/bin/trace-store', 'trace-store', {
    flags: ['--max-semi-space-size=2'],
    user: 10001,
    group: 10001,
    entrypoint: ['/usr/bin/trace-store', 'server', ...flags],
  });

/** Kiali's command line and the parts of its configuration that the console has too. */
const KIALI = `#!/bin/sh
config=
while [ $# -gt 0 ]; do
  case "$1" in
    -config|--config) config="$2"; shift ;;
    -config=*|--config=*) config="\${1#*=}" ;;
  esac
  shift
done
value() { [ -r "$config" ] && sed -n "s/^ *$1: *['\\"]\\{0,1\\}\\([A-Za-z0-9_-]*\\).*/\\1/p" "$config" | head -n 1; }
# Kiali's other ways to log in need a provider that the console does not speak to.
[ "$(value strategy)" = anonymous ] && strategy=anonymous || strategy=token
[ "$(value view_only_mode)" = true ] && readonly=true || readonly=false
namespace=$(value istio_namespace)
export CONSOLE_ISTIO_NAMESPACE="\${CONSOLE_ISTIO_NAMESPACE:-\${namespace:-\${ACTIVE_NAMESPACE:-istio-system}}}"
exec /usr/local/bin/console server --auth-strategy "$strategy" --read-only="$readonly" --metrics-port 9090
`;

/** The services of Online Boutique. */
export const BOUTIQUE = [
  'frontend',
  'cartservice',
  'productcatalogservice',
  'currencyservice',
  'paymentservice',
  'shippingservice',
  'emailservice',
  'checkoutservice',
  'recommendationservice',
  'adservice',
  'loadgenerator',
] as const;

/** Samples that open no port below 1024 are not root. */
const unprivileged = { user: 1000, group: 1000 } as const;

/** A row of the table: the last parts of the repositories it answers for, and the image, which may depend on the tag. */
export interface ProgramRow {
  readonly names: readonly string[];
  readonly image: (base: string, tag: string) => ProgramImage;
}

/** Every image that runs a program of this project. */
export const PROGRAM_ROWS: readonly ProgramRow[] = [
  {
    names: ['pilot', 'pilot-discovery'],
    image: () =>
      command('pilot', '/usr/local/bin/pilot-discovery', 'pilot-discovery', {
        ...istio,
        flags: ISTIOD_NODE_FLAGS,
        env: ISTIOD_MALLOC,
      }),
  },
  {
    names: ['proxyv2'],
    image: () =>
      command('proxyv2', '/usr/local/bin/pilot-agent', 'pilot-agent', {
        ...istio,
        flags: ['--lite-mode', ...SMALL],
        env: { ISTIO_META_ISTIO_PROXY_SHA: 'istio-proxy:istio-ts', ENVOY_BINARY: '/usr/local/bin/envoy' },
        envoy: true,
        netfilter: true,
        directories: [
          { path: '/etc/istio/proxy', mode: 0o777 },
          { path: '/etc/istio/config', mode: 0o755 },
          { path: '/var/lib/istio/data', mode: 0o777 },
          { path: '/var/lib/istio/envoy', mode: 0o755 },
        ],
      }),
  },
  {
    names: ['install-cni'],
    image: () =>
      command('install-cni', '/usr/local/bin/install-cni', 'install-cni', {
        flags: SMALL,
        netfilter: true,
        executable: {
          path: '/opt/cni/bin/istio-cni',
          source: 'packages/cni/src/executable.ts',
          flags: [...SMALL, '--no-warnings'],
        },
      }),
  },
  {
    names: ['operator'],
    image: () => command('operator', '/usr/local/bin/operator', 'operator', { ...istio, flags: MEDIUM }),
  },
  { names: ['istioctl'], image: () => command('istioctl', '/usr/local/bin/istioctl', 'istioctl', istio) },
  {
    names: ['console', 'istio-ts-console'],
    image: () => command('console', '/usr/local/bin/console', 'console', unprivileged),
  },
  // The addons' programs are not of this project: ours answer in their place, and say so.
  {
    names: ['kiali'],
    image: () => ({
      title: 'kiali',
      user: 1000,
      group: 1000,
      entrypoint: ['/opt/kiali/kiali'],
      scripts: [{ path: '/opt/kiali/kiali', text: KIALI }],
      launchers: [{ path: '/usr/local/bin/console', program: 'console', flags: [] }],
    }),
  },
  {
    names: ['grafana', 'grafana-oss'],
    image: () =>
      command('grafana', '/run.sh', 'local-grafana', {
        flags: SMALL,
        user: 472,
        group: 0,
        workingDir: '/usr/share/grafana',
        directories: [
          { path: '/usr/share/grafana', mode: 0o755 },
          { path: '/var/lib/grafana', mode: 0o777 },
        ],
      }),
  },
  {
    names: ['prometheus'],
    image: () =>
      command('prometheus', '/usr/local/bin/prometheus-in-cluster', 'metrics-store', {
        flags: MEDIUM,
        user: 65534,
        group: 65534,
        workingDir: '/prometheus',
        cmd: ['--config.file=/etc/prometheus/prometheus.yml', '--storage.tsdb.path=/prometheus'],
        directories: [{ path: '/prometheus', mode: 0o777 }],
      }),
  },
  { names: ['all-in-one', 'jaeger', 'zipkin', 'zipkin-slim', 'trace-store'], image: (base) => traceStore(base) },
  { names: ['skywalking-oap-server'], image: (base) => traceStore(base, ['--http-ports', '12800']) },
  {
    names: ['loki'],
    image: () => command('loki', '/usr/bin/loki', 'local-loki', { flags: SMALL, user: 10001, group: 10001 }),
  },
  {
    names: BOUTIQUE,
    image: (base, tag) =>
      sample(base, {
        ...unprivileged,
        workingDir: '/app',
        env: { APP_VERSION: tag },
        directories: [{ path: '/app', mode: 0o755 }],
      }),
  },
  {
    names: ['redis', 'redis-stack-server', 'valkey'],
    image: () =>
      sample('redis', { ...unprivileged, workingDir: '/data', directories: [{ path: '/data', mode: 0o777 }] }),
  },
  { names: ['whoami'], image: (_, tag) => sample('whoami', { env: { WHOAMI_TAG: tag } }) },
  { names: ['httpbin', 'go-httpbin'], image: () => sample('httpbin') },
  {
    names: ['examples-helloworld-v1', 'examples-helloworld-v2', 'helloworld'],
    image: (base, tag) =>
      sample('helloworld', {
        ...unprivileged,
        env: { SERVICE_VERSION: base.endsWith('v2') || tag === 'v2' ? 'v2' : 'v1' },
      }),
  },
  {
    names: ['examples-bookinfo-productpage-v1', 'examples-bookinfo-details-v1', 'examples-bookinfo-ratings-v1'],
    image: (base) => sample(base.replace(/^examples-bookinfo-|-v1$/g, ''), unprivileged),
  },
  {
    names: ['examples-bookinfo-reviews-v1', 'examples-bookinfo-reviews-v2', 'examples-bookinfo-reviews-v3'],
    image: (base) =>
      sample('reviews', {
        ...unprivileged,
        env: { ENABLE_RATINGS: String(!base.endsWith('v1')), STAR_COLOR: base.endsWith('v3') ? 'red' : 'black' },
      }),
  },
  {
    names: ['ratelimit'],
    image: () =>
      command('ratelimit', '/bin/ratelimit', 'ratelimit', {
        ...unprivileged,
        flags: MEDIUM,
        directories: [{ path: '/data', mode: 0o755 }],
      }),
  },
  {
    names: ['access-log-service', 'metric-service'],
    image: (base) => command(base, `/usr/local/bin/${base}`, base, { ...unprivileged, cmd: ['server'] }),
  },
  {
    names: ['opentelemetry-collector', 'opentelemetry-collector-contrib'],
    image: (base) =>
      command(base, base.endsWith('-contrib') ? '/otelcol-contrib' : '/otelcol', 'otel-collector', {
        args: ['server'],
        user: 10001,
        group: 10001,
      }),
  },
  { names: ['ext-authz'], image: () => sample('ext-authz', unprivileged) },
  { names: ['tcp-echo-server'], image: () => sample('tcp-echo', { ...unprivileged, cmd: ['9000', 'hello'] }) },
  {
    names: ['fortio'],
    image: () => command('fortio', '/usr/bin/fortio', 'samples/fortio', { ...unprivileged, cmd: ['server'] }),
  },
  {
    names: ['curl'],
    image: () => ({
      title: 'curl',
      user: 100,
      group: 101,
      entrypoint: ['/entrypoint.sh'],
      cmd: ['curl'],
      workingDir: '/home/curl_user',
      launchers: [],
      directories: [{ path: '/home/curl_user', mode: 0o777 }],
      scripts: [
        {
          path: '/entrypoint.sh',
          text: '#!/bin/sh\ncase "$1" in -*) set -- curl "$@";; esac\n[ -z "$1" ] || ! command -v "$1" >/dev/null 2>&1 || exec "$@"\nexec curl "$@"\n',
        },
      ],
    }),
  },
  {
    names: ['pause'],
    image: () => ({
      title: 'pause',
      entrypoint: ['/pause'],
      launchers: [],
      scripts: [
        { path: '/pause', text: "#!/bin/sh\ntrap 'exit 0' INT TERM\nwhile :; do sleep 3600 & wait $!; done\n" },
      ],
    }),
  },
  { names: ['node'], image: () => ({ title: 'node', entrypoint: [], cmd: ['node'], launchers: [] }) },
  {
    names: ['busybox', 'alpine', 'debian', 'ubuntu', 'fedora', 'bash', 'netshoot', 'sleep', 'dnsutils'],
    image: (base) => ({
      title: base,
      entrypoint: [],
      cmd: [base === 'bash' || base === 'ubuntu' || base === 'debian' ? 'bash' : 'sh'],
      launchers: [],
    }),
  },
];

/** Stand-ins for tools that manifests expect: commands of every image with a shell, except those whose program is one executable file. */
export const USUAL_TOOLS: readonly Launcher[] = [
  { path: '/usr/bin/grpc_health_probe', program: 'samples/grpc-health-probe', flags: [] },
  { path: '/usr/local/bin/wget', program: 'samples/wget', flags: [] },
  // Debian's goes on waiting when its input has ended, and tutorials pipe a line into it.
  { path: '/usr/local/bin/nc', program: 'local-netcat', flags: [] },
];

/** The image of a repository's last part, or undefined when this project has none of that name. */
export function programImage(base: string, tag: string): ProgramImage | undefined {
  return PROGRAM_ROWS.find(({ names }) => names.includes(base))?.image(base, tag);
}

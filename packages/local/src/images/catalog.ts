import { DEFAULT_PATH, type Image, type ImageFile, type ImageName, matchesPattern } from './image.ts';
import { ISTIOD_MALLOC, ISTIOD_NODE_FLAGS } from './istiod-process.ts';

/** What of the machine the built-in images are made of. */
export interface Machine {
  /** This project's `dist` directory on the host, with the bundled programs in `bin`. */
  readonly dist: string;
  /** Node binary on the host. */
  readonly node: string;
  /** Envoy binary on the host, if there is one. */
  readonly envoy: string | undefined;
  /** Whether the host has a program of this name in its PATH. */
  readonly has: (program: string) => boolean;
}

/** Where the project's programs appear inside containers. */
const INSIDE_DIST = '/opt/istio-ts/dist';
const INSIDE_PROGRAMS = `${INSIDE_DIST}/bin`;
const INSIDE_NODE = '/opt/istio-ts/node';

const BOUTIQUE = [
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

const SHELL_IMAGES = ['busybox', 'alpine', 'debian', 'ubuntu', 'fedora', 'bash', 'netshoot', 'sleep', 'dnsutils'];

/** A row of the image table. */
interface Row {
  /** Patterns over `NAME` (last part of the repository) or, with a slash, over the end of the repository. */
  readonly names: readonly string[];
  readonly image: (name: ImageName, machine: Machine) => Image | string;
}

function launcher(program: string, flags = '', env: Readonly<Record<string, string>> = {}): string {
  const settings = Object.entries(env).map(([name, value]) => `export ${name}="\${${name}-${value}}"\n`);
  return `#!/bin/sh\n${settings.join('')}exec ${INSIDE_NODE} ${flags}${INSIDE_PROGRAMS}/${program}.mjs "$@"\n`;
}

function script(path: string, text: string): ImageFile {
  return { kind: 'text', path, text, mode: 0o755 };
}

/** Files every built-in image has: Node, this project's programs, and stand-ins for usual tools the host lacks. */
function commonFiles(machine: Machine): ImageFile[] {
  const files: ImageFile[] = [
    { kind: 'host', path: INSIDE_NODE, source: machine.node },
    { kind: 'host', path: INSIDE_DIST, source: machine.dist },
    { kind: 'link', path: '/usr/local/bin/node', target: INSIDE_NODE },
    script('/usr/bin/grpc_health_probe', launcher('samples/grpc-health-probe')),
  ];
  if (!machine.has('wget')) files.push(script('/usr/local/bin/wget', launcher('samples/wget')));
  if (!machine.has('nc')) files.push(script('/usr/local/bin/nc', launcher('local-netcat')));
  return files;
}

function hostImage(machine: Machine, title: string, changes: Partial<Image>): Image {
  return {
    title,
    entrypoint: [],
    cmd: [],
    user: 0,
    group: 0,
    workingDir: '/',
    ...changes,
    env: { PATH: DEFAULT_PATH, ...changes.env },
    files: [...commonFiles(machine), ...(changes.files ?? [])],
  };
}

function sample(machine: Machine, program: string, changes: Partial<Image> = {}): Image {
  // Small heaps: the samples are many and do little.
  return hostImage(machine, program, {
    entrypoint: [INSIDE_NODE, '--max-semi-space-size=1', `${INSIDE_PROGRAMS}/samples/${program}.mjs`],
    workingDir: '/',
    ...changes,
  });
}

/** The store that keeps traces in the place of Jaeger's, Zipkin's and SkyWalking's. */
const traceStore = (machine: Machine, title: string, flags: readonly string[]): Image =>
  hostImage(machine, title, {
    user: 10001,
    group: 10001,
    entrypoint: ['/usr/bin/trace-store', 'server', ...flags],
    files: [script('/usr/bin/trace-store', launcher('trace-store', '--max-semi-space-size=2 '))],
  });

/** As whom the images of Bookinfo run. */
const bookinfoUser = { user: 1000, group: 1000 } as const;

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
exec ${INSIDE_NODE} ${INSIDE_PROGRAMS}/console.mjs server --auth-strategy "$strategy" --read-only="$readonly" --metrics-port 9090
`;

const istioUser = { user: 1337, group: 1337 } as const;

const ROWS: readonly Row[] = [
  {
    names: ['pilot', 'pilot-discovery'],
    image: (_, machine) =>
      hostImage(machine, 'pilot', {
        ...istioUser,
        entrypoint: ['/usr/local/bin/pilot-discovery'],
        files: [
          script(
            '/usr/local/bin/pilot-discovery',
            launcher('pilot-discovery', `${ISTIOD_NODE_FLAGS.join(' ')} `, ISTIOD_MALLOC),
          ),
        ],
      }),
  },
  {
    names: ['proxyv2'],
    image: (_, machine) => {
      if (machine.envoy === undefined) {
        return 'there is no Envoy on this machine: put the binary into ~/.istio-ts/envoy/envoy, into PATH, or name it in ENVOY_BINARY';
      }
      return hostImage(machine, 'proxyv2', {
        ...istioUser,
        entrypoint: ['/usr/local/bin/pilot-agent'],
        env: { ISTIO_META_ISTIO_PROXY_SHA: 'istio-proxy:istio-ts', ENVOY_BINARY: '/usr/local/bin/envoy' },
        files: [
          script('/usr/local/bin/pilot-agent', launcher('pilot-agent', '--lite-mode --max-semi-space-size=1 ')),
          { kind: 'host', path: '/usr/local/bin/envoy', source: machine.envoy },
          { kind: 'directory', path: '/etc/istio/proxy', mode: 0o777 },
          { kind: 'directory', path: '/etc/istio/config', mode: 0o755 },
          { kind: 'directory', path: '/var/lib/istio/data', mode: 0o777 },
          { kind: 'directory', path: '/var/lib/istio/envoy', mode: 0o755 },
        ],
      });
    },
  },
  {
    names: ['install-cni'],
    image: (_, machine) =>
      hostImage(machine, 'install-cni', {
        entrypoint: ['/usr/local/bin/install-cni'],
        // The node is this machine, which has the runtime already.
        env: { ISTIO_CNI_NODE_RUNTIME: machine.node },
        files: [script('/usr/local/bin/install-cni', launcher('install-cni', '--max-semi-space-size=1 '))],
      }),
  },
  {
    names: ['operator'],
    image: (_, machine) =>
      hostImage(machine, 'operator', {
        ...istioUser,
        entrypoint: ['/usr/local/bin/operator'],
        files: [script('/usr/local/bin/operator', launcher('operator', '--max-semi-space-size=4 '))],
      }),
  },
  {
    names: ['istioctl'],
    image: (_, machine) =>
      hostImage(machine, 'istioctl', {
        ...istioUser,
        entrypoint: ['/usr/local/bin/istioctl'],
        files: [script('/usr/local/bin/istioctl', launcher('istioctl'))],
      }),
  },
  {
    names: ['console', 'istio-ts-console'],
    image: (_, machine) =>
      hostImage(machine, 'console', {
        user: 1000,
        group: 1000,
        entrypoint: [INSIDE_NODE, `${INSIDE_PROGRAMS}/console.mjs`],
      }),
  },
  // The addons' programs that are not on this machine: ours answer in their place, and say so.
  {
    names: ['kiali'],
    image: (_, machine) =>
      hostImage(machine, 'kiali', {
        user: 1000,
        group: 1000,
        entrypoint: ['/opt/kiali/kiali'],
        files: [script('/opt/kiali/kiali', KIALI)],
      }),
  },
  {
    names: ['grafana', 'grafana-oss'],
    image: (_, machine) =>
      hostImage(machine, 'grafana', {
        user: 472,
        group: 0,
        workingDir: '/usr/share/grafana',
        entrypoint: ['/run.sh'],
        files: [
          { kind: 'directory', path: '/usr/share/grafana', mode: 0o755 },
          { kind: 'directory', path: '/var/lib/grafana', mode: 0o777 },
          script('/run.sh', launcher('local-grafana', '--max-semi-space-size=1 ')),
        ],
      }),
  },
  {
    names: ['prometheus'],
    image: (_, machine) =>
      hostImage(machine, 'prometheus', {
        user: 65534,
        group: 65534,
        workingDir: '/prometheus',
        entrypoint: ['/usr/local/bin/prometheus-in-cluster'],
        cmd: ['--config.file=/etc/prometheus/prometheus.yml', '--storage.tsdb.path=/prometheus'],
        files: [
          { kind: 'directory', path: '/prometheus', mode: 0o777 },
          script(
            '/usr/local/bin/prometheus-in-cluster',
            // The real program where the machine has it, else a store of ours with the same configuration and API.
            machine.has('prometheus')
              ? launcher('local-prometheus', '--max-semi-space-size=1 ').replace('"$@"', 'prometheus "$@"')
              : launcher('metrics-store', '--max-semi-space-size=4 '),
          ),
        ],
      }),
  },
  {
    names: ['all-in-one', 'jaeger', 'zipkin', 'zipkin-slim', 'trace-store'],
    image: (name, machine) => traceStore(machine, name.base, []),
  },
  {
    names: ['skywalking-oap-server'],
    image: (name, machine) => traceStore(machine, name.base, ['--http-ports', '12800']),
  },
  {
    names: ['skywalking-ui'],
    image: () =>
      'SkyWalking’s pages are not built: traces that it receives are in the console, or at /jaeger/api of its server',
  },
  {
    names: ['loki'],
    image: (_, machine) =>
      hostImage(machine, 'loki', {
        user: 10001,
        group: 10001,
        entrypoint: ['/usr/bin/loki'],
        files: [script('/usr/bin/loki', launcher('local-loki', '--max-semi-space-size=1 '))],
      }),
  },
  {
    names: BOUTIQUE,
    image: (name, machine) =>
      sample(machine, name.base, {
        workingDir: '/app',
        user: 1000,
        group: 1000,
        env: { APP_VERSION: name.tag },
        files: [{ kind: 'directory', path: '/app', mode: 0o755 }],
      }),
  },
  {
    names: ['redis', 'redis-stack-server', 'valkey'],
    image: (_, machine) =>
      machine.has('redis-server')
        ? hostImage(machine, 'redis', {
            entrypoint: ['/usr/local/bin/docker-entrypoint.sh'],
            cmd: ['redis-server'],
            user: 999,
            group: 999,
            workingDir: '/data',
            files: [
              { kind: 'directory', path: '/data', mode: 0o777 },
              script(
                '/usr/local/bin/docker-entrypoint.sh',
                '#!/bin/sh\ncase "$1" in -*|*.conf|"") set -- redis-server "$@";; esac\n[ "$1" != redis-server ] || set -- "$@" --protected-mode no\nexec "$@"\n',
              ),
            ],
          })
        : sample(machine, 'redis', {
            workingDir: '/data',
            files: [{ kind: 'directory', path: '/data', mode: 0o777 }],
          }),
  },
  { names: ['whoami'], image: (name, machine) => sample(machine, 'whoami', { env: { WHOAMI_TAG: name.tag } }) },
  { names: ['httpbin', 'go-httpbin'], image: (_, machine) => sample(machine, 'httpbin') },
  {
    names: ['examples-helloworld-v1', 'examples-helloworld-v2', 'helloworld'],
    image: (name, machine) =>
      sample(machine, 'helloworld', {
        env: { SERVICE_VERSION: name.base.endsWith('v2') || name.tag === 'v2' ? 'v2' : 'v1' },
      }),
  },
  {
    names: ['examples-bookinfo-productpage-v1', 'examples-bookinfo-details-v1', 'examples-bookinfo-ratings-v1'],
    image: (name, machine) => sample(machine, name.base.replace(/^examples-bookinfo-|-v1$/g, ''), bookinfoUser),
  },
  {
    names: ['examples-bookinfo-reviews-v1', 'examples-bookinfo-reviews-v2', 'examples-bookinfo-reviews-v3'],
    image: (name, machine) =>
      sample(machine, 'reviews', {
        ...bookinfoUser,
        env: {
          ENABLE_RATINGS: String(!name.base.endsWith('v1')),
          STAR_COLOR: name.base.endsWith('v3') ? 'red' : 'black',
        },
      }),
  },
  {
    names: ['ratelimit'],
    image: (_, machine) =>
      hostImage(machine, 'ratelimit', {
        entrypoint: ['/bin/ratelimit'],
        files: [
          script('/bin/ratelimit', launcher('ratelimit', '--max-semi-space-size=4 ')),
          { kind: 'directory', path: '/data', mode: 0o755 },
        ],
      }),
  },
  {
    names: ['access-log-service', 'metric-service'],
    image: (name, machine) =>
      hostImage(machine, name.base, {
        entrypoint: [INSIDE_NODE, `${INSIDE_PROGRAMS}/${name.base}.mjs`],
        cmd: ['server'],
      }),
  },
  {
    names: ['opentelemetry-collector', 'opentelemetry-collector-contrib'],
    image: (name, machine) => {
      const path = name.base.endsWith('-contrib') ? '/otelcol-contrib' : '/otelcol';
      return hostImage(machine, name.base, {
        user: 10001,
        group: 10001,
        entrypoint: [path],
        files: [script(path, launcher('otel-collector').replace('"$@"', 'server "$@"'))],
      });
    },
  },
  { names: ['ext-authz'], image: (_, machine) => sample(machine, 'ext-authz') },
  { names: ['tcp-echo-server'], image: (_, machine) => sample(machine, 'tcp-echo', { cmd: ['9000', 'hello'] }) },
  {
    names: ['fortio'],
    image: (_, machine) =>
      hostImage(machine, 'fortio', {
        entrypoint: ['/usr/bin/fortio'],
        cmd: ['server'],
        files: [script('/usr/bin/fortio', launcher('samples/fortio'))],
      }),
  },
  {
    names: ['curl'],
    image: (_, machine) =>
      hostImage(machine, 'curl', {
        user: 100,
        group: 101,
        entrypoint: ['/entrypoint.sh'],
        cmd: ['curl'],
        workingDir: '/home/curl_user',
        files: [
          { kind: 'directory', path: '/home/curl_user', mode: 0o777 },
          script(
            '/entrypoint.sh',
            '#!/bin/sh\ncase "$1" in -*) set -- curl "$@";; esac\n[ -z "$1" ] || ! command -v "$1" >/dev/null 2>&1 || exec "$@"\nexec curl "$@"\n',
          ),
        ],
      }),
  },
  {
    names: ['pause'],
    image: (_, machine) =>
      hostImage(machine, 'pause', {
        entrypoint: ['/pause'],
        files: [script('/pause', "#!/bin/sh\ntrap 'exit 0' INT TERM\nwhile :; do sleep 3600 & wait $!; done\n")],
      }),
  },
  { names: ['node'], image: (_, machine) => hostImage(machine, 'node', { cmd: ['node'] }) },
  {
    names: SHELL_IMAGES,
    image: (name, machine) =>
      hostImage(machine, name.base, {
        cmd: [name.base === 'bash' || name.base === 'ubuntu' || name.base === 'debian' ? 'bash' : 'sh'],
      }),
  },
];

/** The image of a name by the built-in table; a string says why it cannot be had here, undefined that it is unknown. */
export function builtInImage(name: ImageName, machine: Machine): Image | string | undefined {
  for (const row of ROWS) {
    if (row.names.some((pattern) => matchesPattern(pattern, name.base))) return row.image(name, machine);
  }
  return undefined;
}

/** Names for the message about an unknown image. */
export function builtInNames(): string[] {
  return ROWS.flatMap((row) => row.names.slice(0, 11));
}

/** An image of the user's table: built like a built-in one, so that Node and the usual tools are there. */
export function customImage(machine: Machine, title: string, changes: Partial<Image>): Image {
  return hostImage(machine, title, changes);
}

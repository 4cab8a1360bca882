import { type Launcher, PROGRAM_ROWS, type ProgramImage, programImage } from '@istio-ts/images/programs';
import { DEFAULT_PATH, type Image, type ImageFile, type ImageName, matchesPattern } from './image.ts';

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

/** A row of the image table. */
interface Row {
  /** Patterns over `NAME` (last part of the repository) or, with a slash, over the end of the repository. */
  readonly names: readonly string[];
  readonly image: (name: ImageName, machine: Machine) => Image | string;
}

const launcher = (program: string, flags = ''): string =>
  `#!/bin/sh\nexec ${INSIDE_NODE} ${flags}${INSIDE_PROGRAMS}/${program}.mjs "$@"\n`;

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
  // Those of some machines go on waiting when their input has ended, and tutorials pipe a line into it.
  files.push(script('/usr/local/bin/nc', launcher('local-netcat')));
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

/** The command of a program as a script, which is what this machine's Node and bundles need. */
const launcherFile = ({ path, program, flags, args = [] }: Launcher): ImageFile =>
  script(
    path,
    launcher(program, flags.map((flag) => `${flag} `).join('')).replace('"$@"', [...args, '"$@"'].join(' ')),
  );

/** An image of the shared table with what the machine has. Samples are many: they start without a shell. */
function hostProgram(machine: Machine, image: ProgramImage, changes: Partial<Image> = {}): Image {
  const [first = '', ...words] = image.entrypoint;
  const direct = image.launchers.find(({ path, program }) => path === first && program.startsWith('samples/'));
  return hostImage(machine, image.title, {
    entrypoint:
      direct === undefined
        ? image.entrypoint
        : [INSIDE_NODE, ...direct.flags, `${INSIDE_PROGRAMS}/${direct.program}.mjs`, ...words],
    cmd: image.cmd ?? [],
    user: image.user ?? 0,
    group: image.group ?? 0,
    workingDir: image.workingDir ?? '/',
    ...changes,
    env: { ...image.env, ...changes.env },
    files: lastOfEachPath([
      ...image.launchers.map(launcherFile),
      ...(image.scripts ?? []).map(({ path, text }) => script(path, text)),
      ...(image.directories ?? []).map(({ path, mode }): ImageFile => ({ kind: 'directory', path, mode })),
      ...(changes.files ?? []),
    ]),
  });
}

const lastOfEachPath = (files: readonly ImageFile[]): ImageFile[] => [
  ...new Map(files.map((file) => [file.path, file])).values(),
];

/** What differs on this machine from the shared table. */
const LOCAL_ROWS: readonly Row[] = [
  {
    names: ['proxyv2'],
    image: (name, machine) => {
      if (machine.envoy === undefined) {
        return 'there is no Envoy on this machine: put the binary into ~/.istio-ts/envoy/envoy, into PATH, or name it in ENVOY_BINARY';
      }
      const envoy = { kind: 'host', path: '/usr/local/bin/envoy', source: machine.envoy } as const;
      return shared(name, machine, { files: [envoy] });
    },
  },
  {
    names: ['install-cni'],
    // The node is this machine, which has the runtime already.
    image: (name, machine) => shared(name, machine, { env: { ISTIO_CNI_NODE_RUNTIME: machine.node } }),
  },
  {
    names: ['prometheus'],
    image: (name, machine) =>
      // The real program where the machine has it, else a store of ours with the same configuration and API.
      machine.has('prometheus')
        ? shared(name, machine, {
            files: [
              script(
                '/usr/local/bin/prometheus-in-cluster',
                launcher('local-prometheus', '--max-semi-space-size=1 ').replace('"$@"', 'prometheus "$@"'),
              ),
            ],
          })
        : shared(name, machine),
  },
  {
    names: ['redis', 'redis-stack-server', 'valkey'],
    image: (name, machine) =>
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
        : shared(name, machine),
  },
  {
    names: ['skywalking-ui'],
    image: () =>
      'SkyWalking’s pages are not built: traces that it receives are in the console, or at /jaeger/api of its server',
  },
];

function shared(name: ImageName, machine: Machine, changes: Partial<Image> = {}): Image | string {
  const image = programImage(name.base, name.tag);
  return image === undefined ? `there is no image ${name.base}` : hostProgram(machine, image, changes);
}

const ROWS: readonly Row[] = [
  ...LOCAL_ROWS,
  ...PROGRAM_ROWS.map(({ names }): Row => ({ names, image: (name, machine) => shared(name, machine) })),
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
  return [...new Set(ROWS.flatMap((row) => row.names.slice(0, 11)))];
}

/** An image of the user's table: built like a built-in one, so that Node and the usual tools are there. */
export function customImage(machine: Machine, title: string, changes: Partial<Image>): Image {
  return hostImage(machine, title, changes);
}

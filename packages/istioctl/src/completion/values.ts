import { type Argument, type Command, Option } from 'commander';

/** Where the values of a flag or argument come from. */
export type ValueSource =
  | { readonly from: 'list'; readonly values: readonly string[] }
  /** Several of them in one word, separated by commas. */
  | { readonly from: 'files' | 'folders' | 'unknown' | 'settings' | 'profiles' | 'contexts' | 'commands' }
  | { readonly from: 'cluster'; readonly what: ClusterNames };

/** Names that a cluster knows. */
export type ClusterNames = 'namespaces' | 'workloads' | 'pods' | 'services' | 'revisions' | 'tags' | 'istiods';

const list = (...values: readonly string[]): ValueSource => ({ from: 'list', values });
const cluster = (what: ClusterNames): ValueSource => ({ from: 'cluster', what });

const formats = [
  'table',
  'short',
  'summary',
  'json',
  'yaml',
  'log',
  'flags',
  'prom',
  'prom-merged',
  'text',
  'wide',
] as const;
const envoyLevels = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'];
const istiodLevels = ['none', 'fatal', 'error', 'warn', 'info', 'debug'];

/** Values of flags whose names mean the same everywhere. */
const byFlag: Readonly<Record<string, ValueSource>> = {
  context: { from: 'contexts' },
  'remote-contexts': { from: 'contexts' },
  revision: cluster('revisions'),
  set: { from: 'settings' },
  direction: list('inbound', 'outbound'),
  status: list('healthy', 'unhealthy', 'draining', 'degraded', 'timeout'),
  for: list('service', 'workload', 'all', 'none', 'delivery'),
  'auth-type': list('bearer-token', 'plugin'),
  'output-threshold': list('Info', 'Warning', 'Error'),
  'failure-threshold': list('Info', 'Warning', 'Error'),
};

/** Values of flags that mean something else in each command, by the command's path. */
const byCommand: Readonly<Record<string, ValueSource>> = {
  'admin log --level': list(...istiodLevels),
  'admin log --stack-trace-level': list(...istiodLevels),
  'proxy-config log --level': list(...envoyLevels),
  'ztunnel-config log --level': list('trace', 'debug', 'info', 'warn', 'error', 'off'),
  'proxy-config listener --type': list('HTTP', 'TCP'),
  'proxy-config all --type': list('HTTP', 'TCP'),
  'create-remote-secret --type': list('remote', 'config'),
  'experimental envoy-stats --type': list('server', 'clusters'),
  'experimental wait --for': list('delivery', 'distribution'),
  'waypoint apply --for': list('service', 'workload', 'all', 'none'),
  'waypoint generate --for': list('service', 'workload', 'all', 'none'),
  'admin log <pod>': cluster('istiods'),
  'dashboard controlz <pod>': cluster('istiods'),
  'dashboard istiod-debug <pod>': cluster('istiods'),
  'tag set <tag>': cluster('tags'),
  'help <command>': { from: 'commands' },
};

const byArgument: Readonly<Record<string, ValueSource>> = {
  pod: cluster('workloads'),
  pods: cluster('workloads'),
  workload: cluster('workloads'),
  target: cluster('workloads'),
  service: cluster('services'),
  svc: cluster('services'),
  tag: cluster('tags'),
  revision: cluster('revisions'),
  namespace: cluster('namespaces'),
  profile: { from: 'profiles' },
  profile1: { from: 'profiles' },
  profile2: { from: 'profiles' },
  file: { from: 'files' },
  files: { from: 'files' },
  path: { from: 'files' },
};

/** The path of a command without the program's name: `proxy-config log`. */
function pathOf(command: Command): string {
  return command.parent === null ? '' : `${pathOf(command.parent)} ${command.name()}`.trim();
}

/** Where the values of a flag or argument come from. */
export function sourceOf(command: Command, of: Option | Argument): ValueSource {
  if (of.argChoices) return list(...of.argChoices);
  if (!(of instanceof Option)) {
    const name = of.name().toLowerCase();
    return byCommand[`${pathOf(command)} <${name}>`] ?? byArgument[name] ?? { from: 'unknown' };
  }
  const name = of.name();
  const known = byCommand[`${pathOf(command)} --${name}`] ?? byFlag[name];
  if (known) return known;
  if (/namespace$/i.test(name)) return cluster('namespaces');
  const [, value = ''] = /[<[]([^>\]]+)[>\]]/.exec(of.flags) ?? [];
  if (/folder|dir/i.test(value)) return { from: 'folders' };
  if (/file|path/i.test(value)) return { from: 'files' };
  // A flag that is about formats names those that it takes.
  if (name === 'output') {
    const words = new Set(of.description.split(/[^a-z-]+/));
    const offered = formats.filter((format) => words.has(format));
    if (offered.length > 0) return list(...offered);
  }
  return { from: 'unknown' };
}

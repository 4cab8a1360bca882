import { join } from 'node:path';
import { type LogLevels, parseLogLevels } from '@istio-ts/agent/log';
import type { PluginSettings } from '../config/plugin-settings.ts';

/** What to do with pods whose check of the rules failed; the first of repair, delete and label that is on. */
export interface RepairSettings {
  readonly enabled: boolean;
  readonly repairPods: boolean;
  readonly deletePods: boolean;
  readonly labelPods: boolean;
  readonly labelKey: string;
  readonly labelValue: string;
  readonly nodeName: string;
  readonly sidecarAnnotation: string;
  readonly initContainerName: string;
  readonly initContainerExitCode: number;
  /** Part of the init container's termination message; empty for any. */
  readonly terminationMessage: string;
  readonly fieldSelectors: string;
  readonly labelSelectors: string;
}

/** How the agent of a node is set up. Paths are those of its container unless said otherwise. */
export interface InstallSettings {
  readonly plugin: PluginSettings;
  /** Folder of the CNI configuration, as mounted. */
  readonly configDir: string;
  /** Folders of plugins, as mounted. */
  readonly binDir: string;
  readonly runDir: string;
  /** File to add the plugin to; undefined for the first one of the folder. */
  readonly configFile: string | undefined;
  /** Adds the plugin to the chain; otherwise it gets a file of its own, which Multus refers to. */
  readonly chained: boolean;
  readonly kubeconfigName: string;
  readonly kubeconfigMode: number;
  readonly serviceAccountDir: string;
  readonly caFile: string | undefined;
  readonly skipTlsVerify: boolean;
  readonly api: { readonly protocol: string; readonly host: string; readonly port: string };
  /** A Node runtime that the node has already at this path of its own; undefined: the agent brings its own. */
  readonly nodeRuntime: string | undefined;
  readonly podName: string;
  readonly podNamespace: string;
  readonly readinessPort: number;
  readonly monitoringPort: number;
  readonly hostProc: string;
  readonly hostNetns: string;
  readonly repair: RepairSettings;
  readonly logLevels: LogLevels;
  readonly logAsJson: boolean;
  readonly ambient: boolean;
}

/** A flag or variable that cannot be used; the message names it. */
export class InstallSettingsError extends Error {
  constructor(name: string, message: string) {
    super(`${name}: ${message}`);
    this.name = 'InstallSettingsError';
  }
}

/** Flags, each of which is also a variable: `--cni-net-dir` and `CNI_NET_DIR`. Names are those of Istio's install-cni. */
export const INSTALL_FLAGS: Readonly<Record<string, { readonly default: string; readonly help: string }>> = {
  'cni-net-dir': { default: '/etc/cni/net.d', help: "The node's folder of CNI configuration" },
  'mounted-cni-net-dir': { default: '/host/etc/cni/net.d', help: 'Where that folder is mounted here' },
  'cni-bin-dir': { default: '/opt/cni/bin', help: "The node's folder of CNI plugins" },
  'mounted-cni-bin-dir': { default: '/host/opt/cni/bin', help: 'Where that folder is mounted here' },
  'cni-conf-name': { default: '', help: 'File to add the plugin to; default: the first one' },
  'chained-cni-plugin': { default: 'true', help: 'Add the plugin to the chain, instead of a file of its own' },
  'cni-agent-run-dir': {
    default: '/var/run/istio-cni',
    help: 'Folder of the socket for the plugin, the same on the node',
  },
  'exclude-namespaces': { default: '', help: 'Namespaces whose pods are left alone, separated by commas' },
  'log-level': { default: '', help: "The plugin's log level; default: the agent's" },
  'kubecfg-file-name': { default: 'ZZZ-istio-cni-kubeconfig', help: "Name of the plugin's kubeconfig" },
  'kubeconfig-mode': { default: '0600', help: 'Its permissions, octal' },
  'kube-ca-file': { default: '', help: "Certificate authority of the API server; default: the service account's" },
  'skip-tls-verify': { default: 'false', help: 'Do not check the certificate of the API server' },
  'monitoring-port': { default: '15014', help: 'Port of the metrics' },
  'readiness-port': { default: '8000', help: 'Port of the readiness' },
  'force-iptables-binary': { default: '', help: 'nft or legacy; default: what works' },
  'rules-by': { default: '', help: "node or agent: whose programs write rules; default: the node's, if it has them" },
  'native-nftables': { default: 'false', help: 'Use the nft back-end' },
  'ambient-enabled': { default: 'false', help: 'Serve pods of ambient mode' },
  'repair-enabled': { default: 'true', help: 'Look after pods that started without rules' },
  'repair-repair-pods': { default: 'false', help: 'Set their rules' },
  'repair-delete-pods': { default: 'false', help: 'Delete them' },
  'repair-label-pods': { default: 'false', help: 'Label them' },
  'repair-label-key': { default: 'cni.istio.io/uninitialized', help: 'Key of that label' },
  'repair-label-value': { default: 'true', help: 'Value of that label' },
  'repair-node-name': { default: '', help: 'Node whose pods are looked after' },
  'repair-sidecar-annotation': { default: 'sidecar.istio.io/status', help: 'Annotation that pods with a sidecar have' },
  'repair-init-container-name': { default: 'istio-validation', help: 'Container that checks the rules' },
  'repair-init-container-exit-code': { default: '126', help: 'Its exit code when they are missing' },
  'repair-init-container-termination-message': { default: '', help: 'Part of its termination message' },
  'repair-field-selectors': { default: '', help: 'Field selectors of the pods looked after' },
  'repair-label-selectors': { default: '', help: 'Label selectors of the pods looked after' },
  log_output_level: { default: 'default:info', help: 'Least severe level written' },
  log_as_json: { default: 'false', help: 'Write log lines as JSON' },
};

type Environment = Readonly<Record<string, string | undefined>>;

/** Names that a setting had before, or has in other versions of the chart. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  'repair-label-key': ['REPAIR_BROKEN_POD_LABEL_KEY'],
  'repair-label-value': ['REPAIR_BROKEN_POD_LABEL_VALUE'],
  'repair-node-name': ['NODE_NAME'],
};

/** Reads the settings of the agent; flags win over variables. Raises {@link InstallSettingsError}. */
export function readInstallSettings(argv: readonly string[], env: Environment): InstallSettings {
  const flags = readFlags(argv);
  const text = (name: string): string => {
    const given = flags.get(name);
    if (given !== undefined) return given;
    for (const variable of [name.replaceAll('-', '_').toUpperCase(), ...(ALIASES[name] ?? [])]) {
      const value = env[variable];
      if (value !== undefined && value !== '') return value;
    }
    return INSTALL_FLAGS[name]?.default ?? '';
  };
  const boolean = (name: string): boolean => {
    const value = text(name).toLowerCase();
    if (!['true', 'false', '1', '0', 't', 'f'].includes(value))
      throw new InstallSettingsError(name, `"${value}" is neither true nor false`);
    return ['true', '1', 't'].includes(value);
  };
  const integer = (name: string, least: number, most: number, base = 10): number => {
    const value = Number.parseInt(text(name), base);
    if (!(value >= least && value <= most) || !(base === 8 ? /^[0-7]+$/ : /^[0-9]+$/).test(text(name))) {
      const [from, to] = [least, most].map((bound) => `${base === 8 ? '0' : ''}${bound.toString(base)}`);
      throw new InstallSettingsError(name, `"${text(name)}" is not a number from ${from} to ${to}`);
    }
    return value;
  };
  const file = (name: string): string => {
    const value = text(name);
    if (value.includes('/')) throw new InstallSettingsError(name, `"${value}" is a path; a file name is expected`);
    return value;
  };
  const logLevels = parseLogLevels(text('log_output_level'));
  const binary = text('force-iptables-binary');
  if (!['', 'nft', 'legacy'].includes(binary))
    throw new InstallSettingsError('force-iptables-binary', `"${binary}" is neither nft nor legacy`);
  const backend = boolean('native-nftables') || binary === 'nft' ? 'nft' : binary === 'legacy' ? 'legacy' : undefined;
  const rulesBy = text('rules-by');
  if (rulesBy !== '' && rulesBy !== 'node' && rulesBy !== 'agent')
    throw new InstallSettingsError('rules-by', `"${rulesBy}" is neither node nor agent`);
  const kubeconfigName = file('kubecfg-file-name');
  const mode = integer('kubeconfig-mode', 0, 0o777, 8);
  return {
    plugin: {
      logLevel: text('log-level') || (logLevels.get('default') ?? 'info'),
      kubeconfig: join(text('cni-net-dir'), kubeconfigName),
      binDir: text('cni-bin-dir'),
      excludeNamespaces: text('exclude-namespaces')
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== ''),
      agentRunDir: text('cni-agent-run-dir'),
      ...(env.POD_NAMESPACE && { agentNamespace: env.POD_NAMESPACE }),
      ...(backend !== undefined && { backend }),
      ...(rulesBy !== '' && { rulesBy }),
    },
    configDir: text('mounted-cni-net-dir'),
    binDir: text('mounted-cni-bin-dir'),
    runDir: text('cni-agent-run-dir'),
    configFile: file('cni-conf-name') || undefined,
    chained: boolean('chained-cni-plugin'),
    kubeconfigName,
    kubeconfigMode: mode,
    serviceAccountDir: env.SERVICE_ACCOUNT_DIR || '/var/run/secrets/kubernetes.io/serviceaccount',
    caFile: text('kube-ca-file') || undefined,
    skipTlsVerify: boolean('skip-tls-verify'),
    api: {
      protocol: env.KUBERNETES_SERVICE_PROTOCOL || 'https',
      host: env.KUBERNETES_SERVICE_HOST ?? '',
      port: env.KUBERNETES_SERVICE_PORT || '443',
    },
    nodeRuntime: env.ISTIO_CNI_NODE_RUNTIME || undefined,
    podName: env.POD_NAME ?? '',
    podNamespace: env.POD_NAMESPACE ?? '',
    readinessPort: integer('readiness-port', 0, 65535),
    monitoringPort: integer('monitoring-port', 0, 65535),
    hostProc: '/host/proc',
    hostNetns: '/host/var/run/netns',
    repair: {
      enabled: boolean('repair-enabled'),
      repairPods: boolean('repair-repair-pods'),
      deletePods: boolean('repair-delete-pods'),
      labelPods: boolean('repair-label-pods'),
      labelKey: text('repair-label-key'),
      labelValue: text('repair-label-value'),
      nodeName: text('repair-node-name'),
      sidecarAnnotation: text('repair-sidecar-annotation'),
      initContainerName: text('repair-init-container-name'),
      initContainerExitCode: integer('repair-init-container-exit-code', 0, 255),
      terminationMessage: text('repair-init-container-termination-message'),
      fieldSelectors: text('repair-field-selectors'),
      labelSelectors: text('repair-label-selectors'),
    },
    logLevels,
    logAsJson: boolean('log_as_json'),
    ambient: boolean('ambient-enabled'),
  };
}

function readFlags(argv: readonly string[]): ReadonlyMap<string, string> {
  const flags = new Map<string, string>();
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    const [name = '', inline] = word.replace(/^--/, '').split(/=(.*)/s);
    if (!word.startsWith('--') || !Object.hasOwn(INSTALL_FLAGS, name))
      throw new InstallSettingsError(word, 'no such flag; run install-cni --help for the list');
    const switches = ['true', 'false'].includes(INSTALL_FLAGS[name]?.default ?? '');
    const next = argv[at + 1];
    if (inline !== undefined) flags.set(name, inline);
    else if (switches && (next === undefined || next.startsWith('--'))) flags.set(name, 'true');
    else if (next === undefined) throw new InstallSettingsError(word, 'a value is missing');
    else {
      flags.set(name, next);
      at++;
    }
  }
  return flags;
}

import { parseArguments } from '@istio-ts/agent/cli/arguments';
import { IPTABLES_FLAGS, readInterception } from '@istio-ts/agent/cli/iptables-command';
import type { InterceptionSettings } from '@istio-ts/agent/iptables/settings';
import type { Pod, PodContainer } from './pod.ts';

/** What is to be done with a pod's network. */
export type Decision =
  | { readonly kind: 'leave'; readonly reason: string }
  | { readonly kind: 'intercept'; readonly settings: InterceptionSettings };

const PROXY = 'istio-proxy';
const INIT = 'istio-init';
const VALIDATION = 'istio-validation';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Decides by what the injector left in a pod: one with a sidecar whose rules no init container sets gets them from the plugin. The order and the
 * grounds are those of Istio's plugin; annotations and labels see istio-surface.md. Raises InterceptionError or UsageError for settings that make
 * no rule.
 */
export function decide(pod: Pod, excludedNamespaces: readonly string[]): Decision {
  const { namespace = '', annotations = {}, labels = {} } = pod.metadata;
  const leave = (reason: string): Decision => ({ kind: 'leave', reason });
  if (excludedNamespaces.includes(namespace)) return leave(`namespace ${namespace} is excluded`);
  if (pod.spec?.hostNetwork) return leave("the pod uses the node's network");
  const init = pod.spec?.initContainers ?? [];
  const containers = [...init, ...(pod.spec?.containers ?? [])];
  if (init.some(({ name }) => name === INIT)) return leave(`init container ${INIT} sets the rules`);
  const proxy = containers.find(({ name }) => name === PROXY);
  if (proxy === undefined) return leave('the pod has no sidecar');
  const wish = labels['sidecar.istio.io/inject'] ?? annotations['sidecar.istio.io/inject'];
  if (wish !== undefined && isFalse(wish)) return leave(`sidecar.istio.io/inject is ${wish}`);
  if (annotations['sidecar.istio.io/status'] === undefined)
    return leave('annotation sidecar.istio.io/status is missing: no injector made the sidecar');
  const env = environmentOf(proxy);
  if (env.DISABLE_ENVOY !== undefined && !isFalse(env.DISABLE_ENVOY)) return leave('DISABLE_ENVOY is set');
  const role = proxy.args?.[0] === 'proxy' ? proxy.args[1] : undefined;
  if (role !== undefined && role !== 'sidecar' && !role.startsWith('-')) return leave(`the proxy is a ${role}`);
  if (annotations['sidecar.istio.io/interceptionMode']?.toUpperCase() === 'NONE')
    return leave('sidecar.istio.io/interceptionMode is NONE');
  return { kind: 'intercept', settings: interceptionOf(pod, proxy, env) };
}

/** The check that injected pods run has the settings that their init container would have had; without it the annotations say what to do. */
function interceptionOf(pod: Pod, proxy: PodContainer, env: Environment): InterceptionSettings {
  const validation = pod.spec?.initContainers?.find(({ name }) => name === VALIDATION);
  const args = validation?.args ?? [];
  const words = args[0] === 'istio-iptables' ? args.slice(1) : annotationArguments(pod.metadata.annotations ?? {});
  const parsed = parseArguments(
    words.filter((word) => !word.startsWith('--log_')),
    IPTABLES_FLAGS,
  );
  const settings = readInterception(parsed, { ...env, ...(validation && environmentOf(validation)) }, '');
  const { runAsUser, runAsGroup } = proxy.securityContext ?? {};
  const given = args[0] === 'istio-iptables' && parsed.given('proxy-uid');
  return {
    ...settings,
    ...(!given && runAsUser !== undefined && runAsUser !== 0 && { proxyUids: [String(runAsUser)] }),
    ...(!parsed.given('proxy-gid') &&
      runAsGroup !== undefined &&
      runAsGroup !== 0 && { proxyGids: [String(runAsGroup)] }),
    // The servers of the pod's resolv.conf are not known before the pod starts.
    captureAllDns: settings.captureAllDns || settings.redirectDns,
  };
}

function annotationArguments(annotations: Readonly<Record<string, string>>): readonly string[] {
  const flags: readonly (readonly [flag: string, value: string | undefined])[] = [
    ['istio-inbound-interception-mode', annotations['sidecar.istio.io/interceptionMode']],
    ['istio-service-cidr', annotations['traffic.sidecar.istio.io/includeOutboundIPRanges'] ?? '*'],
    ['istio-service-exclude-cidr', annotations['traffic.sidecar.istio.io/excludeOutboundIPRanges']],
    ['istio-inbound-ports', annotations['traffic.sidecar.istio.io/includeInboundPorts'] ?? '*'],
    ['istio-local-exclude-ports', annotations['traffic.sidecar.istio.io/excludeInboundPorts']],
    ['istio-outbound-ports', annotations['traffic.sidecar.istio.io/includeOutboundPorts']],
    ['istio-local-outbound-ports-exclude', annotations['traffic.sidecar.istio.io/excludeOutboundPorts']],
    [
      'kube-virt-interfaces',
      annotations['istio.io/reroute-virtual-interfaces'] ?? annotations['traffic.sidecar.istio.io/kubevirtInterfaces'],
    ],
    ['istio-exclude-interfaces', annotations['traffic.sidecar.istio.io/excludeInterfaces']],
  ];
  return flags.flatMap(([flag, value]) => (value === undefined || value === '' ? [] : [`--${flag}=${value}`]));
}

function environmentOf(container: PodContainer): Environment {
  return Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value]));
}

function isFalse(text: string): boolean {
  return /^(0|f|false)$/i.test(text);
}

import { parseYaml } from '@istio-ts/kube';
import type { DiscoveryRole, KubernetesDiscovery } from '../metrics/scrape/config.ts';

/** Configuration of a Prometheus whose `kubernetes_sd_configs` are looked up by somebody else. */
export interface Rewritten {
  /** As JSON, which YAML contains. */
  readonly text: string;
  /** What to look up, by the numbers in the addresses that Prometheus asks. */
  readonly discoveries: readonly KubernetesDiscovery[];
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const roles: Readonly<Record<string, DiscoveryRole>> = {
  pod: 'pod',
  endpoints: 'endpoints',
  // The same addresses, from newer objects: the labels are those of endpoints.
  endpointslice: 'endpoints',
  service: 'service',
  node: 'node',
};

function discoveryOf(value: unknown, job: string): KubernetesDiscovery {
  const fields = isFields(value) ? value : {};
  const role = roles[String(fields.role)];
  if (role === undefined)
    throw new Error(
      `job ${job}: kubernetes_sd_configs with the role "${String(fields.role)}" is not known here: there are ${Object.keys(roles).join(', ')}`,
    );
  const namespaces = isFields(fields.namespaces) ? fields.namespaces : {};
  const own = listOf(fields.selectors).find((each): each is Fields => isFields(each) && each.role === fields.role);
  const text = (field: unknown): string | undefined => (typeof field === 'string' && field !== '' ? field : undefined);
  return {
    role,
    namespaces: listOf(namespaces.names).map(String),
    ownNamespace: namespaces.own_namespace === true,
    labelSelector: text(own?.label),
    fieldSelector: text(own?.field),
  };
}

/**
 * Distributions build Prometheus without its client of Kubernetes. This gives the same targets to such a one: each entry of `kubernetes_sd_configs` becomes
 * one of `http_sd_configs`, whose `addressOf` number answers with the targets and their `__meta_kubernetes_` labels. Raises an Error that names the job.
 */
export function rewriteDiscovery(text: string, addressOf: (index: number) => string): Rewritten {
  const config = parseYaml(text, 'the configuration of Prometheus');
  if (!isFields(config)) throw new Error('the configuration of Prometheus is no mapping');
  const discoveries: KubernetesDiscovery[] = [];
  const jobs = listOf(config.scrape_configs).map((job) => {
    if (!isFields(job) || job.kubernetes_sd_configs === undefined) return job;
    const { kubernetes_sd_configs: entries, ...rest } = job;
    const asked = listOf(entries).map((entry) => {
      discoveries.push(discoveryOf(entry, String(job.job_name)));
      return { url: addressOf(discoveries.length - 1), refresh_interval: '5s' };
    });
    return { ...rest, http_sd_configs: [...listOf(rest.http_sd_configs), ...asked] };
  });
  return { text: JSON.stringify({ ...config, scrape_configs: jobs }), discoveries };
}

/** Targets as Prometheus reads them over HTTP ("HTTP SD"). */
export function targetGroups(targets: readonly ReadonlyMap<string, string>[]): readonly unknown[] {
  return targets.flatMap((labels) => {
    const { __address__: address, ...others } = Object.fromEntries(labels);
    return address === undefined ? [] : [{ targets: [address], labels: others }];
  });
}

import { kubernetesTypes } from '@istio-ts/api/resource-types';
import {
  configuredProxyImage,
  IGNORED_NAMESPACES,
  InjectionError,
  isDeactivated,
  type JsonObject,
  judgeWebhooks,
} from '@istio-ts/injector';
import type { KubeObject } from '@istio-ts/kube';
import { CliError } from '../cli/failure.ts';
import { formatFrom, structured } from '../cli/output.ts';
import type { Session } from '../cli/session.ts';
import { table } from '../cli/table.ts';
import { injectorWebhooks } from './check-inject.ts';
import { injectionConfigOf } from './injection-source.ts';

interface NamespaceRow {
  readonly namespace: string;
  /** Revision that injects pods which say nothing; undefined where none does. */
  readonly revision: string | undefined;
  readonly podRevisions: Readonly<Record<string, number>>;
}

interface InjectorRow {
  readonly namespaces: readonly string[];
  readonly hook: string;
  readonly revision: string;
  readonly image: string;
}

const NOT_INJECTED = '<non-istio>';

function podRevision(pod: KubeObject): string {
  const annotations = pod.metadata.annotations as Readonly<Record<string, string>> | undefined;
  const status = annotations?.['sidecar.istio.io/status'];
  if (status === undefined) return NOT_INJECTED;
  try {
    return String((JSON.parse(status) as { readonly revision?: string }).revision ?? 'default');
  } catch {
    return '<unreadable>';
  }
}

async function imageOf(session: Session, revision: string): Promise<string> {
  try {
    return configuredProxyImage(await injectionConfigOf(session, revision));
  } catch (error) {
    if (error instanceof CliError || error instanceof InjectionError) return '<unknown>';
    throw error;
  }
}

/** `istioctl experimental injector list`: namespaces with the revision that injects them, and the injectors with their proxies. */
export async function runInjectorList(session: Session, flags: { readonly output: string }): Promise<number> {
  const format = formatFrom(flags.output);
  const client = session.client();
  const [webhooks, { items: namespaces }, { items: pods }] = await Promise.all([
    injectorWebhooks(session),
    client.list(kubernetesTypes.Namespace),
    client.list(kubernetesTypes.Pod),
  ]);
  const configurations = webhooks.filter((each) => !isDeactivated(each));
  const served = new Map<string, string[]>(configurations.map((each) => [nameOf(each), []]));
  const rows: NamespaceRow[] = [];
  for (const { metadata } of namespaces) {
    const namespace = metadata.name ?? '';
    if (IGNORED_NAMESPACES.has(namespace) || namespace === session.flags.istioNamespace) continue;
    const labels = {
      'kubernetes.io/metadata.name': namespace,
      ...(metadata.labels as Readonly<Record<string, string>>),
    };
    const [verdict] = configurations
      .map((each) => judgeWebhooks(each, labels, {}))
      .filter(({ webhook }) => webhook !== undefined);
    if (verdict !== undefined) served.get(verdict.configuration)?.push(namespace);
    const podRevisions: Record<string, number> = {};
    for (const pod of pods.filter((each) => each.metadata.namespace === namespace)) {
      const revision = podRevision(pod);
      podRevisions[revision] = (podRevisions[revision] ?? 0) + 1;
    }
    rows.push({ namespace, revision: verdict?.revision, podRevisions });
  }
  const injectors: InjectorRow[] = await Promise.all(
    configurations.map(async (configuration) => {
      const { revision, configuration: hook } = judgeWebhooks(configuration, {}, {});
      return { namespaces: served.get(hook) ?? [], hook, revision, image: await imageOf(session, revision) };
    }),
  );
  if (format !== 'short') {
    session.out(structured({ namespaces: rows, injectors }, format));
    return 0;
  }
  const counts = (revisions: Readonly<Record<string, number>>): string =>
    Object.entries(revisions)
      .map(([revision, count]) => `${revision}: ${count}`)
      .join('   ') || '<no pods>';
  session.out(
    table(
      ['NAMESPACE', 'ISTIO-REVISION', 'POD-REVISIONS'],
      rows.map(({ namespace, revision, podRevisions }) => [namespace, revision ?? NOT_INJECTED, counts(podRevisions)]),
    ),
  );
  session.out('\n');
  if (injectors.length === 0) session.out('This cluster has no sidecar injector.\n');
  else
    session.out(
      table(
        ['NAMESPACES', 'INJECTOR-HOOK', 'ISTIO-REVISION', 'SIDECAR-IMAGE'],
        injectors.map((each) => [each.namespaces.join(',') || '<none>', each.hook, each.revision, each.image]),
      ),
    );
  return 0;
}

function nameOf(configuration: JsonObject): string {
  return String((configuration.metadata as JsonObject | undefined)?.name ?? '');
}

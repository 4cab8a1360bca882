import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';
import { structured } from '../cli/output.ts';
import { table } from '../cli/table.ts';
import { byNamespace, connectedProxies, namespacesShown } from './connected-proxies.ts';
import { type ControlPlane, controlPlanes } from './control-planes.ts';
import { OperatorError } from './failure.ts';
import { readRecord } from './installation-record.ts';
import { ownershipLabels, revisionOf } from './ownership.ts';
import { unready } from './readiness.ts';
import { injectedBy, revisionTags, tagWebhooks } from './revision-tag.ts';
import type { Ui } from './ui.ts';

export interface RevisionOptions {
  readonly client: () => KubeClient;
  readonly ui: Ui;
  readonly output: string;
  readonly istioNamespace: string;
}

/** What is known of a revision: its control plane, and who uses it. */
export interface Revision {
  readonly revision: string;
  readonly version: string;
  /** `ready`, or what istiod lacks; `not installed` where only users of the revision are left. */
  readonly status: string;
  readonly tags: readonly string[];
  /** Namespaces whose pods are injected by it, by its name or by a tag. */
  readonly namespaces: readonly string[];
  /** Connected proxies by namespace; undefined where istiod cannot be asked. */
  readonly proxies: Readonly<Record<string, number>> | undefined;
  readonly webhooks: readonly string[];
  readonly controlPlane: readonly string[];
  readonly gateways: readonly string[];
  readonly profile: string | undefined;
  /** False where the installation was interrupted. */
  readonly complete: boolean;
}

/** Everything that is read of the cluster once, for all revisions. */
interface Seen {
  readonly planes: readonly ControlPlane[];
  readonly webhooks: readonly KubeObject[];
  readonly tagWebhooks: readonly KubeObject[];
  readonly namespaces: readonly KubeObject[];
  readonly gateways: readonly KubeObject[];
}

async function see(client: KubeClient): Promise<Seen> {
  const list = async (type: Parameters<KubeClient['list']>[0], labelSelector?: string) =>
    (await client.list(type, { ...(labelSelector !== undefined && { labelSelector }), dropManagedFields: true })).items;
  const [planes, tags, webhooks, namespaces, gateways] = await Promise.all([
    controlPlanes(client),
    tagWebhooks(client),
    list(kubernetesTypes.MutatingWebhookConfiguration, 'app=sidecar-injector'),
    list(kubernetesTypes.Namespace),
    list(
      kubernetesTypes.Deployment,
      `${ownershipLabels.component} in (IngressGateways,EgressGateways),${ownershipLabels.revision}`,
    ),
  ]);
  return { planes, webhooks, tagWebhooks: tags, namespaces, gateways };
}

const names = (objects: readonly KubeObject[]): readonly string[] =>
  objects.map(({ metadata }) => [metadata.namespace, metadata.name].filter(Boolean).join('/')).sort();

async function revisionSeen(
  client: KubeClient,
  revision: string,
  seen: Seen,
  istioNamespace: string,
  askProxies: boolean,
): Promise<Revision> {
  const plane = seen.planes.find((candidate) => candidate.revision === revision);
  const tags = revisionTags(seen.tagWebhooks, seen.namespaces).filter((tag) => tag.revision === revision);
  const own = seen.namespaces.filter((namespace) => injectedBy(namespace) === revision);
  const taken = revisionTags(seen.tagWebhooks, seen.namespaces).some(({ tag }) => tag === revision);
  const namespace = plane?.namespace ?? istioNamespace;
  const connected = askProxies && plane ? await connectedProxies(client, namespace, revision) : undefined;
  const record = await readRecord(client, revision, namespace);
  return {
    revision,
    version: plane?.version ?? 'unknown',
    status: plane === undefined ? 'not installed' : (unready(plane.deployment) ?? 'ready'),
    tags: tags.map(({ tag }) => tag),
    namespaces: [...new Set([...(taken ? [] : names(own)), ...tags.flatMap(({ namespaces }) => namespaces)])].sort(),
    proxies: connected?.known ? Object.fromEntries(byNamespace(connected.proxies)) : undefined,
    webhooks: names(seen.webhooks.filter((object) => revisionOf(object) === revision)),
    controlPlane: plane ? names([plane.deployment]) : [],
    gateways: names(seen.gateways.filter((object) => revisionOf(object) === revision)),
    profile: record?.profile,
    complete: record?.complete ?? true,
  };
}

const total = (proxies: Revision['proxies']): string =>
  proxies === undefined ? 'unknown' : String(Object.values(proxies).reduce((sum, count) => sum + count, 0));

function checkOutput(output: string): void {
  if (!['table', 'json', 'yaml'].includes(output))
    throw new OperatorError(`output format "${output}" is not supported: use table, json or yaml`);
}

/** `istioctl revision list`. */
export async function runRevisionList(options: RevisionOptions): Promise<number> {
  checkOutput(options.output);
  const client = options.client();
  const seen = await see(client);
  // A webhook whose control plane is gone matters most: pods wait for it in vain.
  const all = new Set([...seen.planes.map(({ revision }) => revision), ...seen.webhooks.map(revisionOf)]);
  const revisions = await Promise.all(
    [...all].sort().map((revision) => revisionSeen(client, revision, seen, options.istioNamespace, true)),
  );
  if (options.output !== 'table') {
    options.ui.line(structured(revisions, options.output as 'json' | 'yaml').trimEnd());
    return 0;
  }
  if (revisions.length === 0) {
    options.ui.line('There is no revision in this cluster: install one with istioctl install.');
    return 0;
  }
  options.ui.line(
    table(
      ['REVISION', 'VERSION', 'TAGS', 'STATUS', 'PROXIES', 'NAMESPACES'],
      revisions.map((revision) => [
        revision.revision,
        revision.version,
        revision.tags.join(',') || '<none>',
        revision.complete ? revision.status : `${revision.status} (installation interrupted)`,
        total(revision.proxies),
        revision.namespaces.join(',') || '<none>',
      ]),
    ).trimEnd(),
  );
  return 0;
}

/** `istioctl revision describe REVISION`; a tag's name describes the revision that it stands for. Raises OperatorError for unknown names. */
export async function runRevisionDescribe(options: RevisionOptions & { readonly name: string }): Promise<number> {
  checkOutput(options.output);
  const client = options.client();
  const seen = await see(client);
  const isRevision =
    seen.planes.some(({ revision }) => revision === options.name) ||
    seen.webhooks.some((object) => revisionOf(object) === options.name);
  const tag = revisionTags(seen.tagWebhooks, seen.namespaces).find((candidate) => candidate.tag === options.name);
  if (!isRevision && !tag) {
    const present = [...new Set(seen.planes.map(({ revision }) => revision))].join(', ');
    throw new OperatorError(
      `there is no revision or tag "${options.name}"${present === '' ? '' : `; revisions: ${present}`}`,
    );
  }
  const name = isRevision ? options.name : (tag?.revision ?? options.name);
  const found = await revisionSeen(client, name, seen, options.istioNamespace, true);
  if (options.output !== 'table') {
    options.ui.line(structured(found, options.output as 'json' | 'yaml').trimEnd());
    return 0;
  }
  const listed = (items: readonly string[]) => items.join(', ') || '<none>';
  const rows: readonly (readonly [string, string])[] = [
    ['Revision', found.revision],
    ['Version', found.version],
    ['Status', found.complete ? found.status : `${found.status}; its installation was interrupted`],
    ['Profile', found.profile ?? '<unknown>'],
    ['Tags', listed(found.tags)],
    ['Control plane', listed(found.controlPlane)],
    ['Gateways', listed(found.gateways)],
    ['Webhooks', listed(found.webhooks)],
    ['Namespaces', listed(found.namespaces)],
    [
      'Proxies',
      found.proxies === undefined ? 'unknown' : namespacesShown(new Map(Object.entries(found.proxies))) || '<none>',
    ],
  ];
  for (const [title, value] of rows) options.ui.line(`${`${title}:`.padEnd(16)}${value}`);
  return 0;
}

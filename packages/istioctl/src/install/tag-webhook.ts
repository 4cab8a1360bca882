import { join } from 'node:path';
import { loadChart, renderChart, type Values } from '@istio-ts/charts';
import type { KubeObject } from '@istio-ts/kube';
import { revisionSuffix } from './control-planes.ts';
import { OperatorError } from './failure.ts';
import { ownershipLabels } from './ownership.ts';

/** The tag that stands for "no revision named": namespaces with istio-injection=enabled, resources without a revision label. */
export const defaultTag = 'default';
/** Name of the webhook that validates resources without a revision label (istio-surface.md, Webhooks). */
export const defaultValidatorName = 'istiod-default-validator';

interface ClientConfig {
  readonly url?: string;
  readonly service?: { readonly name: string; readonly namespace: string; readonly path?: string };
  readonly caBundle?: string;
}
interface Webhook {
  readonly name: string;
  readonly clientConfig: ClientConfig;
  readonly reinvocationPolicy?: string;
  readonly [field: string]: unknown;
}
const webhooksOf = (object: KubeObject) => (object.webhooks ?? []) as readonly Webhook[];

const tagSuffix = (istioNamespace: string) => (istioNamespace === 'istio-system' ? '' : `-${istioNamespace}`);

/** Name of a tag's webhook configuration. */
export const tagWebhookName = (tag: string, istioNamespace: string): string =>
  `istio-revision-tag-${tag}${tagSuffix(istioNamespace)}`;
/** Name of the webhook configuration of a revision itself. */
export const injectorName = (revision: string, istioNamespace: string): string =>
  `istio-sidecar-injector${revisionSuffix(revision)}${tagSuffix(istioNamespace)}`;
export const validatorName = (revision: string, istioNamespace: string): string =>
  `istio-validator${revisionSuffix(revision)}-${istioNamespace}`;

export interface TagWebhookInput {
  readonly chartsDir: string;
  readonly tag: string;
  readonly revision: string;
  readonly istioNamespace: string;
  /** The revision's own injection webhooks: where the tag sends pods to, and whom it trusts. */
  readonly injector: KubeObject;
  /** The default tag only: inject into every namespace that does not say otherwise. */
  readonly autoInjectNamespaces: boolean;
  readonly name?: string;
}

/** The labels of a tag's objects: the tag, and the revision that it stands for now. No installation owns them, so none prunes them. */
const tagLabels = (tag: string, revision: string) => ({
  [ownershipLabels.tag]: tag,
  [ownershipLabels.revision]: revision,
  [ownershipLabels.component]: 'Pilot',
});

/** The injection webhooks of a tag, rendered from the chart of istiod as its value `revisionTags` does. Raises OperatorError and ChartError. */
export function tagWebhook(input: TagWebhookInput): KubeObject {
  const [first] = webhooksOf(input.injector);
  if (!first) throw new OperatorError(`${input.injector.metadata.name} has no webhooks: install the revision again`);
  const { clientConfig } = first;
  const chart = loadChart(join(input.chartsDir, 'istiod'));
  const { manifests } = renderChart(
    {
      ...chart,
      templates: chart.templates.filter(({ path }) => /\/(_[^/]*\.tpl|revision-tags.*|zzz[^/]*)$/.test(path)),
    },
    {
      values: {
        revision: input.revision === 'default' ? '' : input.revision,
        revisionTags: [input.tag],
        global: { istioNamespace: input.istioNamespace },
        istiodRemote: {
          ...(clientConfig.url !== undefined && { injectionURL: clientConfig.url }),
          ...(clientConfig.service?.path !== undefined && { injectionPath: clientConfig.service.path }),
          ...(clientConfig.caBundle !== undefined && { injectionCABundle: clientConfig.caBundle }),
        },
        sidecarInjectorWebhook: {
          enableNamespacesByDefault: input.autoInjectNamespaces,
          ...(first.reinvocationPolicy !== undefined && { reinvocationPolicy: first.reinvocationPolicy }),
        },
      } as Values,
      release: { name: `istiod${revisionSuffix(input.revision)}`, namespace: input.istioNamespace, service: 'Helm' },
    },
  );
  const object = manifests
    .map((manifest) => manifest.object)
    .find(({ kind }) => kind === 'MutatingWebhookConfiguration');
  if (!object)
    throw new OperatorError(
      `the chart in ${input.chartsDir} does not make webhooks of revision tags: its version is too old`,
    );
  return {
    ...object,
    metadata: {
      ...object.metadata,
      ...(input.name !== undefined && { name: input.name }),
      labels: { ...object.metadata.labels, ...tagLabels(input.tag, input.revision) },
    },
  };
}

/** The webhook that validates what carries no revision, by the revision whose own validation webhooks are given. */
export function defaultValidator(validator: KubeObject, revision: string): KubeObject {
  const [first] = webhooksOf(validator);
  return {
    apiVersion: validator.apiVersion,
    kind: validator.kind,
    metadata: {
      name: defaultValidatorName,
      labels: {
        app: 'istiod',
        istio: 'istiod',
        ...tagLabels(defaultTag, revision),
      },
    },
    webhooks: first
      ? [
          {
            ...first,
            name: 'validation.istio.io',
            objectSelector: { matchExpressions: [{ key: ownershipLabels.revision, operator: 'DoesNotExist' }] },
          },
        ]
      : [],
  };
}

const never = { matchLabels: { 'istio.io/deactivated': 'never-match' } };

/** A revision's own injection webhooks where tags do the choosing: they match nothing, so that no pod is injected twice. */
export const deactivated = (injector: KubeObject): KubeObject => ({
  ...injector,
  webhooks: webhooksOf(injector).map((webhook) => ({ ...webhook, namespaceSelector: never, objectSelector: never })),
});

/** The validation webhooks of the revision `default` where the default validator looks after what carries no revision. */
export const onlyOwnRevision = (validator: KubeObject): KubeObject => ({
  ...validator,
  webhooks: webhooksOf(validator).map((webhook) => ({
    ...webhook,
    objectSelector: {
      matchExpressions: [{ key: ownershipLabels.revision, operator: 'In', values: ['default'] }],
    },
  })),
});

/** The CA that istiod put into a webhook configuration. */
export const caBundleOf = (object: KubeObject): string | undefined =>
  webhooksOf(object).find(({ clientConfig }) => clientConfig.caBundle)?.clientConfig.caBundle;

/** The configuration with a CA, where it is to be trusted by the API server at once. */
export const withCaBundle = (object: KubeObject, caBundle: string | undefined): KubeObject =>
  caBundle === undefined
    ? object
    : {
        ...object,
        webhooks: webhooksOf(object).map((webhook) => ({
          ...webhook,
          clientConfig: { ...webhook.clientConfig, caBundle },
        })),
      };

/**
 * The default tag's objects go together with the revision that they send everybody to, however that is removed (`manifest generate | kubectl delete`, Helm):
 * without it no pod of namespaces with istio-injection=enabled could start. `injector` is the revision's own webhook configuration as it is in the cluster.
 */
export function withOwner(object: KubeObject, injector: KubeObject | undefined): KubeObject {
  const { uid, name } = injector?.metadata ?? {};
  if (uid === undefined || name === undefined) return object;
  const ownerReferences = [
    { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingWebhookConfiguration', name, uid },
  ];
  return { ...object, metadata: { ...object.metadata, ownerReferences } };
}

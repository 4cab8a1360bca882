import { isIP } from 'node:net';
import { labelSelectorMatches, readLabelSelector } from '@istio-ts/kube';
import { fields, list, text, textMap } from '@istio-ts/mesh/kubernetes/read';
import type { Analyzer } from '../analyzer.ts';
import type { ConfigObject } from '../config-object.ts';
import type { AnalysisContext } from '../context.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Istio's webhooks that call nothing, and injectors that want the same pods. */
export const webhooks: Analyzer = {
  name: 'webhook.Analyzer',
  description: "Checks Istio's webhooks: whom they call, and that no two inject the same pods",
  inputs: ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration', 'Service'],
  run: (context) => {
    const injectors: Injector[] = [];
    for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'] as const)
      for (const object of context.objects(kind)) {
        if (!isIstios(object)) continue;
        for (const [index, item] of list(object.object.webhooks).entries()) {
          const webhook = fields(item);
          checkClient(context, object, webhook, `webhooks[${index}].clientConfig`);
          if (kind === 'MutatingWebhookConfiguration') injectors.push({ object, webhook, index });
        }
      }
    reportOverlaps(context, injectors);
  },
};

interface Injector {
  readonly object: ConfigObject;
  readonly webhook: Fields;
  readonly index: number;
}

/** True for the configurations of the injector and the validator, whoever installed them. */
const isIstios = ({ labels, name }: ConfigObject): boolean =>
  labels.app === 'sidecar-injector' || labels.app === 'istiod' || /^(istio-|istiod-)/.test(name);

function checkClient(context: AnalysisContext, object: ConfigObject, webhook: Fields, path: string): void {
  const client = fields(webhook.clientConfig);
  const service = fields(client.service);
  const name = text(service.name);
  if (name !== '') {
    const namespace = text(service.namespace);
    // Files name a service that the installation has brought already.
    if (context.snapshot.fromCluster && context.find('Service', namespace, name) === undefined)
      context.report(
        object,
        'InvalidWebhook',
        { error: `it calls the service ${namespace}/${name}, which does not exist` },
        `${path}.service`,
      );
    return;
  }
  const url = text(client.url);
  if (url === '') return;
  let host: string;
  try {
    const parsed = new URL(url);
    host = parsed.hostname.replace(/^\[|\]$/g, '');
    if (parsed.protocol !== 'https:') throw new Error('its URL must begin with https://');
    if (host === 'localhost' || host.startsWith('127.')) throw new Error('the API server would call itself');
  } catch (error) {
    const msg = error instanceof TypeError ? 'it is no URL' : (error as Error).message;
    context.report(
      object,
      'InvalidExternalControlPlaneConfig',
      { hostname: url, webhook: text(webhook.name), msg },
      `${path}.url`,
    );
    return;
  }
  if (isIP(host) !== 0)
    context.report(
      object,
      'ExternalControlPlaneAddressIsNotAHostname',
      { hostname: host, webhook: text(webhook.name) },
      `${path}.url`,
    );
}

function selects(selector: unknown, labels: Readonly<Record<string, string>>): boolean {
  return labelSelectorMatches(readLabelSelector(selector) ?? {}, labels);
}

/** Every choice of labels that injectors can tell apart: each label absent, or with a value that some selector names. */
function choices(labels: ReadonlyMap<string, ReadonlySet<string>>): readonly Readonly<Record<string, string>>[] {
  let found: Readonly<Record<string, string>>[] = [{}];
  for (const [label, values] of labels)
    found = found.flatMap((others) => [others, ...[...values].map((value) => ({ ...others, [label]: value }))]);
  return found;
}

const deciding = new Set(['istio-injection', 'istio.io/rev', 'sidecar.istio.io/inject']);

function namedValues(selectors: readonly unknown[]): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  const add = (label: string, values: readonly unknown[]): void => {
    if (!deciding.has(label)) return;
    const known = found.get(label) ?? new Set<string>();
    for (const value of values) if (typeof value === 'string') known.add(value);
    found.set(label, known);
  };
  for (const selector of selectors) {
    for (const [label, value] of Object.entries(textMap(fields(selector).matchLabels))) add(label, [value]);
    for (const item of list(fields(selector).matchExpressions)) {
      const { key, values } = fields(item);
      add(text(key), list(values));
    }
  }
  return found;
}

const shown = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',') || 'no label';

function reportOverlaps(context: AnalysisContext, injectors: readonly Injector[]): void {
  const namespaces = choices(namedValues(injectors.map(({ webhook }) => webhook.namespaceSelector)));
  const pods = choices(namedValues(injectors.map(({ webhook }) => webhook.objectSelector)));
  const reported = new Set<string>();
  for (const namespace of namespaces)
    for (const pod of pods) {
      const matching = injectors.filter(
        ({ webhook }) => selects(webhook.namespaceSelector, namespace) && selects(webhook.objectSelector, pod),
      );
      const [first, second] = matching;
      if (first === undefined || second === undefined) continue;
      const pair = `${first.object.name}[${first.index}] ${second.object.name}[${second.index}]`;
      if (reported.has(pair)) continue;
      reported.add(pair);
      context.report(
        second.object,
        'InvalidWebhook',
        {
          error: `it injects the same pods as ${first.object.name} (${text(first.webhook.name)}), for example with ${shown(pod)} in a namespace with ${shown(namespace)}`,
        },
        `webhooks[${second.index}]`,
      );
    }
}

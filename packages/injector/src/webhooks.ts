import { requirementHolds } from '@istio-ts/kube';
import { isObject, type JsonObject, listAt, objectAt, textMap } from './json.ts';
import { parseSelector, type Selector } from './selector.ts';

type Labels = Readonly<Record<string, string>>;

/** What the webhooks of one MutatingWebhookConfiguration do with a pod. */
export interface WebhookVerdict {
  /** Name of the configuration. */
  readonly configuration: string;
  /** Revision of the control plane that it leads to. */
  readonly revision: string;
  /** The tag that it stands for, if it stands for one. */
  readonly tag: string | undefined;
  /** Name of the webhook that takes the pod; undefined when none does. */
  readonly webhook: string | undefined;
  /** Which labels decide, for people. */
  readonly reason: string;
}

/** istioctl puts it into selectors of webhooks that a tag replaces. */
const DEACTIVATED = 'istio.io/deactivated';

/** One failed or fulfilled requirement. */
interface Finding {
  readonly text: string;
  /** Something says no, rather than nothing saying yes. */
  readonly refuses: boolean;
}

/** Whether a MutatingWebhookConfiguration is one of an injector. */
export function isInjector(configuration: JsonObject): boolean {
  const labels = textMap(objectAt(configuration, 'metadata').labels);
  return (
    labels.app === 'sidecar-injector' ||
    listAt(configuration, 'webhooks').some(({ name }) => String(name).endsWith('sidecar-injector.istio.io'))
  );
}

function expressions(selector: Selector): Selector['matchExpressions'] {
  return [
    ...Object.entries(selector.matchLabels).map(([key, value]) => ({ key, operator: 'In' as const, values: [value] })),
    ...selector.matchExpressions,
  ];
}

function look(selector: Selector, labels: Labels, of: string): { met: readonly string[]; failed: readonly Finding[] } {
  const met: string[] = [];
  const failed: Finding[] = [];
  for (const expression of expressions(selector)) {
    const { key, operator, values } = expression;
    const present = `${of} label ${key}=${labels[key] ?? ''}`;
    const wanted = operator === 'In' || operator === 'Exists';
    if (requirementHolds(expression, labels)) {
      if (wanted && Object.hasOwn(labels, key)) met.push(present);
    } else if (wanted && !Object.hasOwn(labels, key))
      failed.push({ text: `${of} label ${key}${values.length > 0 ? `=${values.join('|')}` : ''}`, refuses: false });
    else failed.push({ text: present, refuses: true });
  }
  return { met, failed };
}

/** Whether all webhooks of a configuration wait for a label that nobody sets, because a revision tag has taken over. */
export function isDeactivated(configuration: JsonObject): boolean {
  const webhooks = listAt(configuration, 'webhooks');
  return (
    webhooks.length > 0 &&
    webhooks.every((webhook) => textMap(objectAt(webhook, 'namespaceSelector').matchLabels)[DEACTIVATED] !== undefined)
  );
}

/** Says for one configuration whether its webhooks take a pod with these labels, as the API server would, and why. */
export function judgeWebhooks(configuration: JsonObject, namespace: Labels, pod: Labels): WebhookVerdict {
  const metadata = objectAt(configuration, 'metadata');
  const labels = textMap(metadata.labels);
  const name = String(metadata.name ?? '');
  const about = { configuration: name, revision: labels['istio.io/rev'] ?? 'default', tag: labels['istio.io/tag'] };
  const attempts = listAt(configuration, 'webhooks').map((webhook) => {
    const selector = (key: string) => {
      const value = webhook[key];
      return parseSelector(isObject(value) ? value : {}, `MutatingWebhookConfiguration ${name}`, key);
    };
    const ofNamespace = look(selector('namespaceSelector'), namespace, 'namespace');
    const ofPod = look(selector('objectSelector'), pod, 'pod');
    return {
      name: String(webhook.name),
      met: [...ofNamespace.met, ...ofPod.met],
      failed: [...ofNamespace.failed, ...ofPod.failed],
    };
  });
  const taker = attempts.find(({ failed }) => failed.length === 0);
  if (taker)
    return {
      ...about,
      webhook: taker.name,
      reason:
        taker.met.length > 0
          ? `${taker.met.join(' and ')} asks for it`
          : 'every namespace that says nothing is injected',
    };
  const unique = (texts: readonly string[]) => [...new Set(texts)];
  if (isDeactivated(configuration))
    return { ...about, webhook: undefined, reason: 'it is turned off: a revision tag serves in its place' };
  // Where nothing is missing, somebody said no; else what is missing is the answer.
  const refusedOnly = attempts.filter(({ failed }) => failed.every(({ refuses }) => refuses));
  const fewest = Math.min(...refusedOnly.map(({ failed }) => failed.length));
  const refused = refusedOnly.filter(({ failed }) => failed.length === fewest);
  if (refused.length > 0)
    return {
      ...about,
      webhook: undefined,
      reason: `${unique(refused.flatMap(({ failed }) => failed.map(({ text }) => text))).join(' and ')} rules it out`,
    };
  const missing = unique(attempts.flatMap(({ failed }) => failed.flatMap((each) => (each.refuses ? [] : [each.text]))));
  const refusals = unique(
    attempts.flatMap(({ failed }) => failed.flatMap((each) => (each.refuses ? [each.text] : []))),
  );
  return {
    ...about,
    webhook: undefined,
    reason: refusals.length > 0 ? `${refusals.join(' and ')} leads elsewhere or says no` : `no ${missing.join(' or ')}`,
  };
}

/** Cluster and network out of a webhook path such as `/inject/cluster/c1/net/n1`. */
export function placeFromPath(path: string): { readonly cluster?: string; readonly network?: string } {
  const words = path.split('/').filter(Boolean).slice(1);
  const place: Record<string, string> = {};
  for (let index = 0; index + 1 < words.length; index += 2)
    place[words[index] ?? ''] = decodeURIComponent((words[index + 1] ?? '').replaceAll('--slash--', '/'));
  return {
    ...(place.cluster !== undefined && { cluster: place.cluster }),
    ...(place.net !== undefined && { network: place.net }),
  };
}

/** Path at which a configuration asks the injector: of the service, or of the URL. */
export function injectionPath(configuration: JsonObject): string {
  const [webhook] = listAt(configuration, 'webhooks');
  const { service, url } = objectAt(webhook, 'clientConfig');
  if (typeof url === 'string' && URL.canParse(url)) return new URL(url).pathname;
  return isObject(service) && typeof service.path === 'string' ? service.path : '/inject';
}

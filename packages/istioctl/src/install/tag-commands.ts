import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { isNotFound, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { structured } from '../cli/output.ts';
import { table } from '../cli/table.ts';
import { applyAll, refusalLines } from './apply.ts';
import { type ControlPlane, controlPlanes } from './control-planes.ts';
import { OperatorError } from './failure.ts';
import { manifestYaml } from './generate.ts';
import { revisionOf } from './ownership.ts';
import { unready } from './readiness.ts';
import { readTags, tagOf, tagWebhooks } from './revision-tag.ts';
import {
  deactivated,
  defaultTag,
  defaultValidator,
  defaultValidatorName,
  injectorName,
  onlyOwnRevision,
  tagWebhook,
  validatorName,
  withOwner,
} from './tag-webhook.ts';
import type { Ui } from './ui.ts';

export interface TagOptions {
  readonly client: () => KubeClient;
  readonly ui: Ui;
  readonly istioNamespace: string;
  readonly skipConfirmation: boolean;
}

export interface TagTarget extends TagOptions {
  readonly chartsDir: string;
  readonly tag: string;
  readonly revision: string;
  readonly overwrite: boolean;
  readonly autoInjectNamespaces: boolean;
  /** Name of the webhook configuration, where it is not to be the usual one. */
  readonly webhookName?: string;
}

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** So long a name may be, since it ends up in names of webhooks and in labels. */
const longest = 50;

function checkName(tag: string): void {
  if (!label.test(tag) || tag.length > longest)
    throw new OperatorError(
      `"${tag}" cannot be the name of a tag: lower-case letters, digits and "-", at most ${longest} characters`,
    );
}

async function webhookConfiguration(
  client: KubeClient,
  kind: 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration',
  name: string,
): Promise<KubeObject | undefined> {
  try {
    return { ...(await client.get(kubernetesTypes[kind], name)), kind, apiVersion: 'admissionregistration.k8s.io/v1' };
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function planeOf(planes: readonly ControlPlane[], revision: string, istioNamespace: string): ControlPlane {
  const found = planes.find((plane) => plane.revision === revision);
  if (found) return found;
  const present = planes.map((plane) => plane.revision).join(', ');
  throw new OperatorError(
    present === ''
      ? `there is no control plane in this cluster that a tag could stand for: install one with istioctl install (namespace ${istioNamespace})`
      : `there is no control plane of revision "${revision}"; there is: ${present}`,
  );
}

/** Protects what is in use: a tag is moved, and the name of a revision taken, only with --overwrite. */
async function checkOverwrite(target: TagTarget, planes: readonly ControlPlane[], present: readonly KubeObject[]) {
  const { tag, revision } = target;
  if (target.overwrite) return;
  const before = present.find((object) => tagOf(object) === tag);
  if (before && revisionOf(before) !== revision)
    throw new OperatorError(
      `tag "${tag}" exists and stands for revision ${revisionOf(before)}: --overwrite moves it to ${revision}`,
    );
  if (tag !== defaultTag && planes.some((plane) => plane.revision === tag))
    throw new OperatorError(
      `"${tag}" is the name of a revision, whose own webhooks would be in the way: choose another name, or insist with --overwrite`,
    );
}

/** The objects of a tag: its injection webhooks, and for the default one the validation webhook too. */
async function tagObjects(
  target: TagTarget,
  plane: ControlPlane,
): Promise<{ readonly objects: readonly KubeObject[]; readonly injectionReady: string | undefined }> {
  const client = target.client();
  const namespace = plane.namespace;
  const injector = await webhookConfiguration(
    client,
    'MutatingWebhookConfiguration',
    injectorName(target.revision, namespace),
  );
  if (!injector)
    throw new OperatorError(
      `revision ${target.revision} has no webhooks ${injectorName(target.revision, namespace)}: install it again`,
    );
  const webhook = tagWebhook({
    chartsDir: target.chartsDir,
    tag: target.tag,
    revision: target.revision,
    istioNamespace: namespace,
    injector,
    autoInjectNamespaces: target.autoInjectNamespaces,
    ...(target.webhookName !== undefined && { name: target.webhookName }),
  });
  if (target.tag !== defaultTag) return { objects: [webhook], injectionReady: unready(injector) };
  const validator = await webhookConfiguration(
    client,
    'ValidatingWebhookConfiguration',
    validatorName(target.revision, namespace),
  );
  return {
    objects: [webhook, ...(validator ? [defaultValidator(validator, target.revision)] : [])].map((object) =>
      withOwner(object, injector),
    ),
    injectionReady: unready(injector),
  };
}

async function prepared(target: TagTarget): Promise<{
  readonly plane: ControlPlane;
  readonly objects: readonly KubeObject[];
  readonly before: KubeObject | undefined;
}> {
  checkName(target.tag);
  const client = target.client();
  const [planes, present] = await Promise.all([controlPlanes(client), tagWebhooks(client)]);
  const plane = planeOf(planes, target.revision, target.istioNamespace);
  await checkOverwrite(target, planes, present);
  const { objects, injectionReady } = await tagObjects(target, plane);
  const missing = unready(plane.deployment) ?? injectionReady;
  if (missing !== undefined) {
    target.ui.warn(`the control plane of revision ${target.revision} is not ready: ${missing}`);
    if (
      !target.skipConfirmation &&
      !(await target.ui.confirm('Pods of the tag cannot start before it is. Proceed? (y/N) '))
    )
      throw new OperatorError('cancelled');
  }
  return { plane, objects, before: present.find((object) => tagOf(object) === target.tag) };
}

/** The revision `default` chooses pods by itself until there is a tag of that name: two would inject every pod twice. */
async function stepBack(client: KubeClient, namespace: string): Promise<void> {
  const injector = await webhookConfiguration(
    client,
    'MutatingWebhookConfiguration',
    injectorName('default', namespace),
  );
  const validator = await webhookConfiguration(
    client,
    'ValidatingWebhookConfiguration',
    validatorName('default', namespace),
  );
  const changed = [
    ...(injector ? [[kubernetesTypes.MutatingWebhookConfiguration, deactivated(injector)] as const] : []),
    ...(validator ? [[kubernetesTypes.ValidatingWebhookConfiguration, onlyOwnRevision(validator)] as const] : []),
  ];
  for (const [type, object] of changed) await client.update(type, object);
}

/** `istioctl tag set`. Raises OperatorError. */
export async function runTagSet(target: TagTarget): Promise<number> {
  const client = target.client();
  const { plane, objects, before } = await prepared(target);
  const refusals = await applyAll(client, objects);
  if (refusals.length > 0) throw new OperatorError(`the cluster refused the tag:\n${refusalLines(refusals)}`);
  const stale = before && before.metadata.name !== objects[0]?.metadata.name ? before : undefined;
  if (stale) await client.delete(kubernetesTypes.MutatingWebhookConfiguration, stale.metadata.name ?? '');
  if (target.tag === defaultTag) await stepBack(client, plane.namespace);
  const moved = before && revisionOf(before) !== target.revision ? ` (before: ${revisionOf(before)})` : '';
  target.ui.line(
    `Revision tag "${target.tag}" now stands for revision "${target.revision}"${moved}. ${
      target.tag === defaultTag
        ? 'It injects namespaces with istio-injection=enabled and validates what names no revision.'
        : `To use it: kubectl label namespace NAMESPACE istio.io/rev=${target.tag} istio-injection- --overwrite`
    }`,
  );
  const used = (await readTags(client)).find(({ tag }) => tag === target.tag)?.namespaces ?? [];
  if (moved !== '' && used.length > 0)
    target.ui.line(
      `Running pods keep their proxies until they are restarted: ${used.map((name) => `kubectl rollout restart deployment -n ${name}`).join('; ')}`,
    );
  return 0;
}

/** `istioctl tag generate`: prints what `tag set` would apply. */
export async function runTagGenerate(target: TagTarget): Promise<number> {
  const { objects } = await prepared(target);
  target.ui.line(manifestYaml(objects).trimEnd());
  return 0;
}

/** `istioctl tag list -o table|json`. */
export async function runTagList(
  options: Pick<TagOptions, 'client' | 'ui'> & { readonly output: string },
): Promise<number> {
  const tags = await readTags(options.client());
  if (options.output === 'json' || options.output === 'yaml') {
    options.ui.line(structured(tags, options.output).trimEnd());
    return 0;
  }
  if (options.output !== 'table')
    throw new OperatorError(`output format "${options.output}" is not supported: use table, json or yaml`);
  if (tags.length === 0) {
    options.ui.line(
      'There is no revision tag in this cluster: make one with istioctl tag set TAG --revision REVISION.',
    );
    return 0;
  }
  options.ui.line(
    table(
      ['TAG', 'REVISION', 'NAMESPACES'],
      tags.map(({ tag, revision, namespaces }) => [tag, revision, namespaces.join(',')]),
    ).trimEnd(),
  );
  return 0;
}

/** `istioctl tag remove`. Asks where namespaces use the tag. Raises OperatorError where there is no such tag. */
export async function runTagRemove(options: TagOptions & { readonly tag: string }): Promise<number> {
  const { tag, ui } = options;
  const client = options.client();
  const webhooks = (await tagWebhooks(client)).filter((object) => tagOf(object) === tag);
  const tags = await readTags(client);
  if (webhooks.length === 0) {
    const present = tags.map((known) => known.tag).join(', ');
    throw new OperatorError(`there is no tag "${tag}"${present === '' ? '' : `; there is: ${present}`}`);
  }
  const used = tags.find((known) => known.tag === tag)?.namespaces ?? [];
  if (used.length > 0) {
    ui.warn(
      `${used.length} ${used.length === 1 ? 'namespace is' : 'namespaces are'} injected by tag "${tag}": ${used.join(', ')}. New pods there start without a sidecar.`,
    );
    if (!options.skipConfirmation && !(await ui.confirm('Proceed? (y/N) '))) {
      ui.line('Cancelled.');
      return 1;
    }
  }
  for (const { metadata } of webhooks)
    await client.delete(kubernetesTypes.MutatingWebhookConfiguration, metadata.name ?? '');
  if (tag === defaultTag)
    try {
      await client.delete(kubernetesTypes.ValidatingWebhookConfiguration, defaultValidatorName);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  ui.line(`Revision tag "${tag}" was removed.`);
  if (tag === defaultTag)
    ui.line('No revision is the default now. Choose one: istioctl tag set default --revision REVISION');
  return 0;
}

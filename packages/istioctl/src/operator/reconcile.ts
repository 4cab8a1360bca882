import { VERSION } from '@istio-ts/api/version';
import type { JsonObject } from '@istio-ts/charts';
import { isNotFound, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { runInstall } from '../install/install.ts';
import type { Step, Ui } from '../install/ui.ts';
import { runUninstall } from '../install/uninstall.ts';
import { recordEvent } from './events.ts';
import {
  componentOf,
  finalizer,
  type Health,
  ignoreAnnotation,
  istioOperatorType,
  keyOf,
  type OperatorStatus,
  ownNamespace,
  revisionOf,
  specOf,
} from './resource.ts';

export interface ReconcileOptions {
  readonly client: KubeClient;
  readonly chartsDir: string;
  readonly log: {
    debug(message: string): void;
    info(message: string): void;
    warn(message: string): void;
    error(message: string): void;
  };
  readonly now: () => Date;
  readonly readinessTimeoutMs: number;
  readonly operatorName: string;
  /** Every IstioOperator that this operator knows, this one included. */
  readonly all: () => readonly KubeObject[];
}

export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'ignored' }
  /** Worth another try after a while; `message` is in the status of the object. */
  | { readonly kind: 'failed'; readonly message: string };

/** The longest message that goes into a status or an event. */
const maxMessage = 1000;
const bounded = (text: string): string => (text.length > maxMessage ? `${text.slice(0, maxMessage - 3)}...` : text);

/** A Ui that keeps what becomes of each part, and logs the rest. `quiet`, for checks that nothing has drifted, logs only what was changed. */
function recordingUi(log: ReconcileOptions['log'], key: string, quiet: boolean) {
  const tell = (text: string) =>
    quiet && !/ to (create|change|remove)|^\s*(Removed|[+~-]) /.test(text)
      ? log.debug(`${key}: ${text}`)
      : log.info(`${key}: ${text}`);
  const parts = new Map<string, { readonly status: Health; readonly version?: string; readonly error?: string }>();
  const warnings: string[] = [];
  const step = (title: string): Step => {
    const component = componentOf(title);
    if (component !== undefined) parts.set(component, { status: 'RECONCILING', version: VERSION });
    return {
      note: () => {},
      done: (text) => {
        tell(text ?? title);
        if (component !== undefined) parts.set(component, { status: 'HEALTHY', version: VERSION });
      },
      fail: (text) => {
        log.warn(`${key}: ${text}`);
        if (component !== undefined) parts.set(component, { status: 'ERROR', version: VERSION, error: text });
      },
    };
  };
  const ui: Ui = {
    line: tell,
    warn: (text) => {
      warnings.push(text);
      log.warn(`${key}: ${text}`);
    },
    step,
    confirm: async () => true,
  };
  return { ui, parts, warnings };
}

/** Sets the status where it differs. That the object is gone meanwhile is no failure. */
async function setStatus(client: KubeClient, object: KubeObject, status: OperatorStatus): Promise<void> {
  const { name = '', namespace } = object.metadata;
  // A message that is not set any more has to be taken away by name.
  const full = { message: null, ...status };
  try {
    await client.patch(istioOperatorType, name, namespace, 'merge', { status: full }, { subresource: 'status' });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

async function setFinalizers(client: KubeClient, object: KubeObject, finalizers: readonly string[]): Promise<void> {
  const { name = '', namespace, resourceVersion } = object.metadata;
  await client.patch(istioOperatorType, name, namespace, 'merge', {
    metadata: { finalizers, ...(resourceVersion !== undefined && { resourceVersion }) },
  });
}

/** An older IstioOperator of the same revision: two would take each other's objects away. */
function rivalOf(object: KubeObject, all: readonly KubeObject[]): KubeObject | undefined {
  const age = ({ metadata }: KubeObject) => `${metadata.creationTimestamp ?? ''} ${metadata.uid ?? ''}`;
  return all.find(
    (other) =>
      keyOf(other) !== keyOf(object) &&
      revisionOf(other) === revisionOf(object) &&
      other.metadata.deletionTimestamp === undefined &&
      age(other) < age(object),
  );
}

async function remove(object: KubeObject, options: ReconcileOptions): Promise<Outcome> {
  const finalizers = object.metadata.finalizers ?? [];
  if (!finalizers.includes(finalizer)) return { kind: 'ignored' };
  const { client, log } = options;
  const key = keyOf(object);
  const others = options.all().filter((other) => keyOf(other) !== key && revisionOf(other) === revisionOf(object));
  if (others.length === 0) {
    log.info(`${key}: removing what it installed`);
    const { ui } = recordingUi(log, key, false);
    await runUninstall({
      client: () => client,
      ui,
      chartsDir: options.chartsDir,
      purge: false,
      files: [],
      sets: [],
      revision: revisionOf(object),
      istioNamespace: ownNamespace(object) ?? 'istio-system',
      dryRun: false,
      skipConfirmation: true,
      verbose: false,
    });
  } else log.info(`${key}: ${others.map(keyOf).join(', ')} is about the same revision: the installation stays`);
  await setFinalizers(
    client,
    object,
    finalizers.filter((each) => each !== finalizer),
  );
  log.info(`${key}: removed`);
  return { kind: 'done' };
}

async function install(object: KubeObject, options: ReconcileOptions): Promise<Outcome> {
  const { client, log } = options;
  const key = keyOf(object);
  const rival = rivalOf(object, options.all());
  if (rival !== undefined)
    throw new Error(
      `the IstioOperator ${keyOf(rival)} is about the revision ${revisionOf(object)} already: put the settings of both into one, or give this one another spec.revision`,
    );
  const finalizers = object.metadata.finalizers ?? [];
  if (!finalizers.includes(finalizer)) await setFinalizers(client, object, [...finalizers, finalizer]);
  const { generation } = object.metadata;
  const observed = generation !== undefined && { observedGeneration: generation };
  const before = object.status as Partial<OperatorStatus> | undefined;
  // A check that nothing has drifted is no news.
  const known = before?.observedGeneration === generation && before?.status === 'HEALTHY';
  const { ui, parts, warnings } = recordingUi(log, key, known);
  if (!known)
    await setStatus(client, object, {
      status: before?.observedGeneration === undefined ? 'RECONCILING' : 'UPDATING',
      ...observed,
    });
  const end = async (status: Health, message: string | undefined) => {
    const next = {
      status,
      ...(message !== undefined && { message: bounded(message) }),
      componentStatus: Object.fromEntries(parts),
      ...observed,
    };
    await setStatus(client, object, next);
  };
  try {
    const code = await runInstall({
      client: () => client,
      ui,
      chartsDir: options.chartsDir,
      files: [],
      sets: [],
      // What was installed says which object asked for it.
      specs: [specOf(object), { values: { ownerName: object.metadata.name ?? '' } } as JsonObject],
      istioNamespace: ownNamespace(object) ?? 'istio-system',
      dryRun: false,
      skipConfirmation: true,
      readinessTimeoutMs: options.readinessTimeoutMs,
      verify: false,
      force: false,
      now: options.now,
    });
    if (code !== 0) throw new Error(`the installation ended with ${code}`);
    await end('HEALTHY', warnings.length > 0 ? warnings.join('\n') : undefined);
  } catch (error) {
    if (parts.size > 0) await end('ERROR', (error as Error).message);
    throw error;
  }
  if (before?.observedGeneration !== generation)
    await recordEvent(options, object, 'Normal', 'Reconciled', `Istio ${VERSION} is installed as this object says`);
  return { kind: 'done' };
}

/**
 * Brings about what one IstioOperator says: installs, changes, or removes when it is being deleted. Never rejects: what went wrong stands in its status
 * and in an event.
 */
export async function reconcile(object: KubeObject, options: ReconcileOptions): Promise<Outcome> {
  const key = keyOf(object);
  const deleting = object.metadata.deletionTimestamp !== undefined;
  if (!deleting && object.metadata.annotations?.[ignoreAnnotation] === 'true') {
    options.log.info(`${key}: the annotation ${ignoreAnnotation} says to leave it`);
    return { kind: 'ignored' };
  }
  try {
    return deleting ? await remove(object, options) : await install(object, options);
  } catch (error) {
    const message = bounded((error as Error).message);
    options.log.error(`${key}: ${message}`);
    try {
      await setStatus(options.client, object, {
        status: 'ERROR',
        message,
        ...(object.metadata.generation !== undefined && { observedGeneration: object.metadata.generation }),
      } as OperatorStatus);
      await recordEvent(options, object, 'Warning', deleting ? 'RemovalFailed' : 'ReconcileFailed', message);
    } catch (failure) {
      options.log.warn(`${key}: its status cannot be written: ${(failure as Error).message}`);
    }
    return { kind: 'failed', message };
  }
}

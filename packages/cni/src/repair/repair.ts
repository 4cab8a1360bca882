import type { Logger } from '@istio-ts/agent/log';
import { KubeApiError, type KubeClient } from '@istio-ts/kube/client';
import { eventAbout } from '@istio-ts/kube/event';
import type { RepairSettings } from '../install/settings.ts';
import { decide } from '../plugin/decision.ts';
import type { RuleWriter } from '../plugin/plugin.ts';
import type { Pod } from '../plugin/pod.ts';
import { isBroken, repairAction } from './broken-pod.ts';

const PODS = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true } as const;
const EVENTS = { group: '', version: 'v1', resource: 'events', kind: 'Event', namespaced: true } as const;

export interface RepairParts {
  readonly settings: RepairSettings;
  readonly excludedNamespaces: readonly string[];
  readonly client: KubeClient;
  readonly rules: RuleWriter;
  readonly namespaceOf: (pod: Pod) => string | undefined;
  readonly log: Logger;
  readonly onRepair: (type: 'repair' | 'delete' | 'label', result: 'success' | 'fail' | 'skip') => void;
  readonly now: () => Date;
}

/** Looks after the pods of this node that started without their rules. Does nothing when nothing is to be done with them. */
export function startRepair(parts: RepairParts): { close(): void } {
  const { settings, client, log } = parts;
  const action = repairAction(settings);
  if (action === undefined) return { close: () => {} };
  const done = new Map<string, number>();
  const handle = async (pod: Pod): Promise<void> => {
    const { name = '', namespace = '', uid = '' } = pod.metadata;
    const status = pod.status?.initContainerStatuses?.find((item) => item.name === settings.initContainerName);
    const restarts = status?.restartCount ?? 0;
    // Each failure is answered once: the pod is seen many times before its init container runs again.
    if ((done.get(uid) ?? -1) >= restarts) return;
    done.set(uid, restarts);
    try {
      const result = await act(action, pod, parts);
      parts.onRepair(action, result);
      if (result === 'success')
        log.info(`${past[action]} a pod that started without interception rules`, { pod: `${namespace}/${name}` });
    } catch (error) {
      if (error instanceof KubeApiError && (error.status === 404 || error.status === 409)) return;
      parts.onRepair(action, 'fail');
      log.error(`cannot ${action} a pod that started without interception rules: ${(error as Error).message}`, {
        pod: `${namespace}/${name}`,
      });
    }
  };
  const fields = [settings.fieldSelectors, `spec.nodeName=${settings.nodeName}`]
    .filter((text) => text !== '')
    .join(',');
  const watch = client.watch<Pod>(
    PODS,
    { fieldSelector: fields, ...(settings.labelSelectors !== '' && { labelSelector: settings.labelSelectors }) },
    (event) => {
      if (event.type === 'SYNCED') return;
      if (event.type === 'DELETED') done.delete(event.object.metadata.uid ?? '');
      else if (isBroken(event.object, settings)) void handle(event.object);
    },
    (error) => log.warn(`watch of pods: ${error.message}`),
  );
  return { close: () => watch.close() };
}

const past = { repair: 'repaired', delete: 'deleted', label: 'labelled' } as const;

async function act(
  action: 'repair' | 'delete' | 'label',
  pod: Pod,
  { settings, excludedNamespaces, client, rules, namespaceOf, now }: RepairParts,
): Promise<'success' | 'skip'> {
  const { name = '', namespace = '', uid } = pod.metadata;
  // A pod that the plugin leaves alone would fail again, also the one made in its place.
  const decision = decide(pod, excludedNamespaces);
  if (decision.kind === 'leave') return 'skip';
  switch (action) {
    case 'repair': {
      const path = namespaceOf(pod);
      if (path === undefined) throw new Error('its network namespace is not to be found on this node');
      const addresses = (pod.status?.podIPs ?? []).map(({ ip = '' }) => ip);
      await rules.apply(path, decision.settings, addresses.some((ip) => ip.includes(':')) ? [4, 6] : [4]);
      const message = 'Set the interception rules that were missing when the pod started';
      await recordEvent(client, pod, 'RulesRepaired', message, now());
      return 'success';
    }
    case 'delete':
      await recordEvent(client, pod, 'RulesMissing', 'Deleting the pod: it started without interception rules', now());
      await client.delete(PODS, name, namespace, uid === undefined ? {} : { uid });
      return 'success';
    case 'label':
      if (pod.metadata.labels?.[settings.labelKey] === settings.labelValue) return 'skip';
      await client.patch(PODS, name, namespace, 'merge', {
        metadata: { ...(uid !== undefined && { uid }), labels: { [settings.labelKey]: settings.labelValue } },
      });
      return 'success';
    default:
      return action satisfies never;
  }
}

/** An event tells the pod's owner; without the right to write one the repair goes on. */
async function recordEvent(client: KubeClient, pod: Pod, reason: string, message: string, now: Date): Promise<void> {
  const event = eventAbout(
    { ...pod, apiVersion: 'v1', kind: 'Pod' },
    { type: 'Warning', reason, message, component: 'istio-cni', at: now },
  );
  await client.create(EVENTS, event).catch(() => undefined);
}

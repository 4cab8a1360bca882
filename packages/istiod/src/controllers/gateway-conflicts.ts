import { istioTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';
import type { Mesh } from '@istio-ts/mesh';
import type { MetricsRegistry } from '@istio-ts/metrics';
import { gatewayConflicts } from '@istio-ts/xds/gateway/conflicts';
import type { Logger } from '../log.ts';
import { type Condition, conditionOf, maxConditionMessage, withCondition } from './condition.ts';
import { updateStatus } from './update-status.ts';

const conditionType = 'Conflicted';
/** Conditions that tell of conflicts (none given: that there are none any more); undefined where the object says so already. */
export function conflictConditions(
  object: KubeObject,
  messages: readonly string[],
  now: Date,
): readonly Condition[] | undefined {
  const existing = conditionOf(object, conditionType);
  if (messages.length === 0 && (existing === undefined || existing.status === 'False')) return undefined;
  const wanted: Condition =
    messages.length === 0
      ? { type: conditionType, status: 'False', reason: 'NoConflicts', message: 'every server is in force' }
      : {
          type: conditionType,
          status: 'True',
          reason: 'OlderGateway',
          message: messages.join('; ').slice(0, maxConditionMessage),
        };
  return withCondition(object, wanted, now);
}

/**
 * Tells people which servers of their Gateways are not in force because an older Gateway has the port or the host: a log line, the metric
 * `pilot_conflict_inbound_listener` (servers in conflict now), and the condition `Conflicted` in the Gateway's status.
 */
export function reportGatewayConflicts(
  mesh: Pick<Mesh, 'gateways' | 'selectingServices' | 'options'>,
  client: KubeClient,
  metrics: MetricsRegistry,
  log: Logger,
  { now = () => new Date(), soon = (work: () => void): unknown => setImmediate(work) } = {},
): { readonly close: () => void } {
  const gauge = metrics.gauge('pilot_conflict_inbound_listener', 'Number of conflicting inbound listeners.');
  gauge.set(0);
  let known: ReadonlyMap<string, readonly string[]> = new Map();
  let scheduled = false;
  let closed = false;

  const write = async (key: string): Promise<void> => {
    const [namespace = '', name = ''] = key.split('/');
    try {
      // A Gateway that is gone, or that stands for a Kubernetes Ingress, has no status.
      await updateStatus(client, istioTypes.Gateway, { namespace, name }, (object) => {
        const conditions = closed ? undefined : conflictConditions(object, known.get(key) ?? [], now());
        return conditions && { conditions };
      });
    } catch (error) {
      log.warn(`cannot write the status of Gateway ${key}: ${error instanceof Error ? error.message : error}`);
    }
  };

  const update = (): void => {
    scheduled = false;
    if (closed) return;
    const services = [...mesh.selectingServices.values()].flat();
    const found = gatewayConflicts(mesh.gateways.current, services, mesh.options.gatewaysSelectOwnNamespaceOnly);
    const next = new Map([...found].map(([key, all]) => [key, all.map(({ path, message }) => `${path}: ${message}`)]));
    const before = known;
    known = next;
    gauge.set([...next.values()].reduce((sum, messages) => sum + messages.length, 0));
    for (const key of new Set([...before.keys(), ...next.keys()])) {
      const messages = next.get(key) ?? [];
      if (messages.join('\n') === (before.get(key) ?? []).join('\n')) continue;
      for (const message of messages) log.warn(`Gateway ${key} conflicts with another one: ${message}`);
      void write(key);
    }
  };
  const request = (): void => {
    if (scheduled) return;
    scheduled = true;
    soon(update);
  };
  const ends = [mesh.gateways.subscribe(request), mesh.selectingServices.subscribe(request)];
  request();
  return {
    close: () => {
      closed = true;
      for (const end of ends) end();
    },
  };
}

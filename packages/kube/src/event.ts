import type { KubeObject } from './object.ts';

/** What happened to an object. */
export interface ObjectEvent {
  readonly type: 'Normal' | 'Warning';
  /** One word in capitals and small letters, for machines: `Reconciled`. */
  readonly reason: string;
  /** A sentence for people. */
  readonly message: string;
  /** The program that says so, and the node where it runs if that matters. */
  readonly component: string;
  readonly host?: string;
  readonly at: Date;
  /** Part of the object, for example `spec.containers{app}`. */
  readonly fieldPath?: string;
}

/** Kubernetes writes times of events to the second. */
export const eventTime = (at: Date): string => at.toISOString().replace(/\.\d+Z$/, 'Z');

/** An Event (core/v1) about an object, for `kubectl describe` and `kubectl get events`. It stands in the object's namespace, or in `default`; the API server names it. */
export function eventAbout(
  { apiVersion, kind, metadata }: KubeObject,
  { type, reason, message, component, host, at, fieldPath }: ObjectEvent,
): KubeObject {
  const { name = '', namespace, uid } = metadata;
  const time = eventTime(at);
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { generateName: `${name}.`, namespace: namespace ?? 'default' },
    involvedObject: {
      apiVersion,
      kind,
      name,
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(fieldPath !== undefined && { fieldPath }),
    },
    type,
    reason,
    message,
    count: 1,
    firstTimestamp: time,
    lastTimestamp: time,
    source: { component, ...(host !== undefined && { host }) },
    reportingComponent: component,
    ...(host !== undefined && { reportingInstance: host }),
  };
}

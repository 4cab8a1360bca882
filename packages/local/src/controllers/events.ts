import { randomBytes } from 'node:crypto';
import { eventAbout, eventTime, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { EVENTS } from './kinds.ts';

/** Writes Kubernetes events; a repeated one raises the count of the first. Never throws, never waits. */
export interface EventRecorder {
  record(
    object: KubeObject,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
    /** Part of the object, for example `spec.containers{app}`. */
    fieldPath?: string,
  ): void;
}

const REMEMBERED = 2000;
const MESSAGE_LIMIT = 1024;

export function createEventRecorder(
  client: KubeClient,
  component: string,
  host: string,
  log: (line: string) => void,
  now: () => Date = () => new Date(),
): EventRecorder {
  const known = new Map<string, { readonly name: string; count: number; written: Promise<unknown> }>();
  return {
    record(object, type, reason, text, fieldPath) {
      const { namespace = 'default', name = '', uid } = object.metadata;
      const message = text.length > MESSAGE_LIMIT ? `${text.slice(0, MESSAGE_LIMIT - 1)}…` : text;
      const at = now();
      const key = [namespace, name, uid, type, reason, message, fieldPath].join('\n');
      const earlier = known.get(key);
      const failed = (error: Error) => {
        // Events of a namespace that is going away have nowhere to go.
        if (!/terminat|not found/i.test(error.message)) log(`event ${reason} of ${name}: ${error.message}`);
      };
      if (earlier !== undefined) {
        earlier.count += 1;
        const count = earlier.count;
        earlier.written = earlier.written.then(() =>
          client
            .patch(EVENTS, earlier.name, namespace, 'merge', { count, lastTimestamp: eventTime(at) })
            .catch((error: Error) => {
              known.delete(key);
              failed(error);
            }),
        );
        return;
      }
      const eventName = `${name.slice(0, 220)}.${randomBytes(8).toString('hex')}`;
      if (known.size >= REMEMBERED) known.delete(known.keys().next().value ?? '');
      const event = eventAbout(object, {
        type,
        reason,
        message,
        component,
        host,
        at,
        ...(fieldPath !== undefined && { fieldPath }),
      });
      const entry = {
        name: eventName,
        count: 1,
        written: client
          // A name of its own, so that a repetition can raise the count.
          .create(EVENTS, { ...event, metadata: { name: eventName, namespace } })
          .catch(failed),
      };
      known.set(key, entry);
    },
  };
}

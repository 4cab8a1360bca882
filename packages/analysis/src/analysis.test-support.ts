import type { KubeObject } from '@istio-ts/kube/object';
import { analyze } from './analyze.ts';
import type { Analyzer } from './analyzer.ts';
import { nameOf } from './config-object.ts';
import { readManifestText } from './manifest-text.ts';
import type { Message } from './message.ts';
import { createSnapshot, type SnapshotInput } from './snapshot.ts';

/** The messages that analyzers give for a manifest, as if `istioctl analyze --use-kube=false` read it. */
export function messagesOf(
  analyzers: Analyzer | readonly Analyzer[],
  yaml: string,
  options: Partial<SnapshotInput> = {},
): readonly Message[] {
  const { objects, problems } = readManifestText(yaml, 'test.yaml');
  if (problems[0]) throw new Error(`test.yaml:${problems[0].line}: ${problems[0].reason}`);
  const snapshot = createSnapshot({
    files: objects,
    clusters: [],
    revision: 'default',
    istioNamespace: 'istio-system',
    defaultNamespace: 'default',
    ...options,
  });
  return analyze(snapshot, { analyzers: 'run' in analyzers ? [analyzers] : analyzers });
}

/** Messages as short lines: `IST0101 VirtualService default/reviews spec.http[0].route[0].destination.host`. */
export const findings = (
  analyzers: Analyzer | readonly Analyzer[],
  yaml: string,
  options: Partial<SnapshotInput> = {},
): readonly string[] =>
  messagesOf(analyzers, yaml, options).map(({ code, object, path }) =>
    [code, ...(object ? [object.object.kind, nameOf(object)] : []), ...(path === '' ? [] : [path])].join(' '),
  );

/** A manifest's objects as a cluster would list them. */
export const clusterObjects = (yaml: string): readonly KubeObject[] =>
  readManifestText(yaml, 'cluster.yaml').objects.map(({ object }) => object);

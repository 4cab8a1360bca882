/**
 * Analysis of configuration: what is wrong, and what will not work as it looks. `analyze` is a pure function of a snapshot of objects.
 *
 * To add an analyzer:
 * 1. One file in `analyzers/`, which exports an `Analyzer`: its name, what it looks for, the kinds it reads (`inputs`; nothing else is listed from a
 *    cluster) and `run(context)`.
 * 2. In `run`, ask the context: `istio(kind)` for decoded objects of Istio's kinds, `objects(kind)` for others (or for another cluster of
 *    `snapshot.clusters`), `find`, `services()` (name `...serviceInputs` among the inputs), `workloads()` (`...workloadInputs`), and
 *    `snapshot.meshConfig`. Report with `context.report(object, 'NameOfTheMessage', { its arguments }, 'spec.field[0]')`; the path gives the line.
 * 3. A new message is an entry of one of the files in `messages/`; `message-types.ts` has all of them.
 * 4. Put it into the list of `analyzers.ts`.
 * 5. A test beside it: `findings(yaml)` of `analysis.test-support.ts` gives the messages of a manifest as short lines.
 */
export { analyze, type AnalyzeOptions, analyzeInSteps, inputsOf } from './analyze.ts';
export type { Analyzer } from './analyzer.ts';
export { analyzers } from './analyzers.ts';
export { gatewayApiVersion } from './analyzers/gateway-api-version.ts';
export { localhostListener } from './analyzers/localhost-listener.ts';
export { releaseChanges } from './analyzers/release-changes.ts';
export { webhooks } from './analyzers/webhooks.ts';
export { type ConfigObject, describe, type FileSource, type IstioObject, nameOf } from './config-object.ts';
export { AnalysisContext, isSystemNamespace } from './context.ts';
export { type InputKind, inputKindOf, inputTypes } from './input-kinds.ts';
export { type Level, levels, parseLevel, reaches } from './level.ts';
export { type ListeningSocket, parseListeningSockets } from './listening-sockets.ts';
export { type FileObject, type ParseProblem, readManifestText } from './manifest-text.ts';
export { type Message, messageJson, reference } from './message.ts';
export { documentationUrl, type MessageName, messageNameOf, messageTypes } from './message-types.ts';
export { type KnownService, ServiceIndex, serviceInputs } from './services.ts';
export { type ClusterObjects, createSnapshot, type Snapshot, type SnapshotInput } from './snapshot.ts';
export { isSuppressed, parseSuppression, type Suppression, suppressAnnotation } from './suppression.ts';
export { containersOf, templateOf, type Workload, workloadInputs } from './workloads.ts';

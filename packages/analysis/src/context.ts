import type { Kind } from '@istio-ts/api/kinds';
import { decode } from '@istio-ts/api/objects';
import type { ConfigObject, IstioObject } from './config-object.ts';
import type { InputKind } from './input-kinds.ts';
import type { Message } from './message.ts';
import { type MessageArgs, type MessageName, messageTypes } from './message-types.ts';
import { groupBy } from './overlap.ts';
import { ServiceIndex } from './services.ts';
import type { Snapshot } from './snapshot.ts';
import { type Workload, workloadsOf } from './workloads.ts';

/** Namespaces of Kubernetes itself, which are no part of the mesh. */
const systemNamespaces = new Set(['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage']);
export const isSystemNamespace = (namespace: string): boolean => systemNamespaces.has(namespace);

/** What an analyzer sees. Everything derived is computed once and shared by all analyzers. */
export class AnalysisContext {
  readonly snapshot: Snapshot;
  readonly #byKind = new Map<string, ConfigObject[]>();
  readonly #decoded = new Map<Kind, readonly IstioObject<Kind>[]>();
  readonly #byName = new Map<string, ConfigObject>();
  readonly #messages: Message[] = [];
  #services: ServiceIndex | undefined;
  #workloads: readonly Workload[] | undefined;
  #workloadsByNamespace: ReadonlyMap<string, readonly Workload[]> | undefined;

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
    for (const object of snapshot.objects) {
      const key = `${object.cluster} ${object.kind}`;
      const list = this.#byKind.get(key);
      if (list) list.push(object);
      else this.#byKind.set(key, [object]);
      if (object.cluster === snapshot.primary)
        this.#byName.set(`${object.kind} ${object.namespace}/${object.name}`, object);
    }
    for (const list of this.#byKind.values())
      list.sort((a, b) => compare(a.namespace, b.namespace) || compare(a.name, b.name));
  }

  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** Objects of a kind in the primary cluster (and the files), by namespace and name. */
  objects(kind: InputKind, cluster = this.snapshot.primary): readonly ConfigObject[] {
    return this.#byKind.get(`${cluster} ${kind}`) ?? [];
  }

  /** Whether the user may list a kind of the primary cluster: where not, nothing can be said to be missing. */
  readable(kind: InputKind): boolean {
    const { forbidden, primary } = this.snapshot;
    return !forbidden.some((entry) => entry.cluster === primary && entry.kind === kind);
  }

  /** As `objects`, decoded. */
  istio<K extends Kind>(kind: K): readonly IstioObject<K>[] {
    let found = this.#decoded.get(kind);
    if (!found) {
      found = this.objects(kind).map((entry) =>
        entry.spec === undefined
          ? { ...entry, kind, spec: decode(kind, entry.object).value.spec }
          : (entry as ConfigObject as IstioObject<typeof kind>),
      );
      this.#decoded.set(kind, found);
    }
    // Stored under the same kind, so each is of it.
    return found as readonly unknown[] as readonly IstioObject<K>[];
  }

  /** An object of the primary cluster by its name. */
  find(kind: InputKind, namespace: string, name: string): ConfigObject | undefined {
    return this.#byName.get(`${kind} ${namespace}/${name}`);
  }

  /** Services of Kubernetes and of ServiceEntries, by host. Needs `serviceInputs`. */
  services(): ServiceIndex {
    this.#services ??= new ServiceIndex(this);
    return this.#services;
  }

  /** Pods of the primary cluster, and the pods that workload objects of the files will make. Needs `workloadInputs`. */
  workloads(): readonly Workload[] {
    this.#workloads ??= this.snapshot.workloads ?? workloadsOf(this);
    return this.#workloads;
  }

  /** As `workloads`, those of one namespace. */
  workloadsOf(namespace: string): readonly Workload[] {
    this.#workloadsByNamespace ??= groupBy(this.workloads(), (workload) => workload.namespace);
    return this.#workloadsByNamespace.get(namespace) ?? [];
  }

  /** Reports a finding about an object; `path` is the field it is about. */
  report<N extends MessageName>(object: ConfigObject | undefined, name: N, args: MessageArgs<N>, path = ''): void {
    if (object?.assumed) return;
    const { code, level } = messageTypes[name];
    const text = (messageTypes[name].text as (args: MessageArgs<N>) => string)(args);
    const source = object?.source;
    this.#messages.push({
      code,
      name,
      level,
      text,
      path,
      ...(object && { object }),
      ...(source && { file: source.file, line: path === '' ? source.line : source.lineOf(path) }),
      ...(object && this.snapshot.clusters.length > 1 && { cluster: object.cluster }),
    });
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

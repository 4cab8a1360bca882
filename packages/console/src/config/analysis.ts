import {
  analyzeInSteps,
  analyzers,
  createSnapshot,
  type FileObject,
  type InputKind,
  inputsOf,
  type Message,
} from '@istio-ts/analysis';
import type { ValidationMessage } from '../api.ts';
import { Cached } from '../sources/cached.ts';
import type { ClusterReader } from '../sources/cluster-reader.ts';

const messageOf = (message: Message): ValidationMessage => ({
  code: message.code,
  level: message.level,
  message: message.text,
  ...(message.path !== '' && { field: message.path }),
  ...(message.line !== undefined && { line: message.line }),
});

/** Several analyzers may say the same of one field: once is enough. */
function distinct(messages: readonly ValidationMessage[]): readonly ValidationMessage[] {
  const seen = new Set<string>();
  return messages.filter(({ code, field = '', message }) => {
    const key = JSON.stringify([code, field, message]);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** What the analysis of a cluster has found, by object. */
export interface Analysis {
  readonly of: (kind: string, namespace: string, name: string) => readonly ValidationMessage[];
  /** Numbers by namespace. */
  readonly problems: ReadonlyMap<string, { readonly errors: number; readonly warnings: number }>;
}

const keyOf = (kind: string, namespace: string, name: string): string => `${kind} ${namespace}/${name}`;
const analysisMs = 15_000;

/** Analyses the cluster as one user sees it. */
export class Analyst {
  readonly #cluster: ClusterReader;
  readonly #where: { readonly istioNamespace: string; readonly revision: string };
  readonly #now: () => number;
  readonly #done: Cached<Analysis>;

  constructor(
    cluster: ClusterReader,
    where: { readonly istioNamespace: string; readonly revision: string },
    now: () => number,
  ) {
    this.#cluster = cluster;
    this.#where = where;
    this.#now = now;
    this.#done = new Cached(analysisMs, now);
  }

  /** The analysis of what is stored. */
  stored(): Promise<Analysis> {
    return this.#done.get('', async () => byObject(await this.#analyze([])));
  }

  /** What would be said about these objects if they were stored; lines are those of their text. */
  async instead(files: readonly FileObject[]): Promise<readonly ValidationMessage[]> {
    const messages = await this.#analyze(files);
    return distinct(messages.filter(({ file }) => file !== undefined).map(messageOf));
  }

  changed(): void {
    this.#done.clear();
  }

  async #analyze(files: readonly FileObject[]): Promise<readonly Message[]> {
    // Secrets are read by nobody here: the console has no business with them, and analyzers that need them are left out.
    const kinds = [...inputsOf(analyzers)].filter((kind) => kind !== 'Secret');
    const { istioNamespace, revision } = this.#where;
    const lists = await Promise.all(
      kinds.map(async (kind) => ({
        kind,
        ...(await this.#cluster.list(kind, kind === 'ConfigMap' ? { namespace: istioNamespace } : {})),
      })),
    );
    const forbidden: { readonly kind: InputKind; readonly resource: string; readonly error: string }[] = lists.flatMap(
      ({ kind, forbidden: error }) => (error === undefined ? [] : [{ kind, resource: kind, error }]),
    );
    const snapshot = createSnapshot({
      files,
      clusters: [
        {
          cluster: 'Kubernetes',
          objects: lists.flatMap(({ items }) => items),
          forbidden: [...forbidden, { kind: 'Secret', resource: 'secrets', error: 'not read' }],
        },
      ],
      revision,
      istioNamespace,
      defaultNamespace: 'default',
      now: this.#now(),
    });
    const { names } = await this.#cluster.visible();
    const visible = new Set(names);
    const steps = analyzeInSteps(snapshot, {
      wanted: (message, namespace) => message.object !== undefined && (namespace === '' || visible.has(namespace)),
    });
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      // Others are answered between two analyzers.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

function byObject(messages: readonly Message[]): Analysis {
  const found = new Map<string, ValidationMessage[]>();
  const problems = new Map<string, { errors: number; warnings: number }>();
  for (const message of messages) {
    const { object, level } = message;
    if (!object) continue;
    const key = keyOf(object.kind, object.namespace, object.name);
    const list = found.get(key);
    if (list) list.push(messageOf(message));
    else found.set(key, [messageOf(message)]);
    const namespace = object.kind === 'Namespace' ? object.name : object.namespace;
    const count = problems.get(namespace) ?? { errors: 0, warnings: 0 };
    if (level === 'Error') count.errors++;
    else if (level === 'Warning') count.warnings++;
    problems.set(namespace, count);
  }
  return { of: (kind, namespace, name) => distinct(found.get(keyOf(kind, namespace, name)) ?? []), problems };
}

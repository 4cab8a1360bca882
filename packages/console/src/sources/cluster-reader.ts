import { type InputKind, inputTypes } from '@istio-ts/analysis/input-kinds';
import { isNotFound, KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { may, type Visible, visibleNamespaces } from '../session/access.ts';
import { Cached } from './cached.ts';
import { inBatches } from './in-batches.ts';

/** How long lists are shown without asking again, in milliseconds: pages of one screen ask for the same. */
const listsMs = 4_000;
const namespacesMs = 30_000;
/** So many namespaces are asked one by one for a kind that may not be listed in all at once. */
const maxOneByOne = 100;

/** What one kind of a cluster has, as far as the reader may see. */
export interface Listed {
  readonly items: readonly KubeObject[];
  /** What the API server said where it refused. */
  readonly forbidden?: string;
  /** Namespaces that it refused; '' for all, and for what has no namespace. */
  readonly refusedIn?: readonly string[];
  /** The cluster does not know the kind. */
  readonly unknown?: true;
}

/** Reads a cluster with the rights of one user. */
export class ClusterReader {
  readonly client: KubeClient;
  readonly #own: KubeClient;
  readonly #lists: Cached<Listed>;
  readonly #visible: Cached<Visible>;
  /** Namespaces where a kind may be listed, for kinds that may not be listed everywhere. */
  readonly #listable: Cached<readonly string[]>;

  constructor(client: KubeClient, own: KubeClient, now: () => number) {
    this.client = client;
    this.#own = own;
    this.#lists = new Cached(listsMs, now);
    this.#visible = new Cached(namespacesMs, now);
    this.#listable = new Cached(namespacesMs, now);
  }

  visible(): Promise<Visible> {
    return this.#visible.get('', () => visibleNamespaces(this.client, this.#own));
  }

  /** All objects of a kind in the namespaces that the user sees; those without a namespace where the user may list them. */
  list(kind: InputKind, options: { readonly namespace?: string } = {}): Promise<Listed> {
    return this.#lists.get(`${kind} ${options.namespace ?? ''}`, async () => {
      const { all, names } = await this.visible();
      const type = inputTypes[kind];
      if (options.namespace !== undefined) return this.#one(kind, options.namespace);
      if (!type.namespaced) return this.#one(kind, undefined);
      const whole = all ? await this.#one(kind, undefined) : undefined;
      if (whole && (whole.forbidden === undefined || names.length > maxOneByOne)) return whole;
      // Who sees the pods of all namespaces may still have this kind in some of them only.
      const listable = whole ? await this.#listable.get(kind, () => this.#namespacesOf(kind, names)) : names;
      if (whole && listable.length === 0) return whole;
      const parts = await inBatches(listable, (namespace) => this.#one(kind, namespace));
      const forbidden = whole?.forbidden ?? parts.find((part) => part.forbidden !== undefined)?.forbidden;
      const refusedIn = names.filter((name) => {
        const at = listable.indexOf(name);
        return at < 0 || parts[at]?.forbidden !== undefined;
      });
      const unknown = parts.some((part) => part.unknown);
      return {
        items: parts.flatMap(({ items }) => items),
        ...(forbidden !== undefined && refusedIn.length > 0 && { forbidden, refusedIn }),
        ...(unknown && { unknown: true as const }),
      };
    });
  }

  async #namespacesOf(kind: InputKind, names: readonly string[]): Promise<readonly string[]> {
    const { group, resource } = inputTypes[kind];
    const allowed = await inBatches(names, (namespace) =>
      may(this.client, { verb: 'list', group, resource, namespace }),
    );
    return names.filter((_, at) => allowed[at]);
  }

  async #one(kind: InputKind, namespace: string | undefined): Promise<Listed> {
    try {
      const { items } = await this.client.list(inputTypes[kind], {
        dropManagedFields: true,
        ...(namespace !== undefined && { namespace }),
      });
      return { items };
    } catch (error) {
      if (!(error instanceof KubeApiError)) throw error;
      if (error.status === 404 || error.status === 405) return { items: [], unknown: true };
      if (error.status === 403)
        return (await this.#serves(kind))
          ? { items: [], forbidden: error.message, refusedIn: [namespace ?? ''] }
          : { items: [], unknown: true };
      throw error;
    }
  }

  /** Whether the cluster has a kind: the API server says no to both, to who may not see a kind and for a kind that is not there. */
  async #serves(kind: InputKind): Promise<boolean> {
    const { group, version, kind: name } = inputTypes[kind];
    if (group === '') return true;
    return this.client.resolve(`${group}/${version}`, name).then(
      () => true,
      (error) => !isNotFound(error),
    );
  }

  /** Forgets the lists, because the user has changed something. */
  changed(): void {
    this.#lists.clear();
  }
}

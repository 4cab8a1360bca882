import type { NameTable } from '@istio-ts/envoy/name-table';
import { isIP } from 'node:net';

/** What the mesh knows about a name that somebody asked for. */
export interface FoundName {
  /** The name that was meant, where the client's search list changed it. */
  readonly alias?: string;
  readonly ips: readonly string[];
}

export interface NamesOptions {
  /** Namespace of the pod. */
  readonly namespace: string;
  /** Search list of resolv.conf. */
  readonly search: readonly string[];
}

/** The names of the mesh in all the forms in which a pod may ask for them. */
export class Names {
  readonly #exact = new Map<string, readonly string[]>();
  readonly #wildcards = new Map<string, readonly string[]>();
  readonly #search: string | undefined;

  constructor(table: NameTable, options: NamesOptions) {
    this.#search = options.search[0];
    for (const [host, info] of table) {
      const ips = info.ips.filter((ip) => isIP(ip) !== 0);
      if (ips.length === 0) continue;
      if (host.startsWith('*')) {
        this.#wildcards.set(host.replace(/^\*\.?/, ''), ips);
        continue;
      }
      this.#exact.set(host, ips);
      if (info.registry !== 'Kubernetes') continue;
      for (const form of shortForms(info.shortname, info.namespace, options))
        if (!table.has(form)) this.#exact.set(form, ips);
    }
  }

  get size(): number {
    return this.#exact.size + this.#wildcards.size;
  }

  /**
   * Looks a name up, lower case and without a dot at its end. A client appends the domains of its search list before it asks for the name itself
   * (`ndots` of resolv.conf), so a name with the first of them at its end is answered at once, as an alias.
   */
  find(name: string): FoundName | undefined {
    const exact = this.#exact.get(name);
    if (exact) return { ips: exact };
    const ending = this.#search === undefined || this.#search === '' ? undefined : `.${this.#search}`;
    const meant = ending !== undefined && name.endsWith(ending) ? name.slice(0, -ending.length) : undefined;
    if (meant !== undefined && meant !== '') {
      const ips = this.#exact.get(meant) ?? this.#covered(meant);
      if (ips) return { alias: meant, ips };
    }
    const ips = this.#covered(name);
    return ips && { ips };
  }

  /** The most specific wildcard for a name. */
  #covered(name: string): readonly string[] | undefined {
    if (this.#wildcards.size === 0) return undefined;
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const ips = this.#wildcards.get(name.slice(dot + 1));
      if (ips) return ips;
    }
    return undefined;
  }
}

/** How Kubernetes lets a pod call a service (Kubernetes, "DNS for Services and Pods"). */
function shortForms(name: string, namespace: string, options: NamesOptions): readonly string[] {
  if (name === '' || namespace === '') return [];
  const forms = [`${name}.${namespace}`, `${name}.${namespace}.svc`];
  return namespace === options.namespace ? [name, ...forms] : forms;
}

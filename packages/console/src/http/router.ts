import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '../session/caller.ts';

/** A request of the pages, understood. */
export interface Call {
  readonly caller: Caller;
  /** Parts of the path that stand for something, by their names in the route. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  /** For answers that are no JSON; a handler that uses it gives `streamed`. */
  readonly response: ServerResponse;
  readonly now: number;
}

/** What a handler gives that has answered by itself. */
export const streamed = Symbol('streamed');

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With parameters: `/api/config/:kind/:namespace/:name`. */
  readonly path: string;
  /** Changes something, in the cluster or in the session: never answered to other sites' pages. */
  readonly changes?: true;
  readonly handle: (call: Call) => Promise<unknown>;
}

interface Compiled {
  readonly route: Route;
  readonly parts: readonly string[];
}

/** Finds the route of a request. Pure. */
export class Router {
  readonly #routes: readonly Compiled[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({ route, parts: route.path.split('/') }));
  }

  /** The route and its parameters; `methods`, those that the path knows, where the method is none of them; undefined for a path that nobody knows. */
  find(
    method: string,
    path: string,
  ):
    | { readonly route: Route; readonly params: Readonly<Record<string, string>> }
    | { readonly methods: readonly string[] }
    | undefined {
    const words = path.split('/').map(decode);
    if (words.includes(undefined)) return undefined;
    const methods: string[] = [];
    for (const { route, parts } of this.#routes) {
      const params = matched(parts, words as readonly string[]);
      if (!params) continue;
      if (route.method === method || (method === 'HEAD' && route.method === 'GET')) return { route, params };
      methods.push(route.method);
    }
    return methods.length > 0 ? { methods } : undefined;
  }
}

function decode(word: string): string | undefined {
  try {
    return decodeURIComponent(word);
  } catch {
    return undefined;
  }
}

function matched(parts: readonly string[], words: readonly string[]): Record<string, string> | undefined {
  if (parts.length !== words.length) return undefined;
  const params: Record<string, string> = {};
  for (const [at, part] of parts.entries()) {
    const word = words[at] ?? '';
    if (part.startsWith(':')) {
      if (word === '') return undefined;
      params[part.slice(1)] = word;
    } else if (part !== word) return undefined;
  }
  return params;
}

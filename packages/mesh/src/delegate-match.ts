import type { VirtualServiceSpec } from '@istio-ts/api';

type HttpRoute = NonNullable<VirtualServiceSpec['http']>[number];
type HttpMatch = NonNullable<HttpRoute['match']>[number];
type StringMatch = NonNullable<HttpMatch['uri']>;

/**
 * The matches of a delegate's route within those of its root: each of the delegate has to narrow one of the root, and is combined with every one
 * that it narrows. Undefined when one does not, for then the route conflicts with its root (Istio documentation, `Delegate`).
 */
export function mergeMatches(
  roots: readonly HttpMatch[],
  delegates: readonly HttpMatch[],
): readonly HttpMatch[] | undefined {
  if (roots.length === 0) return delegates;
  if (delegates.length === 0) return roots;
  const merged: HttpMatch[] = [];
  for (const delegate of delegates) {
    const within = roots.filter((root) => !conflicts(root, delegate));
    if (within.length === 0) return undefined;
    merged.push(...within.map((root) => combine(root, delegate)));
  }
  return merged;
}

const noValues: Readonly<Record<string, never>> = {};

function combine(root: HttpMatch, delegate: HttpMatch): HttpMatch {
  const name = root.name && delegate.name ? `${root.name}-${delegate.name}` : delegate.name || root.name;
  return {
    ...root,
    ...delegate,
    ...(name && { name }),
    ...both('headers', root, delegate),
    ...both('withoutHeaders', root, delegate),
    ...both('queryParams', root, delegate),
    ...both('sourceLabels', root, delegate),
    ...(!delegate.gateways?.length && root.gateways && { gateways: root.gateways }),
    ...(!delegate.port && root.port && { port: root.port }),
  };
}

const both = (
  field: 'headers' | 'withoutHeaders' | 'queryParams' | 'sourceLabels',
  root: HttpMatch,
  delegate: HttpMatch,
): Partial<HttpMatch> =>
  root[field] || delegate[field] ? { [field]: { ...(root[field] ?? noValues), ...(delegate[field] ?? noValues) } } : {};

function conflicts(root: HttpMatch, delegate: HttpMatch): boolean {
  return (
    (['uri', 'scheme', 'method', 'authority'] as const).some((field) => !narrows(root[field], delegate[field])) ||
    (['headers', 'withoutHeaders', 'queryParams'] as const).some((field) =>
      Object.entries(delegate[field] ?? {}).some(([key, value]) => !narrows(root[field]?.[key], value)),
    ) ||
    // The case counts for a path, whichever of the two gives it.
    ((root.uri !== undefined || delegate.uri !== undefined) &&
      (root.ignoreUriCase === true) !== (delegate.ignoreUriCase === true)) ||
    differ(root.port, delegate.port) ||
    differ(root.sourceNamespace, delegate.sourceNamespace) ||
    Object.entries(delegate.sourceLabels ?? {}).some(
      ([key, value]) => root.sourceLabels?.[key] !== undefined && root.sourceLabels[key] !== value,
    ) ||
    (!!root.gateways?.length && (delegate.gateways ?? []).some((gateway) => !root.gateways?.includes(gateway)))
  );
}

const differ = (a: number | string | undefined, b: number | string | undefined): boolean => !!a && !!b && a !== b;

/** Whether all that a delegate's value takes is taken by the root's; what one of them leaves open never conflicts. */
function narrows(root: StringMatch | undefined, delegate: StringMatch | undefined): boolean {
  if (!root || !delegate || isOpen(root) || isOpen(delegate)) return true;
  // Whether one expression is within another cannot be told.
  if (root.regex || delegate.regex) return false;
  if (root.exact) return delegate.exact === root.exact;
  return (delegate.exact ?? delegate.prefix ?? '').startsWith(root.prefix ?? '');
}

const isOpen = (match: StringMatch): boolean => !match.exact && !match.prefix && !match.regex;

import { createHash } from 'node:crypto';
import { type Bootstrap, decodeUnchecked, encodeUnchecked, typeUrl } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { memoByInputs } from '../memo.ts';
import type { ProxyNode, ProxyView, XdsResource } from '../source.ts';
import { canonical, type Message, merge } from './merge.ts';
import { type Patch, PATCHED_TYPES } from './patch.ts';
import { type PatchSet, patchesOf } from './patch-set.ts';
import { uniqueOrigins } from '../generated.ts';

const bootstrapUrl = typeUrl(PATCHED_TYPES.BOOTSTRAP);

/** Name of the resource: there is one bootstrap. */
const NAME = 'bootstrap';

const additions = memoByInputs(
  (patches: PatchSet) => [patches],
  ({ patches }): ReadonlyMap<string, XdsResource> => patched({}, patches),
);

function patched(start: Message, patches: readonly Patch[]): ReadonlyMap<string, XdsResource> {
  const resource = patches.reduce(
    (before, patch) => merge(PATCHED_TYPES.BOOTSTRAP, before, patch.value, 'append'),
    start,
  );
  const value = encodeUnchecked(PATCHED_TYPES.BOOTSTRAP, resource);
  return new Map([
    [
      NAME,
      {
        typeUrl: bootstrapUrl,
        name: NAME,
        version: createHash('sha256').update(value).digest('hex').slice(0, 16),
        value,
        json: () => decodeUnchecked(PATCHED_TYPES.BOOTSTRAP, value),
        origins: uniqueOrigins(patches.map(({ origin }) => origin)),
      },
    ],
  ]);
}

const nothing: ReadonlyMap<string, XdsResource> = new Map();

interface ScopedView extends ProxyView {
  scope(): ProxyScope;
}

/**
 * Adds what EnvoyFilters have for the bootstrap (applyTo BOOTSTRAP). Our agents ask for it before they start Envoy, and merge it into the bootstrap that
 * they make. Agents of Istio expect a whole bootstrap, which `whole` makes of what they say of themselves.
 */
export function withBootstraps(
  source: { connect(node: ProxyNode): ScopedView },
  whole: (node: ProxyNode) => Bootstrap,
): { connect(node: ProxyNode): ScopedView } {
  return {
    connect: (node) => {
      const view = source.connect(node);
      return {
        ...view,
        resources: (url) => {
          if (url !== bootstrapUrl) return view.resources(url);
          const patches = patchesOf(view.scope()).bootstrap;
          if (node.metadata.EXTENSION_SOURCE === 'agent') return patches === undefined ? nothing : additions(patches);
          // Asked for once in an agent's life.
          return patched(canonical(PATCHED_TYPES.BOOTSTRAP, whole(node)), patches?.patches ?? []);
        },
      };
    },
  };
}

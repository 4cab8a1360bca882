import type { MeshConfig, TelemetrySpec } from '@istio-ts/api';
import { type Collection, map, mapMany } from '@istio-ts/collections';
import { rootNamespaceOf } from '../mesh-config.ts';
import type { Config } from '../model.ts';
import { byAge } from '../order.ts';
import { isEmptySelector } from '../selector.ts';
import type { MeshSources, Problem } from '../sources.ts';
import { extensionProvider } from '../telemetry.ts';
import { providerProblem, TELEMETRY_SECTIONS } from '../telemetry-providers.ts';
import { telemetryTargetProblems } from '../telemetry-targets.ts';

type Telemetry = Config<TelemetrySpec>;
type Found = Pick<Problem, 'path' | 'message'>;

/** What a Telemetry is for, as text: equal for those of which only the oldest counts. */
function target({ spec }: Telemetry): string {
  const references = spec.targetRefs?.length ? spec.targetRefs : spec.targetRef ? [spec.targetRef] : [];
  if (references.length > 0)
    return `the same targetRefs: ${references
      .map(({ kind, name }) => `${kind} ${name}`)
      .sort()
      .join(', ')}`;
  const labels = spec.selector?.matchLabels;
  if (isEmptySelector(labels)) return 'no selector either';
  return `the same selector: ${Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(', ')}`;
}

function conflict(telemetry: Telemetry, siblings: readonly Telemetry[]): readonly Found[] {
  const own = target(telemetry);
  const [first] = siblings.filter((other) => target(other) === own).sort(byAge);
  return first === undefined || first.origin.name === telemetry.origin.name
    ? []
    : [
        {
          path: telemetry.spec.selector ? 'spec.selector' : '',
          message: `has no effect: Telemetry ${first.origin.name} is older and has ${own}`,
        },
      ];
}

function providerProblems({ spec }: Telemetry, mesh: MeshConfig): readonly Found[] {
  const found: Found[] = [];
  for (const section of TELEMETRY_SECTIONS)
    spec[section]?.forEach((item, i) => {
      item.providers?.forEach(({ name }, j) => {
        const path = `spec.${section}[${i}].providers[${j}].name`;
        const provider = extensionProvider(mesh, name);
        const message =
          provider === undefined
            ? `the mesh configuration has no extension provider ${name}`
            : providerProblem(section, provider);
        if (message !== undefined) found.push({ path, message });
      });
    });
  return found;
}

/**
 * Telemetries of which some part has no effect, by `Telemetry/namespace/name`: expressions that cannot be computed, providers that do not exist or of which
 * nothing comes, references that select nothing, and those that an older one for the same workloads supersedes.
 */
export function createTelemetryProblems(
  sources: MeshSources,
  byNamespace: Collection<readonly Telemetry[]>,
): Collection<readonly Problem[]> {
  const found = map(
    sources.configs('Telemetry'),
    (telemetry, _key, fetch): readonly Problem[] | undefined => {
      const mesh = fetch.value(sources.meshConfig);
      const all = [
        ...(sources.checkTelemetry?.(telemetry) ?? []),
        ...telemetryTargetProblems(telemetry.spec, telemetry.origin.namespace, rootNamespaceOf(mesh)),
        ...providerProblems(telemetry, mesh),
        ...conflict(telemetry, fetch.get(byNamespace, telemetry.origin.namespace) ?? []),
      ];
      return all.length === 0
        ? undefined
        : all.map((problem) => ({ origin: telemetry.origin, ...problem, lastGoodStays: false, onlyPart: true }));
    },
    { name: 'problems of Telemetries' },
  );
  return mapMany(found, (list, key) => [[`Telemetry/${key}`, list] as const], {
    name: 'problems of Telemetries by object',
  });
}

import type { RuleContext } from '../kind.ts';
import type { EnvoyConfigObjectPatch, EnvoyFilterSpec } from '../networking/envoy-filter.ts';
import { itemPath, type ProblemList } from '../problems.ts';
import { regexProblem } from '../regex.ts';
import { checkAttachment, checkLabels } from './checks.ts';

type ApplyTo = NonNullable<EnvoyConfigObjectPatch['applyTo']>;
type MatchKind = 'listener' | 'routeConfiguration' | 'cluster' | 'waypoint';

/** What may be matched for each kind of patched object. */
const matches: Readonly<Record<ApplyTo, readonly MatchKind[]>> = {
  INVALID: [],
  LISTENER: ['listener'],
  FILTER_CHAIN: ['listener'],
  NETWORK_FILTER: ['listener', 'waypoint'],
  HTTP_FILTER: ['listener', 'waypoint'],
  LISTENER_FILTER: ['listener'],
  ROUTE_CONFIGURATION: ['routeConfiguration', 'waypoint'],
  VIRTUAL_HOST: ['routeConfiguration', 'waypoint'],
  HTTP_ROUTE: ['routeConfiguration', 'waypoint'],
  CLUSTER: ['cluster', 'waypoint'],
  EXTENSION_CONFIG: ['listener', 'routeConfiguration', 'cluster', 'waypoint'],
  BOOTSTRAP: [],
};

/** Rules of EnvoyFilter (istio.io, reference of Envoy Filter). */
export function checkEnvoyFilter(spec: EnvoyFilterSpec, problems: ProblemList, context: RuleContext): void {
  checkAttachment({ ...(spec.targetRefs && { targetRefs: spec.targetRefs }) }, context.namespace, problems);
  if (spec.workloadSelector && spec.targetRefs?.length)
    problems.error('spec', 'only one of workloadSelector, targetRefs may be set');
  checkLabels(spec.workloadSelector?.labels, 'spec.workloadSelector.labels', problems);
  spec.configPatches?.forEach((patch, index) => {
    checkPatch(patch, itemPath('spec.configPatches', index), problems);
  });
}

function checkPatch(configPatch: EnvoyConfigObjectPatch, path: string, problems: ProblemList): void {
  const { applyTo, match, patch } = configPatch;
  if (applyTo === undefined || applyTo === 'INVALID') {
    problems.error(`${path}.applyTo`, 'is required');
    return;
  }
  const operation = patch?.operation;
  if (!patch) {
    problems.error(`${path}.patch`, 'is required');
    return;
  }
  if (operation === undefined || operation === 'INVALID') problems.error(`${path}.patch.operation`, 'is required');
  if (operation !== undefined && operation !== 'REMOVE' && operation !== 'INVALID' && !patch.value) {
    problems.error(`${path}.patch.value`, `is required for ${operation}`);
  }
  if (applyTo === 'BOOTSTRAP' && operation !== 'MERGE') {
    problems.error(`${path}.patch.operation`, 'must be MERGE for BOOTSTRAP');
  }
  if (applyTo === 'EXTENSION_CONFIG' && operation !== 'ADD') {
    problems.error(`${path}.patch.operation`, 'must be ADD for EXTENSION_CONFIG');
  }
  const insert = operation === 'INSERT_BEFORE' || operation === 'INSERT_AFTER' || operation === 'INSERT_FIRST';
  const lists = ['NETWORK_FILTER', 'HTTP_FILTER', 'LISTENER_FILTER', 'HTTP_ROUTE'];
  if (insert && !lists.includes(applyTo)) {
    problems.error(`${path}.patch.operation`, `${operation} works only with applyTo ${lists.join(', ')}`);
  }
  if (
    operation === 'REPLACE' &&
    applyTo !== 'NETWORK_FILTER' &&
    applyTo !== 'HTTP_FILTER' &&
    applyTo !== 'LISTENER_FILTER'
  ) {
    problems.error(
      `${path}.patch.operation`,
      'REPLACE works only with applyTo HTTP_FILTER, NETWORK_FILTER, LISTENER_FILTER',
    );
  }
  if (
    patch.filterClass !== undefined &&
    patch.filterClass !== 'UNSPECIFIED' &&
    applyTo !== 'HTTP_FILTER' &&
    applyTo !== 'NETWORK_FILTER'
  ) {
    problems.error(`${path}.patch.filterClass`, 'works only with applyTo HTTP_FILTER and NETWORK_FILTER');
  }
  if (!match) return;
  const kinds: readonly MatchKind[] = ['listener', 'routeConfiguration', 'cluster', 'waypoint'];
  for (const kind of kinds) {
    if (match[kind] && !matches[applyTo].includes(kind)) {
      problems.error(
        `${path}.match.${kind}`,
        `does not fit applyTo ${applyTo}; use ${matches[applyTo].join(' or ') || 'no match'}`,
      );
    }
  }
  if (match.context === 'WAYPOINT' || match.waypoint)
    problems.warning(
      `${path}.match.${match.waypoint ? 'waypoint' : 'context'}`,
      'is about waypoint proxies, which are not built yet: the patch has no effect',
    );
  if (match.listener?.portName)
    problems.warning(`${path}.match.listener.portName`, 'has no effect; use portNumber or name');
  if (match.listener?.filterChain?.filter && applyTo === 'LISTENER') {
    problems.warning(`${path}.match.listener.filterChain.filter`, 'has no effect with applyTo LISTENER');
  }
  const version = match.proxy?.proxyVersion;
  const problem = version === undefined ? undefined : regexProblem(version);
  if (problem !== undefined) problems.error(`${path}.match.proxy.proxyVersion`, problem);
}

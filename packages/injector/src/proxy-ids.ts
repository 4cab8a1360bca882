/** User and group that the proxy runs as, and whose traffic is not captured. */
export interface ProxyIds {
  readonly uid: number;
  readonly gid: number;
}

const USUAL: ProxyIds = { uid: 1337, gid: 1337 };
const USERS = 'openshift.io/sa.scc.uid-range';
const GROUPS = 'openshift.io/sa.scc.supplemental-groups';

/** The last number of a range `FIRST/COUNT` or `FIRST-LAST`; of several ranges the first counts. */
function lastOf(text: string | undefined): number | undefined {
  const [range = ''] = (text ?? '').split(',');
  const [, first, kind, second] = /^\s*(\d+)([/-])(\d+)\s*$/.exec(range) ?? [];
  if (first === undefined || second === undefined) return undefined;
  const last = kind === '/' ? Number(first) + Number(second) - 1 : Number(second);
  return last >= Number(first) && last <= 0x7fffffff ? last : undefined;
}

/**
 * OpenShift lets the pods of a namespace only use the ids of its ranges, which are annotations of the namespace. The last of a range is taken, because
 * applications begin at the first. Elsewhere it is 1337.
 */
export function proxyIdsOf(namespaceAnnotations: Readonly<Record<string, string>>): ProxyIds {
  const uid = lastOf(namespaceAnnotations[USERS]);
  if (uid === undefined) return USUAL;
  return { uid, gid: lastOf(namespaceAnnotations[GROUPS]) ?? uid };
}

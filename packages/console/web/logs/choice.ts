import type { Detail, ItemList } from '../../src/api.ts';
import { useResource } from '../state/resource.ts';
import { queryValue } from '../state/router.ts';

const owners = ['workload', 'app', 'service'] as const;
const paths = { workload: 'workloads', app: 'apps', service: 'services' } as const;

/**
 * Whose logs are asked for, as the address says: a workload, an application or a service (`workload=NS/NAME`), all its pods together unless one is
 * named (`pod=NS/NAME`), which may come without its workload.
 */
export function useLogChoice() {
  const workloads = useResource<ItemList>('workloads?duration=600', { poll: false });
  const pod = queryValue('pod');
  const items = workloads.data?.items ?? [];
  const [podNamespace = '', podName = ''] = pod.split('/');
  const guessed = items
    .filter(({ namespace, name }) => namespace === podNamespace && podName.startsWith(`${name}-`))
    .sort((a, b) => b.name.length - a.name.length)[0];
  const kind =
    owners.find((each) => queryValue(each) !== '') ?? (guessed === undefined ? undefined : ('workload' as const));
  const name = kind === undefined ? '' : queryValue(kind) || `${guessed?.namespace}/${guessed?.name}`;
  const owner = kind === undefined ? '' : `${kind}=${name}`;
  const detail = useResource<Detail>(kind === undefined ? undefined : `${paths[kind]}/${name}?duration=600`, {
    poll: false,
  });
  const pods = detail.data?.pods ?? [];
  /** What is read: below `logs`, without the other parameters. */
  const source = pod !== '' ? { path: `logs/${pod}`, query: {} } : kind && { path: 'logs', query: { [kind]: name } };
  return { workloads, items, kind, name, owner, detail, pods, pod, source };
}

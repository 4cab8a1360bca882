import type { Explanation, ProxyList } from '../api.ts';
import { explainRequest, readExplainRequest } from '../explain.ts';
import { readJson } from '../http/body.ts';
import { nameParam } from '../http/query.ts';
import type { Route } from '../http/router.ts';
import { listProxies, proxyDetail, proxyDump } from '../proxies/proxies.ts';
import type { Services } from '../services.ts';

export function proxyRoutes({ settings }: Services): readonly Route[] {
  const { istioNamespace } = settings;
  return [
    {
      method: 'GET',
      path: '/api/proxies',
      handle: async ({ caller }): Promise<ProxyList> => {
        const { names } = await caller.mesh.cluster.visible();
        const visible = new Set(names);
        const all = await listProxies(caller.client, istioNamespace);
        return { items: all.filter(({ namespace }) => visible.has(namespace)) };
      },
    },
    {
      method: 'GET',
      path: '/api/proxies/:namespace/:pod',
      handle: async ({ caller, params, now }) => {
        const namespace = nameParam(params, 'namespace');
        await caller.mesh.namespaces([namespace]);
        return proxyDetail(caller.client, istioNamespace, namespace, nameParam(params, 'pod'), now);
      },
    },
    {
      method: 'POST',
      path: '/api/explain',
      // It changes nothing, but it is work: other sites' pages have no business with it.
      changes: true,
      handle: async ({ caller, request }): Promise<Explanation> => {
        const asked = readExplainRequest(await readJson(request));
        await caller.mesh.namespaces([asked.namespace]);
        return explainRequest(await proxyDump(caller.client, istioNamespace, asked.namespace, asked.pod), asked);
      },
    },
  ];
}

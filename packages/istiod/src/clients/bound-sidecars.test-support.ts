import type { KubeObject } from '@istio-ts/kube/object';
import { istioObject, podObject, serviceObject, sliceObject } from '@istio-ts/xds/testing/objects';

/** Sidecars where nothing captures traffic: their listeners are bound, so that a test reaches them on loopback addresses. */

/** The workload with the label `app: NAME` takes HTTP on an address and port, and passes it on to an application on this machine. */
export const boundIngress = (place: {
  readonly name: string;
  readonly namespace?: string;
  readonly bind: string;
  readonly port: number;
  /** Port of the application. */
  readonly app: number;
}): KubeObject =>
  istioObject(
    'Sidecar',
    { name: place.name, ...(place.namespace !== undefined && { namespace: place.namespace }) },
    {
      workloadSelector: { labels: { app: place.name } },
      ingress: [
        {
          port: { number: place.port, protocol: 'HTTP', name: 'http' },
          bind: place.bind,
          captureMode: 'NONE',
          defaultEndpoint: `127.0.0.1:${place.app}`,
        },
      ],
      egress: [{ hosts: ['./*'] }],
    },
  );

/** A service `server` with one pod, `server-1`, and a pod `client-1` that reaches it at `port` of 127.0.0.1; between them only mutual TLS. */
export const serverAndClient = (places: {
  /** Addresses of the pods. */
  readonly server: string;
  readonly client: string;
  readonly port: number;
  /** Where the server's sidecar takes requests, and where its application does. */
  readonly inbound: number;
  readonly app: number;
  readonly serverLabels?: Readonly<Record<string, string>>;
}): readonly KubeObject[] => [
  serviceObject({ name: 'server' }, [{ name: 'http', port: places.port, targetPort: places.inbound }], {
    selector: { app: 'server' },
  }),
  podObject({
    name: 'server-1',
    labels: { app: 'server', ...places.serverLabels },
    ip: places.server,
    account: 'server',
  }),
  sliceObject(
    'server',
    [{ name: 'http', port: places.inbound, protocol: 'TCP' }],
    [{ ip: places.server, pod: 'server-1' }],
  ),
  podObject({ name: 'client-1', labels: { app: 'client' }, ip: places.client, account: 'client' }),
  boundIngress({ name: 'server', bind: places.server, port: places.inbound, app: places.app }),
  istioObject(
    'Sidecar',
    { name: 'client' },
    {
      workloadSelector: { labels: { app: 'client' } },
      egress: [
        {
          port: { number: places.port, protocol: 'HTTP', name: 'http' },
          bind: '127.0.0.1',
          captureMode: 'NONE',
          hosts: ['./*'],
        },
        { hosts: ['./*'] },
      ],
    },
  ),
  istioObject('PeerAuthentication', { name: 'strict' }, { mtls: { mode: 'STRICT' } }),
];

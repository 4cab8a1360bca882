import type { JSX } from 'preact';
import type { ObjectName } from '../../src/api.ts';
import { href } from '../state/router.ts';
import { Icon, type IconName } from './icons.tsx';

/** Where the page of an object is. Kinds without a page of their own are shown as configuration. */
export function objectHref({ kind, namespace, name }: ObjectName): string {
  switch (kind) {
    case 'Service':
      return href(`/services/${namespace}/${name}`);
    case 'App':
    case 'Application':
      return href(`/applications/${namespace}/${name}`);
    case 'Deployment':
    case 'StatefulSet':
    case 'DaemonSet':
    case 'ReplicaSet':
    case 'Workload':
    case 'Job':
    case 'CronJob':
      return href(`/workloads/${namespace}/${name}`);
    case 'Pod':
      return href(`/proxies/${namespace}/${name}`);
    case 'Namespace':
      return href('/', { ns: name });
    default:
      return href(`/configuration/${kind}/${namespace === '' ? '-' : namespace}/${name}`);
  }
}

export const objectText = ({ kind, namespace, name }: ObjectName): string =>
  `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;

const short: Readonly<Record<string, string>> = {
  VirtualService: 'VS',
  DestinationRule: 'DR',
  Gateway: 'GW',
  ServiceEntry: 'SE',
  WorkloadEntry: 'WE',
  WorkloadGroup: 'WG',
  Sidecar: 'SC',
  EnvoyFilter: 'EF',
  PeerAuthentication: 'PA',
  RequestAuthentication: 'RA',
  AuthorizationPolicy: 'AP',
  Telemetry: 'TM',
  WasmPlugin: 'WP',
  ProxyConfig: 'PC',
  HTTPRoute: 'HR',
  GRPCRoute: 'GR',
  TCPRoute: 'TR',
  TLSRoute: 'TL',
  GatewayClass: 'GC',
  ReferenceGrant: 'RG',
  Service: 'S',
  Deployment: 'D',
  StatefulSet: 'SS',
  DaemonSet: 'DS',
  Pod: 'P',
};

/** Letters that stand for a kind in a small square. */
export const kindLetters = (kind: string): string => short[kind] ?? kind.replace(/[a-z]/g, '').slice(0, 2);

export function KindMark({ kind }: { readonly kind: string }): JSX.Element {
  return (
    <span class="kind-mark" title={kind} aria-hidden="true">
      {kindLetters(kind)}
    </span>
  );
}

export function ObjectLink({ object, plain }: { readonly object: ObjectName; readonly plain?: boolean }): JSX.Element {
  return (
    <a class="object" href={objectHref(object)} title={objectText(object)}>
      <KindMark kind={object.kind} />
      <span class="hidden-visually">{object.kind} </span>
      <span>
        {!plain && object.namespace !== '' && <span class="faint">{object.namespace}/</span>}
        {object.name}
      </span>
    </a>
  );
}

/** A few objects and the number of the rest. */
export function ObjectLinks({
  objects,
  most = 3,
}: {
  readonly objects: readonly ObjectName[];
  readonly most?: number;
}): JSX.Element {
  return (
    <span class="row wrapping">
      {objects.slice(0, most).map((object) => (
        <ObjectLink key={objectText(object)} object={object} plain />
      ))}
      {objects.length > most && <span class="faint">+{objects.length - most}</span>}
    </span>
  );
}

export type { IconName };
export { Icon };

import type { Destination, VirtualServiceSpec } from '@istio-ts/api';
import { isEmptySelector } from '@istio-ts/mesh/selector';
import { meshGateway } from '@istio-ts/mesh/virtual-service';
import type { IstioObject } from './config-object.ts';

/** A place where a VirtualService names a service. */
export interface NamedDestination {
  readonly destination: Destination;
  /** For example `spec.http[0].route[1].destination`. */
  readonly path: string;
  /** Copies of requests (`mirror`) instead of the requests themselves. */
  readonly mirror: boolean;
}

/** Every destination of a VirtualService, in order. */
export function destinationsOf(spec: VirtualServiceSpec): readonly NamedDestination[] {
  const routes = (['http', 'tls', 'tcp'] as const).flatMap((protocol) =>
    (spec[protocol] ?? []).flatMap((rule, index) =>
      (rule.route ?? []).map(({ destination }, at) => ({
        destination,
        path: `spec.${protocol}[${index}].route[${at}].destination`,
        mirror: false,
      })),
    ),
  );
  const mirrors = (spec.http ?? []).flatMap((rule, index) => {
    const path = `spec.http[${index}]`;
    return [
      ...(rule.mirror ? [{ destination: rule.mirror, path: `${path}.mirror`, mirror: true }] : []),
      ...(rule.mirrors ?? []).map(({ destination }, at) => ({
        destination,
        path: `${path}.mirrors[${at}].destination`,
        mirror: true,
      })),
    ];
  });
  return [...routes, ...mirrors].filter(({ destination }) => (destination.host ?? '') !== '');
}

/** A gateway that a VirtualService names. */
export interface NamedGateway {
  readonly namespace: string;
  readonly name: string;
  /** As it is written. */
  readonly text: string;
  readonly path: string;
}

/** The gateways of a VirtualService, without `mesh`. */
export function gatewaysOf(entry: IstioObject<'VirtualService'>): readonly NamedGateway[] {
  return (entry.spec.gateways ?? []).flatMap((text, index) => {
    if (text === meshGateway || text === '') return [];
    const slash = text.indexOf('/');
    const given = slash < 0 ? '' : text.slice(0, slash);
    const namespace = given === '' || given === '.' ? entry.namespace : given;
    return [{ namespace, name: text.slice(slash + 1), text, path: `spec.gateways[${index}]` }];
  });
}

/** Whether sidecars follow a VirtualService. One without hosts is a delegate and follows its root. */
export function isForMesh({ spec }: IstioObject<'VirtualService'>): boolean {
  if (!spec.hosts?.length) return false;
  return !spec.gateways?.length || spec.gateways.includes(meshGateway);
}

/** `a=b,c=d`, the form that people know from `kubectl -l`. */
export const selectorText = (selector: Readonly<Record<string, string>> | undefined): string =>
  isEmptySelector(selector)
    ? ''
    : Object.entries(selector ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => `${key}=${value}`)
        .join(',');

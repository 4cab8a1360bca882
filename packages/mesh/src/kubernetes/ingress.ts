import type { KubeObject } from '@istio-ts/kube/object';
import type { Origin } from '../model.ts';
import { createdAt, originOf } from './facts.ts';
import { fields, integer, list, text, textMap, texts } from './read.ts';

/** Where an Ingress sends requests: a port of a Service of its namespace, by number or name. */
export interface IngressBackend {
  readonly service: string;
  readonly port: number | string;
}

export interface IngressPath {
  readonly path: string;
  readonly type: 'Exact' | 'Prefix' | 'ImplementationSpecific';
  readonly backend: IngressBackend;
}

/** What the mesh reads of an Ingress (networking.k8s.io/v1). */
export interface IngressFacts {
  readonly origin: Origin;
  readonly createdAt: number;
  /** Annotation kubernetes.io/ingress.class; undefined where it is absent. */
  readonly classAnnotation: string | undefined;
  /** `spec.ingressClassName`, '' where it is absent. */
  readonly className: string;
  readonly defaultBackend: IngressBackend | undefined;
  /** `host` is '' for rules of every host. */
  readonly rules: readonly { readonly host: string; readonly paths: readonly IngressPath[] }[];
  readonly tls: readonly { readonly hosts: readonly string[]; readonly secret: string }[];
}

export interface IngressClassFacts {
  readonly controller: string;
}

/** A backend that is a Service; other resources are nothing that the mesh could send to. */
function readBackend(value: unknown): IngressBackend | undefined {
  const service = fields(fields(value).service);
  const port = fields(service.port);
  const number = integer(port.number) ?? text(port.name);
  return text(service.name) === '' || number === '' ? undefined : { service: text(service.name), port: number };
}

export function readIngress(object: KubeObject): IngressFacts {
  const spec = fields(object.spec);
  return {
    origin: originOf(object),
    createdAt: createdAt(object),
    classAnnotation: textMap(object.metadata.annotations)['kubernetes.io/ingress.class'],
    className: text(spec.ingressClassName),
    defaultBackend: readBackend(spec.defaultBackend),
    rules: list(spec.rules).map((entry) => {
      const { host, http } = fields(entry);
      return {
        host: text(host).toLowerCase(),
        paths: list(fields(http).paths).flatMap((one) => {
          const { path, pathType, backend } = fields(one);
          const to = readBackend(backend);
          const type = pathType === 'Exact' || pathType === 'Prefix' ? pathType : 'ImplementationSpecific';
          return to === undefined ? [] : [{ path: text(path), type, backend: to } as const];
        }),
      };
    }),
    tls: list(spec.tls).map((entry) => {
      const { hosts, secretName } = fields(entry);
      return { hosts: texts(hosts).map((host) => host.toLowerCase()), secret: text(secretName) };
    }),
  };
}

export const readIngressClass = (object: KubeObject): IngressClassFacts => ({
  controller: text(fields(object.spec).controller),
});

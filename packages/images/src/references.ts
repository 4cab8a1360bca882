import { VERSION } from '@istio-ts/api/version';
import { BOUTIQUE } from './programs.ts';

/** With a shell and tools, or with nothing that its programs do not need. */
export type Variant = 'default' | 'distroless';

/** Images that are built together. */
export const GROUPS = ['mesh', 'samples', 'addons'] as const;
export type Group = (typeof GROUPS)[number];

/** An image and the names it is published under. */
export interface Publication {
  readonly group: Group;
  /** Short name: the archive's and the one for the command line. */
  readonly name: string;
  /** Full names with registry and tag. */
  readonly references: readonly string[];
  /** Whether there is a variant without a shell. */
  readonly distroless: boolean;
}

export const DEFAULT_HUB = 'docker.io/istio';
export const DEFAULT_TAG = VERSION;

/** Parts of the mesh: `HUB/NAME:TAG`. */
const MESH = ['pilot', 'proxyv2', 'install-cni', 'istioctl', 'operator', 'console'] as const;

/** The releases of Online Boutique that tutorials and this project's own data use. */
const BOUTIQUE_RELEASES = [
  (service: string) => `gcr.io/google-samples/microservices-demo/${service}:v0.3.5`,
  (service: string) => `us-central1-docker.pkg.dev/online-boutique-ci/microservices-demo/${service}:v0.10.6`,
  (service: string) => `us-central1-docker.pkg.dev/google-samples/microservices-demo/${service}:v0.10.6`,
  (service: string) => `docker.io/istio-ts/microservices-demo/${service}:v1`,
  (service: string) => `docker.io/istio-ts/microservices-demo/${service}:v2`,
];

/** Samples by the names that tutorials give them; those with several names behave by their tag. */
const SAMPLES: readonly string[] = [
  ...BOUTIQUE_RELEASES.flatMap((reference) => BOUTIQUE.map(reference)),
  'docker.io/library/redis:alpine',
  ...['productpage-v1', 'details-v1', 'ratings-v1', 'reviews-v1', 'reviews-v2', 'reviews-v3'].map(
    (service) => `docker.io/istio/examples-bookinfo-${service}:1.20.3`,
  ),
  'docker.io/istio/examples-helloworld-v1:1.0',
  'docker.io/istio/examples-helloworld-v2:1.0',
  'docker.io/istio/tcp-echo-server:1.3',
  'docker.io/kennethreitz/httpbin:latest',
  'docker.io/mccutchen/go-httpbin:v2.15.0',
  'docker.io/library/whoami:v1',
  'docker.io/library/whoami:v2',
  'docker.io/containous/whoami:latest',
  'docker.io/traefik/whoami:latest',
  'docker.io/fortio/fortio:latest_release',
  'gcr.io/istio-testing/ext-authz:latest',
  'docker.io/curlimages/curl:latest',
  'docker.io/library/busybox:latest',
  'docker.io/library/node:24',
  'docker.io/library/ubuntu:latest',
  'docker.io/envoyproxy/ratelimit:30a4ce1a',
];

const ADDONS: readonly string[] = [
  'quay.io/kiali/kiali:v2.14',
  'docker.io/grafana/grafana:12.1.1',
  'docker.io/prom/prometheus:v3.5.0',
  'docker.io/jaegertracing/all-in-one:1.70.0',
  'docker.io/openzipkin/zipkin-slim:3.4.0',
  'docker.io/apache/skywalking-oap-server:10.2.0',
  'docker.io/grafana/loki:3.5.1',
  'docker.io/otel/opentelemetry-collector:0.123.0',
  'docker.io/otel/opentelemetry-collector-contrib:0.123.0',
];

/** Everything that is built for a hub and a tag. */
export function publications(hub: string, tag: string): Publication[] {
  const fixed =
    (group: Group) =>
    (reference: string): Publication => ({
      group,
      name: baseOf(reference),
      references: [reference],
      distroless: false,
    });
  return [
    ...MESH.map(
      (name): Publication => ({ group: 'mesh', name, references: [`${hub}/${name}:${tag}`], distroless: true }),
    ),
    ...SAMPLES.map(fixed('samples')),
    ...ADDONS.map(fixed('addons')),
  ];
}

/** The names of a variant of an image. The one with a shell has also the tag that `global.variant: debug` asks for. */
export function variantReferences(publication: Publication, variant: Variant): readonly string[] {
  const { references, distroless } = publication;
  if (variant === 'distroless') return references.map((reference) => `${reference}-distroless`);
  return distroless ? references.flatMap((reference) => [reference, `${reference}-debug`]) : references;
}

/** Last part of an image's repository: `pilot` of `docker.io/istio/pilot:1.30.0`. */
export const baseOf = (reference: string): string =>
  reference.slice(reference.lastIndexOf('/') + 1).replace(/[:@].*$/, '');

/** The tag of an image's name. */
export const tagOf = (reference: string): string => /:([\w.-]+)$/.exec(reference)?.[1] ?? 'latest';

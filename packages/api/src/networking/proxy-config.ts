import { int32, map, object, string, type TypeOf } from '../schema/schema.ts';
import { workloadSelector } from './common.ts';

export const proxyImage = object('Which variant of the proxy’s image.', {
  imageType: string('default, debug or distroless.'),
});

export const proxyConfigSpec = object('Settings of proxies that take effect when a pod is created.', {
  selector: workloadSelector,
  concurrency: int32('Number of worker threads; 0 uses all cores.', { minimum: 0 }),
  environmentVariables: map(string('Value.', { maxLength: 2048 }), 'Environment of the proxy container.'),
  image: proxyImage,
});
/** Spec of the kind ProxyConfig (networking.istio.io), not the proxies' settings in the mesh configuration. */
export type ProxyConfigSpec = TypeOf<typeof proxyConfigSpec>;

import { table } from '../cli/table.ts';
import { at, type Json, text } from '@istio-ts/envoy-dump/json';

/** The short form of `istioctl proxy-config bootstrap`: which proxy this is, and which versions it runs. */
export function bootstrapTable(part: Json): string {
  const node = at(part, 'bootstrap', 'node');
  const metadata = at(node, 'metadata');
  const version = ['majorNumber', 'minorNumber', 'patch']
    .map((key) => text(at(node, 'userAgentBuildVersion', 'version', key)) || '0')
    .join('.');
  return table(
    ['NODE', 'CLUSTER', 'ISTIO VERSION', 'ENVOY VERSION', 'CONTROL PLANE'],
    [
      [
        text(at(node, 'id')) || '-',
        text(at(metadata, 'CLUSTER_ID')) || '-',
        text(at(metadata, 'ISTIO_VERSION')) || '-',
        version === '0.0.0' ? '-' : version,
        text(at(metadata, 'PROXY_CONFIG', 'discoveryAddress')) || '-',
      ],
    ],
    3,
  );
}

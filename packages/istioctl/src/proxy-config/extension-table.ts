import { table } from '../cli/table.ts';
import { type ConfigDump, section } from '@istio-ts/envoy-dump/config-dump';
import { at, type Json, list, text } from '@istio-ts/envoy-dump/json';

/** The extension configurations that Envoy got by name (ECDS). */
export function extensionsOf(dump: ConfigDump): readonly Json[] {
  return list(section(dump, 'EcdsConfigDump')?.ecdsFilters);
}

/** The table of `istioctl proxy-config ecds`. */
export function extensionTable(extensions: readonly Json[]): string {
  if (extensions.length === 0) return 'This proxy has no extension configuration (ECDS).\n';
  return table(
    ['ECDS FILTER', 'TYPE', 'VERSION', 'LAST UPDATED'],
    extensions.map((entry) => [
      text(at(entry, 'ecdsFilter', 'name')),
      text(at(entry, 'ecdsFilter', 'typedConfig', '@type'))
        .split('/')
        .at(-1) ?? '',
      text(entry.versionInfo) || '-',
      text(entry.lastUpdated) || '-',
    ]),
  );
}

import type { Locality } from './model.ts';

export const noLocality: Locality = { region: '', zone: '', subzone: '' };

/** Reads `region/zone/subzone` as configuration has it, or `region.zone.subzone` as labels have it (a label may hold no slash). */
export function parseLocality(text: string): Locality {
  const [region = '', zone = '', subzone = ''] = text.split(text.includes('/') ? '/' : '.');
  return { region, zone, subzone };
}

/** Label of a pod or WorkloadEntry that says where it is; `istio-locality` is the older name. */
export const localityLabels = ['topology.istio.io/locality', 'istio-locality'] as const;

/** `region/zone/subzone` without empty parts at the end. */
export function formatLocality({ region, zone, subzone }: Locality): string {
  return [region, zone, subzone].join('/').replace(/\/+$/, '');
}

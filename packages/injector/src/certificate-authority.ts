import type { MeshConfig, ProxyConfig } from '@istio-ts/api';
import { type JsonObject, objectAt } from './json.ts';

/** Tells the agent how to speak to a CA that is not istiod: JSON of `tlsSettings` and `requestTimeout` of MeshConfig `ca`. */
const VARIABLE = 'ISTIO_TS_CA';

/** Whether sidecars send their requests to the CA themselves (MeshConfig `ca.istiodSide: false`). */
const forAgents = ({ ca }: MeshConfig): MeshConfig['ca'] => (ca?.istiodSide === false && ca.address ? ca : undefined);

/** The values with the address of the CA that the mesh configuration names for sidecars; `global.caAddress` of the chart is the older word for it, and wins. */
export function authorityValues(values: JsonObject, mesh: MeshConfig): JsonObject {
  const ca = forAgents(mesh);
  const global = objectAt(values, 'global');
  if (ca === undefined || global.caAddress) return values;
  return { ...values, global: { ...global, caAddress: ca.address ?? '' } };
}

/** The proxy's settings with how it speaks to that CA. */
export function authoritySettings(settings: ProxyConfig, mesh: MeshConfig): ProxyConfig {
  const ca = forAgents(mesh);
  if (ca === undefined) return settings;
  const { tlsSettings = {}, requestTimeout } = ca;
  const text = JSON.stringify({ tlsSettings, ...(requestTimeout !== undefined && { requestTimeout }) });
  return { ...settings, proxyMetadata: { [VARIABLE]: text, ...settings.proxyMetadata } };
}

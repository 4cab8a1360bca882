/** Fields that stand among those of the networking API and are not about where traffic goes: which part of Istio's API they belong to. */
const owners = {
  'ambient mode': ['MeshConfig.hboneIdleTimeout', 'MeshConfig.serviceScopeConfigs'],
  // Envoy's dynamic forward proxy names in SNI the host of each request, whatever its cluster says; Istio has removed `certificates`.
  'without effect': ['MeshConfig.outboundTrafficPolicy.tls.sni', 'MeshConfig.certificates'],
} as const;

export type Owner = keyof typeof owners;

/** Where a field belongs that is not the networking API's own. */
export function ownerOf(field: string): Owner | undefined {
  const found = Object.entries(owners).find(([, names]) =>
    names.some((name) => field === name || field.startsWith(`${name}.`) || field.startsWith(`${name}[]`)),
  );
  return found?.[0] as Owner | undefined;
}

import type { MeshConfig } from '@istio-ts/api';

export const defaultRootNamespace = 'istio-system';
export const rootNamespaceOf = (config: MeshConfig): string => config.rootNamespace || defaultRootNamespace;
export const trustDomainOf = (config: MeshConfig): string => config.trustDomain || 'cluster.local';

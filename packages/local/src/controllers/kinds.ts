/** Views of the Kubernetes kinds that the controllers and the node read; fields nobody reads here are left out. */
export * from './kinds/container.ts';
export * from './kinds/data.ts';
export * from './kinds/object.ts';
export * from './kinds/pod.ts';
export * from './kinds/service.ts';
export * from './kinds/types.ts';
export * from './kinds/volume.ts';
export * from './kinds/workload.ts';

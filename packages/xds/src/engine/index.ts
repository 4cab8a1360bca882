export { createEngine, type Engine, type EngineOptions, type EngineState, type EngineView } from './engine.ts';
export { defaultGenerators, type Generators } from './generators.ts';
export {
  chartMeshConfig,
  generateOffline,
  type OfflineOptions,
  type OfflineProxy,
  type OfflineResult,
} from './offline.ts';
export type { GenerationError } from './proxy-class.ts';
export { encodedResources } from './resource.ts';
export { differences, LayeredTable, type Table } from './table.ts';
export { type ResourceType, resourceTypeOf, resourceTypes, typeUrls, virtualHostUrl } from './type-urls.ts';

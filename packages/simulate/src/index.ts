export { explain } from './explain.ts';
export type { Explanation, ExplainStep, ProxyConfiguration } from './explanation.ts';
export type { ObjectName } from './origin.ts';
export { RequestError, type SimulatedRequest } from './request.ts';

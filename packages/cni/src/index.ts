export { formatNetworkList, parseNetworkList, withoutPlugin, withPlugin } from './config/network-list.ts';
export type { NetworkList } from './config/network-list.ts';
export { decide } from './plugin/decision.ts';
export type { Decision } from './plugin/decision.ts';

import { GATEWAY_MESSAGES } from './messages/gateways.ts';
import { GENERAL_MESSAGES } from './messages/general.ts';
import { POLICY_MESSAGES } from './messages/policies.ts';
import { TRAFFIC_MESSAGES } from './messages/traffic.ts';
import { WORKLOAD_MESSAGES } from './messages/workloads.ts';

/** Every message, by its name. Arguments are those that Istio's messages carry. */
export const messageTypes = {
  ...GENERAL_MESSAGES,
  ...WORKLOAD_MESSAGES,
  ...TRAFFIC_MESSAGES,
  ...GATEWAY_MESSAGES,
  ...POLICY_MESSAGES,
} as const;

export type MessageName = keyof typeof messageTypes;
/** What a message of this name is built from. */
export type MessageArgs<N extends MessageName> = Parameters<(typeof messageTypes)[N]['text']>[0];

/** Where a code is explained. */
export const documentationUrl = (code: string): string =>
  `https://istio.io/latest/docs/reference/config/analysis/${code.toLowerCase()}/`;

/** The name of a code (`IST0101`), in any case; undefined for an unknown one. */
export function messageNameOf(code: string): MessageName | undefined {
  const names = Object.keys(messageTypes) as MessageName[];
  return names.find((name) => messageTypes[name].code === code.toUpperCase());
}

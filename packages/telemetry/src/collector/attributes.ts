import type { CommonKeyValue, ExportLogsServiceRequest } from '@istio-ts/envoy';
import type { AttributeAction } from './config.ts';

function changed(
  attributes: readonly CommonKeyValue[] | undefined,
  actions: readonly AttributeAction[],
): readonly CommonKeyValue[] {
  let list = attributes ?? [];
  for (const { action, key, value } of actions) {
    const isThere = list.some((entry) => entry.key === key);
    const made = { key, value: { stringValue: value } };
    if (action === 'delete') list = list.filter((entry) => entry.key !== key);
    else if (isThere && action !== 'insert') list = list.map((entry) => (entry.key === key ? made : entry));
    else if (!isThere && action !== 'update') list = [...list, made];
  }
  return list;
}

/** The same records with changed attributes, as the collector's processor `attributes` does it. */
export function withAttributes(
  request: ExportLogsServiceRequest,
  actions: readonly AttributeAction[],
): ExportLogsServiceRequest {
  return {
    resourceLogs: (request.resourceLogs ?? []).map((group) => ({
      ...group,
      scopeLogs: (group.scopeLogs ?? []).map((scope) => ({
        ...scope,
        logRecords: (scope.logRecords ?? []).map((record) => ({
          ...record,
          attributes: [...changed(record.attributes, actions)],
        })),
      })),
    })),
  };
}

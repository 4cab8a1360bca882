import { storageKey } from '../definitions.ts';
import type { ListResult } from '../http/list.ts';
import { listObject } from '../http/list.ts';
import { partialMetadata, type Representation } from '../http/representation.ts';
import { PLAIN, type Presenter } from '../http/watch.ts';
import type { ApiObject } from '../object.ts';
import type { Target } from '../operations/context.ts';
import { BUILTIN_COLUMNS } from './builtin.ts';
import { AGE, type Column, NAME } from './columns.ts';
import { customColumns } from './custom.ts';

function columnsOf(target: Target): readonly Column[] {
  const custom = target.definition.custom?.get(target.version);
  if (custom !== undefined) return customColumns(custom.columns);
  return BUILTIN_COLUMNS[storageKey(target.definition)] ?? [NAME, AGE];
}

function table(
  columns: readonly Column[],
  objects: readonly ApiObject[],
  include: string,
  now: number,
  metadata: object,
  header: boolean,
  version: string,
): object {
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    columnDefinitions: header
      ? columns.map(({ name, type, format, priority }) => ({
          name,
          type,
          format: format ?? '',
          description: '',
          priority: priority ?? 0,
        }))
      : [],
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.cell(object, now)),
      ...(include === 'None' ? {} : { object: include === 'Object' ? object : partialMetadata(object, version) }),
    })),
  };
}

/** How single objects (also those of a watch) are written for a client. */
export function presenterFor(
  representation: Representation,
  target: Target,
  query: URLSearchParams,
  startedAt: number,
): Presenter {
  switch (representation.kind) {
    case 'object':
      return PLAIN;
    case 'metadata':
      return (object) => partialMetadata(object, representation.version);
    case 'table': {
      const columns = columnsOf(target);
      const include = query.get('includeObject') ?? 'Metadata';
      const offset = Date.now() - startedAt;
      return (object, first) =>
        table(
          columns,
          [object],
          include,
          Date.now() - offset,
          { resourceVersion: object.metadata.resourceVersion },
          first,
          representation.version,
        );
    }
  }
}

export function presentList(
  representation: Representation,
  target: Target,
  result: ListResult,
  query: URLSearchParams,
  now: number,
): object {
  switch (representation.kind) {
    case 'object':
      return listObject(target, result);
    case 'metadata':
      return {
        kind: 'PartialObjectMetadataList',
        apiVersion: `meta.k8s.io/${representation.version}`,
        metadata: result.metadata,
        items: result.items.map((item) => partialMetadata(item, representation.version)),
      };
    case 'table':
      return table(
        columnsOf(target),
        result.items,
        query.get('includeObject') ?? 'Metadata',
        now,
        result.metadata,
        true,
        representation.version,
      );
  }
}

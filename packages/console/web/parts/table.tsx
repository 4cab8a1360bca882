import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import { queryValue, setQuery } from '../state/router.ts';
import { t } from '../texts.ts';
import { Empty } from './notice.tsx';
import { Icon } from './icons.tsx';
import { sorted, toggled } from './sort.ts';

/** A column: how a row's cell is drawn, and by what it is sorted (none: it is not). */
export interface Column<T> {
  readonly id: string;
  readonly title: string;
  readonly cell: (row: T) => ComponentChildren;
  readonly sort?: (row: T) => string | number;
  readonly number?: boolean;
  /** Takes what is left of the width. */
  readonly wide?: boolean;
  /** The row's name: a header of the row for screen readers. */
  readonly head?: boolean;
  readonly hideBelow?: number;
}

/** A table whose order is in the address (`sort`), with further rows on demand. */
export function DataTable<T>(props: {
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly rowKey: (row: T) => string;
  readonly sortParameter?: string;
  readonly firstSort?: string;
  readonly empty?: ComponentChildren;
  readonly page?: number;
  readonly selected?: (row: T) => boolean;
  readonly detail?: (row: T) => ComponentChildren;
}): JSX.Element {
  const parameter = props.sortParameter ?? 'sort';
  const order = queryValue(parameter, props.firstSort ?? '');
  const size = props.page ?? 100;
  const [limit, setLimit] = useState(size);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const column = props.columns.find(({ id }) => id === order.replace(/^-/, ''));
  const rows = sorted(props.rows, column?.sort, order.startsWith('-'));
  const flip = (key: string) => {
    const next = new Set(open);
    if (!next.delete(key)) next.add(key);
    setOpen(next);
  };
  return (
    <div class="table-box">
      <table class="table">
        <caption class="hidden-visually">{props.label}</caption>
        <thead>
          <tr>
            {props.detail && (
              <th class="fold-cell">
                <span class="hidden-visually">{t.common.showMore(1)}</span>
              </th>
            )}
            {props.columns.map((each) => {
              const direction = each === column ? (order.startsWith('-') ? 'descending' : 'ascending') : undefined;
              return (
                <th
                  key={each.id}
                  scope="col"
                  aria-sort={direction}
                  class={`${each.number ? 'number' : ''} ${each.wide ? 'wide' : ''}`}
                >
                  {each.sort ? (
                    <button
                      type="button"
                      title={t.common.sortBy(each.title)}
                      onClick={() => setQuery({ [parameter]: toggled(order, each.id, each.number === true) })}
                    >
                      {each.title}
                      {direction && <Icon name={direction === 'ascending' ? 'up' : 'down'} size={11} />}
                    </button>
                  ) : (
                    each.title
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, limit).map((row) => {
            const key = props.rowKey(row);
            const cells = props.columns.map((each) => {
              const kind = each.number ? 'number' : '';
              return each.head ? (
                <th key={each.id} scope="row" class={kind}>
                  {each.cell(row)}
                </th>
              ) : (
                <td key={each.id} class={kind}>
                  {each.cell(row)}
                </td>
              );
            });
            return (
              <>
                <tr key={key} aria-selected={props.selected?.(row) ? 'true' : undefined}>
                  {props.detail && (
                    <td class="fold-cell">
                      <button
                        type="button"
                        class="button quiet icon"
                        aria-expanded={open.has(key)}
                        aria-label={key}
                        onClick={() => flip(key)}
                      >
                        <Icon name={open.has(key) ? 'down' : 'right'} size={13} />
                      </button>
                    </td>
                  )}
                  {cells}
                </tr>
                {props.detail && open.has(key) && (
                  <tr key={`${key} detail`} class="row-detail">
                    <td colSpan={props.columns.length + 1}>{props.detail(row)}</td>
                  </tr>
                )}
              </>
            );
          })}
        </tbody>
      </table>
      {props.rows.length === 0 && (props.empty ?? <Empty title={t.common.nothing}>{t.common.noMatch}</Empty>)}
      {rows.length > limit && (
        <button type="button" class="button quiet more" onClick={() => setLimit(limit + size)}>
          {t.common.showMore(Math.min(size, rows.length - limit))}
        </button>
      )}
    </div>
  );
}

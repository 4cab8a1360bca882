import type { ComponentChildren, JSX } from 'preact';
import type { Resource } from '../state/resource.ts';
import type { RequestError } from '../state/request.ts';
import { sentence } from '../state/format.ts';
import { t } from '../texts.ts';
import { Icon, type IconName } from './icons.tsx';
import { objectHref, objectText } from './object-link.tsx';

/** A message in the page: what is wrong or worth knowing. */
export function Notice(props: {
  readonly level: 'error' | 'warning' | 'info' | 'success';
  readonly title?: string;
  readonly children?: ComponentChildren;
  readonly action?: ComponentChildren;
}): JSX.Element {
  const icon: IconName = props.level === 'success' ? 'check' : props.level;
  return (
    <div class={`notice ${props.level}`} role={props.level === 'error' ? 'alert' : 'status'}>
      <Icon name={icon} />
      <div class="grow">
        {props.title && <strong>{props.title}</strong>}
        {props.children && <div>{props.children}</div>}
      </div>
      {props.action}
    </div>
  );
}

export function ErrorNotice({
  error,
  retry,
}: {
  readonly error: RequestError | Error;
  readonly retry?: () => void;
}): JSX.Element {
  const object = 'object' in error ? error.object : undefined;
  const field = 'field' in error ? error.field : undefined;
  return (
    <Notice
      level="error"
      title={t.errors.title}
      action={
        retry && (
          <button type="button" class="button" onClick={retry}>
            {t.common.reload}
          </button>
        )
      }
    >
      {sentence(error.message)}
      {object && (
        <div>
          <a href={objectHref(object)}>{objectText(object)}</a>
        </div>
      )}
      {field && <div class="mono">{t.errors.field(field)}</div>}
    </Notice>
  );
}

/** Says that there is nothing, and why or what to do. */
export function Empty(props: {
  readonly icon?: IconName;
  readonly title: string;
  readonly children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class="empty">
      <Icon name={props.icon ?? 'search'} size={28} />
      <h3>{props.title}</h3>
      {props.children && <p>{props.children}</p>}
    </div>
  );
}

/** Grey bars where data will be. */
export function Skeleton({ rows = 6 }: { readonly rows?: number }): JSX.Element {
  return (
    <div class="skeleton" role="status" aria-label={t.common.loading}>
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} />
      ))}
    </div>
  );
}

/** Shows what a resource has: a skeleton first, the data, and why they are missing or old. */
export function Loaded<T>(props: {
  readonly resource: Resource<T>;
  readonly rows?: number;
  readonly children: (data: T) => ComponentChildren;
}): JSX.Element {
  const { data, error, reload } = props.resource;
  if (data === undefined)
    return error ? <ErrorNotice error={error} retry={reload} /> : <Skeleton rows={props.rows ?? 6} />;
  return (
    <>
      {error && (
        <Notice level="warning" title={t.errors.stale}>
          {sentence(error.message)}
        </Notice>
      )}
      {props.children(data)}
    </>
  );
}

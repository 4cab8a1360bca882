import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { href, path } from '../state/router.ts';
import { t } from '../texts.ts';

export interface Crumb {
  readonly label: string;
  readonly to: string;
}

/** The frame of every page: title (which gets the focus when the page is opened), what it is about, its actions. */
export function Page(props: {
  readonly title: string;
  readonly lead?: ComponentChildren;
  readonly crumbs?: readonly Crumb[];
  readonly actions?: ComponentChildren;
  /** Uses the whole height and scrolls inside. */
  readonly full?: boolean;
  readonly children: ComponentChildren;
}): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  const where = path.value;
  // A new page is what moves the focus.
  useEffect(() => {
    if (opened !== undefined && opened !== where) heading.current?.focus({ preventScroll: true });
    opened = where;
  }, [where]);
  useEffect(() => {
    document.title = `${props.title} · ${t.common.product}`;
  }, [props.title]);
  return (
    <main id="content" class={props.full ? 'content full' : 'content'} tabIndex={-1}>
      <div class="page-head">
        <div class="what">
          {props.crumbs && props.crumbs.length > 0 && (
            <nav aria-label={t.common.breadcrumbs}>
              <ol class="crumbs">
                {props.crumbs.map((crumb) => (
                  <li key={crumb.to}>
                    <a href={href(crumb.to)}>{crumb.label}</a>
                  </li>
                ))}
              </ol>
            </nav>
          )}
          <h1 ref={heading} tabIndex={-1}>
            {props.title}
          </h1>
          {props.lead && <p>{props.lead}</p>}
        </div>
        {props.actions && <div class="row wrapping">{props.actions}</div>}
      </div>
      {props.children}
    </main>
  );
}

/** The path whose page was drawn last: the first page of a visit leaves the focus where it is. */
let opened: string | undefined;

/** A surface with an optional heading. */
export function Card(props: {
  readonly title?: ComponentChildren;
  readonly end?: ComponentChildren;
  readonly class?: string;
  readonly flush?: boolean;
  readonly label?: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <section class={`card ${props.flush ? 'flush' : ''} ${props.class ?? ''}`} aria-label={props.label}>
      {(props.title || props.end) && (
        <header class="row spread">
          <h2>{props.title}</h2>
          {props.end}
        </header>
      )}
      {props.children}
    </section>
  );
}

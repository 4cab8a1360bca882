import { computed, signal } from '@preact/signals';
import { base as folder } from './base.ts';

/** Where the person is: the address holds the state of every page. */
export interface Place {
  /** Below the base address, with a leading slash. */
  readonly path: string;
  readonly query: URLSearchParams;
}

const base = folder.replace(/\/$/, '');

function here(): Place {
  const path = decodeURI(location.pathname.slice(base.length)) || '/';
  return { path, query: new URLSearchParams(location.search) };
}

export const place = signal<Place>(here());
export const path = computed(() => place.value.path);

/** Parts of the address that stay when another page is opened. */
const lasting = ['ns', 'duration'] as const;

export function href(to: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const [bare = '/', own = ''] = to.split('?');
  const search = new URLSearchParams();
  for (const name of lasting) {
    const value = place.value.query.get(name);
    if (value !== null) search.set(name, value);
  }
  for (const [name, value] of new URLSearchParams(own)) search.set(name, value);
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === '') search.delete(name);
    else search.set(name, value);
  }
  // Commas and slashes are common in our parameters and allowed in a query.
  const text = search.toString().replaceAll('%2C', ',').replaceAll('%2F', '/').replaceAll('%3A', ':');
  return base + encodeURI(bare) + (text === '' ? '' : `?${text}`);
}

export function navigate(address: string, how: 'push' | 'replace' = 'push'): void {
  if (how === 'push') history.pushState(null, '', address);
  else history.replaceState(null, '', address);
  place.value = here();
}

/**
 * Changes parameters of the address of this page; empty and undefined ones leave it. `replace` (the default) is for what is typed or toggled,
 * `push` for what a person would go back from.
 */
export function setQuery(
  changes: Readonly<Record<string, string | undefined>>,
  how: 'push' | 'replace' = 'replace',
): void {
  navigate(href(place.value.path, { ...Object.fromEntries(place.value.query), ...changes }), how);
}

export const queryValue = (name: string, fallback = ''): string => place.value.query.get(name) ?? fallback;

export const queryList = (name: string): readonly string[] =>
  queryValue(name)
    .split(',')
    .filter((part) => part !== '');

/** Links of this page are followed without loading it again. */
export function followLinks(): void {
  addEventListener('popstate', () => {
    place.value = here();
  });
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = event.composedPath().find((target) => target instanceof HTMLAnchorElement);
    if (link?.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.hash !== '' && link.pathname === location.pathname) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
  });
}

/** The values of `:name` parts where a path fits a pattern. */
export function match(pattern: string, of: string): Readonly<Record<string, string>> | undefined {
  const wanted = pattern.split('/');
  const given = of.split('/');
  if (wanted.length !== given.length) return undefined;
  const values: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? '';
    if (part.startsWith(':')) {
      if (value === '') return undefined;
      values[part.slice(1)] = decodeURIComponent(value);
    } else if (part !== value) return undefined;
  }
  return values;
}

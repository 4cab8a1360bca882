import { effect, signal } from '@preact/signals';

/** Which colours: as the system has it, or chosen here. */
export type Theme = 'system' | 'light' | 'dark';

/** What a person chose for this browser; kept in its local storage. */
export interface Settings {
  readonly theme: Theme;
  /** Seconds between two readings of a page's data; 0: only when asked. */
  readonly refresh: number;
  /** Dots that run along the graph's edges. */
  readonly motion: boolean;
  readonly narrowMenu: boolean;
}

const key = 'mesh-console';
const defaults: Settings = { theme: 'system', refresh: 15, motion: true, narrowMenu: false };

function stored(): Settings {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key) ?? '{}');
    return typeof value === 'object' && value !== null ? { ...defaults, ...value } : defaults;
  } catch {
    return defaults;
  }
}

export const settings = signal<Settings>(stored());

/** True while the pages are drawn dark; charts read their colours again when it changes. */
export const dark = signal(false);

export function change(changes: Partial<Settings>): void {
  settings.value = { ...settings.value, ...changes };
  try {
    localStorage.setItem(key, JSON.stringify(settings.value));
  } catch {
    // A browser that keeps nothing still shows what was chosen until the page is closed.
  }
}

/** Follows the chosen theme and the system's. */
export function applyTheme(): void {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const systemDark = signal(system.matches);
  system.addEventListener('change', () => {
    systemDark.value = system.matches;
  });
  effect(() => {
    const { theme } = settings.value;
    const isDark = theme === 'dark' || (theme === 'system' && systemDark.value);
    document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
    dark.value = isDark;
  });
}

export const reducedMotion = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches;

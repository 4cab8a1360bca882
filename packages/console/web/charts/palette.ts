/** The colours of charts as the theme has them now; canvases cannot use custom properties themselves. */
export interface Palette {
  readonly series: readonly string[];
  readonly text: string;
  readonly faint: string;
  readonly line: string;
  readonly surface: string;
  readonly healthy: string;
  readonly degraded: string;
  readonly failing: string;
  readonly accent: string;
  readonly font: string;
}

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const value = (name: string) => style.getPropertyValue(name).trim();
  return {
    series: Array.from({ length: 8 }, (_, index) => value(`--series-${index + 1}`)),
    text: value('--text'),
    faint: value('--text-faint'),
    line: value('--line'),
    surface: value('--surface'),
    healthy: value('--healthy'),
    degraded: value('--degraded'),
    failing: value('--failing'),
    accent: value('--accent'),
    font: `11px ${value('--font')}`,
  };
}

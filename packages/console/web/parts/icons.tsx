import type { JSX } from 'preact';

/** Drawn on a grid of 16, in the colour of the text around. */
const shapes = {
  overview: 'M2 2.5h5v5H2zM9 2.5h5v3H9zM9 7.5h5v6H9zM2 9.5h5v4H2z',
  graph:
    'M3.5 4.5 8 8m0 0 4.5-3.5M8 8l4.5 4M3 5.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3M13 5.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3M13 13.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3',
  app: 'M2.5 5 8 2l5.5 3v6L8 14l-5.5-3zM2.5 5 8 8l5.5-3M8 8v6',
  workload: 'M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01',
  service: 'M8 2.5v3M8 10.5v3M2.5 8h3M10.5 8h3M8 10.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5',
  config: 'M4 2.5h5.5L12.5 6v7.5H4zM9.5 2.5V6h3M6 8.5h4M6 11h4',
  traces: 'M2 4h6M5 8h8M8 12h6',
  logs: 'M2.5 3.5h11M2.5 6.5h8M2.5 9.5h11M2.5 12.5h6',
  dashboards: 'M2.5 13.5v-4M6.2 13.5V6M9.8 13.5V8.5M13.5 13.5v-11',
  proxies: 'M8 2 3 4v4c0 3 2.2 5 5 6 2.8-1 5-3 5-6V4zM6 8l1.5 1.5L10.5 6.5',
  explain: 'M6 6a2 2 0 1 1 2.8 1.8c-.5.3-.8.7-.8 1.4M8 11.5h.01M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12',
  settings:
    'M8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4M8 2v1.8M8 12.2V14M2 8h1.8M12.2 8H14M3.8 3.8 5 5M11 11l1.2 1.2M3.8 12.2 5 11M11 5l1.2-1.2',
  refresh: 'M13 8a5 5 0 1 1-1.6-3.7M13 2.5V5.5h-3',
  sun: 'M8 10.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5M8 1.5V3M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1M11.6 11.6l1 1M3.4 12.6l1-1M11.6 4.4l1-1',
  moon: 'M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5',
  lock: 'M4 7.5h8v6H4zM5.5 7.5v-2a2.5 2.5 0 0 1 5 0v2',
  unlocked: 'M4 7.5h8v6H4zM5.5 7.5v-2a2.5 2.5 0 0 1 4.8-1',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9M10.5 10.5l3 3',
  close: 'M4 4l8 8M12 4l-8 8',
  down: 'M4 6l4 4 4-4',
  up: 'M4 10l4-4 4 4',
  right: 'M6 4l4 4-4 4',
  left: 'M10 4 6 8l4 4',
  check: 'M3 8.5 6.5 12 13 4.5',
  warning: 'M8 2.5 14 13H2zM8 6.5V9.5M8 11.3h.01',
  error: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 5v3.5M8 10.8h.01',
  info: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 7.5V11M8 5.2h.01',
  plus: 'M8 3v10M3 8h10',
  minus: 'M3 8h10',
  fit: 'M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10',
  play: 'M5 3l8 5-8 5z',
  pause: 'M5 3v10M11 3v10',
  table: 'M2.5 3h11v10h-11zM2.5 6.5h11M6.5 6.5V13',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  external: 'M9 2.5h4.5V7M13.5 2.5 8 8M11.5 9v4.5h-9v-9H7',
  filter: 'M2 3h12l-4.5 5.5V13l-3-1.5v-3z',
  menu: 'M2.5 4h11M2.5 8h11M2.5 12h11',
  user: 'M8 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5M3 13.5c.5-2.5 2.5-3.5 5-3.5s4.5 1 5 3.5',
  gateway: 'M2.5 13.500V6L8 2.5 13.5 6v7.500M6 13.500v-5h4v5',
  cloud: 'M4.5 12.500h7a2.5 2.5 0 0 0 .3-5 4 4 0 0 0-7.7-.8A2.9 2.9 0 0 0 4.5 12.5',
  split: 'M2.5 8h3l4-4h4M5.5 8l4 4h4M11.5 2l2 2-2 2M11.5 10l2 2-2 2',
  bolt: 'M9 2 4 9h3.500L7 14l5-7H8.500z',
  fault: 'M8 2.500v5M8 10.500v3M3 5l2.5 2.500M13 5l-2.5 2.500M3.5 12.5 6 10M12.5 12.5 10 10',
  clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12M8 4.500V8l2.5 1.5',
  mirror: 'M8 2v12M6 4.5 2 11.500h4zM10 4.500l4 7h-4z',
  bare: 'M8 2 3 4v4c0 3 2.2 5 5 6 2.8-1 5-3 5-6V4zM6 6l4 4M10 6l-4 4',
  edit: 'M10.5 3l2.5 2.5-7.5 7.500H3v-2.500zM9 4.5 11.5 7',
  trash: 'M3 4.500h10M6 4.500v-2h4v2M4.5 4.500l.5 9h6l.5-9',
  magic: 'M3 13 10 6M9 3.500V2M12.5 7H14M12 4l1-1M6.5 3.500l-.7-.7M12.5 10.500l.7.7',
  compare: 'M5 2.500v11M11 2.500v11M2.5 5 5 2.5 7.5 5M8.5 11l2.5 2.5 2.5-2.5',
  wrap: 'M2.5 4h11M2.5 8h9a2 2 0 0 1 0 4H8M9.5 10.5 8 12l1.5 1.500M2.5 12h3',
  database:
    'M3 4c0-1 2.2-1.8 5-1.800S13 3 13 4s-2.2 1.8-5 1.800S3 5 3 4M3 4v8c0 1 2.2 1.8 5 1.800s5-.8 5-1.800V4M3 8c0 1 2.2 1.8 5 1.800S13 9 13 8',
  unknown: 'M5.5 5.500a2.5 2.5 0 1 1 3.5 2.300c-.7.4-1 .9-1 1.700M8 12.500h.01',
} as const;

export type IconName = keyof typeof shapes;

export const iconShape = (name: IconName): string => shapes[name];

/** An ornament beside a text: hidden from screen readers unless it has a label. */
export function Icon({ name, size = 16, label }: { name: IconName; size?: number; label?: string }): JSX.Element {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.4"
      stroke-linecap="round"
      stroke-linejoin="round"
      {...(label === undefined ? { 'aria-hidden': 'true' } : { role: 'img', 'aria-label': label })}
    >
      <path d={shapes[name]} />
    </svg>
  );
}

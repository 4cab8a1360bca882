// Every English text of the pages stands in texts/*.ts, a file per part of the application; nothing else has words for people.
import { common, errors, nav } from './texts/common.ts';
import { config, wizards } from './texts/config.ts';
import { dashboards, logs, proxies, traces } from './texts/observe.ts';
import { explain, login, settings } from './texts/more.ts';
import { graph } from './texts/graph.ts';
import { lists, overview } from './texts/lists.ts';

export const t = {
  common,
  errors,
  nav,
  overview,
  lists,
  graph,
  config,
  wizards,
  traces,
  logs,
  proxies,
  dashboards,
  explain,
  login,
  settings,
} as const;

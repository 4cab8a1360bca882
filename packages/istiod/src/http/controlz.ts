import type { LogLevel } from '../log.ts';
import { type HttpRoutes, jsonResponse } from './server.ts';

export interface ControlZOptions {
  readonly version: string;
  readonly args: readonly string[];
  /** Names of environment variables whose values may be shown; others are only named. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly levels: () => ReadonlyMap<string, LogLevel>;
  readonly uptimeSeconds: () => number;
}

// Values of variables whose names look like this are never shown.
const secret = /(TOKEN|SECRET|PASSWORD|KEY|CREDENTIAL)/i;
const escapeHtml = (text: string) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** ControlZ, istiod's introspection pages: one HTML page for people and each part as JSON. Listens on the pod's loopback only. */
export function controlZRoutes(options: ControlZOptions): HttpRoutes {
  const parts: Readonly<Record<string, () => unknown>> = {
    version: () => ({
      version: options.version,
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
    }),
    scopes: () => Object.fromEntries(options.levels()),
    process: () => ({
      pid: process.pid,
      uptimeSeconds: Math.round(options.uptimeSeconds()),
      cpuMicroseconds: process.cpuUsage(),
    }),
    memory: () => process.memoryUsage(),
    arguments: () => options.args,
    environment: () =>
      Object.fromEntries(
        Object.entries(options.env).map(([name, value]) => [name, secret.test(name) ? '(not shown)' : value]),
      ),
  };
  const page = () => {
    const sections = Object.entries(parts).map(
      ([name, read]) =>
        `<h2 id="${name}">${name} <a href="/${name}">JSON</a></h2><pre>${escapeHtml(JSON.stringify(read(), null, 2))}</pre>`,
    );
    return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>ControlZ - istiod</title><style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}pre{background:#f4f4f0;padding:1rem;overflow:auto;border-radius:.5rem}h2 a{font-size:.8rem;font-weight:400}</style></head><body><h1>istiod ${escapeHtml(options.version)}</h1>${sections.join('')}</body></html>`;
  };
  return {
    '/': () => ({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body: page() }),
    ...Object.fromEntries(Object.entries(parts).map(([name, read]) => [`/${name}`, () => jsonResponse(read())])),
  };
}

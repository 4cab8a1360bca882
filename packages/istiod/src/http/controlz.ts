import { isOutputLevel, type LogScope, type LogScopes, outputLevels, type ScopeChange } from '../log-scopes.ts';
import { type HttpHandler, type HttpResponse, type HttpRoutes, jsonResponse } from './server.ts';

export interface ControlZOptions {
  readonly version: string;
  readonly args: readonly string[];
  /** Names of environment variables whose values may be shown; others are only named. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly scopes: LogScopes;
  readonly uptimeSeconds: () => number;
}

// Values of variables whose names look like this are never shown.
const secret = /(TOKEN|SECRET|PASSWORD|KEY|CREDENTIAL)/i;
const escapeHtml = (text: string) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** A scope as the tools of Istio read it (`/scopej/`). */
const scopeJson = ({ name, description, outputLevel, stackTraceLevel, logCallers }: LogScope) => ({
  name,
  description,
  output_level: outputLevel,
  stack_trace_level: stackTraceLevel,
  log_callers: logCallers,
});

const refused = (message: string): HttpResponse => ({ status: 400, body: `${message}\n` });

/** What a PUT asks of a scope, or why it cannot be done. */
function changeFrom(body: string): ScopeChange | string {
  let asked: unknown;
  try {
    asked = JSON.parse(body);
  } catch {
    return 'the body is no JSON';
  }
  if (typeof asked !== 'object' || asked === null || Array.isArray(asked)) return 'the body is no JSON object';
  const fields = asked as Readonly<Record<string, unknown>>;
  const level = (field: string) => {
    const value = fields[field];
    return value === undefined || value === '' ? undefined : value;
  };
  const [output, stack, callers] = [level('output_level'), level('stack_trace_level'), fields.log_callers];
  const known = `one of ${outputLevels.join(', ')}`;
  if (output !== undefined && !isOutputLevel(output)) return `output_level is not ${known}`;
  if (stack !== undefined && !isOutputLevel(stack)) return `stack_trace_level is not ${known}`;
  if (callers !== undefined && typeof callers !== 'boolean') return 'log_callers is neither true nor false';
  return {
    ...(output !== undefined && { outputLevel: output }),
    ...(stack !== undefined && { stackTraceLevel: stack }),
    ...(callers !== undefined && { logCallers: callers }),
  };
}

/** `/scopej/`: all scopes; `/scopej/NAME`: one, and with PUT its levels are changed (202, as Istio answers). */
function scopeHandler(scopes: LogScopes): HttpHandler {
  return ({ method, path, body }) => {
    const name = decodeURIComponent(path.replace(/^\/scopej\/?/, ''));
    if (name === '')
      return method === 'GET'
        ? jsonResponse(scopes.all().map(scopeJson))
        : { status: 405, body: 'GET, or PUT a scope\n' };
    const scope = scopes.get(name);
    if (scope === undefined) return { status: 404, body: `there is no scope ${name}\n` };
    switch (method) {
      case 'GET':
        return jsonResponse(scopeJson(scope));
      case 'PUT': {
        const change = changeFrom(body.toString('utf8'));
        if (typeof change === 'string') return refused(change);
        return jsonResponse(scopeJson(scopes.change(name, change) ?? scope), 202);
      }
      default:
        return { status: 405, body: 'GET or PUT\n' };
    }
  };
}

/**
 * ControlZ, istiod's introspection pages: one HTML page for people, each part as JSON, and the levels of the log, which can be changed. Listens on the
 * pod's loopback only.
 */
export function controlZRoutes(options: ControlZOptions): HttpRoutes {
  const parts: Readonly<Record<string, () => unknown>> = {
    version: () => ({
      version: options.version,
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
    }),
    scopes: () => Object.fromEntries(options.scopes.all().map(({ name, outputLevel }) => [name, outputLevel])),
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
  const scopeRoute = scopeHandler(options.scopes);
  return {
    '/': () => ({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body: page() }),
    '/scopej': scopeRoute,
    '/scopej/': scopeRoute,
    ...Object.fromEntries(Object.entries(parts).map(([name, read]) => [`/${name}`, () => jsonResponse(read())])),
  };
}

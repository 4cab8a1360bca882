import { isObject, type Json, type JsonObject, listAt } from './json.ts';

/** Where the agent serves the probes of the application (path: container, kind of probe). */
const PROBES: Readonly<Record<string, string>> = {
  readinessProbe: 'readyz',
  livenessProbe: 'livez',
  startupProbe: 'startupz',
};
const HOOKS: Readonly<Record<string, string>> = { preStop: 'prestopz', postStart: 'poststartz' };

/** What the agent asks the application in the kubelet's place, by the agent's path. The agent reads it from ISTIO_KUBE_APP_PROBERS. */
export type Probers = Readonly<Record<string, JsonObject>>;

function portNumber(port: Json | undefined, container: JsonObject): Json | undefined {
  if (typeof port !== 'string') return port;
  if (/^\d+$/.test(port)) return Number(port);
  return listAt(container, 'ports').find((each) => each.name === port)?.containerPort ?? port;
}

/**
 * Sends the kubelet's HTTP, TCP and gRPC probes and HTTP lifecycle hooks of a container to the agent, because the kubelet has no
 * certificate of the mesh. Returns the changed container and what the agent has to do for it.
 */
export function rewriteProbes(
  container: JsonObject,
  statusPort: number,
): { readonly container: JsonObject; readonly probers: Probers } {
  const name = String(container.name);
  const probers: Record<string, JsonObject> = {};
  const changed: Record<string, Json | undefined> = { ...container };
  for (const [field, suffix] of Object.entries(PROBES)) {
    const probe = container[field];
    if (!isObject(probe)) continue;
    const path = `/app-health/${name}/${suffix}`;
    const { httpGet, tcpSocket, grpc, ...rest } = probe;
    const prober = proberOf(probe, container);
    // Probes of the agent itself, or already rewritten ones, stay as they are.
    if (
      prober === undefined ||
      (isObject(httpGet) && httpGet.path === path && portNumber(httpGet.port, container) === statusPort)
    )
      continue;
    probers[path] = prober;
    const headers = isObject(httpGet) && httpGet.httpHeaders !== undefined ? { httpHeaders: httpGet.httpHeaders } : {};
    changed[field] = { ...rest, httpGet: { ...headers, path, port: statusPort, scheme: 'HTTP' } };
  }
  const lifecycle = container.lifecycle;
  if (isObject(lifecycle)) {
    const hooks: Record<string, Json | undefined> = { ...lifecycle };
    for (const [field, suffix] of Object.entries(HOOKS)) {
      const hook = lifecycle[field];
      if (!isObject(hook) || !isObject(hook.httpGet)) continue;
      const path = `/app-lifecycle/${name}/${suffix}`;
      if (hook.httpGet.path === path) continue;
      probers[path] = { httpGet: httpAction(hook.httpGet, container) };
      hooks[field] = { ...hook, httpGet: { path, port: statusPort, scheme: 'HTTP' } };
    }
    changed.lifecycle = hooks;
  }
  return { container: changed, probers };
}

/** The kubelet's defaults are written out, because the agent of a pod that the API server has not seen yet needs them too. */
function httpAction(action: JsonObject, container: JsonObject): JsonObject {
  return { path: '/', scheme: 'HTTP', ...action, port: portNumber(action.port, container) };
}

function proberOf(probe: JsonObject, container: JsonObject): JsonObject | undefined {
  const timeoutSeconds = probe.timeoutSeconds ?? 1;
  if (isObject(probe.httpGet)) return { httpGet: httpAction(probe.httpGet, container), timeoutSeconds };
  if (isObject(probe.tcpSocket))
    return { tcpSocket: { ...probe.tcpSocket, port: portNumber(probe.tcpSocket.port, container) }, timeoutSeconds };
  if (isObject(probe.grpc)) return { grpc: { ...probe.grpc, service: probe.grpc.service ?? '' }, timeoutSeconds };
  return undefined;
}

import { rootNamespaceOf } from '@istio-ts/mesh/mesh-config';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { type EffectiveTelemetry, effectiveTelemetry, type ModeTelemetry } from '@istio-ts/mesh/telemetry';
import { memoByInputs } from '../memo.ts';
import type { ProxyRole } from '../proxy-settings/http-connection.ts';

type Input = Pick<ProxyScope, 'telemetries' | 'mesh' | 'proxy'>;

/** What Telemetries mean for a proxy; the identical object while neither they nor the mesh configuration change. */
export const telemetryOf: (scope: Input) => EffectiveTelemetry = memoByInputs(
  ({ telemetries, mesh, proxy }: Input) => [telemetries, mesh, proxy],
  ({ telemetries, mesh, proxy }) =>
    effectiveTelemetry({ telemetries, mesh, proxy, rootNamespace: rootNamespaceOf(mesh) }),
);

/** The side of the traffic on which what a listener serves is: only what arrives at a sidecar is the server's. */
export const telemetryOfRole = (telemetry: EffectiveTelemetry, role: ProxyRole): ModeTelemetry =>
  role === 'inbound' ? telemetry.server : telemetry.client;

import { hostsOverlap, isWildcard } from '@istio-ts/mesh/host';
import type { Analyzer } from '../analyzer.ts';
import { type IstioObject, nameOf } from '../config-object.ts';
import { gatewayPods } from '../gateway-pods.ts';
import { groupBy } from '../overlap.ts';
import { selectorText } from '../virtual-service.ts';
import { workloadInputs } from '../workloads.ts';

interface Claim {
  readonly entry: IstioObject<'Gateway'>;
  readonly path: string;
  readonly port: number;
  readonly places: ReadonlySet<string>;
  readonly hosts: readonly string[];
}

/** Several Gateways that claim the same port, address and hosts of the same pods. */
export const gatewayConflict: Analyzer = {
  name: 'gateway.ConflictingGatewayAnalyzer',
  description: 'Checks for several Gateways that claim the same hosts and port of the same pods',
  inputs: ['Gateway', ...workloadInputs],
  run: (context) => {
    const claims = context.istio('Gateway').flatMap((entry) => {
      const pods = gatewayPods(context, entry.spec).map(nameOf);
      const places = new Set(pods.length > 0 ? pods : [`selector ${selectorText(entry.spec.selector)}`]);
      return (entry.spec.servers ?? []).map((server, index) => ({
        entry,
        path: `spec.servers[${index}]`,
        port: server.port.number,
        listener: JSON.stringify([server.port.number, server.bind ?? '']),
        places,
        hosts: server.hosts ?? [],
      }));
    });
    for (const group of groupBy(claims, ({ listener }) => listener).values()) {
      for (const claim of group) {
        const rivals = group.filter((other) => other.entry !== claim.entry && conflicting(claim, other));
        if (rivals.length === 0) continue;
        const names = [...new Set(rivals.map(({ entry }) => nameOf(entry)))].sort();
        const hosts = claim.hosts.filter((host) =>
          rivals.some((rival) => rival.hosts.some((other) => same(host, other))),
        );
        const args = {
          gateway: names.join(', '),
          selector: selectorText(claim.entry.spec.selector),
          portnumber: String(claim.port),
          hosts: hosts.join(', '),
        };
        context.report(claim.entry, 'ConflictingGateways', args, claim.path);
      }
    }
  },
};

function conflicting(a: Claim, b: Claim): boolean {
  for (const place of a.places) {
    if (b.places.has(place)) return a.hosts.some((host) => b.hosts.some((other) => same(host, other)));
  }
  return false;
}

/** Whether two entries of `hosts` claim the same: a host and a pattern over it do not, because the exact one wins. */
function same(a: string, b: string): boolean {
  const [one, two] = [split(a), split(b)];
  if (one.namespace !== two.namespace && one.namespace !== '*' && two.namespace !== '*') return false;
  return isWildcard(one.host) === isWildcard(two.host) && one.host.length === two.host.length
    ? hostsOverlap(one.host, two.host)
    : false;
}

function split(entry: string): { readonly namespace: string; readonly host: string } {
  const slash = entry.indexOf('/');
  return { namespace: slash < 0 ? '*' : entry.slice(0, slash), host: entry.slice(slash + 1).toLowerCase() };
}

/** Ports below this are privileged unless the kernel is told otherwise (ip(7), `ip_unprivileged_port_start`). */
const PRIVILEGED_PORTS = 1024;
/** CAP_NET_BIND_SERVICE, capabilities(7). */
const BIND_SERVICE = 10n;

/**
 * Whether this process, and the Envoy that it starts, may listen on port 80 and the like. `portStart` and `status` are the texts of
 * /proc/sys/net/ipv4/ip_unprivileged_port_start and /proc/self/status; where they cannot be read nothing is known, and it may.
 */
export function mayListenOnPrivilegedPorts(portStart: string | undefined, status: string | undefined): boolean {
  const start = portStart === undefined ? PRIVILEGED_PORTS : Number(portStart.trim());
  if (start < PRIVILEGED_PORTS) return true;
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(status ?? '')?.[1];
  return capabilities === undefined || ((BigInt(`0x${capabilities}`) >> BIND_SERVICE) & 1n) === 1n;
}

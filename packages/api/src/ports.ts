/**
 * Ports of Istio's components. Fixed numbers: clients, firewalls, probes and dashboards know them
 * (istio.io, "Application Requirements", section "Ports used by Istio").
 */
export const ports = {
  /** istiod: readiness, debug endpoints. */
  istiodHttp: 8080,
  /** istiod: xDS and CA in plain text. */
  istiodGrpc: 15010,
  /** istiod: xDS and CA over TLS. */
  istiodSecureGrpc: 15012,
  /** istiod: metrics and version. */
  istiodMonitoring: 15014,
  /** istiod: webhooks; the Service maps 443 to it. */
  istiodWebhook: 15017,
  /** istiod: ControlZ, on localhost. */
  controlZ: 9876,
  /** Envoy: admin interface, on localhost. */
  envoyAdmin: 15000,
  /** Envoy: captured outbound traffic. */
  outboundCapture: 15001,
  /** Agent: debug interface of the control plane, on localhost. */
  agentDebug: 15004,
  /** Envoy: captured inbound traffic. */
  inboundCapture: 15006,
  /** Envoy: tunnelled traffic (HBONE). */
  hbone: 15008,
  /** Agent: probes, merged metrics. */
  agentStatus: 15020,
  /** Envoy: readiness. */
  envoyHealth: 15021,
  /** Agent: DNS proxy. */
  dnsProxy: 15053,
  /** Envoy: Prometheus metrics. */
  envoyPrometheus: 15090,
} as const;

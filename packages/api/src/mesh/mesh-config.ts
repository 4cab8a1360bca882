import {
  clientTlsSettings,
  connectionPoolSettings,
  localityLbSetting,
  outlierDetection,
  tcpKeepalive,
  zoneAwareLbSetting,
} from '../networking/common.ts';
import { httpRetry } from '../networking/virtual-service.ts';
import {
  boolean,
  defaulted,
  duration,
  enumOf,
  int32,
  list,
  map,
  object,
  string,
  type TypeOf,
  uint32,
} from '../schema/schema.ts';
import { extensionProvider } from './extension-providers.ts';
import { proxyConfig } from './proxy-config.ts';

/** Kubernetes' label selector. */
export const labelSelector = object('Selects objects by labels.', {
  matchLabels: map(string()),
  matchExpressions: list(
    object('A condition on a label.', {
      key: string(),
      operator: string('In, NotIn, Exists or DoesNotExist.'),
      values: list(string()),
    }),
  ),
});
export type LabelSelector = TypeOf<typeof labelSelector>;

const tlsConfig = object('TLS parameters.', {
  minProtocolVersion: enumOf(['TLS_AUTO', 'TLSV1_2', 'TLSV1_3']),
  ecdhCurves: list(string()),
  cipherSuites: list(string()),
});

const exportTo = (description: string) => defaulted(list(string(), description), ['*']);
const visibility = enumOf(['VISIBILITY_UNSPECIFIED', 'NONE', 'NAMESPACE', 'PUBLIC']);

/** The mesh configuration, with Istio's defaults (istio.io, reference of MeshConfig; istioctl's dump of a default install). */
export const meshConfig = object('Settings of the whole mesh.', {
  proxyListenPort: defaulted(int32('Port that takes outbound traffic.'), 15001),
  proxyInboundListenPort: defaulted(int32('Port that takes inbound traffic.'), 15006),
  proxyHttpPort: int32('Port of an HTTP forward proxy; 0 for none.'),
  connectTimeout: defaulted(duration('Time to connect.'), '10s'),
  hboneIdleTimeout: duration(),
  protocolDetectionTimeout: defaulted(duration('Time to detect a protocol; 0 waits for ever.'), '0s'),
  tcpKeepalive,
  ingressClass: defaulted(string('Class of Ingress objects handled.'), 'istio'),
  ingressService: defaulted(string('Service of the ingress gateway.'), 'istio-ingressgateway'),
  ingressControllerMode: defaulted(enumOf(['UNSPECIFIED', 'OFF', 'DEFAULT', 'STRICT']), 'STRICT'),
  ingressSelector: defaulted(string('Value of the label istio of the ingress gateway.'), 'ingressgateway'),
  enableTracing: defaulted(boolean(), true),
  accessLogFile: defaulted(string('File for access logs; empty for none.'), ''),
  accessLogFormat: defaulted(string('Format of access logs; empty for Istio’s default.'), ''),
  accessLogEncoding: defaulted(enumOf(['TEXT', 'JSON']), 'TEXT'),
  enableEnvoyAccessLogService: defaulted(boolean(), false),
  disableEnvoyListenerLog: defaulted(boolean(), false),
  defaultConfig: defaulted(proxyConfig, {}),
  outboundTrafficPolicy: defaulted(
    object('What happens to traffic to unknown services.', {
      mode: defaulted(enumOf(['REGISTRY_ONLY', 'ALLOW_ANY', 'ALLOW_ANY_DYNAMIC_DNS']), 'ALLOW_ANY'),
      tls: clientTlsSettings,
    }),
    {},
  ),
  inboundTrafficPolicy: defaulted(
    object('Where inbound traffic goes.', { mode: defaulted(enumOf(['PASSTHROUGH', 'LOCALHOST']), 'PASSTHROUGH') }),
    {},
  ),
  configSources: list(
    object('A source of configuration.', {
      address: string(),
      tlsSettings: { ...clientTlsSettings, description: 'Not built: configuration comes from folders and Kubernetes.' },
      subscribedResources: list(enumOf(['SERVICE_REGISTRY']), 'Not built: see tlsSettings.'),
    }),
  ),
  enableAutoMtls: defaulted(boolean('Use mutual TLS where the other side can.'), true),
  trustDomain: defaulted(string('Trust domain of identities.'), 'cluster.local'),
  trustDomainAliases: defaulted(list(string(), 'Further trust domains that are trusted.'), []),
  caCertificates: list(
    object(
      'Further certificate authorities.',
      { pem: string(), spiffeBundleUrl: string(), certSigners: list(string()), trustDomains: list(string()) },
      [['pem', 'spiffeBundleUrl']],
    ),
  ),
  defaultServiceExportTo: exportTo('Default visibility of services.'),
  defaultVirtualServiceExportTo: exportTo('Default visibility of VirtualServices.'),
  defaultDestinationRuleExportTo: exportTo('Default visibility of DestinationRules.'),
  rootNamespace: defaulted(string('Namespace whose configuration applies to all.'), 'istio-system'),
  localityLbSetting: defaulted(localityLbSetting, { enabled: true }),
  zoneAwareLbSetting,
  dnsRefreshRate: defaulted(duration('Time between DNS queries.'), '60s'),
  h2UpgradePolicy: defaulted(enumOf(['DO_NOT_UPGRADE', 'UPGRADE']), 'DO_NOT_UPGRADE'),
  inboundClusterStatName: defaulted(string(), ''),
  outboundClusterStatName: defaulted(string(), ''),
  certificates: list(
    object('Without effect: Istio has removed it.', { secretName: string(), dnsNames: list(string()) }),
  ),
  serviceSettings: list(
    object('Settings of some services.', {
      settings: object('The settings.', { clusterLocal: boolean('Traffic stays in the cluster.') }),
      hosts: list(string()),
    }),
  ),
  serviceScopeConfigs: list(
    object('Visibility of services across clusters.', {
      namespaceSelector: labelSelector,
      servicesSelector: labelSelector,
      scope: enumOf(['LOCAL', 'GLOBAL']),
    }),
  ),
  enablePrometheusMerge: defaulted(boolean('The agent serves the application’s metrics with its own.'), true),
  verifyCertificateAtClient: defaulted(boolean('Verify server certificates with the system’s roots by default.'), true),
  ca: object('Another certificate authority than istiod’s, which speaks istio.v1.auth.IstioCertificateService.', {
    address: string('HOST:PORT.'),
    tlsSettings: clientTlsSettings,
    requestTimeout: duration('How long a request may take; default 10s.'),
    istiodSide: boolean('True, the default: istiod passes requests on; false: agents send them there themselves.'),
  }),
  extensionProviders: defaulted(list(extensionProvider, 'Providers by name.'), []),
  defaultProviders: defaulted(
    object('Providers used where Telemetry names none.', {
      tracing: list(string()),
      metrics: list(string()),
      accessLogging: list(string()),
    }),
    {},
  ),
  discoverySelectors: defaulted(list(labelSelector, 'Namespaces that belong to the mesh; none: all.'), []),
  pathNormalization: defaulted(
    object('How paths are normalized before policies see them.', {
      normalization: defaulted(
        enumOf(['DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']),
        'DEFAULT',
      ),
    }),
    {},
  ),
  defaultHttpRetryPolicy: httpRetry,
  meshMTLS: tlsConfig,
  tlsDefaults: tlsConfig,
  defaultTrafficPolicy: object('Settings for traffic to every service.', {
    connectionPool: connectionPoolSettings,
    outlierDetection,
  }),
  serviceEntryVisibility: object('Who sees ServiceEntries.', {
    defaultVisibility: visibility,
    applyToSidecars: boolean(),
    policies: list(
      object('A rule.', {
        visibility,
        matchingRules: list(object('A match.', { namespaceSelector: labelSelector })),
      }),
    ),
  }),
});
export type MeshConfig = TypeOf<typeof meshConfig>;

/** Networks of a mesh and how they reach each other. */
export const meshNetworks = object('Networks of the mesh.', {
  networks: defaulted(
    map(
      object('A network.', {
        endpoints: list(
          object('Which endpoints are in it.', { fromCidr: string(), fromRegistry: string() }, [
            ['fromCidr', 'fromRegistry'],
          ]),
        ),
        gateways: list(
          object(
            'A gateway into it.',
            {
              registryServiceName: string(),
              address: string(),
              port: uint32(),
              locality: string('Not used: a gateway is as near as the endpoints behind it.'),
            },
            [['registryServiceName', 'address']],
          ),
        ),
      }),
    ),
    {},
  ),
});
export type MeshNetworks = TypeOf<typeof meshNetworks>;

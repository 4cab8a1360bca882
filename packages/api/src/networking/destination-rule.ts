import { celRule, set } from '../schema/cel.ts';
import {
  as,
  boolean,
  defaulted,
  duration,
  enumOf,
  list,
  map,
  number,
  object,
  required,
  string,
  type TypeOf,
  uint32,
  uint64,
  withCel,
} from '../schema/schema.ts';
import {
  clientTlsSettings,
  connectionPoolSettings,
  localityLbSetting,
  outlierDetection,
  portSelector,
  workloadSelector,
  zoneAwareLbSetting,
} from './common.ts';

const consistentHash = object(
  'Sends requests with the same key to the same host.',
  {
    httpHeaderName: string('The key is this request header.'),
    httpCookie: object('The key is a cookie, made when it is missing.', {
      name: required(string('Name of the cookie.')),
      path: string('Path of the cookie.'),
      ttl: duration('Life of the cookie; absent: a session cookie.'),
      attributes: list(
        object('An attribute of the cookie.', { name: string('Name.'), value: string('Value.') }),
        'Further attributes of the cookie.',
      ),
    }),
    useSourceIp: boolean('The key is the address of the client.'),
    httpQueryParameterName: string('The key is this query parameter.'),
    ringHash: object('Ring hash algorithm.', { minimumRingSize: uint64('Fewest entries of the ring; default 1024.') }),
    maglev: object('Maglev algorithm.', { tableSize: uint64('Size of the table, a prime; default 65537.') }),
    minimumRingSize: uint64('Deprecated: use ringHash.'),
  },
  [
    ['httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName'],
    ['ringHash', 'maglev'],
  ],
);

export const loadBalancerSettings = withCel(
  object(
    'How a host is chosen.',
    {
      simple: enumOf(
        ['UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'],
        'Algorithm; default LEAST_REQUEST.',
      ),
      consistentHash,
      localityLbSetting: as(localityLbSetting, 'Load balancing by locality, instead of the mesh’s.'),
      zoneAwareLbSetting: as(zoneAwareLbSetting, 'Load balancing by zone, instead of the mesh’s.'),
      warmupDurationSecs: duration('Deprecated: use warmup.'),
      warmup: object('New hosts get their share of traffic gradually.', {
        duration: required(duration('How long it takes.')),
        minimumPercent: number('Share at the start, in percent; default 10.', { minimum: 0, maximum: 100 }),
        aggression: number('Speed of growth; default 1.', { minimum: 0 }),
      }),
    },
    [['simple', 'consistentHash']],
  ),
  celRule(`!(${set('warmup')} && ${set('warmupDurationSecs')})`, 'only one of warmup, warmupDurationSecs may be set'),
  celRule(
    `!(${set('warmup')} || ${set('warmupDurationSecs')}) || (!${set('consistentHash')} && !(has(self.simple) && self.simple in ['RANDOM', 'PASSTHROUGH']))`,
    'warmup works only with ROUND_ROBIN and LEAST_REQUEST',
  ),
);

const policyFields = {
  loadBalancer: loadBalancerSettings,
  connectionPool: connectionPoolSettings,
  outlierDetection,
  tls: clientTlsSettings,
};

export const portTrafficPolicy = object('Settings for one port; they replace those of the service.', {
  port: portSelector,
  ...policyFields,
});

export const trafficPolicy = object('Settings for traffic to a service.', {
  ...policyFields,
  portLevelSettings: list(portTrafficPolicy, 'Settings for single ports.', { maxItems: 4096 }),
  tunnel: object('Sends connections through a proxy.', {
    protocol: string('CONNECT (default) or POST.'),
    targetHost: required(string('Host the proxy is asked to connect to.')),
    targetPort: required(uint32('Port the proxy is asked to connect to.')),
  }),
  proxyProtocol: object('Sends a PROXY protocol header upstream.', {
    version: defaulted(enumOf(['V1', 'V2'], 'Version of the header.'), 'V1'),
  }),
  retryBudget: object('Limits retries to a share of the requests in progress.', {
    percent: number('Share in percent; default 20.', { minimum: 0, maximum: 100 }),
    minRetryConcurrency: uint32('Retries that are always allowed; default 3.'),
    budgetInterval: duration('Time over which requests are counted.'),
  }),
});

export const subset = object('A part of a service, by labels.', {
  name: required(string('Name that routes use.', { minLength: 1 })),
  labels: map(string(), 'Labels that the endpoints must carry.'),
  trafficPolicy: as(trafficPolicy, 'Settings for this part; absent ones come from the service.'),
});

export const destinationRuleSpec = object('How traffic to a service behaves after routing.', {
  host: required(string('Name of the service; a short name is in the namespace of this object.', { minLength: 1 })),
  trafficPolicy,
  subsets: list(subset, 'Named parts of the service.', { maxItems: 1024 }),
  exportTo: list(string(), 'Namespaces that see this object: names, `.` for its own, `*` for all.'),
  workloadSelector: as(workloadSelector, 'Workloads whose outbound traffic this is for; absent: all.'),
});
export type DestinationRuleSpec = TypeOf<typeof destinationRuleSpec>;
export type TrafficPolicy = TypeOf<typeof trafficPolicy>;
export type PortTrafficPolicy = TypeOf<typeof portTrafficPolicy>;
export type Subset = TypeOf<typeof subset>;
export type LoadBalancerSettings = TypeOf<typeof loadBalancerSettings>;
export type ConsistentHashLB = TypeOf<typeof consistentHash>;
export type OutlierDetection = TypeOf<typeof outlierDetection>;
export type LocalityLoadBalancerSetting = TypeOf<typeof localityLbSetting>;

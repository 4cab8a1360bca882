import type {
  ClientTLSSettings,
  ConnectionPoolSettings,
  ReadinessProbe,
  ServerTLSSettings,
} from '../networking/common.ts';
import type {
  LoadBalancerSettings,
  LocalityLoadBalancerSetting,
  OutlierDetection,
} from '../networking/destination-rule.ts';
import { itemPath, type ProblemList } from '../problems.ts';
import { checkNotNegative, checkPositive } from './checks.ts';

export function checkConnectionPool(
  pool: ConnectionPoolSettings | undefined,
  path: string,
  problems: ProblemList,
): void {
  if (!pool) return;
  if (!pool.tcp && !pool.http) problems.error(path, 'must have tcp or http');
  const { tcp, http } = pool;
  const notNegative = (value: number | undefined, at: string): void => {
    if (value !== undefined && value < 0) problems.error(`${path}.${at}`, `must not be negative (${value})`);
  };
  if (tcp) {
    notNegative(tcp.maxConnections, 'tcp.maxConnections');
    checkPositive(tcp.connectTimeout, `${path}.tcp.connectTimeout`, problems);
    checkPositive(tcp.maxConnectionDuration, `${path}.tcp.maxConnectionDuration`, problems);
    checkNotNegative(tcp.idleTimeout, `${path}.tcp.idleTimeout`, problems);
    checkPositive(tcp.tcpKeepalive?.time, `${path}.tcp.tcpKeepalive.time`, problems);
    checkPositive(tcp.tcpKeepalive?.interval, `${path}.tcp.tcpKeepalive.interval`, problems);
  }
  if (http) {
    notNegative(http.http1MaxPendingRequests, 'http.http1MaxPendingRequests');
    notNegative(http.http2MaxRequests, 'http.http2MaxRequests');
    notNegative(http.maxRequestsPerConnection, 'http.maxRequestsPerConnection');
    notNegative(http.maxRetries, 'http.maxRetries');
    notNegative(http.maxConcurrentStreams, 'http.maxConcurrentStreams');
    checkNotNegative(http.idleTimeout, `${path}.http.idleTimeout`, problems);
    checkPositive(http.http2KeepAlive?.interval, `${path}.http.http2KeepAlive.interval`, problems);
    checkPositive(http.http2KeepAlive?.timeout, `${path}.http.http2KeepAlive.timeout`, problems);
    if (http.h2UpgradePolicy === 'UPGRADE' && http.useClientProtocol) {
      problems.error(`${path}.http`, 'useClientProtocol must not be true together with h2UpgradePolicy UPGRADE');
    }
  }
}

export function checkOutlierDetection(
  outlier: OutlierDetection | undefined,
  path: string,
  problems: ProblemList,
): void {
  if (!outlier) return;
  checkPositive(outlier.interval, `${path}.interval`, problems);
  checkPositive(outlier.baseEjectionTime, `${path}.baseEjectionTime`, problems);
  if (outlier.consecutiveErrors !== undefined) {
    problems.warning(
      `${path}.consecutiveErrors`,
      'is deprecated; use consecutive5xxErrors or consecutiveGatewayErrors',
      'deprecated',
    );
  }
  if (outlier.consecutiveLocalOriginFailures && !outlier.splitExternalLocalOriginErrors) {
    problems.error(
      `${path}.consecutiveLocalOriginFailures`,
      'has an effect only with splitExternalLocalOriginErrors: true',
    );
  }
  for (const field of ['maxEjectionPercent', 'minHealthPercent'] as const) {
    const value = outlier[field];
    if (value !== undefined && (value < 0 || value > 100)) {
      problems.error(`${path}.${field}`, `must be between 0 and 100, not ${value}`);
    }
  }
}

export function checkLoadBalancer(lb: LoadBalancerSettings | undefined, path: string, problems: ProblemList): void {
  if (!lb) return;
  const hash = lb.consistentHash;
  if (hash) {
    if (!hash.httpHeaderName && !hash.httpCookie && !hash.useSourceIp && !hash.httpQueryParameterName) {
      problems.error(
        `${path}.consistentHash`,
        'needs one of httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName',
      );
    }
    checkNotNegative(hash.httpCookie?.ttl, `${path}.consistentHash.httpCookie.ttl`, problems);
    if (hash.minimumRingSize !== undefined) {
      problems.warning(
        `${path}.consistentHash.minimumRingSize`,
        'is deprecated; use ringHash.minimumRingSize',
        'deprecated',
      );
    }
  }
  if (lb.simple === 'LEAST_CONN')
    problems.warning(`${path}.simple`, 'LEAST_CONN is deprecated; use LEAST_REQUEST', 'deprecated');
  if (lb.warmupDurationSecs !== undefined) {
    problems.warning(`${path}.warmupDurationSecs`, 'is deprecated; use warmup.duration', 'deprecated');
    if (lb.warmup) problems.error(path, 'only one of warmup, warmupDurationSecs may be set');
  }
  checkPositive(lb.warmupDurationSecs, `${path}.warmupDurationSecs`, problems);
  checkPositive(lb.warmup?.duration, `${path}.warmup.duration`, problems);
  const warm = lb.warmup ?? lb.warmupDurationSecs;
  if (warm !== undefined && (hash || lb.simple === 'RANDOM' || lb.simple === 'PASSTHROUGH')) {
    problems.error(path, 'warmup works only with ROUND_ROBIN and LEAST_REQUEST');
  }
  checkLocality(lb.localityLbSetting, `${path}.localityLbSetting`, problems);
  if (lb.localityLbSetting && lb.zoneAwareLbSetting)
    problems.error(path, 'only one of localityLbSetting, zoneAwareLbSetting may be set');
  checkZones(lb.zoneAwareLbSetting, `${path}.zoneAwareLbSetting`, problems);
}

export function checkLocality(
  setting: LocalityLoadBalancerSetting | undefined,
  path: string,
  problems: ProblemList,
): void {
  if (!setting) return;
  if (setting.distribute?.length && (setting.failover?.length || setting.failoverPriority?.length)) {
    problems.error(path, 'distribute cannot stand together with failover or failoverPriority');
  }
  setting.distribute?.forEach((entry, index) => {
    const at = itemPath(`${path}.distribute`, index);
    const shares = Object.entries(entry.to ?? {});
    const sum = shares.reduce((total, [, weight]) => total + weight, 0);
    if (sum !== 100) problems.error(`${at}.to`, `the weights must add up to 100, not ${sum}`);
    for (const [locality, weight] of shares) {
      checkLocalityName(locality, `${at}.to`, problems);
      if (weight === 0) problems.error(`${at}.to`, `the weight of ${locality} must not be 0`);
    }
    checkLocalityName(entry.from ?? '', `${at}.from`, problems);
  });
  setting.failover?.forEach((entry, index) => {
    const at = itemPath(`${path}.failover`, index);
    if (!entry.from || !entry.to) problems.error(at, 'needs from and to');
    else if (entry.from === entry.to)
      problems.error(at, `from and to must be different regions, not both ${entry.from}`);
    if (entry.from?.includes('/') || entry.to?.includes('/'))
      problems.error(at, 'from and to are regions, without zones');
  });
}

/** Labels that load balancing by zone looks at by itself (DestinationRule reference, ZoneAwareLoadBalancerSetting.failoverPriority). */
const placeLabels = new Set([
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
]);

function checkZones(setting: LoadBalancerSettings['zoneAwareLbSetting'], path: string, problems: ProblemList): void {
  checkLocality(setting && { ...(setting.failover && { failover: setting.failover }) }, path, problems);
  setting?.failoverPriority?.forEach((label, index) => {
    const [name = ''] = label.split('=');
    if (placeLabels.has(name))
      problems.error(
        itemPath(`${path}.failoverPriority`, index),
        `must not be ${name}: region, zone and sub-zone count by themselves`,
      );
  });
}

function checkLocalityName(locality: string, path: string, problems: ProblemList): void {
  if (locality === '' || locality.split('/').length > 3 || /\*./.test(locality) || /[^/]\*/.test(locality)) {
    problems.error(
      path,
      `${JSON.stringify(locality)} is not a locality; write region/zone/subzone, * only as the last part`,
    );
  }
}

export function checkClientTls(tls: ClientTLSSettings | undefined, path: string, problems: ProblemList): void {
  if (!tls) return;
  const files = [tls.clientCertificate, tls.privateKey, tls.caCertificates].some((file) => file);
  switch (tls.mode) {
    case 'MUTUAL':
      if (tls.credentialName) {
        if (files) problems.error(path, 'credentialName cannot stand together with certificate files');
      } else {
        if (!tls.clientCertificate)
          problems.error(`${path}.clientCertificate`, 'is required for MUTUAL without credentialName');
        if (!tls.privateKey) problems.error(`${path}.privateKey`, 'is required for MUTUAL without credentialName');
      }
      break;
    case 'SIMPLE':
      if (tls.credentialName && files)
        problems.error(path, 'credentialName cannot stand together with certificate files');
      break;
    case 'ISTIO_MUTUAL':
      if (files || tls.credentialName) {
        problems.error(
          path,
          'ISTIO_MUTUAL uses the workload’s own certificate: remove the certificate files and credentialName',
        );
      }
      break;
    case 'DISABLE':
    case undefined:
      break;
    default:
      tls.mode satisfies never;
  }
  if (tls.insecureSkipVerify && (tls.caCertificates || tls.subjectAltNames?.length)) {
    problems.error(path, 'insecureSkipVerify cannot stand together with caCertificates or subjectAltNames');
  }
}

const versions = ['TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'];

export function checkServerTls(tls: ServerTLSSettings | undefined, path: string, problems: ProblemList): void {
  if (!tls) return;
  const mode = tls.mode ?? 'PASSTHROUGH';
  const sources = [
    ...(tls.credentialName ? ['credentialName'] : []),
    ...(tls.credentialNames?.length ? ['credentialNames'] : []),
    ...(tls.tlsCertificates?.length ? ['tlsCertificates'] : []),
    ...(tls.serverCertificate || tls.privateKey ? ['serverCertificate and privateKey'] : []),
  ];
  switch (mode) {
    case 'SIMPLE':
    case 'MUTUAL':
    case 'OPTIONAL_MUTUAL': {
      if (sources.length === 0) {
        problems.error(path, `${mode} needs a certificate: set credentialName, or serverCertificate and privateKey`);
      } else if (sources.length > 1) problems.error(path, `only one of ${sources.join(', ')} may be set`);
      else if (sources[0] === 'serverCertificate and privateKey') {
        if (!tls.serverCertificate) problems.error(`${path}.serverCertificate`, 'is required together with privateKey');
        if (!tls.privateKey) problems.error(`${path}.privateKey`, 'is required together with serverCertificate');
        const clientCa = tls.caCertificates || tls.caCertCredentialName;
        if (mode !== 'SIMPLE' && !clientCa)
          problems.error(`${path}.caCertificates`, `is required for ${mode}, to verify clients`);
      }
      tls.tlsCertificates?.forEach((certificate, index) => {
        const at = itemPath(`${path}.tlsCertificates`, index);
        if (!certificate.serverCertificate || !certificate.privateKey) {
          problems.error(at, 'needs serverCertificate and privateKey');
        }
      });
      break;
    }
    case 'ISTIO_MUTUAL':
      if (sources.length > 0 || tls.caCertificates) {
        problems.error(
          path,
          `ISTIO_MUTUAL uses the mesh’s certificates: remove ${sources.join(', ') || 'caCertificates'}`,
        );
      }
      break;
    case 'PASSTHROUGH':
    case 'AUTO_PASSTHROUGH':
      if (sources.length > 0)
        problems.warning(path, `${mode} ignores ${sources.join(', ')}; did you mean mode: SIMPLE?`);
      break;
    default:
      mode satisfies never;
  }
  const minimum = versions.indexOf(tls.minProtocolVersion ?? 'TLSV1_2');
  const maximum = versions.indexOf(tls.maxProtocolVersion ?? 'TLSV1_3');
  if (maximum >= 0 && minimum > maximum) {
    problems.error(`${path}.maxProtocolVersion`, 'must not be lower than minProtocolVersion');
  }
  tls.verifyCertificateHash?.forEach((hash, index) => {
    if (!/^[0-9a-fA-F]{2}(:?[0-9a-fA-F]{2}){31}$/.test(hash)) {
      problems.error(itemPath(`${path}.verifyCertificateHash`, index), 'must be a SHA-256 in hexadecimal');
    }
  });
  tls.verifyCertificateSpki?.forEach((hash, index) => {
    if (!/^[A-Za-z0-9+/]{43}=$/.test(hash)) {
      problems.error(itemPath(`${path}.verifyCertificateSpki`, index), 'must be a SHA-256 in base64');
    }
  });
}

export function checkProbe(probe: ReadinessProbe | undefined, path: string, problems: ProblemList): void {
  if (probe && !probe.httpGet && !probe.tcpSocket && !probe.exec && !probe.grpc) {
    problems.error(path, 'needs one of httpGet, tcpSocket, exec, grpc');
  }
}

import { decodeMeshConfig } from '@istio-ts/api';
import type { LoopbackNet } from '../testing/offline-envoy.ts';
import type { Workload } from '../testing/workloads-envoy.ts';
import { every, receiver, traced } from './tracing.test-support.ts';

/** The secret that providers send to their receivers. */
export const TOKEN = 'a-token';

/** One of every kind of tracing provider, and of its settings. */
export const extensionProviders = [
  { name: 'zipkin', zipkin: { service: receiver('zipkin'), port: 9411 } },
  { name: 'zipkin-64', zipkin: { service: `tracing/${receiver('zipkin')}`, port: 9411, enable64bitTraceId: true } },
  { name: 'zipkin-short', zipkin: { service: receiver('zipkin'), port: 9411, maxTagLength: 12 } },
  {
    name: 'zipkin-w3c',
    zipkin: { service: receiver('zipkin'), port: 9411, traceContextOption: 'USE_B3_WITH_W3C_PROPAGATION' },
  },
  {
    name: 'zipkin-capture',
    zipkin: {
      service: receiver('capture'),
      port: 9412,
      path: '/own/path',
      timeout: '3s',
      headers: [{ name: 'x-key', value: TOKEN }],
    },
  },
  {
    name: 'otel-grpc',
    opentelemetry: {
      service: receiver('otlp-grpc'),
      port: 4317,
      grpc: { timeout: '3s', initialMetadata: [{ name: 'x-key', value: TOKEN }] },
    },
  },
  {
    name: 'otel-http',
    opentelemetry: {
      service: receiver('otlp-http'),
      port: 4318,
      maxTagLength: 14,
      http: { path: '/v1/traces', timeout: '3s' },
    },
  },
  {
    name: 'otel-capture',
    opentelemetry: {
      service: receiver('capture'),
      port: 9412,
      http: { path: '/otlp', headers: [{ name: 'x-key', value: TOKEN }] },
    },
  },
  {
    name: 'otel-detectors',
    opentelemetry: {
      service: receiver('otlp-grpc'),
      port: 4317,
      resourceDetectors: { environment: {}, dynatrace: {} },
      serviceAttributeEnrichment: 'OTEL_SEMANTIC_CONVENTIONS',
    },
  },
  {
    name: 'otel-dynatrace',
    opentelemetry: {
      service: receiver('otlp-http'),
      port: 4318,
      http: { path: '/v1/traces' },
      dynatraceSampler: {
        tenant: 'abc',
        clusterId: 7,
        rootSpansPerMinute: 1000,
        httpService: {
          service: receiver('capture'),
          port: 9412,
          http: { path: '/sampling', headers: [{ name: 'authorization', value: TOKEN }] },
        },
      },
    },
  },
  { name: 'datadog', datadog: { service: receiver('datadog'), port: 8126, maxTagLength: 13 } },
  { name: 'skywalking', skywalking: { service: receiver('skywalking'), port: 11_800, accessToken: TOKEN } },
  {
    name: 'lightstep',
    lightstep: { service: receiver('lightstep'), port: 8080, accessToken: TOKEN, maxTagLength: 11 },
  },
  { name: 'opencensus', opencensus: { service: receiver('zipkin'), port: 9411 } },
  { name: 'nowhere', zipkin: { service: 'nobody.tracing.svc.cluster.local', port: 9411 } },
];

const simple = (name: string, provider = name): Workload => ({ name, objects: [traced(name, every(provider))] });

/** A workload for each provider, and one for each setting of Telemetry, ProxyConfig and MeshConfig about tracing. */
export function tracedWorkloads(net: LoopbackNet): readonly Workload[] {
  const collector = `${net.ip(4)}:8080`;
  const own = (defaultConfig: object) => decodeMeshConfig({ extensionProviders, defaultConfig }).value;
  return [
    ...extensionProviders.map(({ name }) => simple(name)),
    { name: 'untold' },
    {
      name: 'tags',
      objects: [
        traced('tags', {
          ...every('zipkin'),
          match: { mode: 'CLIENT_AND_SERVER' },
          customTags: {
            fixed: { literal: { value: 'yes' } },
            'from-env': { environment: { name: 'TRACED_FROM', defaultValue: 'no' } },
            'no-env': { environment: { name: 'NOT_THERE', defaultValue: 'default of env' } },
            'from-header': { header: { name: 'x-user', defaultValue: 'nobody' } },
            'no-header': { header: { name: 'x-nothing', defaultValue: 'default of header' } },
            formatted: { formatter: { value: '%REQ(:METHOD)% %PROTOCOL%' } },
          },
        }),
      ],
    },
    { name: 'no-istio-tags', objects: [traced('no-istio-tags', { ...every('zipkin'), enableIstioTags: false })] },
    { name: 'disabled', objects: [traced('disabled', { ...every('zipkin'), disableSpanReporting: true })] },
    { name: 'client-only', objects: [traced('client-only', { ...every('zipkin'), match: { mode: 'CLIENT' } })] },
    { name: 'server-only', objects: [traced('server-only', { ...every('zipkin'), match: { mode: 'SERVER' } })] },
    {
      name: 'not-by-id',
      objects: [
        traced('not-by-id', {
          providers: [{ name: 'zipkin' }],
          randomSamplingPercentage: 0,
          useRequestIdForTraceSampling: false,
        }),
      ],
    },
    {
      name: 'by-id',
      objects: [traced('by-id', { providers: [{ name: 'zipkin' }], randomSamplingPercentage: 0 })],
    },
    { name: 'no-context', objects: [traced('no-context', { ...every('zipkin'), disableContextPropagation: true })] },
    { name: 'sampled', objects: [traced('sampled', { ...every('zipkin'), randomSamplingPercentage: 20 })] },
    {
      name: 'by-address',
      meshConfig: own({
        tracing: {
          zipkin: { address: collector },
          sampling: 100,
          maxPathTagLength: 10,
          customTags: {
            own: { literal: { value: 'mine' } },
            env: { environment: { name: 'TRACED_FROM' } },
            header: { header: { name: 'x-user', defaultValue: 'nobody' } },
          },
        },
      }),
    },
    {
      name: 'by-annotation',
      metadata: {
        PROXY_CONFIG: { tracing: { datadog: { address: collector }, sampling: 100, enableIstioTags: false } },
      },
    },
    {
      name: 'lightstep-by-address',
      metadata: {
        PROXY_CONFIG: {
          tracing: { lightstep: { address: `${net.ip(5)}:8080`, accessToken: 'another-token' }, sampling: 100 },
        },
      },
    },
    { name: 'zipkin-address', meshConfig: own({ zipkinAddress: collector }) },
    {
      name: 'tracing-off',
      meshConfig: {
        ...own({ tracing: { zipkin: { address: collector }, sampling: 100 } }),
        enableTracing: false,
      },
    },
    {
      name: 'by-default',
      meshConfig: { ...own({ tracing: { sampling: 100 } }), defaultProviders: { tracing: ['zipkin'] } },
    },
    {
      name: 'named',
      meshConfig: { ...own({ tracingServiceName: 'CANONICAL_NAME_ONLY' }) },
      objects: [traced('named', every('otel-grpc'))],
    },
  ];
}

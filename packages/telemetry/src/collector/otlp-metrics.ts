import { decode } from '@istio-ts/envoy';
import { WireReader } from '@istio-ts/envoy/wire';
import { eachField, part } from '../message-fields.ts';

export type PointValue =
  | { readonly kind: 'number'; readonly value: number }
  | {
      readonly kind: 'histogram';
      readonly count: number;
      readonly sum: number;
      /** Upper limits, and how many are in each bucket alone; one more bucket than limits. */
      readonly bounds: readonly number[];
      readonly counts: readonly number[];
    }
  | {
      readonly kind: 'summary';
      readonly count: number;
      readonly sum: number;
      readonly quantiles: readonly (readonly [quantile: number, value: number])[];
    };

export interface MetricPoint {
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly value: PointValue;
}

/** A metric of OTLP, with the resource's name among its labels. */
export interface OtlpMetric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: 'gauge' | 'sum' | 'counter' | 'histogram' | 'summary';
  /** Points say what came since the last ones, and have to be added up. */
  readonly isDelta: boolean;
  readonly points: readonly MetricPoint[];
}

const DELTA = 1;

/** Encoded numbers of eight bytes, one after the other. */
function packed(reader: WireReader, read: (inner: WireReader) => number): readonly number[] {
  const inner = part(reader);
  const values: number[] = [];
  while (inner.at < inner.end) values.push(read(inner));
  return values;
}

function attribute(reader: WireReader): readonly [string, string] {
  const inner = part(reader);
  const { key = '', value } = decode(
    'opentelemetry.proto.common.v1.KeyValue',
    inner.bytes.subarray(inner.at, inner.end),
  );
  const { stringValue, intValue, doubleValue, boolValue } = value ?? {};
  const plain = stringValue ?? intValue ?? doubleValue ?? boolValue;
  return [key, plain === undefined ? JSON.stringify(value ?? '') : String(plain)];
}

type Labels = readonly (readonly [string, string])[];

function numberPoint(reader: WireReader): MetricPoint {
  const labels: (readonly [string, string])[] = [];
  let value = 0;
  eachField(part(reader), {
    4: (inner) => {
      value = inner.double();
    },
    6: (inner) => {
      value = Number(BigInt.asIntN(64, inner.fixed64()));
    },
    7: (inner) => labels.push(attribute(inner)),
  });
  return { labels, value: { kind: 'number', value } };
}

function histogramPoint(reader: WireReader): MetricPoint {
  const labels: (readonly [string, string])[] = [];
  let [count, sum] = [0, 0];
  let counts: readonly number[] = [];
  let bounds: readonly number[] = [];
  eachField(part(reader), {
    4: (inner) => {
      count = Number(inner.fixed64());
    },
    5: (inner) => {
      sum = inner.double();
    },
    6: (inner) => {
      counts = packed(inner, (one) => Number(one.fixed64()));
    },
    7: (inner) => {
      bounds = packed(inner, (one) => one.double());
    },
    9: (inner) => labels.push(attribute(inner)),
  });
  return { labels, value: { kind: 'histogram', count, sum, counts, bounds } };
}

function summaryPoint(reader: WireReader): MetricPoint {
  const labels: (readonly [string, string])[] = [];
  const quantiles: (readonly [number, number])[] = [];
  let [count, sum] = [0, 0];
  eachField(part(reader), {
    4: (inner) => {
      count = Number(inner.fixed64());
    },
    5: (inner) => {
      sum = inner.double();
    },
    6: (inner) => {
      let [quantile, value] = [0, 0];
      eachField(part(inner), {
        1: (one) => {
          quantile = one.double();
        },
        2: (one) => {
          value = one.double();
        },
      });
      quantiles.push([quantile, value]);
    },
    7: (inner) => labels.push(attribute(inner)),
  });
  return { labels, value: { kind: 'summary', count, sum, quantiles } };
}

function readMetric(reader: WireReader, resource: Labels): OtlpMetric {
  let [name, description, unit] = ['', '', ''];
  let kind: OtlpMetric['kind'] = 'gauge';
  let isDelta = false;
  const points: MetricPoint[] = [];
  const data =
    (as: OtlpMetric['kind'], point: (inner: WireReader) => MetricPoint) =>
    (outer: WireReader): void => {
      kind = as;
      eachField(part(outer), {
        1: (inner) => points.push(point(inner)),
        2: (inner) => {
          isDelta = inner.uint32() === DELTA;
        },
        3: (inner) => {
          if (inner.uint32() === 1 && as === 'sum') kind = 'counter';
        },
      });
    };
  eachField(reader, {
    1: (inner) => {
      name = inner.string();
    },
    2: (inner) => {
      description = inner.string();
    },
    3: (inner) => {
      unit = inner.string();
    },
    5: data('gauge', numberPoint),
    7: data('sum', numberPoint),
    9: data('histogram', histogramPoint),
    11: data('summary', summaryPoint),
  });
  const withResource = points.map(({ labels, value }) => ({ labels: [...resource, ...labels], value }));
  return { name, description, unit, kind, isDelta, points: withResource };
}

/** The resource's names as Prometheus has them: `job` and `instance`. */
function resourceLabels(attributes: ReadonlyMap<string, string>): Labels {
  const service = attributes.get('service.name');
  const namespace = attributes.get('service.namespace');
  const instance = attributes.get('service.instance.id');
  return [
    ...(service === undefined ? [] : [['job', namespace === undefined ? service : `${namespace}/${service}`] as const]),
    ...(instance === undefined ? [] : [['instance', instance] as const]),
  ];
}

/**
 * Reads an `opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest` (opentelemetry-proto, metrics/v1/metrics.proto). Exponential histograms are left
 * out. Raises DecodeError.
 */
export function readMetrics(bytes: Buffer): readonly OtlpMetric[] {
  const metrics: OtlpMetric[] = [];
  eachField(new WireReader(bytes), {
    1: (outer) => {
      const group = part(outer);
      const attributes = new Map<string, string>();
      const scopes: WireReader[] = [];
      eachField(group, {
        1: (inner) =>
          eachField(part(inner), {
            1: (one) => {
              const [key, value] = attribute(one);
              attributes.set(key, value);
            },
          }),
        2: (inner) => scopes.push(part(inner)),
      });
      const resource = resourceLabels(attributes);
      for (const scope of scopes) eachField(scope, { 2: (inner) => metrics.push(readMetric(part(inner), resource)) });
    },
  });
  return metrics;
}

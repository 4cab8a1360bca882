import { DecodeError, decode } from '@istio-ts/envoy';
import { WireReader } from '@istio-ts/envoy/wire';
import { eachField, part } from '../message-fields.ts';

/** A name and a value. */
export type Label = readonly [name: string, value: string];

export interface Bucket {
  readonly upperBound: number;
  readonly cumulativeCount: number;
}

export interface Quantile {
  readonly quantile: number;
  readonly value: number;
}

/** One series of a family. */
export interface Metric {
  readonly labels: readonly Label[];
  /** Of counters, gauges and untyped ones. */
  readonly value: number;
  /** Of histograms and summaries. */
  readonly count: number;
  readonly sum: number;
  readonly buckets: readonly Bucket[];
  readonly quantiles: readonly Quantile[];
}

export const FAMILY_TYPES = ['counter', 'gauge', 'summary', 'untyped', 'histogram', 'gauge_histogram'] as const;
export type FamilyType = (typeof FAMILY_TYPES)[number];

/** A metric as Prometheus' own messages have it (`io.prometheus.client.MetricFamily`). */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: FamilyType;
  readonly metrics: readonly Metric[];
}

export interface MetricsMessage {
  /** Envoy's node id; only the first message of a stream has it. */
  readonly node: { readonly id: string; readonly cluster: string } | undefined;
  readonly families: readonly MetricFamily[];
}

/**
 * Reads an `envoy.service.metrics.v3.StreamMetricsMessage`. By hand: it holds Prometheus' messages of proto2, which nothing else here speaks, and comes with
 * thousands of values at a time. Raises DecodeError.
 */
export function readMetricsMessage(bytes: Buffer): MetricsMessage {
  let node: MetricsMessage['node'];
  const families: MetricFamily[] = [];
  eachField(new WireReader(bytes), {
    1: (reader) => {
      node = readIdentifier(part(reader));
    },
    2: (reader) => {
      families.push(readFamily(part(reader)));
    },
  });
  return { node, families };
}

const text = (reader: WireReader): string => reader.string();
const whole = (reader: WireReader): number => Number(reader.uint64());

function readIdentifier(reader: WireReader): MetricsMessage['node'] {
  let found: MetricsMessage['node'];
  eachField(reader, {
    1: (inner) => {
      const start = inner.lengthDelimited();
      const { id = '', cluster = '' } = decode('envoy.config.core.v3.Node', inner.bytes.subarray(start, inner.at));
      found = { id, cluster };
    },
  });
  return found;
}

function readFamily(reader: WireReader): MetricFamily {
  let name = '';
  let help = '';
  let type: FamilyType = 'counter';
  const metrics: Metric[] = [];
  eachField(reader, {
    1: (inner) => {
      name = text(inner);
    },
    2: (inner) => {
      help = text(inner);
    },
    3: (inner) => {
      const number = inner.uint32();
      const known = FAMILY_TYPES[number];
      if (known === undefined) throw new DecodeError(`there is no type of metrics ${number}`);
      type = known;
    },
    4: (inner) => {
      metrics.push(readMetric(part(inner)));
    },
  });
  return { name, help, type, metrics };
}

function readMetric(reader: WireReader): Metric {
  const labels: Label[] = [];
  const buckets: Bucket[] = [];
  const quantiles: Quantile[] = [];
  let [value, count, sum] = [0, 0, 0];
  const single = (inner: WireReader): void => {
    eachField(part(inner), {
      1: (field) => {
        value = field.double();
      },
    });
  };
  /** Summaries and histograms: count, sum, and what they are made of. */
  const distribution =
    (member: (field: WireReader) => void) =>
    (inner: WireReader): void =>
      eachField(part(inner), {
        1: (field) => {
          count = whole(field);
        },
        2: (field) => {
          sum = field.double();
        },
        3: member,
      });
  eachField(reader, {
    1: (inner) => {
      let [name, content] = ['', ''];
      eachField(part(inner), {
        1: (field) => {
          name = text(field);
        },
        2: (field) => {
          content = text(field);
        },
      });
      labels.push([name, content]);
    },
    2: single,
    3: single,
    5: single,
    4: distribution((field) => {
      let [quantile, at] = [0, 0];
      eachField(part(field), {
        1: (each) => {
          quantile = each.double();
        },
        2: (each) => {
          at = each.double();
        },
      });
      quantiles.push({ quantile, value: at });
    }),
    7: distribution((field) => {
      let [upperBound, cumulativeCount] = [0, 0];
      eachField(part(field), {
        1: (each) => {
          cumulativeCount = whole(each);
        },
        2: (each) => {
          upperBound = each.double();
        },
      });
      buckets.push({ upperBound, cumulativeCount });
    }),
  });
  return { labels, value, count, sum, buckets, quantiles };
}

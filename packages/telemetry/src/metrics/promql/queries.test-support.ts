import { type Labels, labelsOf } from '../labels.ts';
import type { GivenSeries } from './real-prometheus.test-support.ts';

/** Numbers that look random and are the same in each run. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A whole time in 2026, in milliseconds. */
export const T0 = 1_772_000_000_000;
export const MINUTES = 40;

/** Samples as a mesh gives them: counters with resets, histograms, gauges, series that come and go, values that are no numbers. */
export function madeSeries(): GivenSeries[] {
  const random = randomNumbers(7);
  const series: GivenSeries[] = [];
  const add = (
    labels: Record<string, string>,
    value: (index: number) => number | undefined,
    jitter = 0,
    start = 0,
    end = MINUTES * 4,
  ) => {
    const samples: [number, number][] = [];
    for (let index = start; index < end; index++) {
      const found = value(index);
      if (found !== undefined) samples.push([T0 + index * 15_000 + Math.floor(random() * jitter), found]);
    }
    if (samples.length > 0) series.push({ labels: labelsOf(labels) as Labels, samples });
  };
  for (const reporter of ['source', 'destination'])
    for (const [service, version] of [
      ['cart', 'v1'],
      ['cart', 'v2'],
      ['frontend', 'v1'],
      ['ad', 'v1'],
    ] as const)
      for (const code of ['200', '404', '503', '0']) {
        const labels = {
          reporter,
          source_workload: 'loadgenerator',
          source_workload_namespace: 'shop',
          source_canonical_service: 'loadgenerator',
          source_canonical_revision: 'latest',
          destination_workload: `${service}-${version}`,
          destination_workload_namespace: 'shop',
          destination_canonical_service: service,
          destination_canonical_revision: version,
          destination_service: `${service}.shop.svc.cluster.local`,
          destination_service_name: service,
          destination_service_namespace: 'shop',
          request_protocol: service === 'cart' ? 'grpc' : 'http',
          response_code: code,
          grpc_response_status: service === 'cart' ? (code === '503' ? '14' : '0') : '',
          response_flags: code === '503' ? 'UF' : '-',
          connection_security_policy: reporter === 'source' ? 'unknown' : 'mutual_tls',
        };
        let total = 0;
        const speed = random() * 20;
        const reset = code === '404' ? 90 : -1;
        const begin = code === '0' ? 60 : 0;
        const counts = (index: number): number => {
          if (index === reset) total = 0;
          total += Math.floor(random() * speed);
          return total;
        };
        add({ ...labels, __name__: 'istio_requests_total' }, counts, 400, begin, code === '503' ? 110 : MINUTES * 4);
        for (const metric of ['istio_request_duration_milliseconds', 'istio_request_bytes', 'istio_response_bytes']) {
          const shares = [0.1, 0.4, 0.8, 0.95, 0.99, 1].map((share) => share * (0.8 + random() * 0.2));
          let count = 0;
          const totals: number[] = Array.from({ length: MINUTES * 4 }, () => (count += Math.floor(random() * speed)));
          for (const [at, le] of ['0.5', '1', '5', '50', '1000', '+Inf'].entries())
            add(
              { ...labels, le, __name__: `${metric}_bucket` },
              (index) => Math.floor((totals[index] ?? 0) * (le === '+Inf' ? 1 : (shares[at] ?? 1))),
              0,
              begin,
            );
          add({ ...labels, __name__: `${metric}_count` }, (index) => totals[index], 0, begin);
          add({ ...labels, __name__: `${metric}_sum` }, (index) => (totals[index] ?? 0) * 3.7, 0, begin);
        }
      }
  for (const direction of ['sent', 'received'])
    for (const service of ['redis', 'db'])
      add(
        {
          __name__: `istio_tcp_${direction}_bytes_total`,
          reporter: 'source',
          source_workload: 'cart-v1',
          source_workload_namespace: 'shop',
          destination_workload: service,
          destination_workload_namespace: 'shop',
          destination_service: `${service}.shop.svc.cluster.local`,
          destination_service_name: service,
          destination_service_namespace: 'shop',
          request_protocol: 'tcp',
          response_flags: '-',
          connection_security_policy: 'mutual_tls',
        },
        (index) => index * 1234.5,
        900,
      );
  for (let pod = 0; pod < 6; pod++)
    for (const [metric, of] of Object.entries({
      memory_bytes: (index: number) => 1e8 + Math.sin(index / 7 + pod) * 1e7,
      cpu_seconds_total: (index: number) => index * 0.31 * (pod + 1),
      temperature: () => Math.round((random() - 0.5) * 40) / 4 + pod,
      odd: (index: number) =>
        [1, Number.NaN, Number.POSITIVE_INFINITY, 3, Number.NEGATIVE_INFINITY, -0, 2e-9, 1e21][(index + pod) % 8],
      sparse: (index: number) => (index % (pod + 3) === 0 ? index : undefined),
      small_counter: (index: number) => Math.floor(index / (20 + pod)),
    }))
      add(
        { __name__: metric, pod: `pod-${pod}`, node: `node-${pod % 2}`, zone: pod === 5 ? '' : `z${pod % 3}` },
        of,
        200,
      );
  for (const node of ['node-0', 'node-1'])
    add({ __name__: 'node_info', node, kernel: node === 'node-0' ? '6.1' : '6.12' }, () => 1);
  add({ __name__: 'up', job: 'pods' }, () => 1);
  return series;
}

/** Expressions written by hand: each operator, function and modifier, and errors. */
export const fixedQueries: readonly string[] = [
  'temperature',
  'temperature offset 3m',
  'temperature offset -3m',
  `temperature @ ${T0 / 1000 + 600}`,
  'temperature @ start()',
  'rate(cpu_seconds_total[3m] @ end())',
  `sum(temperature @ ${T0 / 1000 + 600.5} offset 1m)`,
  'temperature{zone=""}',
  'temperature{zone!=""}',
  'temperature{pod=~"pod-[1-3]"}',
  'temperature{pod!~"pod-[1-3]|pod-5"}',
  '{__name__=~"temp.*|up"}',
  '{__name__="up",job="pods"}',
  'temperature{nosuch="x"}',
  'no_such_metric',
  'temperature{pod=~".+",zone=~"z."}',
  '1 + 2 * 3 ^ 2 ^ 0.5 - -4 % 3',
  '-1 ^ 2',
  '-temperature ^ 2',
  '2 - -1 ^ 2',
  '-temperature offset 1m * 2',
  'temperature unless on (pod) memory_bytes offset 1m < 1e8',
  'temperature + on (pod) memory_bytes offset 1m ^ 2',
  '-max_over_time(temperature[1m]) + on (pod) max_over_time(rate(cpu_seconds_total[1m])[5m:30s] offset 1m)',
  'temperature or memory_bytes @ 1772000600 and on (pod) temperature > 2',
  '1 > bool 2',
  'temperature > 1',
  '1 < temperature',
  'temperature >= bool 1',
  '1 == bool temperature',
  'temperature != 2',
  'temperature * 2 / 3 - 1 % 5',
  'temperature ^ 2',
  '2 ^ temperature',
  'temperature atan2 on (pod) memory_bytes',
  'temperature + memory_bytes',
  'temperature + on (pod) memory_bytes',
  'temperature + ignoring (zone) memory_bytes',
  'temperature * on (node) group_left (kernel) node_info',
  'node_info * on (node) group_right (kernel) temperature',
  'node_info - on (node) group_right () temperature',
  'temperature > on (pod) (memory_bytes / 1e8)',
  'temperature > bool on (pod) (memory_bytes / 1e8)',
  'temperature > on (node) group_left node_info',
  'node_info < on (node) group_right temperature',
  'temperature and memory_bytes > 1.05e8',
  'temperature and on (pod) (memory_bytes > 1e8)',
  'temperature or memory_bytes',
  'temperature{pod="pod-1"} or on (node) temperature',
  'temperature unless on (pod) (memory_bytes > 1e8)',
  'temperature + on (node) memory_bytes',
  'temperature * on (node) group_left temperature',
  ...['sum', 'avg', 'min', 'max', 'count', 'group', 'stddev', 'stdvar'].flatMap((operator) => [
    `${operator}(temperature)`,
    `${operator} by (node) (temperature)`,
    `${operator} without (node, pod) (temperature)`,
    `${operator}(odd)`,
    `${operator} by (nosuch) (istio_requests_total)`,
  ]),
  'topk(3, memory_bytes)',
  'bottomk(2, memory_bytes)',
  'topk by (node) (1, memory_bytes)',
  'topk(0, memory_bytes)',
  'topk(20, memory_bytes)',
  'quantile(0.9, temperature)',
  'quantile by (node) (0.25, temperature)',
  'quantile(1.5, temperature)',
  'quantile(-1, temperature)',
  'quantile(0.5, odd)',
  'count_values("v", small_counter)',
  'count_values by (node) ("v", round(temperature))',
  'count_values("v", odd)',
  'sum by (__name__) ({__name__=~"temperature|memory_bytes"})',
  'rate(cpu_seconds_total[1m])',
  'rate(istio_requests_total[5m])',
  'increase(istio_requests_total[2m])',
  'irate(istio_requests_total[5m])',
  'idelta(temperature[5m])',
  'delta(temperature[5m])',
  'deriv(memory_bytes[5m])',
  'predict_linear(memory_bytes[10m], 3600)',
  'rate(small_counter[10m])',
  'increase(small_counter[3m])',
  'rate(sparse[5m])',
  'rate(odd[5m])',
  'changes(small_counter[10m])',
  'changes(odd[10m])',
  'resets(istio_requests_total{response_code="404"}[30m])',
  ...['sum', 'avg', 'min', 'max', 'count', 'last', 'present', 'stddev', 'stdvar'].flatMap((name) => [
    `${name}_over_time(temperature[3m])`,
    `${name}_over_time(odd[3m])`,
    `${name}_over_time(sparse[2m])`,
  ]),
  'quantile_over_time(0.7, temperature[5m])',
  'quantile_over_time(2, temperature[5m])',
  'absent(temperature)',
  'absent(nosuch{a="b",c!="d",e="f",e="g"})',
  'absent(sum(nosuch{a="b"}))',
  'absent_over_time(temperature[5m])',
  'absent_over_time(nosuch{a="b"}[5m])',
  'absent_over_time(rate(nosuch{a="b"}[5m])[5m:1m])',
  ...['abs', 'ceil', 'floor', 'round', 'sgn', 'sqrt', 'exp', 'ln', 'log2', 'log10'].flatMap((name) => [
    `${name}(temperature)`,
    `${name}(odd)`,
  ]),
  ...['sin', 'cos', 'tan', 'asin', 'acos', 'atan', 'sinh', 'cosh', 'tanh', 'asinh', 'acosh', 'atanh', 'deg', 'rad'].map(
    (name) => `${name}(temperature / 10)`,
  ),
  'round(temperature, 0.1)',
  'round(temperature, 5)',
  'clamp(temperature, -1, 2)',
  'clamp(temperature, 2, 1)',
  'clamp_max(odd, 2)',
  'clamp_min(odd, 2)',
  'time()',
  'pi()',
  'timestamp(temperature)',
  'timestamp(temperature offset 1m)',
  'timestamp(temperature + 0)',
  'timestamp((temperature))',
  'vector(3)',
  'vector(time())',
  'scalar(up)',
  'scalar(temperature)',
  'temperature * scalar(up)',
  'sort(memory_bytes)',
  'sort_desc(memory_bytes)',
  'sort(odd)',
  ...['day_of_month', 'day_of_week', 'day_of_year', 'days_in_month', 'hour', 'minute', 'month', 'year'].flatMap(
    (name) => [`${name}()`, `${name}(vector(1709164800.5))`, `${name}(timestamp(up))`],
  ),
  'label_replace(temperature, "short", "$1", "pod", "pod-(.*)")',
  'label_replace(temperature, "short", "x-$\x7b1}-$2", "pod", "(p)od-(?P<n>.*)")',
  'label_replace(temperature, "short", "$n", "pod", "pod-(?P<n>.*)")',
  'label_replace(temperature, "zone", "", "pod", ".*")',
  'label_replace(temperature, "pod", "same", "pod", ".*")',
  'label_replace(temperature, "a-b", "same", "pod", ".*")',
  'label_join(temperature, "both", "/", "node", "pod", "nosuch")',
  'label_join(temperature, "both", "/")',
  'histogram_quantile(0.95, sum by (le) (rate(istio_request_duration_milliseconds_bucket[5m])))',
  'histogram_quantile(0.5, rate(istio_request_duration_milliseconds_bucket[5m]))',
  'histogram_quantile(0, sum by (le, destination_service) (rate(istio_request_bytes_bucket[5m])))',
  'histogram_quantile(1, sum by (le, destination_service) (rate(istio_request_bytes_bucket[5m])))',
  'histogram_quantile(1.1, sum by (le) (rate(istio_request_bytes_bucket[5m])))',
  'histogram_quantile(NaN, sum by (le) (rate(istio_request_bytes_bucket[5m])))',
  'histogram_quantile(0.9, temperature)',
  'histogram_quantile(0.9, sum by (le) (rate(istio_request_bytes_bucket{le!="+Inf"}[5m])))',
  'max_over_time(rate(cpu_seconds_total[2m])[10m:30s])',
  'max_over_time(sum by (node) (temperature)[10m:])',
  'avg_over_time((temperature > 0)[10m:45s] offset 2m)',
  'sum_over_time(vector(1)[5m:1m])',
  'rate(sum(cpu_seconds_total)[5m:15s])',
  'deriv(rate(cpu_seconds_total[1m])[5m:1m])',
  `max_over_time(temperature[5m:1m] @ ${T0 / 1000 + 900})`,
  '(sum(rate(istio_requests_total{response_code=~"5.*"}[1m])) or vector(0)) / sum(rate(istio_requests_total[1m]))',
  'sum(rate(istio_requests_total[1m])) by (response_code) > 0.5',
  '0x1F',
  '.5e1',
  '"a \\u00e9 \\x41 string"',
  '`raw \\n`',
  '1e3',
  'Inf',
  '-Inf + Inf',
  // Refused.
  'temperature[5m]',
  'sum(temperature',
  'temperature +',
  'rate(temperature)',
  'rate(temperature[5m:])[3m]',
  '{}',
  '{a=~".*"}',
  'temperature and 1',
  '1 > 2',
  'no_such_function(temperature)',
  'topk(temperature)',
  'sum(temperature, temperature)',
  'temperature{a=~"("}',
  '"unclosed',
  'label_replace(temperature, "a", "b", "c")',
];

/** Expressions made at random of what the language has. */
export function madeQueries(count: number, seed: number): string[] {
  const random = randomNumbers(seed);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
  const gauges = [
    'temperature',
    'memory_bytes',
    'sparse',
    'small_counter',
    'cpu_seconds_total',
    'temperature{pod!="pod-2"}',
  ];
  const counters = [
    'cpu_seconds_total',
    'small_counter',
    'istio_requests_total',
    'istio_requests_total{reporter="source"}',
    'istio_tcp_sent_bytes_total',
  ];
  const windows = ['1m', '90s', '2m', '5m', '10m', '1h', '45s'];
  const label = () => pick(['pod', 'node', 'zone', 'reporter', 'response_code', 'destination_service']);
  const shift = () => pick(['', '', '', ' offset 1m', ' offset -2m']);
  const vector = (depth: number): string => {
    const kind = depth <= 0 ? Math.floor(random() * 2) : Math.floor(random() * 9);
    switch (kind) {
      case 0:
        return pick(gauges) + shift();
      case 1:
        return `${pick(['rate', 'increase', 'irate', 'delta', 'deriv', 'avg_over_time', 'max_over_time', 'min_over_time', 'sum_over_time', 'count_over_time', 'changes', 'resets', 'stddev_over_time', 'last_over_time'])}(${pick(counters)}[${pick(windows)}]${shift()})`;
      case 2:
        return `${pick(['sum', 'avg', 'min', 'max', 'count', 'stddev', 'group'])} ${pick(['by', 'without'])} (${label()}, ${label()}) (${vector(depth - 1)})`;
      case 3:
        return `(${vector(depth - 1)} ${pick(['+', '-', '*', '/', '%', '>', '<', '>=', '==', '!=', '> bool', '<= bool'])} ${pick(['2', '0.5', '10', '-3', '1e8'])})`;
      case 4:
        return `(${vector(depth - 1)} ${pick(['+', '-', '*', '/', 'and', 'or', 'unless', '>', '<'])} on (${label()}, ${label()}) ${vector(depth - 1)})`;
      case 5:
        return `${pick(['abs', 'ceil', 'floor', 'sgn', 'sqrt', 'exp'])}(${vector(depth - 1)} / 1000)`;
      case 6:
        return `${pick(['max', 'avg', 'sum', 'quantile'])}_over_time(${vector(depth - 1)}[${pick(['2m', '5m'])}:${pick(['15s', '30s', '1m', ''])}])`.replace(
          'quantile_over_time(',
          'quantile_over_time(0.3, ',
        );
      case 7:
        return `clamp_max(${vector(depth - 1)}, ${pick(['1', '100', '1e6'])})`;
      default:
        return `histogram_quantile(${pick(['0.5', '0.9', '0.99'])}, sum by (le, ${label()}) (rate(${pick(['istio_request_bytes_bucket', 'istio_request_duration_milliseconds_bucket'])}[${pick(windows)}])))`;
    }
  };
  return Array.from({ length: count }, () => vector(3));
}

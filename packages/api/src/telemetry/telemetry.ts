import { policyTargetReference, targetRefs, workloadSelector } from '../networking/common.ts';
import { celRule, filled } from '../schema/cel.ts';
import {
  as,
  boolean,
  duration,
  enumOf,
  list,
  map,
  number,
  object,
  required,
  string,
  type TypeOf,
  withCel,
} from '../schema/schema.ts';

const workloadMode = enumOf(['CLIENT_AND_SERVER', 'CLIENT', 'SERVER'], 'Side of the traffic; default both.');
/** Each kind of telemetry has fields of its own for these, which are proven one by one. */
const modeSelector = () => object('Which traffic.', { mode: workloadMode });
const providers = () =>
  list(
    object('A provider of the mesh configuration.', { name: required(string('Its name.', { minLength: 1 })) }),
    'Providers; absent: the mesh’s default ones.',
  );

const tracing = object('Tracing.', {
  match: modeSelector(),
  providers: providers(),
  randomSamplingPercentage: number('Share of requests that are traced, in percent.', { minimum: 0, maximum: 100 }),
  disableSpanReporting: boolean('Report no spans.'),
  customTags: map(
    object(
      'A tag; exactly one source.',
      {
        literal: object('A fixed value.', { value: required(string('The value.', { minLength: 1 })) }),
        environment: object('From the proxy’s environment.', {
          name: required(string('Name of the variable.', { minLength: 1 })),
          defaultValue: string('Value when it is not set.'),
        }),
        header: object('From a request header.', {
          name: required(string('Name of the header.', { minLength: 1 })),
          defaultValue: string('Value when it is absent.'),
        }),
        formatter: object('From an access log format.', { value: required(string('The format.', { minLength: 1 })) }),
      },
      [['literal', 'environment', 'header', 'formatter']],
    ),
    'Further tags of spans.',
  ),
  useRequestIdForTraceSampling: boolean('Take the decision from x-request-id; default true.'),
  enableIstioTags: boolean('Add Istio’s own tags; default true.'),
  disableContextPropagation: boolean('Do not add trace headers to requests.'),
});

const metrics = object('Metrics.', {
  providers: providers(),
  overrides: list(
    object('A change of metrics.', {
      match: object(
        'Which metrics.',
        {
          metric: enumOf(
            [
              'ALL_METRICS',
              'REQUEST_COUNT',
              'REQUEST_DURATION',
              'REQUEST_SIZE',
              'RESPONSE_SIZE',
              'TCP_OPENED_CONNECTIONS',
              'TCP_CLOSED_CONNECTIONS',
              'TCP_SENT_BYTES',
              'TCP_RECEIVED_BYTES',
              'GRPC_REQUEST_MESSAGES',
              'GRPC_RESPONSE_MESSAGES',
            ],
            'One of Istio’s metrics.',
          ),
          customMetric: string('Another metric, by name.', { minLength: 1 }),
          mode: workloadMode,
        },
        [['metric', 'customMetric']],
      ),
      disabled: boolean('Do not report the metric.'),
      tagOverrides: map(
        withCel(
          object('A change of a label.', {
            operation: enumOf(['UPSERT', 'REMOVE'], 'Set or remove the label; default UPSERT.'),
            value: string('CEL expression for the value.'),
          }),
          celRule(
            `(has(self.operation) && self.operation == 'REMOVE') != ${filled('value')}`,
            'value is required, except with operation REMOVE, where it must not be set',
          ),
        ),
        'Changes of labels by name.',
        { maxProperties: 1024 },
      ),
    }),
    'Changes, in order.',
  ),
  reportingInterval: duration('Time between reports, for TCP.'),
});

const accessLogging = object('Access logs.', {
  match: modeSelector(),
  providers: providers(),
  disabled: boolean('Write no access log.'),
  filter: object('Which requests are logged.', { expression: string('CEL expression.') }),
});

export const telemetrySpec = object('How telemetry is made.', {
  selector: workloadSelector,
  targetRef: as(policyTargetReference, 'Deprecated: use targetRefs.'),
  targetRefs,
  tracing: list(tracing, 'Tracing.'),
  metrics: list(metrics, 'Metrics.'),
  accessLogging: list(accessLogging, 'Access logs.'),
});
export type TelemetrySpec = TypeOf<typeof telemetrySpec>;
export type TelemetryTracing = TypeOf<typeof tracing>;
export type TelemetryMetrics = TypeOf<typeof metrics>;
export type TelemetryAccessLogging = TypeOf<typeof accessLogging>;

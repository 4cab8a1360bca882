import type { OtelRecord, PlainValue } from '../otel-logs/records.ts';

/** What Loki's `POST /loki/api/v1/push` takes. */
export interface LokiPush {
  readonly streams: readonly {
    readonly stream: Readonly<Record<string, string>>;
    /** Nanoseconds since 1970, and the line. */
    readonly values: readonly (readonly [string, string])[];
  }[];
}

const labelName = (name: string): string => name.replace(/[^a-zA-Z0-9_]/g, '_').replace(/^(?=\d)/, '_');
const shown = (value: PlainValue): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** Hints among the attributes: which of them become labels, and how the line looks. */
const HINTS = { attributes: 'loki.attribute.labels', resource: 'loki.resource.labels', format: 'loki.format' } as const;
type Values = Readonly<Record<string, PlainValue>>;

const hinted = (values: Values, hint: string): readonly string[] =>
  String(values[hint] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

function lineOf(format: string, body: PlainValue, attributes: Values, resources: Values): string {
  if (format === 'raw') return shown(body);
  if (format === 'logfmt') {
    const pairs = Object.entries({ ...attributes, ...resources }).map(([name, value]) => {
      const text = shown(value);
      return `${labelName(name)}=${/[\s"=]/.test(text) ? JSON.stringify(text) : text}`;
    });
    return [...(body === null ? [] : [`body=${JSON.stringify(shown(body))}`]), ...pairs].join(' ');
  }
  return JSON.stringify({
    ...(body !== null && { body: typeof body === 'string' ? body.replace(/\n$/, '') : body }),
    ...(Object.keys(attributes).length > 0 && { attributes }),
    ...(Object.keys(resources).length > 0 && { resources }),
  });
}

/**
 * Records as the collector's Loki exporter sends them: labels are those that the attributes `loki.attribute.labels` and `loki.resource.labels` name, beside
 * `exporter` and, where the resource says so, `job` and `instance`; what is no label is in the line, whose form `loki.format` says (json, logfmt, raw).
 * `nowNano` stands for a time that a record does not have.
 */
export function lokiPush(records: readonly OtelRecord[], nowNano: bigint): LokiPush {
  const streams = new Map<string, { stream: Record<string, string>; values: (readonly [string, string])[] }>();
  for (const { timeUnixNano, body, attributes, resource } of records) {
    const stream: Record<string, string> = { exporter: 'OTLP' };
    const service = resource['service.name'];
    const namespace = resource['service.namespace'];
    if (service !== undefined)
      stream.job = namespace === undefined ? shown(service) : `${shown(namespace)}/${shown(service)}`;
    const instance = resource['service.instance.id'];
    if (instance !== undefined) stream.instance = shown(instance);
    const take = (values: Values, names: readonly string[]): Values => {
      const rest: Record<string, PlainValue> = {};
      const hints: readonly string[] = Object.values(HINTS);
      for (const [name, value] of Object.entries(values)) {
        if (hints.includes(name)) continue;
        if (names.includes(name)) stream[labelName(name)] = shown(value);
        else rest[name] = value;
      }
      return rest;
    };
    const format = String(attributes[HINTS.format] ?? resource[HINTS.format] ?? 'json');
    const names = hinted(attributes, HINTS.resource).concat(hinted(resource, HINTS.resource));
    const line = lineOf(format, body, take(attributes, hinted(attributes, HINTS.attributes)), take(resource, names));
    const key = JSON.stringify(Object.entries(stream).sort(([a], [b]) => (a < b ? -1 : 1)));
    const found = streams.get(key) ?? { stream, values: [] };
    streams.set(key, found);
    found.values.push([timeUnixNano === '0' ? String(nowNano) : timeUnixNano, line]);
  }
  return { streams: [...streams.values()] };
}

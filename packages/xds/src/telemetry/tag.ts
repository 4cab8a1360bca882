import type { Config_Tag, TypeMatcherMatcher_OnMatch } from '@istio-ts/envoy';
import { typed } from '../typed.ts';

const VALUE = {
  name: 'value',
  typedConfig: typed('envoy.extensions.matching.common_inputs.stats.v3.StatTagValueInput', {}),
} as const;

const replaceBy = (text: string): TypeMatcherMatcher_OnMatch => ({
  action: {
    name: 'v',
    typedConfig: typed('envoy.extensions.matching.actions.transform_stat.v3.TransformStat', {
      updateTag: { newTagValue: text },
    }),
  },
});

/** Text in a format string: a percent sign would start a command. */
const literal = (text: string): string => text.replaceAll('%', '%%');

/** Where a metric's label comes from. */
export type TagSource =
  /** The same for every request of this proxy. */
  | { readonly kind: 'text'; readonly text: string }
  /** A command of Envoy's access log formatter; `missing` stands where it gives nothing. */
  | { readonly kind: 'format'; readonly format: string; readonly missing: string }
  /** `grpc` for gRPC requests, `http` for others. */
  | { readonly kind: 'request protocol' };

const UNKNOWN = 'unknown';

export const text = (value: string | undefined): TagSource => ({
  kind: 'text',
  text: value === undefined || value === '' ? UNKNOWN : value,
});
export const format = (command: string, missing: string = UNKNOWN): TagSource => ({
  kind: 'format',
  format: command,
  missing,
});

/** A label of the stats access logger. What Envoy cannot find is an empty value there; a rule turns it into what Istio shows. */
export function tag(name: string, source: TagSource): Config_Tag {
  switch (source.kind) {
    case 'text':
      return { name, valueFormat: literal(source.text) };
    case 'format':
      if (source.missing === '') {
        return { name, valueFormat: source.format };
      }
      return {
        name,
        valueFormat: source.format,
        rules: {
          matcherTree: {
            input: VALUE,
            exactMatchMap: { map: { '': replaceBy(source.missing) } },
          },
        },
      };
    case 'request protocol':
      return {
        name,
        valueFormat: '%REQ(CONTENT-TYPE)%',
        rules: {
          matcherTree: { input: VALUE, prefixMatchMap: { map: { 'application/grpc': replaceBy('grpc') } } },
          onNoMatch: replaceBy('http'),
        },
      };
    default: {
      const unknown: never = source;
      return unknown;
    }
  }
}

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
  /** A command of Envoy's access log formatter. */
  | { readonly kind: 'format'; readonly format: string }
  /** `grpc` for gRPC requests, `http` for others. */
  | { readonly kind: 'request protocol' };

const UNKNOWN = 'unknown';

export const text = (value: string | undefined): TagSource => ({
  kind: 'text',
  text: value === undefined || value === '' ? UNKNOWN : value,
});
export const format = (command: string): TagSource => ({ kind: 'format', format: command });

/**
 * A label of the stats access logger. What Envoy cannot find is an empty value there; the agent, through which all scrapes go, turns it into what
 * Istio shows. A rule for that in each label would make listeners three times as large.
 */
export function tag(name: string, source: TagSource): Config_Tag {
  switch (source.kind) {
    case 'text':
      return { name, valueFormat: literal(source.text) };
    case 'format':
      return { name, valueFormat: source.format };
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

import { assignmentsOf, clustersOf, listenersOf, routesOf } from '@istio-ts/envoy-dump/config-dump';
import { explain, RequestError } from '@istio-ts/simulate';
import type { ExplainRequest, Explanation } from './api.ts';
import { optionalText, textField } from './http/body.ts';
import { ApiFailure } from './http/failure.ts';
import { isName } from './http/query.ts';
import type { ProxyDump } from './proxies/proxies.ts';

const maxHeaders = 100;

/** What a proxy does with a request, by its configuration. Raises ApiFailure 400 for a request that cannot be understood. */
export function explainRequest({ dump, insteadBecause }: ProxyDump, asked: ExplainRequest): Explanation {
  try {
    const explanation = explain(
      {
        listeners: listenersOf(dump),
        routes: routesOf(dump),
        clusters: clustersOf(dump),
        assignments: assignmentsOf(dump),
      },
      asked,
    );
    return insteadBecause === undefined
      ? explanation
      : { ...explanation, summary: `${explanation.summary} ${insteadBecause}` };
  } catch (error) {
    if (error instanceof RequestError) throw new ApiFailure(400, error.message, { field: error.field });
    throw error;
  }
}

/** Reads the body of `POST /api/explain`. Raises ApiFailure 400. */
export function readExplainRequest(body: Readonly<Record<string, unknown>>): ExplainRequest {
  const name = (field: string): string => {
    const value = textField(body, field);
    if (!isName(value)) throw new ApiFailure(400, `"${value.slice(0, 100)}" is not a name of Kubernetes`, { field });
    return value;
  };
  const direction = textField(body, 'direction');
  if (direction !== 'outbound' && direction !== 'inbound')
    throw new ApiFailure(400, 'direction must be outbound or inbound', { field: 'direction' });
  const method = textField(body, 'method');
  if (!/^[A-Za-z!#$%&'*+.^_`|~-]{1,40}$/.test(method))
    throw new ApiFailure(400, `"${method.slice(0, 40)}" is not a method of HTTP`, { field: 'method' });
  const url = textField(body, 'url');
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new ApiFailure(400, 'url must be a whole address, for example http://reviews:9080/reviews/0', {
      field: 'url',
    });
  }
  if (!/^(https?|tcp):$/.test(parsed.protocol))
    throw new ApiFailure(400, 'url must begin with http://, https:// or tcp://', { field: 'url' });
  const caller = optionalText(body, 'caller');
  if (caller !== undefined && caller !== '' && !caller.startsWith('spiffe://'))
    throw new ApiFailure(400, 'caller must be a SPIFFE identity: spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT', {
      field: 'caller',
    });
  const claims = body.claims;
  if (claims !== undefined && (typeof claims !== 'object' || claims === null || Array.isArray(claims)))
    throw new ApiFailure(400, 'claims must be a JSON object', { field: 'claims' });
  return {
    namespace: name('namespace'),
    pod: name('pod'),
    direction,
    method: method.toUpperCase(),
    url,
    headers: readHeaders(body.headers),
    ...(caller !== undefined && caller !== '' && { caller }),
    ...(claims !== undefined && { claims: claims as Readonly<Record<string, unknown>> }),
  };
}

function readHeaders(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw new ApiFailure(400, 'headers must be a JSON object of texts', { field: 'headers' });
  const entries = Object.entries(value);
  if (entries.length > maxHeaders) throw new ApiFailure(400, `at most ${maxHeaders} headers`, { field: 'headers' });
  return Object.fromEntries(
    entries.map(([name, text]) => {
      if (typeof text !== 'string' || !/^:?[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name))
        throw new ApiFailure(400, `"${name.slice(0, 60)}" is not a header with a text`, { field: 'headers' });
      return [name.toLowerCase(), text];
    }),
  );
}

import type { DirectResponseAction, RedirectAction } from '@istio-ts/envoy';
import type { DirectResponse, Redirect } from './spec.ts';

const CODES: Readonly<Record<number, NonNullable<RedirectAction['responseCode']>>> = {
  301: 'MOVED_PERMANENTLY',
  302: 'FOUND',
  303: 'SEE_OTHER',
  307: 'TEMPORARY_REDIRECT',
  308: 'PERMANENT_REDIRECT',
};

/** Stands in `redirect.uri` for "replace only the matched prefix". */
const PREFIX_MARK = '%PREFIX()%';

/** Redirect of a route; `port` is the port that the client dialled, `overTls` whether it spoke HTTPS. */
export function redirectAction(redirect: Redirect, port: number, overTls: boolean): RedirectAction {
  const uri = redirect.uri ?? '';
  const path =
    redirect.prefixRewrite !== undefined && redirect.prefixRewrite !== ''
      ? { prefixRewrite: redirect.prefixRewrite }
      : uri.startsWith(PREFIX_MARK)
        ? { prefixRewrite: uri.slice(PREFIX_MARK.length) }
        : uri !== ''
          ? { pathRedirect: uri }
          : {};
  const scheme = redirect.scheme ?? '';
  let portRedirect: number | undefined;
  if (redirect.port !== undefined && redirect.port !== 0) {
    portRedirect = redirect.port;
  } else if (redirect.derivePort === 'FROM_REQUEST_PORT') {
    portRedirect = port;
  } else if (redirect.derivePort === 'FROM_PROTOCOL_DEFAULT') {
    portRedirect = (scheme || (overTls ? 'https' : 'http')) === 'https' ? 443 : 80;
  }
  const code = redirect.redirectCode ?? 301;
  return {
    ...path,
    ...(redirect.authority !== undefined && redirect.authority !== '' ? { hostRedirect: redirect.authority } : {}),
    ...(scheme !== '' ? { schemeRedirect: scheme } : {}),
    ...(portRedirect !== undefined ? { portRedirect } : {}),
    responseCode: CODES[code] ?? 'MOVED_PERMANENTLY',
  };
}

/** An answer that the proxy gives itself. */
export function directResponseAction(response: DirectResponse): DirectResponseAction {
  const body = response.body;
  if (body?.string !== undefined) {
    return { status: response.status, body: { inlineString: body.string } };
  }
  if (body?.bytes !== undefined) {
    return { status: response.status, body: { inlineBytes: body.bytes } };
  }
  return { status: response.status };
}

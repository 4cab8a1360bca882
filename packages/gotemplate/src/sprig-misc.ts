import { posix } from 'node:path';
import { FunctionError } from './errors.ts';
import { type FunctionTable, fn, variadic } from './functions.ts';
import { compareVersions, matchesConstraint, parseVersion, type Version, versionText } from './semver.ts';
import { type GoMap, GoObject, getKey, typeName } from './value.ts';

function versionObject(version: Version): GoObject {
  return new GoObject(
    '*semver.Version',
    {
      Major: version.major,
      Minor: version.minor,
      Patch: version.patch,
      Prerelease: version.prerelease,
      Metadata: version.metadata,
      Original: version.original,
    },
    {
      Compare: (other) =>
        compareVersions(
          version,
          other instanceof GoObject ? parseVersion(other.text ?? '') : parseVersion(String(other)),
        ),
      String: () => versionText(version),
    },
    { text: versionText(version) },
  );
}

function base(path: string): string {
  if (path === '') return '.';
  return posix.basename(path) === '' ? '/' : posix.basename(path);
}

/** Everything before the last slash, cleaned. */
function dir(path: string): string {
  return clean(path.slice(0, path.lastIndexOf('/') + 1));
}

function clean(path: string): string {
  const normal = posix.normalize(path === '' ? '.' : path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function ext(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot === -1 ? '' : name.slice(dot);
}

const URL_PARTS =
  /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/(?:([^@/?#]*)@)?([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s;

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new FunctionError(`unable to parse url: invalid URL escape in ${JSON.stringify(path)}`);
  }
}

function urlParse(text: string): GoMap {
  const match = URL_PARTS.exec(text);
  if (match === null || text.length > 65536) throw new FunctionError(`unable to parse url: ${text.slice(0, 100)}`);
  const [, scheme = '', userinfo = '', host = '', path = '', query = '', fragment = ''] = match;
  if (scheme === '' && /^[^/?#]*:/.test(text))
    throw new FunctionError(
      `unable to parse url: parse ${JSON.stringify(text)}: ${text.startsWith(':') ? 'missing protocol scheme' : 'first path segment in URL cannot contain colon'}`,
    );
  const opaque = scheme !== '' && host === '' && !path.startsWith('/') ? path : '';
  return {
    scheme,
    host,
    hostname: host.replace(/:\d*$/, '').replace(/^\[|\]$/g, ''),
    path: opaque === '' ? decodePath(path) : '',
    query,
    opaque,
    fragment,
    userinfo,
  };
}

function urlJoin(parts: GoMap): string {
  const get = (key: string): string => {
    const value = getKey(parts, key);
    if (value === undefined) return '';
    if (typeof value !== 'string')
      throw new FunctionError(`unable to parse ${key} key, must be of type string, but ${typeName(value)} found`);
    return value;
  };
  const authority = `${get('userinfo') === '' ? '' : `${get('userinfo')}@`}${get('host')}`;
  const path = get('path');
  return `${get('scheme') === '' ? '' : `${get('scheme')}:`}${authority === '' ? '' : `//${authority}`}${authority !== '' && path !== '' && !path.startsWith('/') ? '/' : ''}${get('opaque')}${path}${
    get('query') === '' ? '' : `?${get('query')}`
  }${get('fragment') === '' ? '' : `#${get('fragment')}`}`;
}

/** Functions that make keys and certificates: what a chart makes itself is another one at each rendering, and lies around in its releases. */
const REFUSED: readonly string[] = [
  'bcrypt',
  'htpasswd',
  'genPrivateKey',
  'buildCustomCert',
  'genCA',
  'genCAWithKey',
  'genSelfSignedCert',
  'genSelfSignedCertWithKey',
  'genSignedCert',
  'genSignedCertWithKey',
];

export const MISC_FUNCTIONS: FunctionTable = {
  semver: fn(['string'], (text) => versionObject(parseVersion(text))),
  semverCompare: fn(['string', 'string'], (constraint, text) => matchesConstraint(constraint, parseVersion(text))),
  base: fn(['string'], base),
  dir: fn(['string'], dir),
  clean: fn(['string'], clean),
  ext: fn(['string'], ext),
  isAbs: fn(['string'], (path) => path.startsWith('/')),
  osBase: fn(['string'], base),
  osDir: fn(['string'], dir),
  osClean: fn(['string'], clean),
  osExt: fn(['string'], ext),
  osIsAbs: fn(['string'], (path) => path.startsWith('/')),
  urlParse: fn(['string'], urlParse),
  urlJoin: fn(['map'], urlJoin),
  ...Object.fromEntries(
    REFUSED.map((name) => [
      name,
      variadic([], 'any', () => {
        throw new FunctionError(
          `${name} is not available here: keys and passwords belong into a Secret, not into a template`,
        );
      }),
    ]),
  ),
};

import { posix } from 'node:path';
import { toInt } from './convert.ts';
import { FunctionError } from './errors.ts';
import { type FunctionTable, fn, variadic } from './functions.ts';
import { compareVersions, matchesConstraint, parseVersion, type Version, versionText } from './semver.ts';
import { type GoMap, GoObject, getKey } from './value.ts';

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

function urlParse(text: string): GoMap {
  const match = URL_PARTS.exec(text);
  if (match === null || text.length > 65536) throw new FunctionError(`unable to parse url: ${text.slice(0, 100)}`);
  const [, scheme = '', userinfo = '', host = '', path = '', query = '', fragment = ''] = match;
  const opaque = scheme !== '' && host === '' && !path.startsWith('/') ? path : '';
  return {
    scheme,
    host,
    hostname: host.replace(/:\d*$/, '').replace(/^\[|\]$/g, ''),
    path: opaque === '' ? path : '',
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
    if (typeof value !== 'string') throw new FunctionError(`unable to parse ${key} key, must be of type string`);
    return value;
  };
  const authority = `${get('userinfo') === '' ? '' : `${get('userinfo')}@`}${get('host')}`;
  const path = get('path');
  return `${get('scheme') === '' ? '' : `${get('scheme')}:`}${authority === '' ? '' : `//${authority}`}${authority !== '' && path !== '' && !path.startsWith('/') ? '/' : ''}${get('opaque')}${path}${
    get('query') === '' ? '' : `?${get('query')}`
  }${get('fragment') === '' ? '' : `#${get('fragment')}`}`;
}

function duration(seconds: number): string {
  if (seconds === 0) return '0s';
  const total = Math.abs(seconds);
  const h = Math.floor(total / 3600);
  const m = Math.floor((total % 3600) / 60);
  return `${seconds < 0 ? '-' : ''}${h > 0 ? `${h}h` : ''}${h > 0 || m > 0 ? `${m}m` : ''}${total % 60}s`;
}

/** Functions whose result differs from run to run: a chart that used them would never render the same twice. */
const REFUSED: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['randAlphaNum', 'randAlpha', 'randAscii', 'randNumeric', 'randInt', 'randBytes', 'shuffle', 'uuidv4'].map(
      (name) => [name, 'its result would be random'],
    ),
  ),
  ...Object.fromEntries(
    [
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
      'encryptAES',
      'derivePassword',
      'decryptAES',
    ].map((name) => [name, 'keys and passwords belong into a Secret, not into a template']),
  ),
  ...Object.fromEntries(
    [
      'now',
      'ago',
      'date',
      'date_in_zone',
      'dateInZone',
      'date_modify',
      'dateModify',
      'must_date_modify',
      'mustDateModify',
      'htmlDate',
      'htmlDateInZone',
      'toDate',
      'mustToDate',
      'unixEpoch',
      'durationRound',
    ].map((name) => [name, 'its result would depend on the clock']),
  ),
  getHostByName: 'its result would depend on the network',
  toToml: 'TOML is not supported',
  fromToml: 'TOML is not supported',
};

export const MISC_FUNCTIONS: FunctionTable = {
  semver: fn(['string'], (text) => versionObject(parseVersion(text))),
  semverCompare: fn(['string', 'string'], (constraint, text) => matchesConstraint(constraint, parseVersion(text))),
  base: fn(['string'], base),
  dir: fn(['string'], (path) => clean(posix.dirname(path))),
  clean: fn(['string'], clean),
  ext: fn(['string'], ext),
  isAbs: fn(['string'], (path) => path.startsWith('/')),
  osBase: fn(['string'], base),
  osDir: fn(['string'], (path) => clean(posix.dirname(path))),
  osClean: fn(['string'], clean),
  osExt: fn(['string'], ext),
  osIsAbs: fn(['string'], (path) => path.startsWith('/')),
  urlParse: fn(['string'], urlParse),
  urlJoin: fn(['map'], urlJoin),
  duration: fn(['any'], (seconds) => duration(toInt(seconds))),
  ...Object.fromEntries(
    Object.entries(REFUSED).map(([name, why]) => [
      name,
      variadic([], 'any', () => {
        throw new FunctionError(`${name} is not available here: ${why}`);
      }),
    ]),
  ),
};

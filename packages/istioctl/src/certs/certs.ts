import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AuthorityError,
  type AuthorityMaterial,
  createIntermediate,
  createRevocationList,
  createRootCertificate,
  DerError,
  describeCertificate,
  isIssuedBy,
  type KeyAlgorithm,
  mergeBundles,
  PemError,
  parseCertificates,
} from '@istio-ts/security';
import { durationMs } from '../cli/duration.ts';
import { CliError, usageExitCode } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';

type Flags = Readonly<Record<string, unknown>>;

const KEYS: Readonly<Record<string, KeyAlgorithm>> = {
  p256: { kind: 'ecdsa', curve: 'P-256' },
  p384: { kind: 'ecdsa', curve: 'P-384' },
  rsa2048: { kind: 'rsa', bits: 2048 },
  rsa4096: { kind: 'rsa', bits: 4096 },
};

const SECRET_FILES = ['ca-cert.pem', 'ca-key.pem', 'cert-chain.pem', 'root-cert.pem'] as const;

const common = (flags: Flags) => ({
  dir: String(flags.dir),
  organization: String(flags.org),
  ttl: durationMs(String(flags.ttl), '--ttl'),
  algorithm: KEYS[String(flags.key)] ?? { kind: 'ecdsa', curve: 'P-256' },
  now: new Date(),
});

function read(path: string, hint = ''): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CliError(`${path} cannot be read: ${error instanceof Error ? error.message : error}${hint}`);
  }
}

/** Writes files, keys for nobody but their owner, and none of them where one is there already. */
function write(folder: string, files: Readonly<Record<string, string>>, force: boolean): void {
  const taken = Object.keys(files).find((name) => existsSync(join(folder, name)));
  if (taken !== undefined && !force)
    throw new CliError(`${join(folder, taken)} is there already: give --force to replace it, or another --dir`);
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(folder, name), text, { mode: name.endsWith('key.pem') ? 0o600 : 0o644 });
}

/** Says what is wrong with a file in words for its owner. */
function checked<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof AuthorityError || error instanceof PemError || error instanceof DerError)
      throw new CliError(error.message);
    throw error;
  }
}

const until = (certificate: string): string => describeCertificate(certificate).notAfter.toISOString().slice(0, 10);

function rootOf(dir: string): AuthorityMaterial {
  const hint = ': make a root first, with istioctl x certs root-ca';
  const certificate = read(join(dir, 'root-cert.pem'), hint);
  return { certificate, key: read(join(dir, 'root-key.pem'), hint), chain: '', root: certificate };
}

export async function runRootCa({ err }: Session, flags: Flags): Promise<number> {
  const { dir, ...options } = common(flags);
  const root = createRootCertificate({ ...options, commonName: String(flags.cn ?? 'Root CA') });
  write(dir, { 'root-key.pem': root.key, 'root-cert.pem': root.certificate }, flags.force === true);
  err(
    `${join(dir, 'root-cert.pem')}: ${describeCertificate(root.certificate).subject}, good until ${until(root.certificate)}\n`,
  );
  return 0;
}

const clusterFolder = (dir: string, cluster: string | undefined): string => {
  if (cluster === undefined || !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(cluster))
    throw new CliError(`"${cluster ?? ''}" is no name of a cluster: letters, digits, "-" and "."`, usageExitCode);
  return join(dir, cluster);
};

export async function runCacerts(
  { out, err, flags: globals }: Session,
  flags: Flags,
  cluster: string | undefined,
): Promise<number> {
  const { dir, ...options } = common(flags);
  const folder = clusterFolder(dir, cluster);
  const parent = rootOf(dir);
  const overlap = flags.overlap as readonly string[];
  const made = checked(() =>
    createIntermediate(parent, { ...options, commonName: String(flags.cn ?? `Intermediate CA of ${cluster}`) }),
  );
  const roots = checked(() => mergeBundles([parent.certificate, ...overlap.map((file) => read(file))]));
  const files: Record<(typeof SECRET_FILES)[number], string> = {
    'ca-cert.pem': made.certificate,
    'ca-key.pem': made.key,
    'cert-chain.pem': made.chain + parent.certificate,
    'root-cert.pem': roots,
  };
  write(folder, files, flags.force === true);
  err(`${folder}: ${describeCertificate(made.certificate).subject}, good until ${until(made.certificate)}\n`);
  if (flags.secret !== true) return 0;
  const data = Object.fromEntries(SECRET_FILES.map((name) => [name, Buffer.from(files[name]).toString('base64')]));
  out(
    `${JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'cacerts', namespace: globals.istioNamespace }, data }, undefined, 2)}\n`,
  );
  return 0;
}

export async function runRevocationList({ err }: Session, flags: Flags, cluster: string | undefined): Promise<number> {
  const dir = String(flags.dir);
  const folder = clusterFolder(dir, cluster);
  const ttl = durationMs(String(flags.ttl), '--ttl');
  const root = rootOf(dir);
  const hint = `: make it first, with istioctl x certs cacerts ${cluster}`;
  const file = (name: string): string => read(join(folder, name), hint);
  const intermediate: AuthorityMaterial = {
    certificate: file('ca-cert.pem'),
    key: file('ca-key.pem'),
    chain: file('cert-chain.pem'),
    root: file('root-cert.pem'),
  };
  const now = new Date();
  const authorities = [intermediate, root];
  const issuers = checked(() => authorities.flatMap(({ certificate }) => parseCertificates(certificate).slice(0, 1)));
  const serials: string[][] = authorities.map(() => []);
  for (const path of flags.revoke as readonly string[]) {
    const revoked = checked(() => parseCertificates(read(path)))[0];
    if (revoked === undefined) throw new CliError(`${path} holds no certificate`);
    const index = issuers.findIndex((issuer) => isIssuedBy(revoked, issuer));
    if (index < 0) throw new CliError(`${path}: neither the intermediate of ${cluster} nor the root signed it`);
    serials[index]?.push(revoked.serial);
  }
  // Envoy wants a list of each authority on the way to the root, be it empty.
  const lists = checked(() =>
    authorities.map((authority, index) => createRevocationList(authority, { serials: serials[index] ?? [], ttl, now })),
  );
  write(folder, { 'ca-crl.pem': lists.join('') }, true);
  err(
    `${join(folder, 'ca-crl.pem')}: ${serials.flat().length} revoked, good until ${new Date(now.getTime() + ttl).toISOString()}\n`,
  );
  return 0;
}

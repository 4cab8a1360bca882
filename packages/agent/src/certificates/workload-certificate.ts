import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatSpiffe } from '@istio-ts/security/spiffe';
import type { AgentSettings } from '../environment.ts';
import { hostOf } from '../environment.ts';
import { asObject, field } from '../json.ts';
import type { Logger } from '../log.ts';
import type { AgentMetrics } from '../status/agent-metrics.ts';
import type { SecretStore } from '../sds/store.ts';
import { ROOT_SECRET, WORKLOAD_SECRET } from '../bootstrap/clusters.ts';
import type { FileSecrets } from './file-secrets.ts';
import type { HelperRequest, HelperResponse } from './obtain.ts';
import { clockComplaint, renewalDelay, retryDelay } from './rotation.ts';
import { TrustedRoots } from './trusted-roots.ts';
import { watchFile } from './watched-file.ts';

/** Directory where a node's own CA puts credentials (SPIFFE, as Istio and cloud platforms use it). */
const SPIFFE_CREDENTIALS = './var/run/secrets/workload-spiffe-credentials';
/** The ConfigMaps that istiod keeps in each namespace, as injection mounts them: the mesh's trust anchors, and the revocation list of its CA. */
const MOUNTED_ROOTS = './var/run/secrets/istio/root-cert.pem';
const MOUNTED_CRL = './var/run/secrets/istio/crl/ca-crl.pem';
/** As one volume, or as a volume of its own in it. */
const CRL_FOLDERS = ['./var/run/secrets/istio', './var/run/secrets/istio/crl'];
/** setTimeout cannot wait longer. */
const LONGEST_TIMER = 2 ** 31 - 1;

export interface WorkloadCertificateOptions {
  readonly settings: AgentSettings;
  readonly store: SecretStore;
  readonly files: FileSecrets;
  readonly metrics: AgentMetrics;
  readonly log: Logger;
  /** Another program that gives the workload its certificate, instead of files and the CA. */
  readonly foreign?: { want(name: string): void; readonly problem: string | undefined };
  /** Makes keys, talks to the CA and reads certificates; does not reject. */
  readonly help: (request: HelperRequest) => Promise<HelperResponse>;
}

/** Keeps the secrets `default` and `ROOTCA` of the store fresh, from files or from the CA, until closed. */
export class WorkloadCertificate {
  readonly #options: WorkloadCertificateOptions;
  readonly #roots = new TrustedRoots();
  /** Of the CA, PEM. */
  #crl: string | undefined;
  readonly #unwatch: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #problem: string | undefined;

  constructor(options: WorkloadCertificateOptions) {
    this.#options = options;
  }

  start(): void {
    const { settings, files, foreign } = this.#options;
    if (foreign !== undefined) {
      this.#follow(foreign);
      return;
    }
    const spiffe = {
      chain: join(SPIFFE_CREDENTIALS, 'certificates.pem'),
      key: join(SPIFFE_CREDENTIALS, 'private_key.pem'),
      root: join(SPIFFE_CREDENTIALS, 'ca_certificates.pem'),
    };
    const mounted = {
      chain: './etc/certs/cert-chain.pem',
      key: './etc/certs/key.pem',
      root: './etc/certs/root-cert.pem',
    };
    const source = existsSync(spiffe.chain) ? spiffe : settings.certificates.fileMounted ? mounted : undefined;
    if (source === undefined) {
      this.#watchMounted();
      void this.#obtain(0);
      return;
    }
    this.#options.log.info('workload certificate comes from files', { chain: source.chain });
    files.serve(
      WORKLOAD_SECRET,
      [source.chain, source.key],
      ([chain = '', key = '']) => ({ kind: 'certificate', chain, key }),
      ([chain = '']) => void this.#noteExpiry(chain),
    );
    files.serve(ROOT_SECRET, [source.root], ([trustedCa = '']) => ({ kind: 'root', trustedCa }));
  }

  /** Follows what istiod distributes between two renewals of the certificate. */
  #watchMounted(): void {
    const { certificates } = this.#options.settings;
    const follow = (path: string, onText: (text: string | undefined) => void, folders?: readonly string[]): void =>
      void this.#unwatch.push(watchFile(path, certificates.fileDebounceMs, onText, folders));
    // Another file is the root of another CA: that of the API server, say, which says nothing of workloads.
    if (certificates.caRootFile === MOUNTED_ROOTS)
      follow(MOUNTED_ROOTS, (text) => {
        if (text === undefined) return;
        this.#roots.mounted(text);
        this.#putRoots('the root certificates of the mesh have changed');
      });
    follow(
      MOUNTED_CRL,
      (text) => {
        this.#crl = text?.includes('-----BEGIN X509 CRL-----') ? text : undefined;
        this.#putRoots('the revocation list of the CA has changed');
      },
      CRL_FOLDERS,
    );
  }

  /** Gives Envoy the anchors once there is a certificate, and says why when they are not the first ones. */
  #putRoots(reason?: string): void {
    const { store, log } = this.#options;
    const trustedCa = this.#roots.bundle;
    if (trustedCa === undefined || (reason !== undefined && store.get(ROOT_SECRET) === undefined)) return;
    const before = store.get(ROOT_SECRET)?.version;
    store.put(ROOT_SECRET, { kind: 'root', trustedCa, ...(this.#crl !== undefined && { crl: this.#crl }) });
    if (reason === undefined || store.get(ROOT_SECRET)?.version === before) return;
    log.info(reason);
    const certificate = store.get(WORKLOAD_SECRET)?.value;
    if (certificate?.kind === 'certificate') this.#output(certificate.chain, certificate.key, trustedCa);
  }

  /** Takes certificate and anchors from another program, as they come. */
  #follow(foreign: { want(name: string): void }): void {
    const { store } = this.#options;
    const changed = (name: string): void => {
      if (name !== WORKLOAD_SECRET && name !== ROOT_SECRET) return;
      const certificate = store.get(WORKLOAD_SECRET)?.value;
      if (certificate?.kind !== 'certificate') return;
      if (name === WORKLOAD_SECRET) {
        this.#options.log.info('workload certificate received', { resourceName: WORKLOAD_SECRET });
        void this.#noteExpiry(certificate.chain);
      }
      const root = store.get(ROOT_SECRET)?.value;
      if (root?.kind === 'root') this.#output(certificate.chain, certificate.key, root.trustedCa);
    };
    this.#unwatch.push(store.subscribe(changed));
    foreign.want(WORKLOAD_SECRET);
    foreign.want(ROOT_SECRET);
  }

  /** True once Envoy can be given a certificate. */
  get available(): boolean {
    return this.#options.store.get(WORKLOAD_SECRET) !== undefined && this.#options.store.get(ROOT_SECRET) !== undefined;
  }

  /** Last failure, for the readiness probe's text. */
  get problem(): string | undefined {
    return this.#problem ?? this.#options.foreign?.problem;
  }

  async #obtain(failures: number): Promise<void> {
    const { settings, store, metrics, log } = this.#options;
    const { certificates } = settings;
    const started = Date.now();
    try {
      const identity = formatSpiffe({
        trustDomain: settings.trustDomain,
        namespace: settings.namespace,
        serviceAccount: settings.serviceAccount,
      });
      metrics.outgoingRequest('csr', WORKLOAD_SECRET);
      const answer = await this.#options.help({
        kind: 'obtain',
        ca: {
          address: certificates.caAddress,
          serverName:
            certificates.caAddress === settings.proxyConfig.discoveryAddress
              ? settings.discoverySan
              : hostOf(certificates.caAddress),
          rootFile: certificates.caRootFile,
          tls: certificates.caTls,
          tokenFile: certificates.tokenFile,
          provisioned: certificates.provisionedCertDirectory,
          clusterId: settings.clusterId,
          certSigner: certificates.certSigner,
          timeoutMs: certificates.caTimeoutMs,
        },
        identity,
        keyAlgorithm: certificates.keyAlgorithm,
        pkcs8: certificates.pkcs8,
        ttlSeconds: certificates.ttlMs / 1000,
        extraRoots: configuredRoots(settings),
      });
      if (this.#closed) return;
      if (answer.kind !== 'obtained')
        throw new Error(answer.kind === 'failed' ? answer.message : 'the helper gave another answer');
      const { chain, key, root, summary } = answer;
      // Root first: a certificate of a new root is useless to Envoy before the root itself.
      this.#roots.answered(root);
      this.#putRoots();
      store.put(WORKLOAD_SECRET, { kind: 'certificate', chain, key });
      this.#output(chain, key, this.#roots.bundle ?? root);
      this.#problem = undefined;
      metrics.certificateExpiry(WORKLOAD_SECRET, summary.notAfter);
      metrics.outgoingLatency('csr', WORKLOAD_SECRET, Date.now() - started);
      const request = { asked: started, ttl: certificates.ttlMs };
      const delay = renewalDelay(summary, request, Date.now(), certificates, Math.random());
      const complaint = clockComplaint(summary, Date.now());
      if (complaint !== undefined) log.warn(complaint, { resourceName: WORKLOAD_SECRET });
      log.info('generated new workload certificate', {
        resourceName: WORKLOAD_SECRET,
        identity: summary.spiffe,
        latency: `${Date.now() - started}ms`,
        ttl: `${Math.round((summary.notAfter - Date.now()) / 1000)}s`,
        rotationIn: `${Math.round(delay / 1000)}s`,
      });
      // A lifetime that is over at once would otherwise be a busy loop.
      this.#schedule(Math.max(500, delay), 0);
    } catch (error) {
      if (this.#closed) return;
      const delay = retryDelay(failures + 1, Math.random());
      this.#problem = error instanceof Error ? error.message : String(error);
      metrics.outgoingFailure('csr', WORKLOAD_SECRET);
      log.warn(`no workload certificate yet: ${this.#problem}`, {
        attempt: failures + 1,
        retryIn: `${Math.round(delay)}ms`,
      });
      metrics.outgoingRetry('csr');
      this.#schedule(delay, failures + 1);
    }
  }

  async #noteExpiry(chain: string): Promise<void> {
    const answer = await this.#options.help({ kind: 'describe', pem: chain });
    if (answer.kind === 'described') this.#options.metrics.certificateExpiry(WORKLOAD_SECRET, answer.summary.notAfter);
    else if (answer.kind === 'failed')
      this.#options.log.warn('mounted certificate cannot be read', { error: answer.message });
  }

  #schedule(delay: number, failures: number): void {
    const wait = Math.min(delay, LONGEST_TIMER);
    this.#timer = setTimeout(() => {
      if (wait < delay) this.#schedule(delay - wait, failures);
      else void this.#obtain(failures);
    }, wait);
  }

  /** OUTPUT_CERTS: the same for programs that read files. Each file is complete at any time. */
  #output(chain: string, key: string, root: string): void {
    const directory = this.#options.settings.certificates.outputDirectory;
    if (directory === '') return;
    try {
      mkdirSync(directory, { recursive: true });
      for (const [name, text, mode] of [
        ['root-cert.pem', root, 0o644],
        // Applications beside an agent without Envoy read the key as members of its group.
        ['key.pem', key, this.#options.settings.envoyDisabled ? 0o640 : 0o600],
        ['cert-chain.pem', chain, 0o644],
      ] as const) {
        const path = join(directory, name);
        writeFileSync(`${path}.tmp`, text, { mode });
        renameSync(`${path}.tmp`, path);
      }
    } catch (error) {
      this.#options.log.error('certificates cannot be written', { directory, error: String(error) });
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const unwatch of this.#unwatch) unwatch();
  }
}

/** Further trust anchors of ProxyConfig (`caCertificatesPem`). */
function configuredRoots(settings: AgentSettings): readonly string[] {
  const list = field(asObject(settings.proxyConfig.raw), 'caCertificatesPem');
  return Array.isArray(list) ? list.filter((entry): entry is string => typeof entry === 'string') : [];
}

import type { FSWatcher } from 'node:fs';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { KubeApiError, type KubeClient, type Watch } from '@istio-ts/kube';
import {
  type AuthorityMaterial,
  bundleFingerprints,
  type CertificateAuthority,
  describeCertificate,
  loadAuthority,
} from '@istio-ts/security';
import type { Logger } from '../log.ts';
import { type MaterialFiles, MaterialError, readMaterial } from './material.ts';
import { dueStep, type RotationRule } from './root-rotation.ts';
import {
  filesOfSecret,
  findSecret,
  isPluggedIn,
  pluggedInSecretName,
  rootOfSecret,
  secretOfRoot,
  selfSignedSecret,
  selfSignedSecretName,
} from './root-secret.ts';

/**
 * How long a new trust anchor of a plugged-in CA is given to reach all proxies before certificates lead to it: kubelets bring a changed ConfigMap into
 * pods within about a minute, and agents take it at once. Where certificates live shorter, everybody has asked for a new one sooner.
 */
const PROPAGATION_MS = 120_000;

/** Where the CA comes from. */
export type AuthoritySource = 'plugged in' | 'self-signed' | 'new';

export interface AuthorityKeeperOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly rule: RotationRule;
  readonly defaultWorkloadTtlMs: number;
  /** CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL, milliseconds. */
  readonly checkIntervalMs: number;
  /** How long after the start the first check comes; replicas choose different ones. */
  readonly firstCheckMs: number;
  /** USE_CACERTS_FOR_SELF_SIGNED_CA: the self-signed root is in the Secret `cacerts`. */
  readonly selfSignedInCacerts: boolean;
  /** The folder with the files of a plugged-in CA (ROOT_CA_DIR); empty where it holds none. */
  readonly folder: { read(): MaterialFiles; watch(onChange: () => void): Pick<FSWatcher, 'close'> };
  readonly now: () => Date;
  /** `setTimeout`; the result cancels. */
  readonly after: (ms: number, work: () => void) => () => void;
  /** Hears of material that was taken into force, or refused. */
  readonly onOutcome: (outcome: 'taken' | 'refused') => void;
  readonly log: Logger;
}

/** The CA in force, and who wants to hear of changes. */
export interface AuthorityKeeper {
  readonly source: AuthoritySource;
  current(): CertificateAuthority;
  /** `ca-crl.pem` of a plugged-in CA. */
  crl(): string | undefined;
  /** Why the newest material is not in force; undefined when it is. */
  problem(): string | undefined;
  /** `listener` is called after each change of the authority, its anchors or its revocation list. */
  subscribe(listener: () => void): void;
  /** Looks at the stored material now. Does not reject. */
  look(): Promise<void>;
  close(): void;
}

interface Found {
  readonly material: AuthorityMaterial;
  readonly crl: string | undefined;
  readonly source: AuthoritySource;
  readonly where: string;
}

/**
 * Loads the CA and keeps it current without restarts: the operator's `cacerts` (Secret, else folder) where there is one, else the self-signed root, which
 * is made when it is missing and rotated before its end (root-rotation.ts). What cannot be used is refused and the last good CA stays. Rejects when
 * there is none to begin with.
 */
export async function keepAuthority(options: AuthorityKeeperOptions): Promise<AuthorityKeeper> {
  const { client, namespace, rule, folder, now, log } = options;
  const selfSignedName = options.selfSignedInCacerts ? pluggedInSecretName : selfSignedSecretName;

  /** Reads what is stored, after the step of rotation that is due has been taken. */
  const find = async (mayCreate: boolean): Promise<Found> => {
    // Without rights on Secrets the folder is what there is.
    const secret = await findSecret(client, pluggedInSecretName, namespace).catch((error: unknown) => {
      if (error instanceof KubeApiError && error.status === 403 && hasMaterial(folder.read())) return undefined;
      throw error;
    });
    const pluggedIn = (files: MaterialFiles, where: string): Found => ({
      material: readMaterial(files, where),
      crl: files['ca-crl.pem'] || undefined,
      source: 'plugged in',
      where,
    });
    if (secret && isPluggedIn(secret))
      return pluggedIn(filesOfSecret(secret), `secret ${namespace}/${pluggedInSecretName}`);
    const files = secret ? {} : folder.read();
    if (hasMaterial(files)) return pluggedIn(files, 'the folder of CA certificates');
    if (
      !mayCreate &&
      (selfSignedName === pluggedInSecretName ? secret : await findSecret(client, selfSignedName, namespace)) ===
        undefined
    )
      throw new MaterialError(
        `secret ${namespace}/${selfSignedName} is gone: istiod makes a new root when it starts again, not while certificates of the old one are in use`,
      );
    const { secret: stored, isNew } = await selfSignedSecret(client, {
      ...{ namespace, name: selfSignedName, rule, now: now() },
    });
    const root = rootOfSecret(stored);
    const where = `secret ${namespace}/${selfSignedName}`;
    const step = dueStep(root, rule, now());
    const source = isNew ? 'new' : 'self-signed';
    if (step === undefined) return { material: root.material, crl: undefined, source, where };
    try {
      // The version read goes along: of several replicas one takes the step, the others see it.
      await client.update(kubernetesTypes.Secret, secretOfRoot(step.stored, stored.metadata));
    } catch (error) {
      if (!(error instanceof KubeApiError && error.status === 409))
        log.warn(
          `the root certificate cannot be rotated, it is tried again: ${error instanceof Error ? error.message : error}`,
        );
      return { material: root.material, crl: undefined, source, where };
    }
    switch (step.kind) {
      case 'published':
        log.info('a successor of the root certificate is made and trusted; the old one still signs');
        break;
      case 'switched':
        log.info('the successor of the root certificate signs now; the old one is trusted until its end');
        break;
      case 'retired':
        log.info('a root certificate that has ended is trusted no longer');
        break;
    }
    return { material: step.stored.material, crl: undefined, source, where };
  };

  const load = (material: AuthorityMaterial): CertificateAuthority => {
    const authority = loadAuthority(material, {
      maxTtl: rule.maxWorkloadTtlMs,
      defaultTtl: options.defaultWorkloadTtlMs,
    });
    const { notBefore, notAfter } = describeCertificate(material.certificate);
    if (notAfter <= now()) throw new MaterialError(`ca-cert.pem: the certificate ended at ${notAfter.toISOString()}`);
    if (notBefore > now())
      throw new MaterialError(`ca-cert.pem: the certificate is not valid before ${notBefore.toISOString()}`);
    return authority;
  };

  const first = await find(true);
  const state = { authority: load(first.material), crl: first.crl, source: first.source };
  let problem: string | undefined;
  /** The material that was looked at last, so that nothing is said twice. */
  let seen = JSON.stringify([first.material, first.crl]);
  let cancelSwitch: (() => void) | undefined;
  const listeners = new Set<() => void>();
  const changed = (): void => {
    for (const listener of listeners) listener();
  };

  /** Puts another CA into force, in the order that loses no request: anchors first. Raises MaterialError where that is not possible. */
  const replace = (found: Found): void => {
    const wanted = load(found.material);
    const before = state.authority;
    cancelSwitch?.();
    cancelSwitch = undefined;
    const known = bundleFingerprints(before.root);
    const future = bundleFingerprints(wanted.root);
    if (!future.has(before.anchor.fingerprint)) {
      throw new MaterialError(
        `root-cert.pem lacks the root certificate in force, "${before.anchor.subject}" (SHA-256 ${before.anchor.fingerprint}), so proxies would refuse each other: put old and new roots into it together, and take the old one out when all certificates have been renewed; or restart istiod to replace it at once`,
      );
    }
    state.crl = found.crl;
    state.source = found.source;
    if (known.has(wanted.anchor.fingerprint)) {
      state.authority = wanted;
      log.info(
        `${found.where} is in force: certificates are signed by "${describeCertificate(found.material.certificate).subject}" until ${wanted.notAfter.toISOString()}, ${future.size} trust anchors`,
      );
      return;
    }
    const patience = Math.min(PROPAGATION_MS, rule.maxWorkloadTtlMs);
    state.authority = load({ ...before.material, root: wanted.root });
    log.info(
      `${found.where} brings a new root certificate, "${wanted.anchor.subject}": it is trusted now and signs in ${patience / 1000} s, when proxies have it`,
    );
    cancelSwitch = options.after(patience, () => {
      cancelSwitch = undefined;
      state.authority = wanted;
      log.info(`certificates lead to "${wanted.anchor.subject}" now`);
      changed();
    });
  };

  const lookNow = async (): Promise<void> => {
    let found: Found;
    try {
      found = await find(false);
    } catch (error) {
      if (!(error instanceof MaterialError)) {
        log.warn(`the CA's secrets cannot be read now: ${error instanceof Error ? error.message : error}`);
        return;
      }
      seen = '';
      return refuse(error.message);
    }
    const text = JSON.stringify([found.material, found.crl]);
    if (text === seen) return;
    seen = text;
    try {
      replace(found);
    } catch (error) {
      return refuse(`${found.where}: ${error instanceof Error ? error.message : error}`);
    }
    problem = undefined;
    options.onOutcome('taken');
    changed();
  };
  const refuse = (reason: string): void => {
    if (problem === reason) return;
    problem = reason;
    options.onOutcome('refused');
    log.error(
      `the new CA is not taken, the last good one stays in force until ${state.authority.notAfter.toISOString()}: ${reason}`,
    );
  };

  let closed = false;
  let running: Promise<void> | undefined;
  let again = false;
  const look = async (): Promise<void> => {
    if (closed) return;
    if (running) {
      again = true;
      return running;
    }
    running = (async () => {
      do {
        again = false;
        await lookNow();
      } while (again && !closed);
    })().finally(() => {
      running = undefined;
    });
    return running;
  };

  const watches: Watch[] = [...new Set([pluggedInSecretName, selfSignedName])].map((name) =>
    client.watch(
      kubernetesTypes.Secret,
      { namespace, fieldSelector: `metadata.name=${name}` },
      (event) => {
        if (event.type !== 'SYNCED') void look();
      },
      (error) => log.debug(`watch of secret ${name}: ${error.message}`),
    ),
  );
  const folderWatch = folder.watch(() => void look());
  let cancelCheck = (): void => undefined;
  const check = (ms: number): void => {
    cancelCheck = options.after(ms, () => {
      void look().then(() => closed || check(options.checkIntervalMs));
    });
  };
  check(options.firstCheckMs);

  return {
    get source() {
      return state.source;
    },
    current: () => state.authority,
    crl: () => state.crl,
    problem: () => problem,
    subscribe: (listener) => void listeners.add(listener),
    look,
    close: () => {
      closed = true;
      cancelCheck();
      cancelSwitch?.();
      folderWatch.close();
      for (const watch of watches) watch.close();
    },
  };
}

const hasMaterial = (files: MaterialFiles): boolean =>
  Boolean(files['ca-cert.pem'] || files['tls.crt'] || files['ca-key.pem'] || files['tls.key']);

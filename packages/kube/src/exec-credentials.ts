import { spawn } from 'node:child_process';

/** A credential plugin of a kubeconfig (`users[].user.exec`). */
export interface ExecSpec {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: readonly (readonly [string, string])[];
  /** The plugin may ask on the terminal. */
  readonly interactive: boolean;
  readonly installHint: string;
  /** Told to the plugin when the kubeconfig asks for it (`provideClusterInfo`). */
  readonly cluster?: Readonly<Record<string, unknown>>;
}

/** What a plugin answered. `expiresAt` is in milliseconds since the epoch; absent: valid as long as the process lives. */
export interface ExecCredential {
  readonly token?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly expiresAt?: number;
}

const maxOutput = 1 << 20;
const timeoutMs = 60_000;

/**
 * Runs a credential plugin. Throws an `Error` that names the command when it is missing, fails, or answers nonsense.
 * Protocol: Kubernetes documentation, "Authenticating", section "client-go credential plugins".
 */
export async function runExecPlugin(
  spec: ExecSpec,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ExecCredential> {
  const interactive = spec.interactive && process.stdin.isTTY === true;
  const info = {
    apiVersion: spec.apiVersion,
    kind: 'ExecCredential',
    spec: { interactive, ...(spec.cluster && { cluster: spec.cluster }) },
  };
  const output = await new Promise<string>((resolve, reject) => {
    const child = spawn(spec.command, [...spec.args], {
      env: { ...env, ...Object.fromEntries(spec.env), KUBERNETES_EXEC_INFO: JSON.stringify(info) },
      stdio: [interactive ? 'inherit' : 'ignore', 'pipe', 'inherit'],
      timeout: timeoutMs,
    });
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.length > maxOutput) child.kill();
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      const hint = error.code === 'ENOENT' && spec.installHint ? ` ${spec.installHint}` : '';
      reject(new Error(`Cannot run the credential plugin ${spec.command}: ${error.message}.${hint}`));
    });
    child.on('close', (code, signal) => {
      if (code === 0) resolve(text);
      else reject(new Error(`The credential plugin ${spec.command} failed (${signal ?? `exit code ${code}`}).`));
    });
  });
  return readCredential(output, spec);
}

function readCredential(output: string, spec: ExecSpec): ExecCredential {
  const bad = (reason: string): Error => new Error(`The credential plugin ${spec.command} ${reason}.`);
  let answer: unknown;
  try {
    answer = JSON.parse(output);
  } catch {
    throw bad('did not answer with JSON');
  }
  const root = answer as { readonly apiVersion?: unknown; readonly status?: Readonly<Record<string, unknown>> } | null;
  if (root?.apiVersion !== spec.apiVersion) {
    throw bad(`answered with apiVersion ${String(root?.apiVersion)} instead of ${spec.apiVersion}`);
  }
  const status = root.status ?? {};
  const string = (name: string): string | undefined =>
    typeof status[name] === 'string' && status[name] !== '' ? status[name] : undefined;
  const token = string('token');
  const cert = string('clientCertificateData');
  const key = string('clientKeyData');
  if (token === undefined && (cert === undefined || key === undefined)) {
    throw bad('answered with neither a token nor a client certificate and key');
  }
  const expires = string('expirationTimestamp');
  const expiresAt = expires === undefined ? Number.NaN : Date.parse(expires);
  return {
    ...(token !== undefined && { token }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(!Number.isNaN(expiresAt) && { expiresAt }),
  };
}

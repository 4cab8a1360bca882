import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ImagesError } from '../images-error.ts';

/** How this user logs in to a registry. */
export type Credentials =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  /** What a token server gave to be asked with again, instead of with the password (OAuth2's refresh token). */
  | { readonly kind: 'identityToken'; readonly token: string };

/** A login that is there, but cannot be read. The message never shows a part of it. */
export class CredentialsError extends ImagesError {
  readonly registry: string;
  constructor(message: string, registry: string) {
    super(message);
    this.registry = registry;
  }
}

interface DockerConfig {
  readonly auths?: Readonly<Record<string, DockerAuth | undefined>>;
  readonly credHelpers?: Readonly<Record<string, string | undefined>>;
  readonly credsStore?: string;
}

interface DockerAuth {
  /** `USER:PASSWORD` in base64. */
  readonly auth?: unknown;
  readonly identitytoken?: unknown;
}

/** Milliseconds that a helper may take; some ask a person. */
const PATIENCE = 60_000;

/** The user that helpers name beside an identity token. */
const TOKEN_USER = '<token>';

/** What helpers print, and end with an error, when they keep nothing for a registry (docker-credential-helpers). */
const NOTHING_KEPT =
  /^(credentials not found in native keychain|no credentials server URL|no credentials username)\s*$/;

/**
 * What `docker login` (or `podman login` with docker's file) has left for a registry: in the file itself or with a helper program, which may take `patience`
 * milliseconds. Undefined when there is nothing. Raises CredentialsError when there is something that cannot be understood.
 */
export function dockerCredentials(
  registry: string,
  env: NodeJS.ProcessEnv,
  patience: number = PATIENCE,
): Credentials | undefined {
  const path = join(env.DOCKER_CONFIG || join(env.HOME || homedir(), '.docker'), 'config.json');
  const config = readConfig(path, registry);
  if (config === undefined) return undefined;
  const names =
    registry === 'docker.io' ? ['https://index.docker.io/v1/', 'docker.io'] : [registry, `https://${registry}`];
  for (const name of names) {
    const helper = config.credHelpers?.[name] || config.credsStore;
    const helped = helper ? fromHelper(helper, name, env, patience) : undefined;
    if (helped !== undefined) return helped;
    const { auth, identitytoken } = config.auths?.[name] ?? {};
    if (typeof identitytoken === 'string' && identitytoken !== '')
      return { kind: 'identityToken', token: identitytoken };
    if (auth === undefined || auth === '') continue;
    const plain = typeof auth === 'string' ? Buffer.from(auth, 'base64').toString('utf8') : '';
    const colon = plain.indexOf(':');
    if (colon < 0) throw new CredentialsError(`${path}: "auth" of ${name} is not USER:PASSWORD in base64`, registry);
    return { kind: 'password', user: plain.slice(0, colon), password: plain.slice(colon + 1) };
  }
  return undefined;
}

function readConfig(path: string, registry: string): DockerConfig | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new CredentialsError(`cannot read ${path}: ${code ?? message}`, registry);
  }
  const config = parsed(text);
  if (config === undefined) throw new CredentialsError(`${path} is not JSON with docker's settings`, registry);
  return config;
}

/** An object out of JSON; undefined for anything else. The parser's own message would show a part of the text, in which there are passwords. */
function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function fromHelper(
  helper: string,
  registry: string,
  env: NodeJS.ProcessEnv,
  patience: number,
): Credentials | undefined {
  const program = `docker-credential-${helper}`;
  const failed = (what: string): CredentialsError =>
    new CredentialsError(`${program}, which keeps the login for ${registry}, ${what}`, registry);
  const { error, status, signal, stdout } = spawnSync(program, ['get'], {
    input: registry,
    encoding: 'utf8',
    env,
    timeout: patience,
    killSignal: 'SIGKILL',
  });
  if (error !== undefined) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ETIMEDOUT') throw failed(`did not answer within ${patience / 1000} s`);
    if (code === 'ENOENT') throw failed('is not in PATH');
    // A helper that does not read what it is asked for may still answer.
    if (code !== 'EPIPE') throw failed(`cannot be started: ${code}`);
  }
  if (status !== 0) {
    if (NOTHING_KEPT.test(stdout)) return undefined;
    throw failed(status === null ? `was ended by ${signal}` : `ended with status ${status}`);
  }
  const answer = parsed(stdout) as { readonly Username?: unknown; readonly Secret?: unknown } | undefined;
  if (typeof answer?.Username !== 'string' || typeof answer.Secret !== 'string')
    throw failed('does not answer with a Username and a Secret as JSON');
  const { Username: user, Secret: secret } = answer;
  // Some say with an empty answer that they keep nothing.
  if (user === '' && secret === '') return undefined;
  return user === TOKEN_USER ? { kind: 'identityToken', token: secret } : { kind: 'password', user, password: secret };
}

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** How this user logs in to a registry. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

interface DockerConfig {
  readonly auths?: Readonly<Record<string, { readonly auth?: string } | undefined>>;
  readonly credHelpers?: Readonly<Record<string, string | undefined>>;
  readonly credsStore?: string;
}

/**
 * What `docker login` (or `podman login` with docker's file) has left for a registry: in the file itself or with a helper program. Undefined when there is
 * nothing. Throws an Error when the file cannot be understood.
 */
export function dockerCredentials(registry: string, env: NodeJS.ProcessEnv): Credentials | undefined {
  const path = join(env.DOCKER_CONFIG || join(env.HOME ?? '/root', '.docker'), 'config.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  let config: DockerConfig;
  try {
    config = JSON.parse(text) as DockerConfig;
  } catch {
    // The parser's own message would show a part of the file, in which there are passwords.
    throw new Error(`${path} is not JSON`);
  }
  const names =
    registry === 'docker.io' ? ['https://index.docker.io/v1/', 'docker.io'] : [registry, `https://${registry}`];
  for (const name of names) {
    const helper = config.credHelpers?.[name] ?? config.credsStore;
    const helped = helper === undefined ? undefined : fromHelper(helper, name);
    if (helped !== undefined) return helped;
    const auth = config.auths?.[name]?.auth;
    if (auth) {
      const plain = Buffer.from(auth, 'base64').toString('utf8');
      const colon = plain.indexOf(':');
      return { user: plain.slice(0, colon), password: plain.slice(colon + 1) };
    }
  }
  return undefined;
}

function fromHelper(helper: string, registry: string): Credentials | undefined {
  const { status, stdout } = spawnSync(`docker-credential-${helper}`, ['get'], { input: registry, encoding: 'utf8' });
  if (status !== 0) return undefined;
  const answer = JSON.parse(stdout) as { readonly Username?: string; readonly Secret?: string };
  return answer.Username === undefined || answer.Secret === undefined
    ? undefined
    : { user: answer.Username, password: answer.Secret };
}

import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, clusterCommands, environmentOf } from './cluster.ts';

/** A local cluster of the tests' own: other name, other state folder, other kubeconfig than the user's. Its home is removed again by `down`. */
export async function startLocalCluster(): Promise<Cluster> {
  const name = `e2e-${process.pid}`;
  const home = mkdtempSync(join(tmpdir(), 'istio-ts-e2e-'));
  const users = process.env.ISTIO_TS_HOME || join(homedir(), '.istio-ts');
  const installed = join(users, 'envoy');
  if (existsSync(installed)) symlinkSync(installed, join(home, 'envoy'));
  mkdirSync(join(home, 'bin'), { recursive: true });
  const env = { ...environmentOf(join(home, 'kubeconfig'), [join(users, 'bin')]), ISTIO_TS_HOME: home };
  const commands = clusterCommands(env);

  const down = async () => {
    await commands.tryIstioctl('local', 'down', '--name', name, '--wipe');
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await commands.istioctl('local', 'up', '--name', name);
  } catch (error) {
    const logs = await commands.tryIstioctl('local', 'logs', '--name', name);
    await down();
    throw new Error(`${(error as Error).message}\n${logs.stdout.slice(-4000)}`);
  }
  return { name, home, env, ...commands, down };
}

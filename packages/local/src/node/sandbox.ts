import { existsSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../controllers/kinds.ts';
import { nameOf, namespaceOf, uidOf } from '../controllers/kinds.ts';
import { type AddressPool, NODE_ADDRESS } from '../network/addresses.ts';
import type { RunCommand } from '../network/command.ts';
import { createPodNetwork, deletePodNetwork, namespacePath, podNamespace } from '../network/namespace.ts';
import type { CniChain } from './cni.ts';
import type { PodPaths } from './paths.ts';
import { hostsFile, podHostname, resolvFile } from './pod-files.ts';

/** What a pod's containers share. Kept as JSON in the pod's directory so that a later process of the cluster finds it again. */
export interface Sandbox {
  /** Name of the network namespace. */
  readonly namespace: string;
  readonly address: string;
  readonly hostname: string;
  readonly hostNetwork: boolean;
  readonly podNamespace: string;
  readonly podName: string;
  readonly uid: string;
}

export interface SandboxContext {
  readonly cluster: string;
  readonly nodeName: string;
  readonly run: RunCommand;
  readonly addresses: AddressPool;
  readonly cni: CniChain;
}

/** Makes the network and the `/etc` files of a pod. Throws an Error with the reason; nothing is left behind then. */
export async function createSandbox(context: SandboxContext, pod: Pod, paths: PodPaths): Promise<Sandbox> {
  const hostNetwork = pod.spec.hostNetwork === true;
  const uid = uidOf(pod);
  const sandbox: Sandbox = {
    namespace: hostNetwork ? context.cluster : podNamespace(context.cluster, uid),
    address: hostNetwork ? NODE_ADDRESS : context.addresses.allocate(),
    hostname: hostNetwork ? context.nodeName : podHostname(pod),
    hostNetwork,
    podNamespace: namespaceOf(pod),
    podName: nameOf(pod),
    uid,
  };
  try {
    await fs.mkdir(join(paths.etc, 'etc'), { recursive: true, mode: 0o755 });
    const hostResolv = await fs.readFile('/etc/resolv.conf', 'utf8').catch(() => '');
    await Promise.all([
      fs.writeFile(join(paths.etc, 'etc/hosts'), hostsFile(pod, sandbox.address)),
      fs.writeFile(join(paths.etc, 'etc/hostname'), `${sandbox.hostname}\n`),
      fs.writeFile(join(paths.etc, 'etc/resolv.conf'), resolvFile(pod, hostResolv)),
    ]);
    if (!hostNetwork) {
      const sysctls = pod.spec.securityContext?.sysctls ?? [];
      const { namespace, address } = sandbox;
      await createPodNetwork(context.run, { namespace, podUid: uid, address, sysctls });
      await context.cni.add(cniCall(sandbox));
    }
    await fs.writeFile(paths.sandbox, JSON.stringify(sandbox));
    return sandbox;
  } catch (error) {
    await removeSandbox(context, sandbox).catch(() => {});
    throw error;
  }
}

/** The sandbox an earlier process made, if its namespace still exists. */
export async function loadSandbox(paths: PodPaths): Promise<Sandbox | undefined> {
  try {
    const sandbox: Sandbox = JSON.parse(await fs.readFile(paths.sandbox, 'utf8'));
    return existsSync(namespacePath(sandbox.namespace)) ? sandbox : undefined;
  } catch {
    // None was made, or not to the end.
    return undefined;
  }
}

export async function removeSandbox(context: SandboxContext, sandbox: Sandbox): Promise<void> {
  if (sandbox.hostNetwork) return;
  await context.cni.remove(cniCall(sandbox));
  await deletePodNetwork(context.run, sandbox.namespace, sandbox.uid);
  context.addresses.release(sandbox.address);
}

function cniCall(sandbox: Sandbox) {
  return {
    containerId: sandbox.uid.replaceAll('-', '').padEnd(64, '0'),
    netns: namespacePath(sandbox.namespace),
    podNamespace: sandbox.podNamespace,
    podName: sandbox.podName,
    podUid: sandbox.uid,
    address: sandbox.address,
    gateway: NODE_ADDRESS,
  };
}

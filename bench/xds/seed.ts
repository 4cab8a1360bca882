import { setTimeout as sleep } from 'node:timers/promises';
import { customResourceDefinitions } from '@istio-ts/api/crds';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';
import * as fixture from './fixture.ts';

const ifAbsent = (error: { readonly reason?: string }): void => {
  if (error.reason !== 'AlreadyExists') throw error;
};

async function inParallel(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (next < count) await work(next++);
    }),
  );
}

const established = (crd: KubeObject): boolean =>
  (
    (crd.status as { readonly conditions?: readonly { readonly type: string; readonly status: string }[] } | undefined)
      ?.conditions ?? []
  ).some(({ type, status }) => type === 'Established' && status === 'True');

/** Installs the definitions of Istio's kinds and makes istiod's namespace, where they are missing. */
export async function prepareCluster(client: KubeClient): Promise<void> {
  const type = kubernetesTypes.CustomResourceDefinition;
  for (const crd of customResourceDefinitions()) {
    await client.create(type, crd as unknown as KubeObject).catch(ifAbsent);
    const name = crd.metadata.name ?? '';
    for (const until = Date.now() + 30_000; !established(await client.get(type, name)); await sleep(50))
      if (Date.now() > until) throw new Error(`the definition ${name} is not established after 30 s`);
  }
  await client
    .create(kubernetesTypes.Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system' } })
    .catch(ifAbsent);
}

/** Seeds a synthetic mesh; what is there already stays, so a smaller mesh is part of a larger one. */
export class Seeder {
  readonly #client: KubeClient;
  #services = 0;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  async seed(size: fixture.Size): Promise<void> {
    const client = this.#client;
    if (this.#services === 0)
      await inParallel(size.namespaces, (n) =>
        client.create(kubernetesTypes.Namespace, fixture.namespaceObject(n)).catch(ifAbsent),
      );
    const first = this.#services;
    await inParallel(size.services - first, async (index) => {
      const s = first + index;
      const namespace = fixture.namespaceOf(size, s);
      for (let e = 0; e < size.endpoints; e++) await this.#pod(size, s, e);
      await client
        .create(kubernetesTypes.Service, fixture.serviceObject(fixture.serviceName(s), namespace))
        .catch(ifAbsent);
      await client.create(kubernetesTypes.EndpointSlice, fixture.sliceObject(size, s)).catch(ifAbsent);
    });
    this.#services = Math.max(this.#services, size.services);
  }

  async #pod(size: fixture.Size, s: number, e: number): Promise<void> {
    const pod = fixture.podObject(size, s, e);
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#client.create(kubernetesTypes.Pod, pod);
        break;
      } catch (error) {
        // A real cluster's service account controller needs a moment in a new namespace.
        const { reason } = error as { reason?: string };
        if (reason === 'AlreadyExists') break;
        if (reason !== 'Forbidden' || attempt > 200) throw error;
        await sleep(250);
      }
    }
    await this.#client.patch(
      kubernetesTypes.Pod,
      fixture.podName(s, e),
      fixture.namespaceOf(size, s),
      'strategic',
      fixture.podStatus(fixture.address(s * size.endpoints + e)) as never,
      { subresource: 'status' },
    );
  }

  /** Deletes the seeded namespaces and what is in them. */
  async unseed(): Promise<void> {
    const { items } = await this.#client.list(kubernetesTypes.Namespace, { labelSelector: fixture.OWNED });
    for (const { metadata } of items) await this.#client.delete(kubernetesTypes.Namespace, metadata.name ?? '');
  }
}

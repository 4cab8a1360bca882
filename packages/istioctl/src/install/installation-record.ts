import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { VERSION } from '@istio-ts/api/version';
import type { JsonObject } from '@istio-ts/charts';
import { KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { fieldManager } from './apply.ts';
import { revisionSuffix } from './control-planes.ts';
import type { GivenSettings } from './input.ts';
import { ownershipLabels } from './ownership.ts';

/**
 * What an installation leaves in the cluster about itself: with which settings, and whether it came to its end. An upgrade keeps the settings, verify-install
 * checks against them, and the next installation knows of one that was interrupted.
 */
export interface InstallationRecord {
  readonly version: string;
  readonly profile: string;
  /** What the user set (files, --set), without what profiles add. */
  readonly settings: GivenSettings;
  readonly complete: boolean;
  /** RFC 3339. */
  readonly at: string;
}

const nameFor = (revision: string) => `istio-installation${revisionSuffix(revision)}`;

/** The record as an object of the cluster, owned by its revision. */
export function recordObject(record: InstallationRecord, revision: string, namespace: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: nameFor(revision),
      namespace,
      labels: {
        [ownershipLabels.component]: 'Pilot',
        [ownershipLabels.revision]: revision,
        [ownershipLabels.version]: record.version,
      },
    },
    data: {
      version: record.version,
      profile: record.profile,
      settings: JSON.stringify(record.settings.spec),
      sets: JSON.stringify(record.settings.sets),
      complete: String(record.complete),
      at: record.at,
    },
  };
}

/** The record of a revision, or undefined where there is none or it may not be read. */
export async function readRecord(
  client: KubeClient,
  revision: string,
  namespace: string,
): Promise<InstallationRecord | undefined> {
  let object: KubeObject;
  try {
    object = await client.get(kubernetesTypes.ConfigMap, nameFor(revision), namespace);
  } catch (error) {
    if (error instanceof KubeApiError && (error.status === 404 || error.status === 403)) return undefined;
    throw error;
  }
  const data = (object.data ?? {}) as Readonly<Record<string, string>>;
  try {
    return {
      version: data.version ?? VERSION,
      profile: data.profile ?? 'default',
      settings: {
        spec: JSON.parse(data.settings ?? '{}') as JsonObject,
        sets: JSON.parse(data.sets ?? '[]') as readonly string[],
      },
      complete: data.complete === 'true',
      at: data.at ?? '',
    };
  } catch {
    // Someone edited it: as good as none.
    return undefined;
  }
}

/** Writes the record. Raises KubeApiError. */
export async function writeRecord(
  client: KubeClient,
  record: InstallationRecord,
  revision: string,
  namespace: string,
): Promise<void> {
  await client.patch(
    kubernetesTypes.ConfigMap,
    nameFor(revision),
    namespace,
    'apply',
    recordObject(record, revision, namespace),
    { fieldManager, force: true },
  );
}

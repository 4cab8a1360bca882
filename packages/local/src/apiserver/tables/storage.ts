import { asArray, asObject, asString } from '../json.ts';
import { spec, status } from './cells.ts';
import { AGE, type Column, NAME, text, wide } from './columns.ts';

function shortMode(mode: unknown): string {
  const names: Readonly<Record<string, string>> = {
    ReadWriteOnce: 'RWO',
    ReadOnlyMany: 'ROX',
    ReadWriteMany: 'RWX',
    ReadWriteOncePod: 'RWOP',
  };
  return names[String(mode)] ?? String(mode);
}

/** Columns of volumes, of the claims to them and of their classes. */
export const STORAGE_COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  '/persistentvolumeclaims': [
    NAME,
    text('Status', (object) =>
      object.metadata.deletionTimestamp === undefined ? asString(status(object).phase) : 'Terminating',
    ),
    text('Volume', (object) => asString(spec(object).volumeName)),
    text('Capacity', (object) => asString(asObject(status(object).capacity).storage)),
    text('Access Modes', (object) => asArray(status(object).accessModes).map(shortMode).join(',')),
    text('StorageClass', (object) => asString(spec(object).storageClassName)),
    text('VolumeAttributesClass', (object) => asString(spec(object).volumeAttributesClassName) || '<unset>'),
    AGE,
    wide('VolumeMode', (object) => asString(spec(object).volumeMode)),
  ],
  '/persistentvolumes': [
    NAME,
    text('Capacity', (object) => asString(asObject(spec(object).capacity).storage)),
    text('Access Modes', (object) => asArray(spec(object).accessModes).map(shortMode).join(',')),
    text('Reclaim Policy', (object) => asString(spec(object).persistentVolumeReclaimPolicy)),
    text('Status', (object) => asString(status(object).phase)),
    text('Claim', (object) => {
      const claim = asObject(spec(object).claimRef);
      return claim.name === undefined ? '' : `${asString(claim.namespace)}/${asString(claim.name)}`;
    }),
    text('StorageClass', (object) => asString(spec(object).storageClassName)),
    text('Reason', (object) => asString(status(object).reason)),
    AGE,
  ],
  'storage.k8s.io/storageclasses': [
    {
      ...NAME,
      cell: (object) =>
        `${object.metadata.name}${object.metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true' ? ' (default)' : ''}`,
    },
    text('Provisioner', (object) => asString(object.provisioner)),
    text('ReclaimPolicy', (object) => asString(object.reclaimPolicy)),
    text('VolumeBindingMode', (object) => asString(object.volumeBindingMode)),
    { name: 'AllowVolumeExpansion', type: 'boolean', cell: (object) => object.allowVolumeExpansion === true },
    AGE,
  ],
};

import { createHash } from 'node:crypto';
import { type Component, distinct, identityOf } from '../sources/component.ts';

export const SPDX_MEDIA_TYPE = 'application/spdx+json';

/** An image a bill of materials is about. */
export interface DescribedContent {
  /** Name with tag. */
  readonly reference: string;
  /** Digest of its manifest or index: `sha256:…`. */
  readonly digest: string;
  readonly components: readonly Component[];
}

/** An identifier that people recognise, different for each `identity`. */
const identifier = (text: string, identity = text): string =>
  `SPDXRef-${text.replace(/[^A-Za-z0-9.]+/g, '-').slice(0, 120)}-${createHash('sha256').update(identity).digest('hex').slice(0, 8)}`;

/** A bill of materials in SPDX 2.3's JSON: each image contains its packages. The same images give the same document; `seconds` is its time. */
export function spdxDocument(name: string, images: readonly DescribedContent[], seconds: number): string {
  const packages = new Map<string, object>();
  const relationships: object[] = [];
  const key = createHash('sha256')
    .update(images.map(({ reference, digest }) => reference + digest).join('\n'))
    .digest('hex');
  for (const { reference, digest, components } of images) {
    const image = identifier(reference);
    packages.set(image, {
      SPDXID: image,
      name: reference,
      versionInfo: digest,
      downloadLocation: 'NOASSERTION',
      filesAnalyzed: false,
      licenseConcluded: 'NOASSERTION',
      licenseDeclared: 'Apache-2.0',
      copyrightText: 'NOASSERTION',
      primaryPackagePurpose: 'CONTAINER',
      checksums: [{ algorithm: 'SHA256', checksumValue: digest.replace('sha256:', '') }],
    });
    relationships.push({ spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: image });
    for (const component of distinct(components)) {
      const id = identifier(component.purl, identityOf(component));
      packages.set(id, spdxPackage(id, component));
      relationships.push({ spdxElementId: image, relationshipType: 'CONTAINS', relatedSpdxElement: id });
    }
  }
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name,
    documentNamespace: `urn:istio-ts:sbom:${key}`,
    creationInfo: {
      created: new Date(seconds * 1000).toISOString().replace('.000Z', 'Z'),
      creators: ['Tool: istio-ts-images'],
    },
    packages: [...packages.values()],
    relationships,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

const spdxPackage = (id: string, { name, version, purl, licence, sha256, sha512 }: Component): object => ({
  SPDXID: id,
  name,
  versionInfo: version,
  downloadLocation: 'NOASSERTION',
  filesAnalyzed: false,
  licenseConcluded: 'NOASSERTION',
  // The texts of Debian's packages are in the images: /usr/share/doc/PACKAGE/copyright.
  licenseDeclared: licence ?? 'NOASSERTION',
  copyrightText: 'NOASSERTION',
  externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
  ...((sha256 !== undefined || sha512 !== undefined) && {
    checksums: [
      ...(sha256 === undefined ? [] : [{ algorithm: 'SHA256', checksumValue: sha256 }]),
      ...(sha512 === undefined ? [] : [{ algorithm: 'SHA512', checksumValue: sha512 }]),
    ],
  }),
});

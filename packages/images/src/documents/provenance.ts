import { distinct } from '../sources/component.ts';
import type { DescribedContent } from './spdx.ts';

export const IN_TOTO_MEDIA_TYPE = 'application/vnd.in-toto+json';

/** How images were built, for who wants to build them again. */
export interface BuildFacts {
  /** Commit of the sources; '' when unknown. */
  readonly revision: string;
  /** Whether the sources differed from the commit. */
  readonly modified: boolean;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Version of the Node that ran the build. */
  readonly node: string;
}

/** Where images came from: an in-toto statement (v1) with SLSA's provenance (v1). It has no times and no names of machines, so the same build gives the same one. */
export function provenance(images: readonly DescribedContent[], facts: BuildFacts): string {
  const materials = distinct(images.flatMap(({ components }) => components)).filter(
    ({ sha256, sha512 }) => sha256 ?? sha512,
  );
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: images.map(({ reference, digest }) => ({
      name: reference,
      digest: { sha256: digest.replace('sha256:', '') },
    })),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'urn:istio-ts:images:v1',
        externalParameters: facts.parameters,
        internalParameters: { node: facts.node, ...(facts.modified && { sourcesModified: true }) },
        resolvedDependencies: [
          ...(facts.revision === ''
            ? []
            : [{ name: 'sources', uri: 'urn:istio-ts:sources', digest: { gitCommit: facts.revision } }]),
          ...materials.map(({ purl, sha256, sha512 }) => ({
            uri: purl,
            digest: { ...(sha256 !== undefined && { sha256 }), ...(sha512 !== undefined && { sha512 }) },
          })),
        ],
      },
      runDetails: { builder: { id: 'urn:istio-ts:npm-run-images' } },
    },
  };
  return `${JSON.stringify(statement, null, 2)}\n`;
}

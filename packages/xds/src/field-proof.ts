/**
 * Says in a test which fields of the networking, security or telemetry API it proves, by their names in the schemas: `Kind.spec.path`, with `[]` after lists and maps
 * (`VirtualService.spec.http[].match[].withoutHeaders`). A field that has fields of its own is named as a whole only where the test is about all of them. Values that mean
 * things of their own have names too (`PeerAuthentication.spec.mtls.mode=STRICT`).
 *
 * Nothing happens at run time: `npm run docs` collects the calls out of the test sources for `docs/networking-fields.md`, `docs/security-fields.md` and `docs/telemetry-fields.md`, so arguments are string literals.
 */
export function proves(..._fields: readonly string[]): void {}

/** The same for fields of which stock Envoy can make nothing, in a test that sees all the places that say so: status, log and analysis. */
export function provesRefusal(..._fields: readonly string[]): void {}

/** The same for annotations, by their names (`packages/api/src/annotations.ts`), for `docs/annotations.md`. */
export function provesAnnotations(..._names: readonly string[]): void {}

import { WireReader, WireType } from '@istio-ts/envoy/wire';
import { encode, message, nested, text } from '../protobuf.ts';
import { changeAt, encodeField, textAt, valuesAt } from './wire-path.ts';

/** envoy.config.core.v3.TypedExtensionConfig */
export const EXTENSION_TYPE = 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig';
const WASM = /^type\.googleapis\.com\/envoy\.extensions\.filters\.(http|network)\.wasm\.v3\.Wasm$/;

/** Fields of TypedExtensionConfig, Any, Wasm, PluginConfig, VmConfig and AsyncDataSource, by their numbers in Envoy's .proto files. */
const TYPE_URL = [2, 1] as const;
const PLUGIN = [2, 2, 1] as const;
const VM = [...PLUGIN, 3] as const;
const CODE = [...VM, 3] as const;
const REMOTE = [...CODE, 2] as const;
const URI = [...REMOTE, 1, 1] as const;
const CHECKSUM = [...REMOTE, 2] as const;
const VARIABLES = [...VM, 7, 2] as const;
const FAILURE_POLICY = { field: 7, failOpen: 3 };

/** What istiod tells agents among a module's variables; see `packages/xds/src/extension/resource.ts`. */
const PULL_SECRET = 'ISTIO_META_WASM_IMAGE_PULL_SECRET';
const PULL_POLICY = 'ISTIO_META_WASM_IMAGE_PULL_POLICY';

/** A module that a filter needs and that has to be fetched. */
export interface ModuleRequest {
  readonly filter: 'http' | 'network';
  readonly url: string;
  /** Hexadecimal; '' where none is known. */
  readonly sha256: string;
  readonly pullPolicy: string;
  /** Credentials of registries as Docker keeps them; '' for none. */
  readonly pullSecret: string;
  /** What happens to traffic while there is no module. */
  readonly failOpen: boolean;
}

/** The module of a TypedExtensionConfig; undefined for one that Envoy can take as it is. Raises DecodeError. */
export function readModuleRequest(resource: Buffer): ModuleRequest | undefined {
  const filter = WASM.exec(textAt(resource, TYPE_URL))?.[1];
  const url = textAt(resource, URI);
  if (filter === undefined || url === '') return undefined;
  const variables = new Map(valuesAt(resource, VARIABLES).map((entry) => [textAt(entry, [1]), textAt(entry, [2])]));
  const checksum = textAt(resource, CHECKSUM);
  return {
    filter: filter === 'http' ? 'http' : 'network',
    url,
    sha256: /^[0-9a-f]{64}$/.test(checksum) ? checksum : '',
    pullPolicy: variables.get(PULL_POLICY) ?? '',
    pullSecret: variables.get(PULL_SECRET) ?? '',
    failOpen: valuesAt(resource, PLUGIN).some(failsOpen),
  };
}

function failsOpen(plugin: Buffer): boolean {
  const reader = new WireReader(plugin);
  while (reader.at < reader.end) {
    const tag = reader.uint32();
    if (tag >>> 3 === FAILURE_POLICY.field && (tag & 7) === WireType.Varint)
      return reader.uint32() === FAILURE_POLICY.failOpen;
    reader.skip(tag & 7);
  }
  return false;
}

/** The same configuration with the module in a file, and without what only the agent has to know. */
export function withModuleFile(resource: Buffer, file: string): Buffer {
  const local = encode(nested(1, message(text(1, file))));
  const code = changeAt(resource, CODE, () => local);
  return changeAt(code, VARIABLES, (entry) =>
    [PULL_SECRET, PULL_POLICY].includes(textAt(entry, [1])) ? undefined : entry,
  );
}

/**
 * What takes the place of a filter whose module cannot be had: one that admits everything (RBAC without rules), or nothing (RBAC with rules that are
 * empty).
 */
export function withoutModule(resource: Buffer, { filter, failOpen }: ModuleRequest): Buffer {
  const rules = failOpen ? [] : [encodeField(1, Buffer.alloc(0))];
  const prefix = filter === 'network' ? [encodeField(3, Buffer.from('wasm_missing'))] : [];
  return encode(
    message(
      text(1, textAt(resource, [1])),
      nested(
        2,
        message(text(1, `type.googleapis.com/envoy.extensions.filters.${filter}.rbac.v3.RBAC`), (writer) => {
          const content = Buffer.concat([...rules, ...prefix]);
          if (content.length > 0) nested(2, (inner) => inner.bytes(content))(writer);
        }),
      ),
    ),
  );
}

import { policyPortSelector, policyTargetReference, targetRefs, workloadSelector } from '../networking/common.ts';
import { celRule, filled } from '../schema/cel.ts';
import { as, enumOf, int32, list, object, required, string, struct, type TypeOf, withCel } from '../schema/schema.ts';

const trafficSelector = object('Which traffic; both conditions must hold.', {
  mode: enumOf(['UNDEFINED', 'CLIENT', 'SERVER', 'CLIENT_AND_SERVER'], 'Side of the traffic; default both.'),
  ports: list(policyPortSelector, 'Ports of the traffic; absent: all.'),
});

const wasmFields = {
  url: required(string('Where the module is: oci://, https://, http:// or file://.', { minLength: 1 })),
  sha256: string('Checksum of the module or image.', { pattern: '(^$|^[a-f0-9]{64}$)' }),
  imagePullPolicy: enumOf(['UNSPECIFIED_POLICY', 'IfNotPresent', 'Always'], 'When an image is fetched again.'),
  imagePullSecret: string('Secret with the registry’s credentials.', { maxLength: 253 }),
  verificationKey: string('Not implemented: public key that verifies the image’s signature.'),
  pluginConfig: struct('Configuration handed to the module.'),
  pluginName: string('Name of the plugin inside the module.', { maxLength: 256 }),
  failStrategy: enumOf(
    ['FAIL_CLOSE', 'FAIL_OPEN', 'FAIL_RELOAD'],
    'What happens when the module fails; default FAIL_CLOSE.',
  ),
  vmConfig: object('The module’s virtual machine.', {
    env: list(
      withCel(
        object('An environment variable.', {
          name: required(string('Its name.', { minLength: 1, maxLength: 256 })),
          valueFrom: enumOf(['INLINE', 'HOST'], 'Given here or taken from the proxy’s environment.'),
          value: string('Its value, for INLINE.', { maxLength: 2048 }),
        }),
        celRule(
          `!has(self.valueFrom) || self.valueFrom != 'HOST' || !${filled('value')}`,
          'value must not be set with valueFrom HOST',
        ),
      ),
      'Environment of the module.',
      { maxItems: 256 },
    ),
  }),
  type: enumOf(['UNSPECIFIED_PLUGIN_TYPE', 'HTTP', 'NETWORK'], 'Kind of filter; default HTTP.'),
};

const phase = <const F extends string>(first: F) =>
  enumOf([first, 'AUTHN', 'AUTHZ', 'STATS'], 'Filter before which it goes; default before the router.');
const priority = int32('Order within a phase: higher runs first; default 0.');
const match = list(trafficSelector, 'Traffic it handles; one must match. Absent: all.');

export const wasmPluginSpec = object('A WebAssembly module in the proxies.', {
  selector: workloadSelector,
  targetRef: as(policyTargetReference, 'Deprecated: use targetRefs.'),
  targetRefs,
  ...wasmFields,
  phase: phase('UNSPECIFIED_PHASE'),
  priority,
  match,
});
export type WasmPluginSpec = TypeOf<typeof wasmPluginSpec>;

export const trafficExtensionSpec = object(
  'An extension in the proxies: WebAssembly or Lua.',
  {
    selector: workloadSelector,
    targetRefs,
    phase: phase('UNSPECIFIED'),
    priority,
    match,
    wasm: object('A WebAssembly module.', wasmFields),
    lua: object('A Lua script.', {
      inlineCode: required(string('The script.', { minLength: 1, maxLength: 65536 })),
    }),
  },
  [['wasm', 'lua']],
);
export type TrafficExtensionSpec = TypeOf<typeof trafficExtensionSpec>;

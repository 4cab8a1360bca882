import type { TrafficExtensionSpec, WasmPluginSpec } from '../extensions/extensions.ts';
import type { RuleContext } from '../kind.ts';
import { fieldPath, itemPath, type ProblemList, quote } from '../problems.ts';
import type { TelemetryAccessLogging, TelemetrySpec } from '../telemetry/telemetry.ts';
import { checkCel } from './cel-expression.ts';
import { checkAttachment, checkPositive, checkUnique } from './checks.ts';

/** Rules of Telemetry (istio.io, reference of Telemetry). */
export function checkTelemetry(spec: TelemetrySpec, problems: ProblemList, context: RuleContext): void {
  checkAttachment(spec, context.namespace, problems);
  if ((spec.tracing?.length ?? 0) > 1)
    problems.warning('spec.tracing', 'only one item per side of the traffic has an effect');
  spec.tracing?.forEach((tracing, index) => {
    const path = itemPath('spec.tracing', index);
    if ((tracing.providers?.length ?? 0) > 1)
      problems.warning(`${path}.providers`, 'only the first provider has an effect');
    for (const [name, tag] of Object.entries(tracing.customTags ?? {})) {
      const at = fieldPath(`${path}.customTags`, name);
      if (name === '') problems.error(`${path}.customTags`, 'the name of a tag must not be empty');
      if (Object.keys(tag).length === 0) problems.error(at, 'needs one of literal, environment, header, formatter');
    }
  });
  spec.metrics?.forEach((metrics, index) => {
    const path = itemPath('spec.metrics', index);
    checkPositive(metrics.reportingInterval, `${path}.reportingInterval`, problems);
    metrics.overrides?.forEach((override, at) => {
      for (const [name, tag] of Object.entries(override.tagOverrides ?? {})) {
        const tagPath = fieldPath(`${itemPath(`${path}.overrides`, at)}.tagOverrides`, name);
        const remove = tag.operation === 'REMOVE';
        if (remove && tag.value) problems.error(`${tagPath}.value`, 'must not be set with operation REMOVE');
        if (!remove && !tag.value)
          problems.error(`${tagPath}.value`, 'is required; use operation REMOVE to drop the label');
        if (!remove && tag.value) checkCel(tag.value, `${tagPath}.value`, problems);
      }
    });
  });
  spec.accessLogging?.forEach((logging, index) => {
    checkAccessLogging(logging, itemPath('spec.accessLogging', index), problems);
  });
}

/** Whether an item of `accessLogging` can be computed at all. */
function checkAccessLogging({ filter }: TelemetryAccessLogging, path: string, problems: ProblemList): void {
  if (filter?.expression) checkCel(filter.expression, `${path}.filter.expression`, problems);
}

/** Rules of WasmPlugin (istio.io, reference of Wasm Plugin). */
export function checkWasmPlugin(spec: WasmPluginSpec, problems: ProblemList, context: RuleContext): void {
  checkAttachment(spec, context.namespace, problems);
  checkWasm(spec, 'spec', problems);
}

/** Rules of TrafficExtension (istio.io, reference of Traffic Extension). */
export function checkTrafficExtension(spec: TrafficExtensionSpec, problems: ProblemList, context: RuleContext): void {
  checkAttachment(spec, context.namespace, problems);
  if (!spec.wasm && !spec.lua) problems.error('spec', 'needs wasm or lua');
  if (spec.wasm) checkWasm(spec.wasm, 'spec.wasm', problems);
}

function checkWasm(
  wasm: Pick<WasmPluginSpec, 'url' | 'vmConfig' | 'verificationKey'>,
  path: string,
  problems: ProblemList,
): void {
  if (wasm.url !== '' && !isModuleUrl(wasm.url)) {
    problems.error(`${path}.url`, `${quote(wasm.url)} must be an image or an oci://, https://, http:// or file:// URL`);
  }
  if (wasm.verificationKey)
    problems.warning(
      `${path}.verificationKey`,
      'has no effect: signatures are not verified; give the sha256 of the image',
    );
  const env = wasm.vmConfig?.env ?? [];
  env.forEach((variable, index) => {
    if (variable.valueFrom === 'HOST' && variable.value) {
      problems.error(`${itemPath(`${path}.vmConfig.env`, index)}.value`, 'must not be set with valueFrom HOST');
    }
  });
  checkUnique(
    env.map((variable) => variable.name),
    (index) => `${itemPath(`${path}.vmConfig.env`, index)}.name`,
    problems,
  );
}

function isModuleUrl(text: string): boolean {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//.exec(text)?.[1];
  if (scheme === undefined) return /^[A-Za-z0-9][^\s]*$/.test(text);
  return ['oci', 'https', 'http', 'file'].includes(scheme) && text.length > scheme.length + 3 && !/\s/.test(text);
}

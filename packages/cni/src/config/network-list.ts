/** Type of this product's plugin in a CNI configuration, and name of its program. */
export const PLUGIN_TYPE = 'istio-cni';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** Thrown for a file that no container runtime would take as CNI configuration; the message says why. */
export class NetworkListError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NetworkListError';
  }
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A list of plugins as it stands in a `.conflist` file; fields that are not ours stay as they are. */
export interface NetworkList {
  readonly fields: JsonObject;
  readonly plugins: readonly JsonObject[];
}

/** Name that a list gets when it is made of a plugin without one: a runtime takes no list without a name. */
const DEFAULT_NAME = 'k8s-pod-network';

/**
 * Reads a file as runtimes do: a `.conflist` holds a list of plugins, a `.conf` or `.json` one plugin, which becomes a list of one. What a runtime passes over
 * is refused here as well: to mend such a file would give the node another network. Raises {@link NetworkListError}.
 */
export function parseNetworkFile(name: string, text: string): NetworkList {
  return name.endsWith('.conflist') ? parseNetworkList(text) : parsePlugin(text);
}

/** Reads a network configuration list (CNI specification 1.1, "Network configuration format"). Raises {@link NetworkListError}. */
export function parseNetworkList(text: string): NetworkList {
  const value = parseObject(text);
  if (typeof value.name !== 'string') throw new NetworkListError('the list has no "name"');
  if (!Array.isArray(value.plugins) || value.plugins.length === 0)
    throw new NetworkListError('"plugins" is not a list with at least one plugin');
  const plugins: JsonObject[] = [];
  for (const [index, plugin] of (value.plugins as readonly Json[]).entries()) {
    if (!isObject(plugin) || typeof plugin.type !== 'string' || plugin.type === '')
      throw new NetworkListError(`plugins[${index}] has no "type"`);
    plugins.push(plugin);
  }
  const { plugins: _, ...fields } = value;
  return { fields, plugins };
}

/** Reads the configuration of one plugin. Raises {@link NetworkListError}. */
function parsePlugin(text: string): NetworkList {
  const value = parseObject(text);
  if (typeof value.type !== 'string' || value.type === '')
    throw new NetworkListError(
      'it is no plugin, for it has no "type"; a list of plugins is read from a .conflist only',
    );
  const { name, cniVersion, ...plugin } = value;
  const fields = { name: name ?? DEFAULT_NAME, ...(cniVersion !== undefined && { cniVersion }) };
  return { fields, plugins: [plugin] };
}

function parseObject(text: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    throw new NetworkListError(`not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isObject(value)) throw new NetworkListError('not a JSON object');
  return value;
}

/** Text of a `.conflist` file, as people read it. */
export function formatNetworkList({ fields, plugins }: NetworkList): string {
  return `${JSON.stringify({ ...fields, plugins }, null, 2)}\n`;
}

/** The list with our plugin at the end, where the pod's network is complete; what we had in it before is replaced. */
export function withPlugin(list: NetworkList, plugin: JsonObject): NetworkList {
  return { fields: list.fields, plugins: [...withoutPlugin(list).plugins, plugin] };
}

/** The list as it was without us; its plugins may be none when it was all ours. */
export function withoutPlugin({ fields, plugins }: NetworkList): NetworkList {
  return { fields, plugins: plugins.filter(({ type }) => type !== PLUGIN_TYPE) };
}

/** Our plugin in a list, if it is there. */
export function findPlugin({ plugins }: NetworkList): JsonObject | undefined {
  return plugins.find(({ type }) => type === PLUGIN_TYPE);
}

/** True when both say the same; the order of keys does not matter. */
export function sameJson(left: Json | undefined, right: Json | undefined): boolean {
  if (left === right) return true;
  if (Array.isArray(left) && Array.isArray(right))
    return left.length === right.length && left.every((item, index) => sameJson(item, right[index]));
  if (!isObject(left) || !isObject(right)) return false;
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && sameJson(left[key], right[key]))
  );
}

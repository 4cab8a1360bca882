import { type Json, isJsonObject } from '@istio-ts/charts';

/** A mistake in the settings of an installation. */
export interface SettingProblem {
  /** For example `meshConfig.accessLogEncoding`. */
  readonly path: string;
  readonly message: string;
  /** A warning does not stop the installation. */
  readonly severity: 'error' | 'warning';
}

/** Where checks report what they find. */
export type Report = (path: string, message: string, severity?: SettingProblem['severity']) => void;

/** A user's value in a message: text and numbers as they are, bounded in length. */
export function describe(value: Json | undefined): string {
  if (Array.isArray(value)) return 'a list';
  if (value === null || value === undefined) return 'nothing';
  if (isJsonObject(value)) return 'a mapping';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

export function joinPath(path: string, key: string): string {
  const shown = key.includes('.') ? key.replaceAll('.', '\\.') : key;
  return path === '' ? shown : `${path}.${shown}`;
}

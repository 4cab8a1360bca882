import type { KubeObject } from '@istio-ts/kube';

/** The values of a Secret become their sizes; what kubectl remembers of it goes, because it holds the values too. */
export function redactSecret(object: KubeObject): KubeObject {
  const hide = (values: unknown, base64: boolean) =>
    typeof values === 'object' && values !== null
      ? Object.fromEntries(
          Object.entries(values).map(([key, value]) => {
            const bytes = Buffer.from(String(value), base64 ? 'base64' : 'utf8').length;
            return [key, `redacted (${bytes} bytes)`];
          }),
        )
      : undefined;
  const { data, stringData, ...rest } = object;
  return {
    ...rest,
    metadata: withoutLastApplied(object),
    ...(data !== undefined && { data: hide(data, true) }),
    ...(stringData !== undefined && { stringData: hide(stringData, false) }),
  } as KubeObject;
}

function withoutLastApplied({ metadata }: KubeObject): KubeObject['metadata'] {
  const { managedFields: _, annotations, ...rest } = metadata;
  if (!annotations) return rest;
  const { 'kubectl.kubernetes.io/last-applied-configuration': __, ...kept } = annotations;
  return { ...rest, annotations: kept };
}

const secretName = /(token|secret|passw|credential|api[-_]?key|private[-_]?key|access[-_]?key)/i;

/** Values of environment variables whose names say that they are secret are not shown. */
export function redactEnvironment<T>(value: T): T {
  if (Array.isArray(value)) return value.map(redactEnvironment) as T;
  if (typeof value !== 'object' || value === null) return value;
  const fields = value as Readonly<Record<string, unknown>>;
  const isSecret = typeof fields.name === 'string' && typeof fields.value === 'string' && secretName.test(fields.name);
  return Object.fromEntries(
    Object.entries(fields).map(([key, field]) => [
      key,
      isSecret && key === 'value' && field !== '' ? 'redacted' : redactEnvironment(field),
    ]),
  ) as T;
}

/** Private keys and bearer tokens in text, for example in a log, become a remark. */
export function redactText(text: string): string {
  return text
    .replace(/-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]*?-----END \1-----/g, '-----$1 redacted-----')
    .replace(/\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/g, '(token redacted)');
}

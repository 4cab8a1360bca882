/** Length of the longest template that Envoy takes (envoy.extensions.path.match.uri_template.v3, path_template). */
const MAX_LENGTH = 256;
/** Characters of a segment (RFC 3986, pchar), without `*`. */
const LITERAL = /^(?:[A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-Fa-f]{2})+$/;

/** Whether a path of an AuthorizationPolicy is a template: it has `{*}` or `{**}`. */
export const isPathTemplate = (path: string): boolean => /[{}]/.test(path);

/**
 * What is wrong with a path template; undefined when nothing is. `{*}` stands for one segment, `{**}` for any number, and no template follows it (reference of
 * Authorization Policy, `paths`). The rest is what Envoy knows of paths: it was seen to end, not just to refuse the configuration, at any other.
 */
export function pathTemplateProblem(path: string): string | undefined {
  if (!path.startsWith('/')) return 'a template must start with /';
  if (path.length > MAX_LENGTH) return `a template has at most ${MAX_LENGTH} characters`;
  const segments = path.split('/').slice(1);
  let anyDepth = false;
  for (const [index, segment] of segments.entries()) {
    if (segment === '{**}') {
      if (anyDepth) return 'only one {**} is allowed';
      anyDepth = true;
    } else if (segment === '{*}') {
      if (anyDepth) return '{**} must be the last template of the path';
    } else if (/[{}]/.test(segment)) return 'only {*} and {**} are allowed, each as a whole segment';
    else if (segment.includes('*')) return '* cannot stand together with {*} or {**}';
    else if (segment === '') {
      if (index < segments.length - 1) return 'a template must not have empty segments';
    } else if (!LITERAL.test(segment))
      return `the segment ${JSON.stringify(segment)} has characters that paths do not have`;
  }
  return undefined;
}

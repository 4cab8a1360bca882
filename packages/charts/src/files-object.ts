import { GoObject, writeYaml } from '@istio-ts/gotemplate';
import { RE2JS } from 're2js';

/** Helm's `.Files`: the files of a chart, with `Get`, `Glob`, `Lines`, `AsConfig` and `AsSecrets`. */
export function filesObject(files: ReadonlyMap<string, string>): GoObject {
  const yaml = (encode: (text: string) => string): string => {
    if (files.size === 0) return '';
    return writeYaml(
      Object.fromEntries([...files].map(([path, text]) => [path.slice(path.lastIndexOf('/') + 1), encode(text)])),
    ).replace(/\n$/, '');
  };
  return new GoObject(
    'engine.files',
    Object.fromEntries(files),
    {
      Get: (path) => files.get(String(path)) ?? '',
      GetBytes: (path) => files.get(String(path)) ?? '',
      Lines: (path) => (files.get(String(path)) ?? '').replace(/\n$/, '').split('\n'),
      Glob: (pattern) => {
        const matcher = globPattern(String(pattern));
        return filesObject(new Map([...files].filter(([path]) => matcher.test(path))));
      },
      AsConfig: () => yaml((text) => text),
      AsSecrets: () => yaml((text) => Buffer.from(text, 'utf8').toString('base64')),
    },
    { iterable: true },
  );
}

/** Glob patterns of Helm: `*` inside a folder, `**` across folders, `?`, `[...]`, `{a,b}`. */
function globPattern(pattern: string): { test(path: string): boolean } {
  let regex = '';
  let depth = 0;
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i] ?? '';
    if (char === '*') {
      if (pattern[i + 1] === '*') {
        regex += '.*';
        i++;
      } else regex += '[^/]*';
    } else if (char === '?') regex += '[^/]';
    else if (char === '{') {
      depth++;
      regex += '(?:';
    } else if (char === '}' && depth > 0) {
      depth--;
      regex += ')';
    } else if (char === ',' && depth > 0) regex += '|';
    else if (char === '[') {
      const end = pattern.indexOf(']', i);
      if (end === -1) regex += '\\[';
      else {
        regex += `[${pattern
          .slice(i + 1, end)
          .replace(/^!/, '^')
          .replaceAll('\\', '\\\\')}]`;
        i = end;
      }
    } else regex += char.replace(/[\\.+()|^$\]{}]/g, '\\$&');
  }
  const compiled = RE2JS.compile(`^${regex}$`);
  return { test: (path) => compiled.matches(path) };
}

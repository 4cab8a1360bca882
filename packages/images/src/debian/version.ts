/**
 * Compares two versions of Debian packages as dpkg does (Debian policy 5.6.12): negative where `a` is the older one. The epoch counts first, then the upstream
 * version, then the revision; `~` sorts before everything, even the end.
 */
export function compareVersions(a: string, b: string): number {
  const left = parts(a);
  const right = parts(b);
  return left.epoch - right.epoch || compare(left.upstream, right.upstream) || compare(left.revision, right.revision);
}

function parts(version: string): { readonly epoch: number; readonly upstream: string; readonly revision: string } {
  const colon = version.indexOf(':');
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf('-');
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? '' : rest.slice(dash + 1),
  };
}

function compare(a: string, b: string): number {
  let left = a;
  let right = b;
  while (left !== '' || right !== '') {
    const [leftText = '', leftRest = ''] = cut(left, /^[^0-9]*/);
    const [rightText = '', rightRest = ''] = cut(right, /^[^0-9]*/);
    const byText = compareText(leftText, rightText);
    if (byText !== 0) return byText;
    const [leftDigits = '', leftEnd = ''] = cut(leftRest, /^[0-9]*/);
    const [rightDigits = '', rightEnd = ''] = cut(rightRest, /^[0-9]*/);
    const byNumber = Number(leftDigits) - Number(rightDigits);
    if (byNumber !== 0) return byNumber;
    left = leftEnd;
    right = rightEnd;
  }
  return 0;
}

const cut = (text: string, pattern: RegExp): [string, string] => {
  const found = pattern.exec(text)?.[0] ?? '';
  return [found, text.slice(found.length)];
};

function compareText(a: string, b: string): number {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = weight(a.charAt(index)) - weight(b.charAt(index));
    if (difference !== 0) return difference;
  }
  return 0;
}

const weight = (character: string): number => {
  if (character === '~') return -1;
  if (character === '') return 0;
  return /[A-Za-z]/.test(character) ? character.charCodeAt(0) : character.charCodeAt(0) + 256;
};

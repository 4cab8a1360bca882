/**
 * The path of an archive's entry without `./` before and `/` behind it; '' for the root itself. Throws an Error for a path that leads out of the folder it is
 * unpacked in or that programs read differently: absolute, with `..`, or with empty parts.
 */
export function plainPath(path: string): string {
  const plain = path.replace(/^\.\//, '').replace(/\/$/, '');
  if (plain === '.' || (plain === '' && path === './')) return '';
  if (plain.split('/').some((part) => part === '' || part === '.' || part === '..'))
    throw new Error(`${JSON.stringify(path)} is no path within an archive`);
  return plain;
}

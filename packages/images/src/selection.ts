import { ARCHITECTURES, type Architecture } from './debian/lock.ts';
import { ImagesError } from './images-error.ts';
import { DEFAULT_HUB, DEFAULT_TAG, GROUPS, type Publication, publications, type Variant } from './references.ts';

/** Which images are built, under which names, for which machines. */
export interface Selection {
  readonly hub: string;
  readonly tag: string;
  readonly architectures: readonly Architecture[];
  readonly variants: readonly Variant[];
  readonly publications: readonly Publication[];
}

/** A flag or a name that this program does not understand; the message says what there is. */
export class UsageError extends ImagesError {}

/** Whether a text can stand before the names of images: a registry's host with a path, or only one of them. The host may be an IPv6 address. */
export const isHub = (text: string): boolean => /^([a-z0-9]|\[[0-9a-f:.]+\](:\d+)?(\/|$))[a-z0-9.:_/-]*$/.test(text);

const VARIANTS: readonly Variant[] = ['default', 'distroless'];

/** The selection of a command line. Raises UsageError. */
export function selectImages(
  names: readonly string[],
  flags: {
    readonly hub?: string | undefined;
    readonly tag?: string | undefined;
    readonly arch?: string | undefined;
    readonly variant?: string | undefined;
  },
): Selection {
  const hub = (flags.hub ?? DEFAULT_HUB).replace(/\/+$/, '');
  const tag = flags.tag ?? DEFAULT_TAG;
  if (!/^[\w][\w.-]{0,127}$/.test(tag)) throw new UsageError(`--tag ${tag}: not a tag of an image`);
  if (!isHub(hub)) throw new UsageError(`--hub ${hub}: not a registry with a path, like ${DEFAULT_HUB}`);
  const architectures = listed('arch', flags.arch, ARCHITECTURES);
  const variants = listed('variant', flags.variant, VARIANTS);
  const all = publications(hub, tag);
  const strange = names.find(
    (name) => !all.some((image) => image.name === name) && !GROUPS.some((group) => group === name),
  );
  if (strange !== undefined)
    throw new UsageError(
      `there is no image ${strange}; there are ${[...GROUPS, ...new Set(all.map(({ name }) => name))].join(', ')}`,
    );
  const chosen = all
    .filter(({ name, group }) => names.length === 0 || names.includes(name) || names.includes(group))
    // An image without that variant is left out only where others have it.
    .filter(({ distroless }) => distroless || variants.includes('default'));
  if (chosen.length === 0) throw new UsageError(`--variant distroless: none of these images has it`);
  return { hub, tag, architectures, variants, publications: chosen };
}

function listed<Value extends string>(
  flag: string,
  text: string | undefined,
  known: readonly Value[],
): readonly Value[] {
  if (text === undefined) return known;
  const wanted = text.split(',').map((word) => word.trim().replace(/^linux\//, ''));
  const strange = wanted.find((word) => !known.some((value) => value === word));
  if (strange !== undefined) throw new UsageError(`--${flag} ${strange}: there are ${known.join(', ')}`);
  return known.filter((value) => wanted.includes(value));
}

/** The tag's ending for a variant, as Istio's images have it. */
export const suffixOf = (variant: Variant): string => (variant === 'distroless' ? '-distroless' : '');

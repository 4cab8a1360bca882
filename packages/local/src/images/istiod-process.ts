/**
 * How istiod is started, so that a large mesh takes little memory. Most of what a change of all proxies leaves behind is garbage: the heap may grow by
 * 40 % before it is collected (V8 would let it grow to several times its size), and new objects have two spaces of 4 MiB.
 */
export const ISTIOD_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=4', '--heap-growing-percent=40'];

/**
 * Settings of glibc's allocator (mallopt(3)): buffers of connections are 64 KiB and come and go by thousands; from a size of their own they are given
 * back to the system at once instead of leaving holes between what stays.
 */
export const ISTIOD_MALLOC: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '131072',
};

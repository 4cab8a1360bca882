import type { KubeClient } from '@istio-ts/kube';
import type { MeshReader } from '../sources/mesh-reader.ts';

/** Who asks, and what they work with. */
export interface Caller {
  /** Undefined: nobody in particular. */
  readonly user: string | undefined;
  /** With the caller's own rights; for anonymous callers those of the console. */
  readonly client: KubeClient;
  readonly mesh: MeshReader;
  /** Whether changes are let through to the API server, which decides in the end. */
  readonly mayWrite: boolean;
  /** Undefined for anonymous callers and for those who send their token with each request. */
  readonly sessionId: string | undefined;
}

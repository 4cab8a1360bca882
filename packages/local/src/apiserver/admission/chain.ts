import type { Duplex } from 'node:stream';
import type { ObjectStore } from '../../store/object-store.ts';
import type { ApiObject } from '../object.ts';
import type { Admission, AdmissionRequest } from '../operations/admission.ts';
import type { ResourceRegistry } from '../registry.ts';

export interface AdmissionOptions {
  readonly store: ObjectStore;
  readonly registry: ResourceRegistry;
  readonly dialService: ((clusterIP: string, port: number) => Promise<Duplex>) | undefined;
  readonly log: (line: string) => void;
}

export class AdmissionChain implements Admission {
  constructor(_options: AdmissionOptions) {}
  async mutate(request: AdmissionRequest): Promise<ApiObject | undefined> {
    return request.object;
  }
  async validate(_request: AdmissionRequest): Promise<void> {}
}

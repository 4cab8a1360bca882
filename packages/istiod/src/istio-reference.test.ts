import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differencesToIstio, noReference } from '@istio-ts/command-line/reference.test-support';
import { DISCOVERY_FLAGS } from './flags.ts';

test("the flags of pilot-discovery are Istio's, with the same defaults", { skip: noReference }, () => {
  assert.deepEqual(differencesToIstio('pilot-discovery discovery', DISCOVERY_FLAGS), [
    // Istio's help leaves it out; this is what it means.
    '--log_output_level is default:info, not ',
  ]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differencesToIstio, noReference } from '@istio-ts/command-line/reference.test-support';
import { IPTABLES_FLAGS } from './iptables-command.ts';
import { COMMON_FLAGS } from './main.ts';
import { PROXY_FLAGS } from './proxy-command.ts';
import { REQUEST_FLAGS, VERSION_FLAGS, WAIT_FLAGS } from './small-commands.ts';

test("the flags of pilot-agent are Istio's, with the same defaults", { skip: noReference }, () => {
  const all = {
    'pilot-agent': COMMON_FLAGS,
    'pilot-agent proxy': PROXY_FLAGS,
    'pilot-agent istio-iptables': IPTABLES_FLAGS,
    'pilot-agent request': REQUEST_FLAGS,
    'pilot-agent wait': WAIT_FLAGS,
    'pilot-agent version': VERSION_FLAGS,
  };
  assert.deepEqual(
    Object.entries(all).flatMap(([command, flags]) =>
      differencesToIstio(command, flags).map((difference) => `${command}: ${difference}`),
    ),
    // Istio's help leaves it out; this is what it means.
    ['pilot-agent: --log_output_level is default:info, not '],
  );
});

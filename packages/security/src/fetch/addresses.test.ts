import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AddressRangeError, forbiddenAddresses } from './addresses.ts';

describe('forbiddenAddresses', () => {
  const forbids = forbiddenAddresses('10.0.0.0/8, 2001:db8::/32', '10.1.0.0/16,127.0.0.2');

  test('addresses of the node, of its link and of metadata services are forbidden', () => {
    for (const address of [
      '127.0.0.1',
      '127.255.0.1',
      '0.0.0.0',
      '169.254.169.254',
      '169.254.170.2',
      '100.100.100.200',
      '168.63.129.16',
      '192.0.0.192',
      '224.0.0.1',
      '255.255.255.255',
      '::1',
      '[::1]',
      '::',
      'fe80::1%eth0',
      'ff02::1',
      'fd00:ec2::254',
      'fd20:ce::254',
    ])
      assert.equal(forbids(address), true, address);
    for (const address of ['8.8.8.8', '192.168.1.1', '2606:4700::1', 'fd00::1', '::2:8.8.8.8', 'example.com', ''])
      assert.equal(forbids(address), false, address);
  });

  test('they are forbidden, too, inside of addresses of IPv6 that lead to addresses of IPv4', () => {
    for (const address of [
      '::ffff:127.0.0.1',
      '::ffff:a9fe:a9fe',
      '::ffff:0:169.254.169.254',
      '::127.0.0.1',
      '64:ff9b::169.254.169.254',
      '64:ff9b::7f00:1',
      '64:ff9b:1::a9fe:a9fe',
      // With prefixes of 48 and 64 bits the address stands elsewhere.
      '64:ff9b:1:a9fe:a9:fe00::',
      '64:ff9b:1:0:a9:fea9:fe00::',
      '2002:7f00:1::',
      '2002:a9fe:a9fe::1',
      '2001:0:a9fe:a9fe::1',
      '2001:0:808:808::5601:5601',
      'fe80::5efe:7f00:1',
      '2606:4700::200:5efe:169.254.169.254',
      // What the operator blocks is blocked in these forms, too.
      '::ffff:10.2.3.4',
      '64:ff9b::10.2.3.4',
    ])
      assert.equal(forbids(address), true, address);
    for (const address of ['::ffff:8.8.8.8', '64:ff9b::808:808', '2002:808:808::1', '::ffff:127.0.0.2'])
      assert.equal(forbids(address), false, address);
  });

  test('ranges can be added and taken out', () => {
    assert.equal(forbids('10.2.3.4'), true);
    assert.equal(forbids('10.1.3.4'), false);
    assert.equal(forbids('2001:db8::1'), true);
    assert.equal(forbids('127.0.0.2'), false);
    assert.equal(forbiddenAddresses('', '64:ff9b::/96')('64:ff9b::7f00:1'), false);
  });

  test('what is no range is an error', () => {
    for (const wrong of ['10.0.0.0/33', 'example.com', '10.0.0.0/', '::/129', '10.0.0.0/a'])
      assert.throws(() => forbiddenAddresses(wrong, ''), AddressRangeError, wrong);
  });
});

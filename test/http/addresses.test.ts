// Which kind of network an address belongs to.

import assert from "node:assert/strict";
import { BlockList, isIPv6 } from "node:net";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { type AddressKind, addressKind, mappedIPv4, parseAddress } from "../../src/services/http/addresses.ts";

describe("addressKind", () => {
  const cases: Readonly<Record<AddressKind, readonly string[]>> = {
    public: ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "11.0.0.0", "223.255.255.255"],
    loopback: ["127.0.0.1", "127.255.255.255", "::1", "0:0:0:0:0:0:0:1"],
    private: ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255", "fc00::", "fdff:ffff::1"],
    shared: ["100.64.0.0", "100.127.255.255"],
    "link-local": ["169.254.0.1", "169.254.169.253", "fe80::1", "febf::1"],
    metadata: ["169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"],
    unspecified: ["0.0.0.0", "0.1.2.3", "::"],
    multicast: ["224.0.0.1", "239.255.255.255", "ff02::1"],
    reserved: ["192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "240.0.0.1", "255.255.255.255", "192.88.99.1"],
  };
  for (const [kind, addresses] of Object.entries(cases)) {
    for (const address of addresses) it(`says ${kind} of ${address}`, () => assert.equal(addressKind(address), kind));
  }

  const disguised: readonly (readonly [address: string, kind: AddressKind])[] = [
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:7f00:1", "loopback"],
    ["0:0:0:0:0:ffff:10.1.2.3", "private"],
    ["::ffff:a9fe:a9fe", "metadata"],
    ["::ffff:8.8.8.8", "public"],
    ["64:ff9b::127.0.0.1", "loopback"],
    ["64:ff9b::a9fe:a9fe", "metadata"],
    ["64:ff9b::808:808", "public"],
    ["64:ff9b:1::7f00:1", "reserved"],
    ["::7f00:1", "reserved"],
    ["2002:7f00:1::", "reserved"],
    ["2002:a00:1::1", "reserved"],
    ["2001:0:4136:e378:8000:63bf:3fff:fdd2", "reserved"],
    ["2001:db8::1", "reserved"],
    ["3fff::1", "reserved"],
    ["fec0::1", "reserved"],
    ["100::1", "reserved"],
    ["2606:4700:4700::1111", "public"],
    ["2a00::", "public"],
  ];
  for (const [address, kind] of disguised) it(`says ${kind} of ${address}`, () => assert.equal(addressKind(address), kind));

  for (const text of ["fe80::1%eth0", "::1%lo", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "", "1.2.3.4.5", ":::", "8.8.8.8 "])
    it(`says reserved of "${text}", which is no address in its one notation`, () => assert.equal(addressKind(text), "reserved"));

  it("agrees with Node's lists of networks on what is not public", () => {
    const oracle = new BlockList();
    for (const range of [
      "0.0.0.0/8",
      "10.0.0.0/8",
      "100.64.0.0/10",
      "127.0.0.0/8",
      "169.254.0.0/16",
      "172.16.0.0/12",
      "192.168.0.0/16",
      "224.0.0.0/3",
    ])
      oracle.addSubnet(range.split("/")[0] ?? "", Number(range.split("/")[1]), "ipv4");
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        if (oracle.check(address)) assert.notEqual(addressKind(address), "public");
        else assert.ok(["public", "reserved", "metadata"].includes(addressKind(address)));
      }),
      { numRuns: 500 },
    );
  });
});

describe("parseAddress", () => {
  it("reads an IPv6 address in every notation as the URL standard does", () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
        assert.ok(isIPv6(text));
        assert.notEqual(parseAddress(text), undefined);
        assert.equal(parseAddress(text), parseAddress(canonical));
        assert.equal(addressKind(text), addressKind(canonical));
      }),
      { numRuns: 500 },
    );
  });

  it("gives different numbers to different addresses", () => {
    const different = ["::", "::1", "1::", "1::1", "1:0:0:1::", "::ffff:1.2.3.4", "1.2.3.5", "ffff::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::"];
    assert.equal(new Set(different.map(parseAddress)).size, different.length);
    assert.equal(parseAddress("1:2:3:4:5:6:7:8"), 0x1000200030004000500060007_0008n);
  });
});

describe("mappedIPv4", () => {
  it("finds the IPv4 address in an IPv6 one that maps it, and in no other", () => {
    assert.equal(mappedIPv4("::ffff:7f00:1"), "127.0.0.1");
    assert.equal(mappedIPv4("::FFFF:1.2.3.255"), "1.2.3.255");
    for (const other of ["::1", "64:ff9b::1.2.3.4", "127.0.0.1", "example.com", "::ffff:0:1.2.3.4"])
      assert.equal(mappedIPv4(other), undefined, other);
  });
});

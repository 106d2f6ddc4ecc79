// The allow-list: what its entries may be, and what they cover.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { judge } from "../../src/services/http/allow-list.ts";
import { readHostRules } from "../../src/services/http/host-rules.ts";
import { readTarget } from "../../src/services/http/target.ts";

/** "granted", or why not. */
function verdict(hosts: readonly string[], text: string): string {
  const url = readTarget(text);
  if (typeof url === "string") return url;
  const found = judge(readHostRules(hosts, "hosts"), url);
  return found.granted ? "granted" : found.reason;
}

describe("an allow-list", () => {
  const granted: readonly (readonly [entry: string, url: string])[] = [
    ["example.com", "http://example.com/"],
    ["example.com", "https://example.com/path?query#hash"],
    ["example.com", "https://EXAMPLE.com"],
    ["example.com", "https://example.com."],
    ["example.com", "https://example.com:8443"],
    ["Example.COM.", "https://example.com"],
    ["bücher.example", "https://xn--bcher-kva.example"],
    ["xn--bcher-kva.example", "https://BÜCHER.example"],
    ["*.example.com", "https://a.example.com"],
    ["*.example.com", "https://a.b.c.example.com:444"],
    ["*.example.com:444", "https://a.example.com:444"],
    ["example.com:443", "https://example.com"],
    ["example.com:80", "http://example.com"],
    ["*", "https://anything.example:8443"],
    ["*", "http://8.8.8.8"],
    ["*:443", "https://anything.example"],
    ["127.0.0.1", "http://127.0.0.1:3000"],
    ["127.0.0.1", "http://2130706433"],
    ["127.0.0.1:80", "http://[::ffff:7f00:1]"],
    ["::1", "http://[::1]:8080"],
    ["[::1]", "http://[0:0:0:0:0:0:0:1]"],
    ["[::1]:8080", "http://[::1]:8080"],
    ["169.254.169.254", "http://169.254.169.254/latest"],
    ["10.0.0.1", "https://10.0.0.1"],
    ["localhost", "http://localhost:5173"],
    ["private:db.internal", "http://db.internal"],
    ["private:*.svc.cluster.local:8080", "http://a.b.svc.cluster.local:8080"],
    ["private:x.localhost", "http://x.localhost"],
    ["mail.example:25", "http://mail.example:25"],
    ["_dmarc.example", "http://_dmarc.example"],
  ];
  for (const [entry, url] of granted) it(`with "${entry}" covers ${url}`, () => assert.equal(verdict([entry], url), "granted"));

  const NOT = /^no entry covers it; the entry ".+" in hosts would grant it$/;
  const denied: readonly (readonly [entry: string, url: string, reason: RegExp])[] = [
    ["example.com", "https://example.com.evil.org", NOT],
    ["example.com", "https://notexample.com", NOT],
    ["example.com", "https://a.example.com", NOT],
    ["example.com", "https://example.co", NOT],
    ["example.com", "https://exampleXcom.org", NOT],
    ["example.com", "https://evil.org/example.com", NOT],
    ["example.com", "https://evil.org?example.com", NOT],
    ["example.com", "https://еxample.com", NOT],
    ["example.com", "https://example.com@evil.org", /user name/],
    ["example.com", "https://evil.org\\.example.com", /backslash/],
    ["example.com", "https://example.com\\@evil.org", /backslash/],
    ["example.com", "https://exam\nple.com", /control character/],
    ["example.com", "https://example.com\t", /control character/],
    ["example.com", " https://example.com", /space/],
    ["example.com", "https:example.com", /begin with http/],
    ["example.com", "https:///example.com", /begin with http/],
    ["example.com", "//example.com", /begin with http/],
    ["example.com", "ftp://example.com", /begin with http/],
    ["example.com", "https://example.com..", /not a name/],
    ["*", "https://exa!mple.com", /not a name/],
    ["*", `https://${"a".repeat(64)}.com`, /not a name/],
    ["*", "https://example.com:0", /port 0/],
    ["*", "https://example.com:99999", /malformed/],
    ["*", "https://[fe80::1%25eth0]/", /malformed/],
    ["*", `https://example.com/${"a".repeat(8192)}`, /more than 8192 characters/],
    ["*.example.com", "https://example.com", NOT],
    ["*.example.com", "https://notexample.com", NOT],
    ["*.example.com", "https://a.example.com.evil.org", NOT],
    ["example.com:443", "https://example.com:444", /^port 444 is not listed; the entry "example.com:444" in hosts would grant it$/],
    ["example.com:443", "http://example.com", /port 80 is not listed/],
    ["mail.example", "http://mail.example:25", /^port 25 belongs to another protocol; the entry "mail.example:25" in hosts would grant it$/],
    ["*", "http://127.0.0.1", /^it is a loopback address; the entry "127.0.0.1" in hosts would grant it$/],
    ["*", "http://2130706433", /it is a loopback address/],
    ["*", "http://0x7f.1", /it is a loopback address/],
    ["*", "http://0177.0.0.01", /it is a loopback address/],
    ["*", "http://127.1", /it is a loopback address/],
    ["*", "http://127.0.0.1.", /it is a loopback address/],
    ["*", "http://[::1]", /^it is a loopback address; the entry "\[::1\]" in hosts would grant it$/],
    ["*", "http://[::ffff:169.254.169.254]", /^it is a metadata address; the entry "169.254.169.254" in hosts would grant it$/],
    ["*", "http://[64:ff9b::10.0.0.1]", /it is a private address/],
    ["*", "http://[2002:7f00:1::]", /it is a reserved address/],
    ["*", "http://0.0.0.0", /^nothing grants addresses of the kind "unspecified"$/],
    ["*", "http://[ff02::1]", /nothing grants addresses of the kind "multicast"/],
    ["*", "http://localhost", /^it is this machine; the entry "localhost" in hosts would grant it$/],
    ["*", "http://x.localhost:81", /^it is this machine; the entry "private:x.localhost" in hosts would grant it$/],
    ["localhost", "http://127.0.0.1", NOT],
    ["127.0.0.1", "http://127.0.0.2", NOT],
    ["127.0.0.1", "http://localhost", NOT],
    ["private:example.com", "http://127.0.0.1", NOT],
  ];
  for (const [entry, url, reason] of denied)
    it(`with "${entry}" does not cover ${JSON.stringify(url).slice(0, 60)}`, () => assert.match(verdict([entry], url), reason));

  it("without entries covers nothing", () => {
    for (const hosts of [[], undefined]) assert.match(verdict(hosts ?? [], "https://example.com"), NOT);
  });

  it("covers what any entry covers", () => {
    const hosts = ["a.example:81", "a.example:82", "private:a.example:83"];
    assert.equal(verdict(hosts, "http://a.example:82"), "granted");
    const url = readTarget("http://a.example:83") as URL;
    const found = judge(readHostRules(hosts, "hosts"), url);
    assert.ok(found.granted && found.kinds.has("private"));
    const public82 = judge(readHostRules(hosts, "hosts"), readTarget("http://a.example:82") as URL);
    assert.ok(public82.granted && !public82.kinds.has("private"), "the grant of private addresses is for its port alone");
  });

  it("never grants link-local, metadata or multicast addresses to names", () => {
    const url = readTarget("http://a.example") as URL;
    const found = judge(readHostRules(["*", "a.example", "private:a.example", "private:*.example"], "hosts"), url);
    assert.ok(found.granted);
    assert.deepEqual([...found.kinds].toSorted(), ["loopback", "private", "public", "shared"]);
  });

  it("grants no text whose host is another", () => {
    const pieces = fc.constantFrom(
      "example.com",
      "evil.org",
      "@",
      ":",
      "/",
      "\\",
      "#",
      "?",
      ".",
      "%2e",
      "%00",
      "\t",
      "\n",
      "[",
      "]",
      "//",
      "http:",
      "https://",
      "а",
      "。",
    );
    fc.assert(
      fc.property(fc.array(pieces, { minLength: 1, maxLength: 8 }), (parts) => {
        const text = `http://${parts.join("")}`;
        if (verdict(["example.com"], text) !== "granted") return;
        assert.equal(new URL(text).hostname.replace(/\.$/, ""), "example.com");
        assert.equal(new URL(text).username, "");
      }),
      { numRuns: 3000 },
    );
  });
});

describe("readHostRules", () => {
  const refused: readonly (readonly [entry: unknown, problem: RegExp])[] = [
    ["", /names no host/],
    ["https://example.com", /has a scheme/],
    ["example.com/", /path or query/],
    ["example.com?x", /path or query/],
    ["example.com\\x", /path or query/],
    ["user@example.com", /has a user name/],
    ["!example.com", /negation/],
    ["{a,b}.example.com", /alternatives/],
    ["a.example|b.example", /alternatives/],
    ["exam ple.com", /has a space/],
    ["example.com ", /has a space/],
    ["a.*.example.com", /has a star/],
    ["a*.example.com", /has a star/],
    ["*example.com", /has a star/],
    ["**.example.com", /has a star/],
    ["*.*", /has a star/],
    ["*.", /is not a host name/],
    ["[a-z].example.com", /has brackets/],
    ["example.com:", /has a port that is not/],
    ["example.com:0", /has a port that is not/],
    ["example.com:65536", /has a port that is not/],
    ["example.com:*", /has a port that is not/],
    ["example.com:+80", /has a port that is not/],
    ["example..com", /is not a host name/],
    ["-example.com", /is not a host name/],
    ["exam%70le.com", /is not a host name/],
    ["127.1", /read as an address/],
    ["2130706433", /read as an address/],
    ["0x7f.0.0.1", /read as an address/],
    ["*.0.0.1", /read as an address/],
    ["1.2.3.4.5", /read as an address/],
    ["::ffff:127.0.0.1", /write 127.0.0.1/],
    ["0.0.0.0", /kind "unspecified", which nothing can grant/],
    ["[ff02::1]", /kind "multicast", which nothing can grant/],
    ["fe80::1%eth0", /has a zone/],
    ["private:*", /every private host/],
    ["private:", /names no host/],
    ["private:8080", /read as an address/],
    [5, /number/],
    [null, /null/],
  ];
  for (const [entry, problem] of refused) {
    it(`refuses ${JSON.stringify(entry)} with MORTISE_INVALID_OPTION`, () =>
      assert.throws(() => readHostRules(["ok.example", entry as string], "hosts"), { code: "MORTISE_INVALID_OPTION", message: problem }));
  }

  it("names the entry and says what is wanted", () => {
    assert.throws(() => readHostRules(["a.example", "https://b.example"], "permissions.hosts"), {
      message:
        'Cannot use option "permissions.hosts[1]": it is "https://b.example", which has a scheme, but must be a host ("api.example.com"), "*.example.com", "*", an IP address, each with or without ":port", or "private:" before a host',
    });
  });

  it("refuses what is not a list", () => {
    for (const hosts of ["example.com", null, {}, new Set(["a"])] as unknown[])
      assert.throws(() => readHostRules(hosts as string[], "hosts"), { code: "MORTISE_INVALID_OPTION", message: /must be a list of hosts/ });
  });
});

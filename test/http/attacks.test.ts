// Attacks by servers, by name servers, and by guests that work with them; each must end as said, and leave nothing open.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, it } from "node:test";

import type { HttpOptions } from "../../src/services/http/options.ts";
import { callOf, failure, fetchOnce, get, names, textOf, until, withService } from "./requests.ts";
import { httpServer, rawServer } from "./servers.ts";

const HERE: HttpOptions = { hosts: ["127.0.0.1"], maxResponseBytes: 100_000 };
const OK = "HTTP/1.1 200 OK\r\n";

/** Writes a piece again and again, as fast as it is taken, until the connection is gone. */
function pour(socket: Socket, first: string, piece: string): void {
  socket.write(first);
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on("drain", more);
  more();
}

interface Attack {
  readonly name: string;
  readonly answer: (socket: Socket) => void;
  readonly code: string;
  readonly reason: RegExp;
}

const say =
  (text: string) =>
  (socket: Socket): void =>
    void socket.end(text, "latin1");
const PROTOCOL = /the server does not speak HTTP: \w/;
const CLOSED = /the connection was closed before the response was complete/;

const ATTACKS: readonly Attack[] = [
  // too much
  { name: "headers without end", answer: (s) => pour(s, OK, "x: y\r\n".repeat(1000)), code: "MORTISE_HTTP_LIMIT", reason: /maxHeaderBytes/ },
  { name: "one header without end", answer: (s) => pour(s, `${OK}x: `, "y".repeat(1000)), code: "MORTISE_HTTP_LIMIT", reason: /maxHeaderBytes/ },
  { name: "a header's name without end", answer: (s) => pour(s, OK, "y".repeat(1000)), code: "MORTISE_HTTP_LIMIT", reason: /maxHeaderBytes/ },
  {
    name: "a status text without end",
    answer: (s) => pour(s, "HTTP/1.1 200 ", "y".repeat(1000)),
    code: "MORTISE_HTTP_LIMIT",
    reason: /maxHeaderBytes/,
  },
  { name: "a body without end", answer: (s) => pour(s, `${OK}\r\n`, "y".repeat(1000)), code: "MORTISE_HTTP_LIMIT", reason: /maxResponseBytes/ },
  {
    name: "chunks without end",
    answer: (s) => pour(s, `${OK}transfer-encoding: chunked\r\n\r\n`, `400\r\n${"y".repeat(1024)}\r\n`),
    code: "MORTISE_HTTP_LIMIT",
    reason: /maxResponseBytes/,
  },
  {
    name: "chunks of one byte without end",
    answer: (s) => pour(s, `${OK}transfer-encoding: chunked\r\n\r\n`, "1\r\ny\r\n".repeat(1000)),
    code: "MORTISE_HTTP_FAILED",
    reason: /too many too small pieces/,
  },
  {
    name: "a stated length over the limit, and no body",
    answer: (s) => void s.write(`${OK}content-length: 100001\r\n\r\n`),
    code: "MORTISE_HTTP_LIMIT",
    reason: /maxResponseBytes/,
  },
  {
    name: "a chunk's extension without end",
    answer: (s) => pour(s, `${OK}transfer-encoding: chunked\r\n\r\n1;`, "y".repeat(1000)),
    code: "MORTISE_HTTP_FAILED",
    reason: /HPE_CHUNK_EXTENSIONS_OVERFLOW/,
  },
  {
    name: "trailers without end",
    answer: (s) => pour(s, `${OK}transfer-encoding: chunked\r\n\r\n0\r\n`, "x: y\r\n".repeat(100)),
    code: "MORTISE_HTTP_LIMIT",
    reason: /maxHeaderBytes/,
  },
  {
    name: "100 Continue without end",
    answer: (s) => pour(s, "", "HTTP/1.1 100 Continue\r\n\r\n".repeat(100)),
    code: "MORTISE_HTTP_FAILED",
    reason: /more than 16 answers came before the response/,
  },
  {
    name: "early hints without end",
    answer: (s) => pour(s, "", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(100)),
    code: "MORTISE_HTTP_FAILED",
    reason: /more than 16 answers came before the response/,
  },
  // lies about length
  { name: "fewer bytes than stated", answer: say(`${OK}content-length: 10\r\n\r\n12345`), code: "MORTISE_HTTP_FAILED", reason: CLOSED },
  { name: "two lengths", answer: say(`${OK}content-length: 1\r\ncontent-length: 2\r\n\r\n12`), code: "MORTISE_HTTP_FAILED", reason: PROTOCOL },
  { name: "a negative length", answer: say(`${OK}content-length: -1\r\n\r\n`), code: "MORTISE_HTTP_FAILED", reason: PROTOCOL },
  { name: "a length beyond numbers", answer: say(`${OK}content-length: ${"9".repeat(30)}\r\n\r\n`), code: "MORTISE_HTTP_FAILED", reason: PROTOCOL },
  {
    name: "a length and chunks",
    answer: say(`${OK}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`),
    code: "MORTISE_HTTP_FAILED",
    reason: PROTOCOL,
  },
  { name: "chunks that stop", answer: say(`${OK}transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n`), code: "MORTISE_HTTP_FAILED", reason: CLOSED },
  {
    name: "a chunk size that is no number",
    answer: say(`${OK}transfer-encoding: chunked\r\n\r\nxyz\r\n`),
    code: "MORTISE_HTTP_FAILED",
    reason: PROTOCOL,
  },
  {
    name: "a chunk size beyond numbers",
    answer: say(`${OK}transfer-encoding: chunked\r\n\r\n${"f".repeat(17)}\r\n`),
    code: "MORTISE_HTTP_FAILED",
    reason: PROTOCOL,
  },
  {
    name: "a chunk longer than its size",
    answer: say(`${OK}transfer-encoding: chunked\r\n\r\n1\r\n12345\r\n0\r\n\r\n`),
    code: "MORTISE_HTTP_FAILED",
    reason: PROTOCOL,
  },
  // broken framing
  { name: "a bare carriage return in a header", answer: say(`${OK}x: 1\ry: 2\r\n\r\n`), code: "MORTISE_HTTP_FAILED", reason: PROTOCOL },
  { name: "a folded header", answer: say(`${OK}x: 1\r\n set-cookie: evil=1\r\n\r\n`), code: "MORTISE_HTTP_FAILED", reason: PROTOCOL },
  { name: "a NUL in a header", answer: say(`${OK}x: 1\0\r\n\r\n`), code: "MORTISE_HTTP_FAILED", reason: PROTOCOL },
  { name: "a header without a name", answer: say(`${OK}: 1\r\n\r\n`), code: "MORTISE_HTTP_FAILED", reason: PROTOCOL },
  { name: "a space before the colon", answer: say(`${OK}transfer-encoding : chunked\r\n\r\n`), code: "MORTISE_HTTP_FAILED", reason: PROTOCOL },
  { name: "HTTP/0.9", answer: say("<html>"), code: "MORTISE_HTTP_FAILED", reason: PROTOCOL },
  { name: "an SSH server", answer: say("SSH-2.0-OpenSSH_9\r\n"), code: "MORTISE_HTTP_FAILED", reason: PROTOCOL },
  { name: "a preface of HTTP/2", answer: say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), code: "MORTISE_HTTP_FAILED", reason: PROTOCOL },
  { name: "a status that is no number", answer: say("HTTP/1.1 abc OK\r\n\r\n"), code: "MORTISE_HTTP_FAILED", reason: PROTOCOL },
  { name: "a closed connection", answer: say(""), code: "MORTISE_HTTP_FAILED", reason: CLOSED },
  { name: "a reset connection", answer: (s) => void s.resetAndDestroy(), code: "MORTISE_HTTP_FAILED", reason: CLOSED },
  {
    name: "101 Switching Protocols",
    answer: (s) => void s.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
    code: "MORTISE_HTTP_FAILED",
    reason: /the server changed the protocol|HPE_/,
  },
];

describe("a server that sends", () => {
  for (const { name, answer, code, reason } of ATTACKS) {
    it(`${name} ends with ${code}`, async () => {
      await using server = await rawServer((socket) => answer(socket));
      await withService(HERE, async (service) => {
        assert.match((await failure(service.request(get(`http://127.0.0.1:${server.port}`), callOf()), code)).message, reason);
        await server.allClosed();
      });
    });
  }

  const TRICKLES: readonly (readonly [name: string, first: string, piece: string])[] = [
    ["a head byte by byte", OK, "x"],
    ["a body byte by byte", `${OK}\r\n`, "x"],
    ["chunks one by one", `${OK}transfer-encoding: chunked\r\n\r\n`, "1\r\nx\r\n"],
  ];
  for (const [name, first, piece] of TRICKLES) {
    it(`${name} gets no more time than another`, async (context) => {
      context.mock.timers.enable({ apis: ["setTimeout"] });
      const underWay = Promise.withResolvers<void>();
      await using server = await rawServer((socket) => {
        socket.setNoDelay().write(first);
        let left = 10;
        // Goes on for as long as it is let.
        const drip = (): void => {
          if (socket.destroyed) return;
          if (--left === 0) underWay.resolve();
          socket.write(piece, () => setImmediate(drip));
        };
        drip();
      });
      await withService(HERE, async (service) => {
        const response = failure(service.request(get(`http://127.0.0.1:${server.port}`), callOf({ timeoutMs: 500 })), "MORTISE_TIMEOUT");
        await underWay.promise;
        context.mock.timers.tick(500);
        await response;
        await server.allClosed();
      });
    });
  }

  it("100 Continue unasked, in pieces of any size, is not taken for the response", async () => {
    const unasked = "HTTP/1.1 100 Continue\r\nx: y\r\n\r\n";
    const answer = `${OK}content-length: 2\r\n\r\nok`;
    for (const text of [unasked + answer, unasked.repeat(16) + answer, `HTTP/1.1 103 Early Hints\r\n\r\n${answer}`])
      for (const size of [1, 7, 26, text.length]) {
        await using server = await rawServer((socket) => {
          let sent = 0;
          const more = (): void => {
            if (sent >= text.length) return;
            socket.write(text.slice(sent, (sent += size)), () => setImmediate(more));
          };
          more();
        });
        assert.equal(textOf(await fetchOnce(HERE, get(`http://127.0.0.1:${server.port}`))), "ok");
      }
  });

  it("a second response with the first does not answer the next request", async () => {
    await using server = await rawServer((socket, _input, connection) =>
      socket.write(`${OK}content-length: 1\r\n\r\n${connection}${connection === 1 ? `${OK}content-length: 6\r\n\r\npoison` : ""}`),
    );
    await withService(HERE, async (service) => {
      for (const expected of ["1", "2"]) {
        assert.equal(textOf(await service.request(get(`http://127.0.0.1:${server.port}`), callOf())), expected);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
  });

  it("headers named like parts of objects makes them plain headers", async () => {
    await using server = await rawServer(say(`${OK}__proto__: a\r\nconstructor: b\r\nconnection: close\r\n\r\n`));
    const { headers } = await fetchOnce(HERE, get(`http://127.0.0.1:${server.port}`));
    assert.deepEqual(Object.keys(headers), ["__proto__", "constructor", "connection"]);
    assert.equal(JSON.stringify(headers), '{"__proto__":"a","constructor":"b","connection":"close"}');
    assert.equal(Object.getPrototypeOf(headers), Object.prototype);
  });
});

describe("a redirect", () => {
  const targets: readonly (readonly [name: string, location: string, reason: RegExp])[] = [
    ["to a file", "file:///etc/passwd", /only http and https/],
    ["to a data URL", "data:text/plain,hello", /only http and https/],
    ["to a script", "javascript:alert(1)", /only http and https/],
    ["to gopher", "gopher://127.0.0.1/", /only http and https/],
    ["to a user at the same host", "http://user@127.0.0.1/", /user name or password/],
    ["to a host after a user that looks like the host", "http://127.0.0.1@evil.example/", /user name or password/],
    ["with backslashes", "\\\\evil.example\\", /backslash/],
    ["with a backslash before the at sign", "http://127.0.0.1\\@evil.example/", /backslash/],
    ["to nonsense", "http://[:::", /malformed/],
    ["to another host", "http://evil.example/", /"evil.example" is not allowed: no entry covers it/],
    ["to another host without a scheme", "//evil.example/", /"evil.example" is not allowed: no entry covers it/],
    ["to another address of this machine", "http://127.0.0.2/", /"127.0.0.2" is not allowed/],
    ["to an address in decimal", "http://2130706434/", /"127.0.0.2" is not allowed/],
    ["to an address in octal", "http://0177.0.0.2/", /"127.0.0.2" is not allowed/],
    ["to an address in hexadecimal", "http://0x7f000002/", /"127.0.0.2" is not allowed/],
    ["to a short address", "http://127.2/", /"127.0.0.2" is not allowed/],
    ["to a mapped address", "http://[::ffff:7f00:2]/", /"127.0.0.2" is not allowed/],
    ["to IPv6 loopback", "http://[::1]/", /"\[::1\]" is not allowed/],
    ["to metadata", "http://169.254.169.254/latest/meta-data/", /"169.254.169.254" is not allowed/],
    ["to localhost", "http://localhost/", /"localhost" is not allowed/],
    ["to a host with many characters", `http://${"a.".repeat(5000)}example/`, /more than 8192 characters/],
  ];
  for (const [name, location, reason] of targets) {
    it(`${name} is refused with MORTISE_HTTP_DENIED`, async () => {
      await using server = await rawServer(say(`HTTP/1.1 302 Found\r\nlocation: ${location}\r\n\r\n`));
      const error = await failure(fetchOnce({ ...HERE, lookup: names({}) }, get(`http://127.0.0.1:${server.port}`)), "MORTISE_HTTP_DENIED");
      assert.match(error.message, reason);
      assert.equal(server.connections, 1);
    });
  }

  it("to a public name that resolves to this machine is refused with MORTISE_HTTP_DENIED", async () => {
    await using inside = await httpServer((_message, response) => response.end("inside"));
    await using server = await rawServer(say(`HTTP/1.1 302 Found\r\nlocation: http://evil.example:${inside.port}/\r\n\r\n`));
    const options = { hosts: ["127.0.0.1", "*"], lookup: names({ "evil.example": "127.0.0.1" }) };
    const error = await failure(fetchOnce(options, get(`http://127.0.0.1:${server.port}`)), "MORTISE_HTTP_DENIED");
    assert.match(error.message, /"evil.example" is not allowed: it resolves to 127.0.0.1, a loopback address/);
    assert.equal(inside.connections, 0);
  });

  it("in a circle ends with MORTISE_HTTP_LIMIT", async () => {
    let asked = 0;
    await using server = await httpServer((message, response) => {
      asked++;
      response.writeHead(302, { location: message.url === "/a" ? "/b" : "/a" }).end();
    });
    await failure(fetchOnce(HERE, get(`http://127.0.0.1:${server.port}/a`)), "MORTISE_HTTP_LIMIT");
    assert.equal(asked, 11);
  });

  it("with a body without end costs no more than its head", async () => {
    await using server = await rawServer((socket, input) => {
      if (input.startsWith("GET /end")) socket.end(`${OK}content-length: 3\r\n\r\nend`);
      else pour(socket, "HTTP/1.1 302 Found\r\nlocation: /end\r\n\r\n", "x".repeat(1000));
    });
    await withService({ ...HERE, maxResponseBytes: 3 }, async (service) => {
      assert.equal(textOf(await service.request(get(`http://127.0.0.1:${server.port}`), callOf())), "end");
      await server.allClosed();
    });
  });
});

describe("a name server that", () => {
  /** A lookup whose answers change from one time to the next. */
  const changing = (...answers: readonly string[]): ((name: string) => Promise<{ address: string; family: number }[]>) & { times: number } => {
    const lookup = Object.assign(async () => [{ address: answers[lookup.times++ % answers.length] ?? "", family: 4 }], { times: 0 });
    return lookup;
  };

  it("answers differently after the check has no effect: what was checked is connected to", async () => {
    await using server = await rawServer(say(`${OK}content-length: 7\r\n\r\nchecked`));
    // This machine stands for a public server: whoever looked the name up again would get the second answer.
    const lookup = changing("127.0.0.1", "169.254.169.254");
    const response = await fetchOnce({ hosts: ["private:evil.example"], lookup }, get(`http://evil.example:${server.port}`));
    assert.deepEqual([textOf(response), lookup.times], ["checked", 1]);
  });

  it("answers a second request with this machine is not followed there", async () => {
    await using inside = await httpServer((_message, response) => response.end("inside"));
    const lookup = changing("192.0.2.1", "127.0.0.1", "10.0.0.1");
    await withService({ hosts: ["*"], lookup }, async (service) => {
      for (let turn = 0; turn < 6; turn++) await failure(service.request(get(`http://evil.example:${inside.port}`), callOf()), "MORTISE_HTTP_DENIED");
    });
    assert.equal(inside.connections, 0);
  });

  it("changes its answer between redirects is not followed there", async () => {
    await using server = await httpServer((_message, response) => response.writeHead(302, { location: "/again", connection: "close" }).end());
    const lookup = changing("127.0.0.1", "169.254.169.254");
    const error = await failure(
      fetchOnce({ hosts: ["private:evil.example"], lookup }, get(`http://evil.example:${server.port}`)),
      "MORTISE_HTTP_DENIED",
    );
    assert.match(error.message, /resolves to 169.254.169.254, a metadata address; such an address is never reached by name/);
    assert.equal(server.connections, 1);
  });

  const inner = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "::1",
    "fe80::1",
    "fd00::1",
  ];
  const more = ["::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1%lo", "::", "255.255.255.255", "not an address", ""];
  for (const address of [...inner, ...more]) {
    it(`answers with "${address}" is refused with MORTISE_HTTP_DENIED`, async () => {
      await failure(
        fetchOnce({ hosts: ["*", "evil.example"], lookup: names({ "evil.example": address }) }, get("http://evil.example")),
        "MORTISE_HTTP_DENIED",
      );
    });
  }

  for (const address of ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "fe80::1", "0.0.0.0", "224.0.0.1"]) {
    it(`answers with "${address}" for a host with private addresses is refused with MORTISE_HTTP_DENIED`, async () => {
      const options = { hosts: ["private:evil.example"], lookup: names({ "evil.example": address }) };
      await failure(fetchOnce(options, get("http://evil.example")), "MORTISE_HTTP_DENIED");
    });
  }

  it("mixes permitted addresses with others reaches only the permitted ones", async () => {
    await using inside = await httpServer((_message, response) => response.end("inside"));
    await using outside = await rawServer(say(`${OK}content-length: 7\r\n\r\noutside`));
    const lookup = names({ "evil.example": ["169.254.169.254", "127.0.0.1", "224.0.0.1"] });
    assert.equal(textOf(await fetchOnce({ hosts: ["private:evil.example"], lookup }, get(`http://evil.example:${outside.port}`))), "outside");
    const mixed = names({ "evil.example": ["127.0.0.1", "::1", "10.0.0.1"] });
    await failure(fetchOnce({ hosts: ["*"], lookup: mixed }, get(`http://evil.example:${inside.port}`)), "MORTISE_HTTP_DENIED");
    assert.equal(inside.connections, 0);
  });

  it("calls localhost another machine is refused with MORTISE_HTTP_DENIED", async () => {
    const error = await failure(
      fetchOnce({ hosts: ["localhost"], lookup: names({ localhost: "10.0.0.1" }) }, get("http://localhost")),
      "MORTISE_HTTP_DENIED",
    );
    assert.match(error.message, /it resolves to 10.0.0.1, a private address/);
  });

  it("never answers holds up no more than 64 names, also when their requests have ended", async () => {
    let asked = 0;
    const lookup = (): Promise<never> => {
      asked++;
      return new Promise(() => {});
    };
    await withService({ hosts: ["*"], lookup, maxConcurrent: 1000 }, async (service) => {
      const ended = new AbortController();
      const call = callOf({ signal: ended.signal });
      const requests = Array.from({ length: 64 }, (_unused, index) =>
        failure(service.request(get(`http://n${index}.example`), call), "MORTISE_ABORTED"),
      );
      const again = failure(service.request(get("http://n0.example:81"), call), "MORTISE_ABORTED");
      await until(() => asked >= 64);
      ended.abort();
      await Promise.all([...requests, again]);
      const error = await failure(service.request(get("http://n64.example"), callOf()), "MORTISE_HTTP_FAILED");
      assert.equal(error.details["reason"], "too many names wait for a name server");
      assert.equal(asked, 64);
    });
  });
});

describe("a guest that", () => {
  it("hides a request in the body of a GET cannot have it answer another request", async () => {
    // A server that does not read such bodies takes them for the next request.
    await using server = await rawServer((socket, input, connection) => {
      const requests = input.match(/^(?:GET|DELETE) \S+/gm) ?? [];
      for (const request of requests) socket.write(`${OK}content-length: ${request.length + 1}\r\n\r\n${connection}${request}`);
    });
    const smuggled = new TextEncoder().encode("GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n");
    await withService(HERE, async (service) => {
      const url = `http://127.0.0.1:${server.port}`;
      assert.equal(textOf(await service.request(get(`${url}/a`, { body: smuggled }), callOf())), "1GET /a");
      assert.equal(textOf(await service.request(get(`${url}/b`), callOf())), "2GET /b");
    });
  });

  it("puts line ends, spaces or other schemes into its URL is refused with MORTISE_HTTP_INVALID", async () => {
    const urls = [
      "http://127.0.0.1/ HTTP/1.1\r\nx: y",
      "http://127.0.0.1/\r\nx",
      "http://127.0.0.1/\u2028",
      "http://127.0.0.1\t.evil.example/",
      "http:/127.0.0.1/",
      "http:127.0.0.1",
      "file:///etc/passwd",
      "unix:/var/run/docker.sock",
      "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
      "",
      "127.0.0.1",
      "http://",
      "http:///etc/passwd",
    ];
    for (const url of urls) await failure(fetchOnce(HERE, get(url)), "MORTISE_HTTP_INVALID");
  });

  it("writes an address in any spelling reaches it only if it is granted", async () => {
    await using server = await httpServer((_message, response) => response.end("reached"));
    const spellings = [
      "127.0.0.1",
      "2130706433",
      "0x7f000001",
      "0x7f.0.0.1",
      "0177.0.0.1",
      "017700000001",
      "127.1",
      "127.0.1",
      "127.0.0.1.",
      "①②⑦.0.0.1",
      "[::ffff:127.0.0.1]",
      "[::ffff:7f00:1]",
      "[0:0:0:0:0:ffff:7f00:1]",
    ];
    for (const host of spellings) {
      const request = get(`http://${host}:${server.port}`);
      const error = await failure(fetchOnce({ hosts: ["*"] }, request), "MORTISE_HTTP_DENIED");
      assert.match(error.message, /"127.0.0.1" is not allowed: it is a loopback address/);
      assert.equal(textOf(await fetchOnce({ hosts: ["127.0.0.1"] }, request)), "reached", host);
    }
    assert.equal(server.connections, spellings.length);
  });
});

// The kits' common plugin as one writes it for Extism's JavaScript kit.
const { reverse } = Host.getFunctions();

function greet() {
  const greeting = Config.get("greeting") ?? "Hello";
  Host.outputString(`${greeting}, ${Host.inputString()}!`);
}

function count() {
  const next = String(Number(Var.getString("count") ?? "0") + 1);
  Var.set("count", next);
  Host.outputString(next);
}

function fetch() {
  answer(Http.request({ url: Host.inputString(), method: "GET" }));
}

function post() {
  const url = Host.inputString();
  answer(Http.request({ url, method: "POST", headers: { "x-plugin": "kit" } }, "knock, knock"));
}

function answer({ status, body, headers }) {
  Host.outputString(JSON.stringify({ status, body, header: headers["x-kit"] ?? null }));
}

function ask_host() {
  const question = Memory.fromString(Host.inputString());
  const reply = Memory.find(reverse(question.offset));
  question.free();
  Host.outputString(reply.readString());
}

function fail() {
  throw new Error("no good");
}

function log_levels() {
  console.trace("a trace line");
  console.debug("a debug line");
  console.log("an info line");
  console.warn("a warn line");
  console.error("an error line");
}

module.exports = { greet, count, fetch, post, ask_host, fail, log_levels };

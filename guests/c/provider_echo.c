/*
 * A provider of QueryMT's second generation that needs no server: it answers with what was said to it last, and says so.
 * The same input gives the same output, always. guests/README.md says what it answers to what.
 */
#include "extism.h"
#include "json.h"

IMPORT("extism:host/user", "qmt_yield_chunk") extern void qmt_yield_chunk(uint64_t item);

#define MAX_DEPTH 16
#define DIMENSIONS 8
#define MAX_DIMENSIONS 4096
#define ALL_WORDS 0xffffffffu

static Json input_json(void) {
  size_t length = (size_t)extism_input_length();
  heap_reset();
  uint8_t *bytes = heap_take(length);
  copy_input(bytes, length);
  return json_whole(bytes, length);
}

static int32_t succeed_with_out(Out out) {
  return succeed_with(out.bytes, out.length);
}

static Json taken(Out out) {
  return (Json){out.bytes, out.length};
}

/* Text in its escaped form: the letters after a backslash that stand for white space. */
static int is_space(Json text, size_t at, size_t *size) {
  uint8_t byte = text.bytes[at];
  *size = 1;
  if (byte == ' ') return 1;
  if (byte != '\\' || at + 1 >= text.length) return 0;
  *size = 2;
  uint8_t letter = text.bytes[at + 1];
  return letter == 'n' || letter == 'r' || letter == 't';
}

/* The end of the word that begins at `at`, with the white space behind it. */
static size_t word_end(Json text, size_t at) {
  size_t size;
  while (at < text.length && is_space(text, at, &size)) at += size;
  while (at < text.length && !is_space(text, at, &size)) at += size;
  while (at < text.length && is_space(text, at, &size)) at += size;
  return at < text.length ? at : text.length;
}

static uint32_t words_of(Json text) {
  uint32_t count = 0;
  size_t at = 0, size;
  while (at < text.length) {
    while (at < text.length && is_space(text, at, &size)) at += size;
    if (at < text.length) count++;
    while (at < text.length && !is_space(text, at, &size)) at += size;
  }
  return count;
}

/* The words of every string in a value: texts are counted wherever they are. */
static uint32_t words_inside(Json content, int depth) {
  Json part;
  uint32_t count = words_of(json_text(json_get(content, "\"text\"")));
  if (depth >= MAX_DEPTH) return count;
  Json list = json_starts(content, '[') ? content : json_get(content, "\"content\"");
  size_t at = 0;
  while ((part = json_next(list, &at, 0)).length > 0) count += words_inside(part, depth + 1);
  return count;
}

static uint32_t words_asked(Json cfg, Json messages) {
  Json system = json_get(cfg, "\"system\""), one;
  uint32_t count = words_of(json_text(system)) + words_inside(messages, 0);
  size_t at = 0;
  while ((one = json_next(system, &at, 0)).length > 0) count += words_of(json_text(one));
  return count;
}

/* Adds the texts of parts, and of the results of tools among them. */
static int add_texts(Out *out, Json content, int depth, int count) {
  Json part;
  size_t at = 0;
  while ((part = json_next(content, &at, 0)).length > 0) {
    Json type = json_get(part, "\"type\"");
    if (json_is(type, "\"tool_result\"") && depth < MAX_DEPTH) {
      count = add_texts(out, json_get(part, "\"content\""), depth + 1, count);
    } else if (json_is(type, "\"text\"")) {
      if (count++ > 0) out_text(out, "\\n");
      out_json(out, json_text(json_get(part, "\"text\"")));
    }
  }
  return count;
}

static Json last_user(Json messages) {
  Json message, last = NOTHING;
  size_t at = 0;
  while ((message = json_next(messages, &at, 0)).length > 0) {
    if (json_is(json_get(message, "\"role\""), "\"User\"")) last = message;
  }
  return last;
}

/* The simplest value that a JSON Schema asks for: its first choice, or the first thing of its type. */
static void derive(Out *out, Json schema, int depth) {
  Json type = json_get(schema, "\"type\""), known = json_get(schema, "\"const\""), list = json_get(schema, "\"enum\"");
  size_t at = 0;
  if (known.length > 0) {
    out_json(out, known);
    return;
  }
  if ((known = json_next(list, &at, 0)).length > 0) {
    out_json(out, known);
    return;
  }
  at = 0;
  if (json_starts(type, '[')) type = json_next(type, &at, 0);
  if (json_is(type, "\"string\"")) out_text(out, "\"echo\"");
  else if (json_is(type, "\"integer\"") || json_is(type, "\"number\"")) {
    known = json_get(schema, "\"minimum\"");
    if (known.length > 0) out_json(out, known);
    else out_text(out, "1");
  } else if (json_is(type, "\"boolean\"")) out_text(out, "true");
  else if (json_is(type, "\"null\"")) out_text(out, "null");
  else if (json_is(type, "\"array\"")) {
    uint32_t count = json_count(json_get(schema, "\"minItems\""), 16, 0);
    out_text(out, "[");
    for (uint32_t index = 0; index < count && depth < MAX_DEPTH; index++) {
      if (index > 0) out_text(out, ",");
      derive(out, json_get(schema, "\"items\""), depth + 1);
    }
    out_text(out, "]");
  } else {
    Json properties = json_get(schema, "\"properties\""), required = json_get(schema, "\"required\""), name;
    int count = 0;
    at = 0;
    out_text(out, "{");
    while (depth < MAX_DEPTH && (name = json_next(required, &at, 0)).length > 0) {
      if (!json_starts(name, '"')) continue;
      if (count++ > 0) out_text(out, ",");
      out_json(out, name);
      out_text(out, ":");
      derive(out, json_find(properties, name), depth + 1);
    }
    out_text(out, "}");
  }
}

static Json derived(Json schema) {
  Out out = out_new();
  derive(&out, schema, 0);
  return taken(out);
}

/* The function that has to be called: the one that is named, or the first if any has to; nothing if none has to. */
static Json asked_function(Json cfg, Json tools) {
  Json choice = json_get(cfg, "\"tool_choice\""), tool;
  Json named = json_get(json_get(choice, "\"function\""), "\"name\"");
  size_t at = 0;
  if (named.length == 0 && !json_is(choice, "\"required\"")) return NOTHING;
  while ((tool = json_next(tools, &at, 0)).length > 0) {
    Json function = json_get(tool, "\"function\""), name = json_get(function, "\"name\"");
    if (json_starts(name, '"') && (named.length == 0 || json_same(name, named))) return function;
  }
  return NOTHING;
}

typedef struct {
  /* What is said, escaped; nothing if a function is called. */
  Json text;
  Json function;
  /* JSON. */
  Json arguments;
  uint32_t asked, said;
  int is_cut;
} Answer;

static Json answer_text(Json cfg, Json messages) {
  Json asked = json_get(cfg, "\"json_schema\"");
  if (asked.length == 0) asked = json_get(json_get(cfg, "\"response_format\""), "\"json_schema\"");
  Json schema = json_get(asked, "\"schema\"");
  if (json_starts(schema, '{')) {
    Json value = derived(schema);
    Out out = out_new();
    out_escaped(&out, value);
    return taken(out);
  }
  Out out = out_new();
  out_text(&out, "echo: ");
  if (add_texts(&out, json_get(last_user(messages), "\"content\""), 0, 0) == 0) out_text(&out, "(no text)");
  return taken(out);
}

static Answer answer_to(Json input) {
  Json cfg = json_get(input, "\"cfg\""), messages = json_get(input, "\"messages\"");
  Answer answer = {NOTHING, asked_function(cfg, json_get(input, "\"tools\"")), NOTHING, words_asked(cfg, messages), 0, 0};
  if (answer.function.length > 0) {
    answer.arguments = derived(json_get(answer.function, "\"parameters\""));
    answer.said = 1;
    return answer;
  }
  answer.text = answer_text(cfg, messages);
  answer.said = words_of(answer.text);
  uint32_t limit = json_count(json_get(cfg, "\"max_completion_tokens\""), ALL_WORDS, ALL_WORDS);
  if (limit == ALL_WORDS) limit = json_count(json_get(cfg, "\"max_tokens\""), ALL_WORDS, ALL_WORDS);
  if (answer.said > limit) {
    size_t at = 0;
    for (uint32_t count = 0; count < limit; count++) at = word_end(answer.text, at);
    answer.text.length = at;
    answer.said = limit;
    answer.is_cut = 1;
  }
  return answer;
}

static void out_usage(Out *out, Answer answer) {
  out_text(out, "{\"input_tokens\":");
  out_count(out, answer.asked);
  out_text(out, ",\"output_tokens\":");
  out_count(out, answer.said);
  out_text(out, ",\"reasoning_tokens\":0,\"cache_read\":0,\"cache_write\":0}");
}

static void out_call(Out *out, Answer answer) {
  out_text(out, "{\"id\":\"call_echo\",\"type\":\"function\",\"function\":{\"name\":");
  out_json(out, json_get(answer.function, "\"name\""));
  out_text(out, ",\"arguments\":\"");
  out_escaped(out, answer.arguments);
  out_text(out, "\"}}");
}

static const char *reason_of(Answer answer) {
  return answer.function.length > 0 ? "\"ToolCalls\"" : answer.is_cut ? "\"Length\"" : "\"Stop\"";
}

EXPORT(chat) int32_t chat(void) {
  Answer answer = answer_to(input_json());
  Out out = out_new();
  out_text(&out, "{\"text\":");
  if (answer.function.length > 0) {
    out_text(&out, "null,\"tool_calls\":[");
    out_call(&out, answer);
    out_text(&out, "]");
  } else {
    out_text(&out, "\"");
    out_json(&out, answer.text);
    out_text(&out, "\",\"tool_calls\":null");
  }
  out_text(&out, ",\"thinking\":null,\"usage\":");
  out_usage(&out, answer);
  out_text(&out, ",\"finish_reason\":");
  out_text(&out, reason_of(answer));
  out_text(&out, "}");
  return succeed_with_out(out);
}

/* Gives out a piece of a stream, and takes its room back. */
static void give(Out out) {
  uint64_t block = block_from(out.bytes, out.length);
  qmt_yield_chunk(block);
  extism_free(block);
  heap_next = (uintptr_t)out.bytes;
}

static Out piece(const char *head) {
  Out out = out_new();
  out_text(&out, "{\"chunk\":{");
  out_text(&out, head);
  return out;
}

static void give_call(Answer answer) {
  Out out = piece("\"tool_use_start\":{\"index\":0,\"id\":\"call_echo\",\"name\":");
  out_json(&out, json_get(answer.function, "\"name\""));
  out_text(&out, "}},\"usage\":null}");
  give(out);
  out = piece("\"tool_use_input_delta\":{\"index\":0,\"partial_json\":\"");
  out_escaped(&out, answer.arguments);
  out_text(&out, "\"}},\"usage\":null}");
  give(out);
  out = piece("\"tool_use_complete\":{\"index\":0,\"tool_call\":");
  out_call(&out, answer);
  out_text(&out, "}},\"usage\":null}");
  give(out);
}

EXPORT(chat_stream) int32_t chat_stream(void) {
  Answer answer = answer_to(input_json());
  if (answer.function.length > 0) give_call(answer);
  for (size_t at = 0; at < answer.text.length;) {
    size_t end = word_end(answer.text, at);
    Out out = piece("\"text\":\"");
    out_json(&out, (Json){answer.text.bytes + at, end - at});
    out_text(&out, "\"},\"usage\":null}");
    give(out);
    at = end;
  }
  Out out = piece("\"usage\":");
  out_usage(&out, answer);
  out_text(&out, "},\"usage\":");
  out_usage(&out, answer);
  out_text(&out, "}");
  give(out);
  out = piece("\"done\":{\"finish_reason\":");
  out_text(&out, reason_of(answer));
  out_text(&out, "}},\"usage\":null}");
  give(out);
  return 0;
}

EXPORT(list_models) int32_t list_models(void) {
  return succeed_with_text("[\"echo\"]");
}

/* The next of an endless row of numbers that a seed begins (splitmix64). */
static uint64_t next_random(uint64_t *state) {
  uint64_t value = *state += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

/* From -1 to 1, with six decimals. */
static void out_decimal(Out *out, double value) {
  if (value < 0) {
    out_text(out, "-");
    value = -value;
  }
  uint32_t millionths = (uint32_t)(value * 1000000.0 + 0.5);
  out_count(out, millionths / 1000000);
  out_text(out, ".");
  for (uint32_t unit = 100000, rest = millionths % 1000000; unit > 0; unit /= 10) out_count(out, rest / unit % 10);
}

/* A vector of length 1 that the text's hash (FNV-1a) gives. */
static void out_vector(Out *out, Json text, uint32_t dimensions) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t at = 0; at < text.length; at++) hash = (hash ^ text.bytes[at]) * 0x100000001b3u;
  double sum = 0;
  for (int round = 0; round < 2; round++) {
    uint64_t state = hash;
    double length = __builtin_sqrt(sum);
    for (uint32_t index = 0; index < dimensions; index++) {
      double value = (double)(int64_t)(next_random(&state) >> 11) / 4503599627370496.0 - 1.0;
      if (round == 0) sum += value * value;
      else {
        out_text(out, index == 0 ? "[" : ",");
        out_decimal(out, length == 0 ? 0 : value / length);
      }
    }
  }
  out_text(out, "]");
}

EXPORT(embed) int32_t embed(void) {
  Json input = input_json(), cfg = json_get(input, "\"cfg\""), texts = json_get(input, "\"inputs\""), text;
  Json asked = json_get(cfg, "\"dimensions\"");
  if (asked.length == 0) asked = json_get(cfg, "\"embedding_dimensions\"");
  uint32_t dimensions = asked.length == 0 ? DIMENSIONS : json_count(asked, MAX_DIMENSIONS, 0);
  if (dimensions == 0) return fail_with("{\"payload\":{\"type\":\"invalid_request\",\"message\":\"An echo has 1 to 4096 dimensions\"}}");
  Out out = out_new();
  Answer counts = {NOTHING, NOTHING, NOTHING, 0, 0, 0};
  size_t at = 0;
  out_text(&out, "{\"embeddings\":[");
  for (int count = 0; (text = json_next(texts, &at, 0)).length > 0; count++) {
    if (count > 0) out_text(&out, ",");
    out_vector(&out, json_text(text), dimensions);
    counts.asked += words_of(json_text(text));
  }
  out_text(&out, "],\"usage\":");
  out_usage(&out, counts);
  out_text(&out, "}");
  return succeed_with_out(out);
}

EXPORT(name) int32_t name(void) {
  return succeed_with_text("echo");
}

EXPORT(init_logging) int32_t init_logging(void) {
  return 0;
}

EXPORT(config_schema) int32_t config_schema(void) {
  return succeed_with_text(
      "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"model\":{\"type\":\"string\"},\"system\":{},"
      "\"stream\":{\"type\":\"boolean\"},\"max_tokens\":{\"type\":\"integer\"},\"max_completion_tokens\":{\"type\":\"integer\"},"
      "\"tool_choice\":{},\"json_schema\":{\"type\":\"object\"},\"response_format\":{\"type\":\"object\"},\"dimensions\":{\"type\":\"integer\"},"
      "\"embedding_dimensions\":{\"type\":\"integer\"}}}");
}

EXPORT(from_config) int32_t from_config(void) {
  return succeed_with_text("null");
}

EXPORT(base_url) int32_t base_url(void) {
  return 0;
}

EXPORT(supports_streaming) int32_t supports_streaming(void) {
  return succeed_with_text(json_is(json_get(input_json(), "\"stream\""), "false") ? "false" : "true");
}

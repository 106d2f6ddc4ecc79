// Requests with everything that the gateway claims to know of each interface, and what they are in the common form.

import type { JsonObject } from "mortise";

/** One pixel. */
export const PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const PNG_DATA = PNG.slice(PNG.indexOf(",") + 1);
export const PDF_DATA = Buffer.from("%PDF-1.4").toString("base64");
export const PDF = `data:application/pdf;base64,${PDF_DATA}`;

const WEATHER_SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const ANSWER_SCHEMA = { type: "object", properties: { sunny: { type: "boolean" } }, required: ["sunny"], additionalProperties: false };

const WEATHER_TOOL = {
  type: "function",
  function: { name: "weather", description: "The weather of a city", parameters: WEATHER_SCHEMA, strict: true },
};

/** Chat completions: a conversation with images, files, sound, calls of tools and their results. */
export const CHAT_REQUEST: JsonObject = {
  model: "openai/gpt-x",
  messages: [
    { role: "system", content: "Be brief." },
    { role: "developer", content: [{ type: "text", text: "Use metric units." }], name: "ops" },
    {
      role: "user",
      content: [
        { type: "text", text: "Where is this?" },
        { type: "image_url", image_url: { url: PNG, detail: "low" } },
        { type: "image_url", image_url: { url: "https://example.com/a.png" } },
        { type: "input_audio", input_audio: { data: "UklGRg==", format: "wav" } },
        { type: "file", file: { file_data: PDF, filename: "a.pdf" } },
      ],
    },
    {
      role: "assistant",
      content: null,
      tool_calls: [
        { id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Oslo"}' } },
        { id: "call_2", type: "function", function: { name: "weather", arguments: '{"city":"Rome"}' } },
      ],
    },
    { role: "tool", tool_call_id: "call_1", content: "rain" },
    { role: "tool", tool_call_id: "call_2", content: [{ type: "text", text: "sun" }] },
    { role: "assistant", content: "Rome is sunny.", refusal: null },
    { role: "user", content: "As JSON." },
  ],
  max_tokens: 100,
  temperature: 0.5,
  top_p: 0.9,
  n: 1,
  seed: -3,
  stop: ["END", "STOP"],
  presence_penalty: 0.1,
  frequency_penalty: -0.1,
  logprobs: true,
  top_logprobs: 2,
  logit_bias: { "50256": -100 },
  parallel_tool_calls: false,
  reasoning_effort: "low",
  verbosity: "low",
  service_tier: "auto",
  user: "user-1",
  store: false,
  metadata: { team: "a" },
  modalities: ["text"],
  tools: [WEATHER_TOOL],
  tool_choice: { type: "function", function: { name: "weather" } },
  response_format: { type: "json_schema", json_schema: { name: "answer", schema: ANSWER_SCHEMA, strict: true } },
  stream: true,
  stream_options: { include_usage: true },
  vendor_field: { kept: [1] },
};

/** Anthropic's messages. */
export const MESSAGES_REQUEST: JsonObject = {
  model: "anthropic/claude-x",
  max_tokens: 100,
  system: [
    { type: "text", text: "Be brief." },
    { type: "text", text: "Use metric units.", cache_control: { type: "ephemeral", ttl: "1h" } },
  ],
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text: "Where is this?" },
        { type: "image", source: { type: "base64", media_type: "image/png", data: PNG_DATA }, cache_control: { type: "ephemeral" } },
        { type: "image", source: { type: "url", url: "https://example.com/a.png" } },
        { type: "document", source: { type: "base64", media_type: "application/pdf", data: PDF_DATA }, title: "a.pdf", citations: { enabled: true } },
        { type: "document", source: { type: "url", url: "https://example.com/a.pdf" } },
        { type: "document", source: { type: "text", media_type: "text/plain", data: "plain" } },
      ],
    },
    {
      role: "assistant",
      content: [
        { type: "thinking", thinking: "Two cities.", signature: "c2ln" },
        { type: "redacted_thinking", data: "c2VjcmV0" },
        { type: "text", text: "I look it up." },
        { type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Oslo" } },
        { type: "tool_use", id: "toolu_2", name: "weather", input: {}, cache_control: { type: "ephemeral" } },
      ],
    },
    {
      role: "user",
      content: [
        { type: "tool_result", tool_use_id: "toolu_1", content: "rain" },
        { type: "tool_result", tool_use_id: "toolu_2", content: [{ type: "text", text: "no city" }], is_error: true },
        { type: "text", text: "Go on." },
      ],
    },
    { role: "assistant", content: "Rome is sunny." },
    { role: "user", content: "As JSON." },
  ],
  stop_sequences: ["END"],
  temperature: 0.5,
  top_p: 0.9,
  top_k: 5,
  metadata: { user_id: "user-1" },
  service_tier: "auto",
  thinking: { type: "enabled", budget_tokens: 2048 },
  tools: [
    { name: "weather", description: "The weather of a city", input_schema: WEATHER_SCHEMA, cache_control: { type: "ephemeral" } },
    { type: "web_search_20250305", name: "web_search", max_uses: 2 },
  ],
  tool_choice: { type: "tool", name: "weather", disable_parallel_tool_use: true },
  output_config: { effort: "high", format: { type: "json_schema", schema: ANSWER_SCHEMA } },
  stream: true,
  vendor_field: { kept: [1] },
};

/** The same in the common form. */
export const MESSAGES_COMMON: { readonly input: readonly JsonObject[]; readonly params: JsonObject } = {
  input: [
    {
      role: "system",
      content: [
        { type: "text", text: "Be brief." },
        { type: "text", text: "Use metric units.", cache_control: { type: "ephemeral", ttl: "1h" } },
      ],
    },
    {
      role: "user",
      content: [
        { type: "text", text: "Where is this?" },
        { type: "image_url", image_url: { url: PNG }, cache_control: { type: "ephemeral" } },
        { type: "image_url", image_url: { url: "https://example.com/a.png" } },
        { type: "file", file: { file_data: PDF, filename: "a.pdf" }, citations: { enabled: true } },
        { type: "file", file: { file_url: "https://example.com/a.pdf" } },
        { type: "document", source: { type: "text", media_type: "text/plain", data: "plain" } },
      ],
    },
    {
      role: "assistant",
      content: "I look it up.",
      reasoning: "Two cities.",
      reasoning_details: [
        { type: "reasoning.text", text: "Two cities.", signature: "c2ln" },
        { type: "reasoning.encrypted", data: "c2VjcmV0" },
      ],
      tool_calls: [
        { id: "toolu_1", type: "function", function: { name: "weather", arguments: '{"city":"Oslo"}' } },
        { id: "toolu_2", type: "function", function: { name: "weather", arguments: "{}" }, cache_control: { type: "ephemeral" } },
      ],
    },
    { role: "tool", tool_call_id: "toolu_1", content: "rain" },
    { role: "tool", tool_call_id: "toolu_2", content: [{ type: "text", text: "no city" }], is_error: true },
    { role: "user", content: [{ type: "text", text: "Go on." }] },
    { role: "assistant", content: "Rome is sunny." },
    { role: "user", content: "As JSON." },
  ],
  params: {
    max_completion_tokens: 100,
    stop: ["END"],
    temperature: 0.5,
    top_p: 0.9,
    top_k: 5,
    metadata: { user_id: "user-1" },
    service_tier: "auto",
    thinking: { type: "enabled", budget_tokens: 2048 },
    tools: [
      {
        type: "function",
        function: { name: "weather", description: "The weather of a city", parameters: WEATHER_SCHEMA },
        cache_control: { type: "ephemeral" },
      },
      { type: "web_search_20250305", name: "web_search", max_uses: 2 },
    ],
    tool_choice: { type: "function", function: { name: "weather" } },
    parallel_tool_calls: false,
    reasoning_effort: "high",
    response_format: { type: "json_schema", json_schema: { name: "output", schema: ANSWER_SCHEMA } },
    vendor_field: { kept: [1] },
  },
};

/** OpenAI's responses. */
export const RESPONSES_REQUEST: JsonObject = {
  model: "openai/gpt-x",
  instructions: "Be brief.",
  input: [
    { role: "developer", content: "Use metric units." },
    {
      type: "message",
      role: "user",
      content: [
        { type: "input_text", text: "Where is this?" },
        { type: "input_image", image_url: PNG, detail: "low" },
        { type: "input_file", file_data: PDF, filename: "a.pdf" },
        { type: "input_file", file_url: "https://example.com/a.pdf" },
        { type: "input_audio", input_audio: { data: "UklGRg==", format: "wav" } },
      ],
    },
    { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "Two cities." }], encrypted_content: "c2ln" },
    { type: "reasoning", id: "rs_2", summary: [], encrypted_content: "c2VjcmV0" },
    {
      type: "message",
      id: "msg_1",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text: "I look it up.", annotations: [] }],
    },
    { type: "function_call", id: "fc_1", call_id: "call_1", name: "weather", arguments: '{"city":"Oslo"}', status: "completed" },
    { type: "function_call", call_id: "call_2", name: "weather", arguments: '{"city":"Rome"}' },
    { type: "function_call_output", call_id: "call_1", output: "rain" },
    { type: "function_call_output", call_id: "call_2", output: [{ type: "input_text", text: "sun" }] },
    { role: "assistant", content: "Rome is sunny." },
    { role: "user", content: "As JSON." },
  ],
  max_output_tokens: 100,
  temperature: 0.5,
  top_p: 0.9,
  top_logprobs: 2,
  parallel_tool_calls: false,
  metadata: { team: "a" },
  user: "user-1",
  include: ["reasoning.encrypted_content"],
  reasoning: { effort: "low", summary: "auto" },
  text: { format: { type: "json_schema", name: "answer", schema: ANSWER_SCHEMA, strict: true }, verbosity: "low" },
  tools: [{ type: "function", name: "weather", description: "The weather of a city", parameters: WEATHER_SCHEMA, strict: true }],
  tool_choice: { type: "function", name: "weather" },
  store: true,
  stream: true,
  vendor_field: { kept: [1] },
};

/** The same in the common form. */
export const RESPONSES_COMMON: { readonly input: readonly JsonObject[]; readonly params: JsonObject } = {
  input: [
    { role: "system", content: "Be brief." },
    { role: "developer", content: "Use metric units." },
    {
      role: "user",
      content: [
        { type: "text", text: "Where is this?" },
        { type: "image_url", image_url: { url: PNG, detail: "low" } },
        { type: "file", file: { file_data: PDF, filename: "a.pdf" } },
        { type: "file", file: { file_url: "https://example.com/a.pdf" } },
        { type: "input_audio", input_audio: { data: "UklGRg==", format: "wav" } },
      ],
    },
    {
      role: "assistant",
      content: "I look it up.",
      reasoning: "Two cities.",
      reasoning_details: [
        { type: "reasoning.text", text: "Two cities.", signature: "c2ln", id: "rs_1" },
        { type: "reasoning.encrypted", data: "c2VjcmV0", id: "rs_2" },
      ],
      tool_calls: [
        { id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Oslo"}' } },
        { id: "call_2", type: "function", function: { name: "weather", arguments: '{"city":"Rome"}' } },
      ],
    },
    { role: "tool", tool_call_id: "call_1", content: "rain" },
    { role: "tool", tool_call_id: "call_2", content: [{ type: "text", text: "sun" }] },
    { role: "assistant", content: "Rome is sunny." },
    { role: "user", content: "As JSON." },
  ],
  params: {
    max_completion_tokens: 100,
    temperature: 0.5,
    top_p: 0.9,
    top_logprobs: 2,
    parallel_tool_calls: false,
    metadata: { team: "a" },
    user: "user-1",
    include: ["reasoning.encrypted_content"],
    reasoning_effort: "low",
    reasoning: { summary: "auto" },
    response_format: { type: "json_schema", json_schema: { name: "answer", schema: ANSWER_SCHEMA, strict: true } },
    verbosity: "low",
    tools: [WEATHER_TOOL],
    tool_choice: { type: "function", function: { name: "weather" } },
    vendor_field: { kept: [1] },
  },
};

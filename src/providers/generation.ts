// Which generation of QueryMT's interface a plugin speaks: nothing says so but its exports.

import { MortiseError } from "../api/errors.ts";

/** 2: the plugin makes its requests itself. 3: it builds them and reads the responses, and the host sends them. */
export type Generation = 2 | 3;

const METADATA = ["name", "init_logging", "config_schema", "from_config"] as const;
const OPTIONAL_METADATA = ["base_url", "api_key_name", "supports_streaming"] as const;
/** The five that make a plugin one of generation 3. */
const GENERATION_3 = ["chat_request", "chat_stream_request", "parse_chat_response", "list_models_request", "parse_list_models_response"] as const;
/** A stream of generation 3 needs all of them. */
export const PARSER = ["start", "parse", "finish", "close"].map((step) => `chat_stream_parser_${step}`);

const OPTIONAL: Readonly<Record<Generation, readonly string[]>> = {
  3: [
    ...OPTIONAL_METADATA,
    "list_models_static",
    "classify_chat_error",
    ...PARSER,
    "passthrough_request",
    "embed_request",
    "parse_embed_response",
    "complete_request",
    "parse_complete_response",
    "transcribe",
    "speech",
  ],
  2: [...OPTIONAL_METADATA, "chat_stream", "list_models", "embed", "complete", "transcribe", "speech"],
};

/** What a plugin exports of the interface. */
export interface ProviderExports {
  readonly generation: Generation;
  /** Functions of the interface that are there, and optional ones that are not. */
  readonly found: readonly string[];
  readonly missing: readonly string[];
}

/**
 * Tells the generation by the exported functions: five of them make generation 3.
 *
 * @throws MortiseError MORTISE_PROVIDER_REFUSED for generation 1, and for what is no provider
 */
export function readGeneration(plugin: string, exports: ReadonlySet<string>): ProviderExports {
  const refuse = (reason: string): MortiseError => new MortiseError("MORTISE_PROVIDER_REFUSED", { plugin, reason });
  const generation = GENERATION_3.every((name) => exports.has(name)) ? 3 : 2;
  if (generation === 2 && !exports.has("chat")) {
    const lacking = GENERATION_3.filter((name) => !exports.has(name));
    throw refuse(
      lacking.length < GENERATION_3.length
        ? `it exports some functions of generation 3, but not ${lacking.join(", ")}`
        : "it exports neither chat nor the functions of generation 3",
    );
  }
  if (generation === 2 && !exports.has("init_logging") && !exports.has("chat_stream"))
    throw refuse("it is of generation 1 (before 0.2.0), which has no init_logging and no streaming; use a release from 0.2.0 on");
  const absent = METADATA.filter((name) => !exports.has(name));
  if (absent.length > 0) throw refuse(`it does not export ${absent.join(", ")}`);
  const known = [...METADATA, ...(generation === 3 ? GENERATION_3 : ["chat"]), ...OPTIONAL[generation]];
  return { generation, found: known.filter((name) => exports.has(name)), missing: known.filter((name) => !exports.has(name)) };
}

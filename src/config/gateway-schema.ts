// What `[gateway]` may say: every key, its kind, its default, and what it is for.

import * as z from "zod";

import {
  ATTEMPT_KEYS,
  GATEWAY_KEYS,
  GATEWAY_LIMIT_KEYS,
  GATE_KEYS,
  KEY_REST_KEYS,
  PROVIDER_HTTP_KEYS,
  PROVIDER_KEYS,
  RATE_KEYS,
} from "./gateway-keys.ts";
import { BREAKER_KEYS, LIMIT_KEYS } from "./number-keys.ts";
import { digest, filled, flag, formed, isolation, list, logLevel, mapOf, name, numbers, numeric, oneOf, secretText, table } from "./schema-parts.ts";

const FAILURE_KINDS = [
  "invalid_request",
  "authentication",
  "permission",
  "not_found",
  "too_large",
  "rate_limited",
  "quota",
  "blocked",
  "cancelled",
  "timeout",
  "overloaded",
  "upstream",
  "internal",
] as const;
const STATUS_WORDS = `a status from 400 to 599, or one of ${FAILURE_KINDS.map((kind) => `"${kind}"`).join(", ")}`;
const WEIGHT_WORDS = "a number from 0 to 1000000";

const weight = z
  .number({ error: WEIGHT_WORDS })
  .min(0, { error: WEIGHT_WORDS })
  .max(1_000_000, { error: WEIGHT_WORDS })
  .meta({ description: "How often it is chosen beside the others; with 0, only when no other one can be used.", default: 1 });
const models = (description: string): z.ZodArray<z.ZodString> => list(filled("A name, or a pattern with `*`."), description);

const rates = list(table(numbers(RATE_KEYS), "How much may be used in a window of time."), "How much each client may use.");
// Who wants a bound says which.
const { limit, ...queue } = GATE_KEYS;
const gate = (description: string): z.ZodObject => table({ limit: numeric(limit), ...numbers(queue) }, description);

const target = z.union(
  [
    filled("A model: `provider/model`, or another name."),
    table({ to: filled("A model: `provider/model`, or another name."), weight: weight.optional() }, "A model, and how often it is chosen."),
  ],
  { error: "a model's name, or a table with to and weight" },
);
const alias = z.union([...target.options, list(target, "Several, one of which is chosen by weight; the others follow if it fails.")], {
  error: "a model's name, a table with to and weight, or an array of these",
});

const client = table(
  {
    name: formed(/^[\w.@-]{1,64}$/, '1 to 64 letters, digits, ".", "_", "-" and "@"', "Name in logs and limits, and for plugins."),
    key: secretText("The key that it sends: best a secret. Either this or sha256.").optional(),
    sha256: formed(/^[0-9a-f]{64}$/i, "64 hexadecimal digits", "SHA-256 of its key, so that the key stands nowhere here.").optional(),
    rates: rates.meta({ description: "How much it may use, in place of what holds for each client." }).optional(),
  },
  "A client that may use the gateway.",
);

const provider = table(
  {
    name: name("Name that clients put before a model's, as in `openai/gpt-5`."),
    source: filled("Where the plugin comes from: a path, a URL, or `builtin:openai`, `builtin:anthropic`, `builtin:google`, `builtin:echo`."),
    digest: digest("SHA-256 that the module must have.").optional(),
    models: models("Models that can be asked for without the provider's name: names, or patterns with `*`.").optional(),
    only_listed: flag("Refuses all other models.", false).optional(),
    list_models: flag(
      "Asks it for its models when a client wants the list; if absent, where it has a key, or can tell them without asking a server.",
    ).optional(),
    config: mapOf(
      z.string(),
      z.unknown(),
      "The provider's own settings, such as `api_key` and `base_url`; `{ env = NAME }` and `{ file = PATH }` stand for secrets.",
    ).optional(),
    keys: list(
      table(
        {
          name: filled("Name in logs; `key 1`, `key 2` and so on if absent.").optional(),
          key: secretText("The key: best a secret."),
          weight: weight.optional(),
          models: models("Models that it may be used for; all if absent.").optional(),
        },
        "A key.",
      ),
      "Keys of which one is chosen for each request, in place of `api_key`.",
    ).optional(),
    key_rest: table(numbers(KEY_REST_KEYS), "How long keys rest that were refused.").optional(),
    permissions: table(
      {
        hosts: list(
          filled("A host."),
          "Hosts that its requests may go to; if absent, that of `base_url`, or of a built-in provider's server.",
        ).optional(),
      },
      "What the provider may reach.",
    ).optional(),
    concurrency: gate("Requests to it at a time; unlimited if absent.").optional(),
    breaker: table(
      { enabled: flag("Whether there is one.", true).optional(), ...numbers(BREAKER_KEYS) },
      "When a provider that fails again and again is not asked for a while.",
    ).optional(),
    isolation: isolation.optional(),
    log_level: logLevel.optional(),
    limits: table(numbers(LIMIT_KEYS), "What the plugin may use of time, memory and the rest.").optional(),
    http: table(
      {
        ...numbers(PROVIDER_HTTP_KEYS),
        allow_http: flag("Allows `http:` as well as `https:`.", true).optional(),
        ca: list(secretText("A certificate in PEM."), "Certificates of authorities in PEM that are trusted instead of Node's own.").optional(),
      },
      "How its requests are made.",
    ).optional(),
    ...numbers(PROVIDER_KEYS),
  },
  "A provider of models.",
);

/** `[gateway]`. */
// oxlint-disable-next-line typescript/explicit-module-boundary-types -- the type follows from the schema
export const gatewaySchema = table(
  {
    host: filled("Address to listen at; others than those of this machine let others in.", "127.0.0.1").optional(),
    ...numbers(GATEWAY_KEYS),
    names: list(
      filled("A name."),
      "Names in the header `host` that are answered; if absent, at an address of this machine without clients those of this machine, else any.",
    ).optional(),
    watch: flag("Takes over changes of this file and of the files of plugins while it runs.", true).optional(),
    default_provider: name("Provider of models that nobody lists; the only one if there is just one.").optional(),
    providers: list(provider, "The providers.").optional(),
    aliases: mapOf(
      filled(""),
      alias,
      "Other names of models: of one, or of several, one of which is chosen by weight while the others follow if it fails.",
    ).optional(),
    clients: list(client, "Clients that may use the gateway; everybody who reaches it if absent.").optional(),
    rates: rates.optional(),
    on_store_failure: oneOf(["closed", "open"], "What becomes of requests whose rates cannot be counted: refused, or let in.", "closed").optional(),
    client_concurrency: gate("Requests of one client at a time; unlimited if absent.").optional(),
    attempts: table(
      {
        ...numbers(ATTEMPT_KEYS),
        fallback_on: list(
          z.union(
            [
              oneOf(FAILURE_KINDS, "A kind of failure."),
              z.int({ error: STATUS_WORDS }).min(400, { error: STATUS_WORDS }).max(599, { error: STATUS_WORDS }),
            ],
            {
              error: STATUS_WORDS,
            },
          ),
          "Failures for which the next model is asked; all that are not the request's own fault if absent.",
        ).optional(),
      },
      "How often models are asked, and how long is waited.",
    ).optional(),
    limits: table(numbers(GATEWAY_LIMIT_KEYS), "What requests may have.").optional(),
  },
  "The gateway in front of language models.",
);

/** `[gateway]` as it is written. */
export type RawGateway = z.infer<typeof gatewaySchema>;
/** A provider as it is written. */
export type RawProvider = z.infer<typeof provider>;
/** A client as it is written. */
export type RawClient = z.infer<typeof client>;

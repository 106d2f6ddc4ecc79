// What was learned of a provider when it was loaded, and since.

import type { Generation } from "./generation.ts";
import type { PassReport } from "./pass-support.ts";
import type { FeedingState } from "./rehearsal.ts";

/** Whether a provider streams, and what told it. */
export interface StreamingReport {
  /** False: `chatStream` makes chunks of a whole answer. */
  readonly supported: boolean;
  readonly because: string;
  /** How parsers of generation 3 are fed; undefined for generation 2, which feeds itself. */
  readonly feeding: FeedingState | undefined;
}

/** What is known of a provider. */
export interface ProviderReport {
  readonly generation: Generation;
  /** Name by which it is known here, and the one that it gives itself. */
  readonly name: string;
  readonly reportedName: string;
  /** The server that it speaks to: the configuration's `base_url`, or else the plugin's own. */
  readonly baseUrl: string | undefined;
  /** Name of the environment variable that QueryMT would look for a key in. It is not looked at here. */
  readonly apiKeyName: string | undefined;
  /** JSON Schema of the configuration. */
  readonly configSchema: Readonly<Record<string, unknown>>;
  /** Keys of the configuration, and of requests since, that the schema does not declare, and the plugin did not get. */
  readonly droppedKeys: readonly string[];
  /** Functions of the interface that the plugin has, and optional ones that it does not have. */
  readonly exports: { readonly found: readonly string[]; readonly missing: readonly string[] };
  /** Entries of the allow-list; and hosts that configuration or plugin ask for and that no entry covers. */
  readonly hosts: { readonly granted: readonly string[]; readonly notGranted: readonly string[] };
  readonly streaming: StreamingReport;
  /** Interfaces in which requests can be forwarded as they are. */
  readonly passThrough: PassReport;
}

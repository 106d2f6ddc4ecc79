// What a configuration may say: every key of mortise.toml, its kind, its default, and what it is for.

import * as z from "zod";

import type { Permissions } from "../api/permissions.ts";
import { filtersSchema } from "./filter-schema.ts";
import { gatewaySchema } from "./gateway-schema.ts";
import {
  BREAKER_KEYS,
  DATABASE_BYTES,
  DATABASE_KEYS,
  FOLDER_BYTES,
  HOOK_TIMEOUT_MS,
  HTTP_KEYS,
  LIMIT_KEYS,
  MEMORY_KEYS,
  POOL_KEYS,
  QUOTA_KEYS,
  REDIS_KEYS,
  SERVICE_KEYS,
  SQLITE_KEYS,
  WASI_KEYS,
} from "./number-keys.ts";
import {
  choice,
  digest,
  filled,
  flag,
  formed,
  isolation,
  list,
  logLevel,
  mapOf,
  name,
  numbers,
  numeric,
  oneOf,
  secretText,
  table,
  text,
} from "./schema-parts.ts";

/** Interfaces that a plugin can be loaded with. */
export const ABIS = ["extism", "bifrost", "helios", "querymt", "native"] as const;
const FAILURES = ["closed", "open"] as const;
const ACCESS = ["read", "read-write"] as const;

const hookName = formed(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, "the name of a hook: letters, digits and _", "Name of a hook.");
const key = filled("");

const onFailure = oneOf(FAILURES, "What a failure of the plugin in a hook does: fails the request, or is skipped; the hook's own if absent.");
const limits = table(numbers(LIMIT_KEYS), "What the plugin may use of time, memory and the rest.");

const callGrant = formed(
  /^[^\0]+:[^:\0]+$/,
  "plugin:function, or plugin:* for all of its functions",
  "A function of another plugin: plugin:function, or plugin:* for all of them.",
);
const attribute = formed(
  /^[^*\0]*[^\0]$/,
  "a name, or the beginning of names with * at the end",
  "A name, or the beginning of names with * at the end.",
);

const permissionShape = {
  hosts: list(filled("A host."), "Hosts that HTTP requests may go to.").optional(),
  paths: mapOf(
    key,
    z.union(
      [
        filled("Path by which the plugin knows the folder."),
        table(
          {
            guest: filled("Path by which the plugin knows the folder."),
            access: oneOf(["read-only", "read-write"], "Whether the plugin may change the folder.", "read-write").optional(),
            max_mb: numeric(FOLDER_BYTES).optional(),
          },
          "A folder.",
        ),
      ],
      { error: "the guest's path, or a table with guest, access and max_mb" },
    ),
    "Folders that WASI programs may use, by path of this machine; ro: in front of it allows reading only.",
  ).optional(),
  kv: oneOf(ACCESS, "Keys and values that are kept, in a namespace of the plugin's own.").optional(),
  cache: oneOf(ACCESS, "Keys and values that may be dropped at any time, in a namespace of the plugin's own.").optional(),
  metrics: flag("Counters, gauges and histograms.").optional(),
  clock: flag("The time of day.").optional(),
  crypto: flag("Random bytes, hashes and keyed hashes.").optional(),
  databases: mapOf(
    name("Name of a database."),
    oneOf(ACCESS, "What the plugin may do there."),
    "Databases by the names that [databases] gives them.",
  ).optional(),
  call: list(callGrant, "Functions of other plugins that the plugin may call.").optional(),
  attributes: table(
    {
      read: list(attribute, "Attributes that hooks show to the plugin.").optional(),
      write: list(attribute, "Attributes that the plugin may change.").optional(),
    },
    "Attributes of requests, by name or with * at the end.",
  ).optional(),
} satisfies Record<keyof Permissions, z.ZodType>;

/** Keys of `[plugins.permissions]`. */
export const PERMISSION_KEYS: readonly (keyof Permissions)[] = Object.keys(permissionShape) as (keyof Permissions)[];

const permissions = table(permissionShape, "What the plugin may reach; what is absent is denied.");

const plugin = table(
  {
    name: name("Name in errors, logs and statistics; also of its keys in the store."),
    source: filled(
      "Where the plugin comes from: a path, a URL, or `builtin:` and a name. A relative path starts at the folder of the file that names it.",
    ),
    digest: digest("SHA-256 that the module must have, or the file of a native plugin.").optional(),
    abi: oneOf(ABIS, "Interface that the plugin speaks; detected if absent.").optional(),
    enabled: flag("Whether the plugin is loaded.", true).optional(),
    order: z
      .int({ error: "a whole number" })
      .meta({ description: "Where the plugin stands in hooks: lower first, then by name.", default: 0 })
      .optional(),
    on_failure: z
      .union([onFailure, mapOf(hookName, onFailure, "By hook.")], { error: '"closed", "open", or a table of these by hook' })
      .meta({
        description:
          "What a failure of the plugin in a hook does, for all hooks or by hook: fails the request, or is skipped; the hook's own if absent.",
      })
      .optional(),
    isolation: isolation.optional(),
    stateless: flag("The plugin keeps nothing between calls, so that several instances may serve it.", false).optional(),
    log_level: logLevel.optional(),
    config: mapOf(
      z.string(),
      z.unknown(),
      "Configuration that the plugin may read; `{ env = NAME }` and `{ file = PATH }` stand for secrets.",
    ).optional(),
    limits: limits.optional(),
    permissions: permissions.optional(),
    pool: table(numbers(POOL_KEYS), "How many instances there are, and when they are replaced.").optional(),
    http: table(
      {
        ...numbers(HTTP_KEYS),
        allow_http: flag("Allows `http:` as well as `https:`.", true).optional(),
        response_headers: flag("Lets the plugin see the headers of responses.", true).optional(),
        ca: list(secretText("A certificate in PEM."), "Certificates of authorities in PEM that are trusted instead of Node's own.").optional(),
      },
      "How HTTP requests are made; where they may go is up to permissions.hosts.",
    ).optional(),
    wasi: table(
      {
        ...numbers(WASI_KEYS),
        args: list(text("An argument."), "Arguments, the program's own name first.").optional(),
        env: mapOf(formed(/^[^=\0]+$/, "a name without = and NUL", ""), secretText("Value of the variable."), "Environment variables.").optional(),
        clock: oneOf(["coarse", "precise"], "Whether clocks are rounded to one millisecond.", "coarse").optional(),
        files: mapOf(formed(/^\/[^\0]*$/, "an absolute path", ""), text("Content of the file."), "Files in memory by absolute path.").optional(),
      },
      "What the plugin gets of WASI besides folders.",
    ).optional(),
    requires: list(hookName, "Hooks for which the plugin must have a function.").optional(),
    version: name("Name of this version of the plugin; counted from 1 if absent.").optional(),
    depends_on: list(name("Name of a plugin."), "Plugins that must be loaded before this one, and stay as long as it does.").optional(),
    watch: flag("Reloads the plugin when its file changes.", false).optional(),
    probe: table(
      { function: filled("Function that is called."), input: text("What it is called with; nothing if absent.").optional() },
      "A call that every version of the plugin must pass before it serves.",
    ).optional(),
    breaker: table(
      { enabled: flag("Whether there is one.", true).optional(), ...numbers(BREAKER_KEYS) },
      "When a plugin that fails again and again is no longer called.",
    ).optional(),
    filters: mapOf(hookName, filtersSchema, "Hooks by name, each with what its input must be for the plugin to be called.").optional(),
    quotas: table(numbers(QUOTA_KEYS), "How much the plugin may keep.").optional(),
  },
  "One plugin.",
);

const store = z
  .discriminatedUnion(
    "kind",
    [
      table({ kind: z.literal("memory"), ...numbers(MEMORY_KEYS) }, "In the memory of the process."),
      table(
        {
          kind: z.literal("sqlite"),
          path: filled("File, in a folder that exists. A relative path starts at the folder of the configuration."),
          durable: flag("Waits with every write until the disk has it.", false).optional(),
          ...numbers(SQLITE_KEYS),
        },
        "In a file.",
      ),
      table(
        {
          kind: z.literal("redis"),
          url: secretText("Where the server is: a URL of redis:, rediss: or unix:. One with a password is best a secret."),
          prefix: filled("What all names on the server begin with.", "mortise:").optional(),
          ...numbers(REDIS_KEYS),
        },
        "On a Redis server.",
      ),
    ],
    { error: choice(["memory", "sqlite", "redis"]) },
  )
  .meta({ description: "Where plugins keep keys and values; in memory if absent." });

const database = table(
  {
    kind: oneOf(["sqlite"], "What the database is."),
    path: filled("File of the database. A relative path starts at the folder of the file that names it."),
    schema: flag("Lets plugins with read-write create, alter and drop tables, indexes, views and triggers.", false).optional(),
    max_file_mb: numeric(DATABASE_BYTES).optional(),
  },
  "A database that plugins may be allowed to query.",
);

const services = table(
  {
    ...numbers(SERVICE_KEYS),
    ...numbers(DATABASE_KEYS),
    hash_algorithms: list(
      oneOf(["sha256", "sha384", "sha512", "sha1", "md5"], "An algorithm."),
      "Hash algorithms that plugins may use; sha1 and md5 are broken, for old formats only.",
      ["sha256", "sha384", "sha512"],
    ).optional(),
  },
  "What the services of all plugins share.",
);

/** A whole configuration. */
export const configSchema = table(
  {
    $schema: text("For editors; ignored.").optional(),
    include: list(filled("Path of another configuration."), "Other configurations whose plugins, databases and hooks count as well.").optional(),
    plugins: list(plugin, "The plugins.").optional(),
    defaults: table(
      { isolation: isolation.optional(), on_failure: onFailure.optional(), log_level: logLevel.optional(), limits: limits.optional() },
      "What holds for plugins that say nothing of their own.",
    ).optional(),
    ceilings: table(
      {
        limits: table(numbers(LIMIT_KEYS, false), "Limits that no plugin may pass; absent bounds nothing.").optional(),
        permissions: permissions.optional(),
      },
      "What no plugin may pass, whatever it or a file with it says.",
    ).optional(),
    hooks: mapOf(
      hookName,
      table({ on_failure: onFailure.optional(), timeout_ms: numeric(HOOK_TIMEOUT_MS).optional() }, "One hook."),
      "Settings of hooks, by name.",
    ).optional(),
    store: store.optional(),
    services: services.optional(),
    databases: mapOf(name("Name of a database."), database, "Databases, by the names that permissions use.").optional(),
    native: list(
      table(
        {
          path: filled("File of the plugin. A relative path starts at the folder of the file that names it."),
          digest: digest("SHA-256 that it must have."),
        },
        "A native plugin.",
      ),
      "Native plugins that may be loaded: they run without any wall.",
    ).optional(),
    gateway: gatewaySchema.optional(),
  },
  "Configuration of Mortise.",
);

/** A configuration as it is written. */
export type RawConfig = z.infer<typeof configSchema>;
/** A plugin as it is written. */
export type RawPlugin = z.infer<typeof plugin>;
/** Permissions as they are written. */
export type RawPermissions = z.infer<typeof permissions>;

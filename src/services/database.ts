// Queries of plugins: database_query.

import { type Permissions, permissionDenied } from "../api/permissions.ts";
import type { ServiceTable } from "../api/services.ts";
import { readParameters } from "./database-values.ts";
import type { Databases } from "./databases.ts";
import { waiting } from "./define-service.ts";
import { argumentsOf } from "./service-arguments.ts";

const MAX_NAME_BYTES = 256;
const MAX_SQL_BYTES = 64 << 10;
const MAX_PARAMETERS_BYTES = 1 << 20;
const MAX_PARAMETERS = 1000;
const encoder = new TextEncoder();

/** The function `database_query`. */
export function databaseServices({
  databases,
  granted = {},
}: {
  readonly databases: Databases;
  readonly granted: Permissions["databases"];
}): ServiceTable {
  const checks = argumentsOf("database_query");
  return {
    database_query: waiting(["text", "text", "text"], "bytes", true, (call, database, sql, parameters) => {
      const name = checks.name(call, "database", database, MAX_NAME_BYTES);
      const access = Object.hasOwn(granted, name) ? granted[name] : undefined;
      if (access === undefined)
        throw permissionDenied(call.plugin, call.function, `database_query of "${name}"`, "databases", `{ ${JSON.stringify(name)} = "read" }`);
      const statement = checks.name(call, "sql", sql, MAX_SQL_BYTES);
      if (statement.includes("\0")) throw checks.wrong(call, "sql", "holds a NUL character");
      const values = readParameters(checks.text(call, "parameters", parameters, MAX_PARAMETERS_BYTES), MAX_PARAMETERS);
      if (typeof values === "string") throw checks.wrong(call, "parameters", values);
      const query = { database: name, sql: statement, parameters: values, readOnly: access !== "read-write" };
      return databases.query(query, call).then((json) => encoder.encode(json));
    }),
  };
}

// What the hooks of a database proxy speak about. Names are those of the JSON that plugins see, so that filters and plugins
// call things alike.

/** A statement: input of `preQuery`, `route`, `cacheGet` and `rewrite`. */
export interface QueryContext {
  readonly query: string;
  /** The statement in a normal form. @default `query` */
  readonly normalized?: string;
  /** Tables that it names. @default none */
  readonly tables?: readonly string[];
  readonly is_read_only: boolean;
}

/** How a statement ended. */
export interface QueryOutcome {
  readonly success: boolean;
  readonly target_node: string | null;
  /** Whole microseconds. */
  readonly elapsed_us: number;
  readonly response_bytes: number;
  readonly error: string | null;
}

/** Input of `postQuery`. */
export interface QueryEnd {
  readonly query: QueryContext;
  readonly outcome: QueryOutcome;
}

/** Rows that answer a statement in the place of a server, as text. */
export interface CachedRows {
  /** `oid` is the type's number in PostgreSQL; 25 is text. */
  readonly columns: readonly { readonly name: string; readonly oid: number }[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/** Input of `cacheSet`. */
export interface CacheEntry {
  readonly query: QueryContext;
  readonly rows: CachedRows;
}

/** Input of `authenticate`. */
export interface AuthRequest {
  /** @default none */
  readonly headers?: Readonly<Record<string, string>>;
  readonly username: string | null;
  /** @default null */
  readonly password?: string | null;
  readonly client_ip: string;
  readonly database: string | null;
}

/** Who somebody is: answer of `authenticate`. */
export interface Identity {
  readonly user_id: string;
  readonly username: string;
  readonly roles: readonly string[];
  readonly tenant_id: string | null;
  readonly claims: Readonly<Record<string, string>>;
}

/** Input of `authorize`. */
export interface AuthorizeRequest {
  readonly identity: Identity | null;
  readonly query: QueryContext;
}

/** Answer of `route`. */
export type Route = { readonly to: "primary" | "standby" } | { readonly to: "node" | "branch"; readonly target: string };

/** Input of `onConnect` and `onDisconnect`. */
export interface Connection {
  readonly client_ip: string;
  readonly username: string | null;
  readonly database: string | null;
}

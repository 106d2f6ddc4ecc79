// What the guests' build knows of a compiler: its version, and bytes for sources.

/** One compilation: everything the compiler may read, and how to read it. */
export interface Compilation {
  /** The file that the compiler starts from; a key of `sources`. */
  readonly entry: string;
  /** Source text by path relative to the language's folder. */
  readonly sources: ReadonlyMap<string, string>;
  readonly flags: readonly string[];
}

export interface Toolchain {
  /** Name and version, the same on every host machine. */
  readonly version: string;
  /** @throws Error with the compiler's messages */
  compile(compilation: Compilation): Promise<Uint8Array>;
}

export interface MissingToolchain {
  /** Why there is no such toolchain, as half a sentence. */
  readonly missing: string;
}

export type ToolchainState = Toolchain | MissingToolchain;

export function isMissing(state: ToolchainState): state is MissingToolchain {
  return "missing" in state;
}

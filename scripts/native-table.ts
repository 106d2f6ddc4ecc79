// The native plugins that are built: what each is made from, and with which flags.

export interface NativeGuest {
  /** Name of the built file in guests/native/prebuilt. */
  readonly name: string;
  readonly language: "c" | "rust";
  /** Files that it is made from, relative to guests/native; a folder of Rust is named by its Cargo.toml, which comes first. */
  readonly sources: readonly string[];
  readonly flags: readonly string[];
}

export const NATIVE_GUESTS: readonly NativeGuest[] = [
  {
    name: "echo.linux-x64.node",
    language: "c",
    sources: ["echo.c"],
    flags: ["-std=c17", "-Wall", "-Wextra", "-Werror", "-Os", "-fPIC", "-shared", "-s", "-Wl,--build-id=none"],
  },
  {
    name: "rust-addon.linux-x64.node",
    language: "rust",
    sources: ["rust-addon/Cargo.toml", "rust-addon/Cargo.lock", "rust-addon/src/lib.rs"],
    flags: ["--release", "--locked"],
  },
];

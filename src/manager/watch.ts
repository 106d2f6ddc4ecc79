// Watches a file: says when it has another content that stays as it is for a moment.

import { createHash } from "node:crypto";
import { watch as watchFolder } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** Milliseconds until a file that may have changed is looked at, and once more until what was found counts if it is still there. */
export const DEBOUNCE_MS = 100;
/** Milliseconds after which it is looked at although nothing was heard of it. */
const LOOK_MS = 2000;

/** What {@link watchFile} is told. */
export interface WatchedFile {
  readonly path: string;
  /** SHA-256 of the content that is in use, in hexadecimal, if it is known: other content is news at once. */
  readonly digest: string | undefined;
  /** Called with the digest of a new content; not again before it is settled. What it throws is the host's defect. */
  readonly onChange: (digest: string) => Promise<void>;
  /** @default {@link DEBOUNCE_MS} */
  readonly debounceMs?: number;
  /** Calls `onEvent` whenever something in a folder changes; gives a function that ends it. @default node:fs.watch */
  readonly listen?: Listen;
}

/** See {@link WatchedFile}. */
export type Listen = (folder: string, onEvent: () => void, onLost: () => void) => () => void;

/** A file that is watched. */
export interface FileWatch {
  readonly path: string;
  /** Ends it. Nothing is called afterwards. */
  close(): void;
}

/**
 * Watches a file by its folder, since a file that is replaced by another of its name is lost to whoever watches the file
 * itself. What was half written is looked at again when it changes again. What no event tells of is found by looking
 * at the file now and then: folders that are links and led elsewhere, folders that are made anew, file systems without
 * events, and systems that are out of watches; the folder is listened to again as soon as that is possible. Never
 * keeps the process alive.
 */
export function watchFile(file: WatchedFile): FileWatch {
  const { path, onChange, debounceMs = DEBOUNCE_MS, listen = listenToFolder } = file;
  let seen = file.digest;
  /** A content that was found, and counts if it is still there. */
  let candidate: string | undefined;
  let stamp: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let busy = false;
  let again = false;
  /** The folder that is listened to, as it is told from others of its name. */
  let listened: string | undefined;
  let end = (): void => {};

  const later = (): void => {
    if (closed) return;
    // Events that do not end must not put it off.
    timer ??= setTimeout(() => {
      timer = undefined;
      void look();
    }, debounceMs).unref();
  };
  const look = async (): Promise<void> => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      await listenAnew();
      await check();
    } finally {
      busy = false;
      if (again) {
        again = false;
        later();
      }
    }
  };
  const listenAnew = async (): Promise<void> => {
    const present = await folderOf(path);
    if (closed || present === listened) return;
    end();
    listened = present;
    end = present === undefined ? () => {} : listen(dirname(path), later, () => void (listened = undefined));
  };
  const check = async (): Promise<void> => {
    const present = await stampOf(path);
    // A file that is not there may be about to be replaced.
    if (closed || present === undefined || (present === stamp && candidate === undefined)) return;
    const digest = await digestOf(path);
    if (closed || digest === undefined) return;
    stamp = present;
    if (digest === seen) candidate = undefined;
    else if (digest !== candidate) {
      candidate = digest;
      later();
    } else {
      candidate = undefined;
      seen = digest;
      await onChange(digest);
    }
  };
  // It may have changed between being read and being watched.
  later();
  const looks = setInterval(later, LOOK_MS).unref();
  return {
    path,
    close() {
      closed = true;
      clearTimeout(timer);
      clearInterval(looks);
      end();
    },
  };
}

/** What changes whenever a file is written, renamed or replaced; undefined if there is none. */
async function stampOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join();
  } catch {
    return undefined;
  }
}

/** What tells a file's folder from another one that takes its place; undefined if there is none. */
async function folderOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, birthtimeNs } = await stat(dirname(path), { bigint: true });
    return [dev, ino, birthtimeNs].join();
  } catch {
    return undefined;
  }
}

async function digestOf(path: string): Promise<string | undefined> {
  try {
    return createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
  } catch {
    return undefined;
  }
}

const listenToFolder: Listen = (folder, onEvent, onLost) => {
  try {
    const watcher = watchFolder(folder, { persistent: false }, onEvent);
    watcher.on("error", () => {
      watcher.close();
      onLost();
    });
    return () => watcher.close();
  } catch {
    onLost();
    return () => {};
  }
};

// A thread or a process in which a plugin runs, as the host sees it.

import type { Order, Packet, Section } from "./protocol.ts";
import type { RawPacket } from "./report.ts";

/** What separates a plugin from its host. */
export type PlaceKind = "thread" | "process";

/** How a place is set up; places of the same set-up are interchangeable until they are used. */
export interface PlaceConfig {
  /** Bytes of the JavaScript heap. */
  readonly heapBytes: number;
  /** Bytes of memory that a process may have in all, its runtime included. */
  readonly dataBytes: number;
  /** Bytes that one packet of a process may have. */
  readonly packetBytes: number;
  /** Host folders and files that a process may read, and those that it may write. */
  readonly readPaths: readonly string[];
  readonly writePaths: readonly string[];
}

/** Why a place is no more. */
export interface Loss {
  /** For messages: "it exited with code 1". */
  readonly reason: string;
  /** The system or the engine had no more memory for it. */
  readonly outOfMemory: boolean;
}

/** Who listens to a place. */
export interface PlaceListener {
  /** A packet that nobody checked. */
  onPacket(packet: RawPacket): void;
  /** The place is gone; nothing comes after that. Not called after {@link Place.kill}. */
  onLoss(loss: Loss): void;
}

/** A thread or process that carries out orders. */
export interface Place {
  readonly kind: PlaceKind;
  /** Takes over from whoever listened before. */
  listen(listener: PlaceListener): void;
  /** Sends an order. The sections are given away. */
  send(order: Order, sections?: readonly Section[]): void;
  /**
   * Sends an order to a child that waits for an answer, and blocks until its next packet.
   *
   * @returns undefined if it does not come within `stallMs`
   */
  exchange(order: Order, sections: readonly Section[], stallMs: number): RawPacket | undefined;
  /** Asks the guest of call `id` to stop at its next look at the clock; false if this place cannot be asked. */
  interrupt(id: number): boolean;
  /** Keeps the host's event loop alive, and no longer. */
  hold(): void;
  release(): void;
  /** Ends it at once. */
  kill(): void;
  /** True once it was ended or lost. */
  readonly over: boolean;
  /** Fulfilled when it is gone. */
  readonly exited: Promise<void>;
}

/** The child's side: orders come one at a time, and waiting for one blocks. */
export interface Link {
  send(header: object, sections?: readonly Section[]): void;
  /** Blocks until the next order; ends the thread or process if the host is gone. */
  receive(): Packet<Order>;
  /** True if the host wants the guest of call `id` to stop. */
  interrupted(id: number): boolean;
}

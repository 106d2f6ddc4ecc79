// What expires, soonest first: a binary heap whose members know their place in it, so that they can be moved and removed.

/** Something that expires. */
export interface Expiring {
  /** When it expires; Infinity for never, and then it is in no heap. */
  expiresAt: number;
  /** Its place in the heap, -1 if it is not there. Belongs to the heap. */
  slot: number;
}

export class ExpiryHeap<Member extends Expiring> {
  readonly #members: Member[] = [];

  get size(): number {
    return this.#members.length;
  }

  /** The member that expires first. */
  get first(): Member | undefined {
    return this.#members[0];
  }

  /** Puts a member where its `expiresAt` belongs: in, out, or somewhere else. */
  place(member: Member): void {
    if (member.expiresAt === Number.POSITIVE_INFINITY) return this.remove(member);
    if (member.slot < 0) member.slot = this.#members.push(member) - 1;
    this.#settle(member);
  }

  remove(member: Member): void {
    const { slot } = member;
    if (slot < 0) return;
    const last = this.#members.pop() as Member;
    member.slot = -1;
    if (last === member) return;
    this.#put(last, slot);
    this.#settle(last);
  }

  /** Moves a member up or down until the order holds again. */
  #settle(member: Member): void {
    this.#rise(member);
    this.#sink(member);
  }

  #rise(member: Member): void {
    while (member.slot > 0) {
      const parent = this.#members[(member.slot - 1) >> 1] as Member;
      if (parent.expiresAt <= member.expiresAt) return;
      this.#swap(member, parent);
    }
  }

  #sink(member: Member): void {
    for (;;) {
      const left = this.#members[2 * member.slot + 1];
      const right = this.#members[2 * member.slot + 2];
      const child = right !== undefined && left !== undefined && right.expiresAt < left.expiresAt ? right : left;
      if (child === undefined || child.expiresAt >= member.expiresAt) return;
      this.#swap(member, child);
    }
  }

  #swap(one: Member, other: Member): void {
    const { slot } = one;
    this.#put(one, other.slot);
    this.#put(other, slot);
  }

  #put(member: Member, slot: number): void {
    this.#members[slot] = member;
    member.slot = slot;
  }
}

// Breaks modules: blind changes of bytes, and changes that keep the sizes around them right, so that they get past the
// outer layers of a reader.
import { unsigned } from "./builder.ts";
import type { Random } from "./random.ts";

type Bytes = Uint8Array<ArrayBuffer>;

interface Section {
  readonly id: number;
  /** Replaced, never changed in place: copies share it. */
  body: readonly number[];
}

const boundaryBytes: readonly number[] = [0x00, 0x01, 0x0b, 0x40, 0x7f, 0x80, 0xff, 0x63, 0x64, 0x6e, 0x70, 0xfb, 0xfc, 0xfd, 0xfe];
/** Unsigned integers at and beyond the limits of five bytes; signed readers see other limits in them. */
const boundaryIntegers: readonly (readonly number[])[] = [
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x80, 0x80, 0x80, 0x80, 0x10],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
  [0xff, 0xff, 0xff, 0xff, 0x7f],
  [0x80, 0x80, 0x80, 0x80, 0x78],
  [0xff, 0xff, 0xff, 0xff, 0x1f],
  [0xc0, 0x84, 0x3d],
  [0x80, 0x80, 0x04],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
];

function readUnsigned(bytes: ArrayLike<number>, at: number): { value: number; next: number } {
  let value = 0;
  let next = at;
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[next++] ?? 0;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return { value, next };
  }
}

/** Many mutations take the same module apart. */
const splitCache = new WeakMap<Bytes, readonly Section[]>();

function splitSections(bytes: Bytes): Section[] {
  let sections = splitCache.get(bytes);
  if (sections === undefined) {
    sections = readSections(bytes);
    splitCache.set(bytes, sections);
  }
  return sections.map(({ id, body }) => ({ id, body }));
}

function readSections(bytes: Bytes): Section[] {
  const sections: Section[] = [];
  for (let at = 8; at < bytes.length;) {
    const { value, next } = readUnsigned(bytes, at + 1);
    sections.push({ id: bytes[at] ?? 0, body: Array.from(bytes.subarray(next, next + value)) });
    at = next + value;
  }
  return sections;
}

function joinSections(sections: readonly Section[]): Bytes {
  const heads = sections.map(({ id, body }) => [id, ...unsigned(body.length)]);
  const size = sections.reduce((sum, { body }, at) => sum + body.length + (heads[at]?.length ?? 0), 8);
  const out = new Uint8Array(size);
  out.set([0x00, 0x61, 0x73, 0x6d, 0x01]);
  let at = 8;
  for (const [index, { body }] of sections.entries()) {
    const head = heads[index] ?? [];
    out.set(head, at);
    out.set(body, at + head.length);
    at += head.length + body.length;
  }
  return out;
}

function splice(list: readonly number[], at: number, remove: number, insert: readonly number[]): number[] {
  return list.slice(0, at).concat(insert, list.slice(at + remove));
}

type Mutation = (random: Random, bytes: Bytes, other: Bytes) => Bytes;

const flipBits: Mutation = (random, bytes) => {
  const copy = bytes.slice();
  for (let left = 1 + random.below(3); left > 0; left--) {
    const at = random.below(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
  }
  return copy;
};

const setByte: Mutation = (random, bytes) => {
  const copy = bytes.slice();
  copy[random.below(copy.length)] = random.oneIn(2) ? random.pick(boundaryBytes) : random.below(256);
  return copy;
};

const insertByte: Mutation = (random, bytes) => {
  const at = random.below(bytes.length + 1);
  return Uint8Array.from([...bytes.subarray(0, at), random.below(256), ...bytes.subarray(at)]);
};

const deleteRange: Mutation = (random, bytes) => {
  const at = random.below(bytes.length);
  const size = 1 + random.below(random.oneIn(3) ? 40 : 2);
  return Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + size)]);
};

const truncate: Mutation = (random, bytes) => bytes.slice(0, random.below(bytes.length));

const copyRange: Mutation = (random, bytes, other) => {
  const copy = bytes.slice();
  const from = random.below(other.length);
  copy.set(other.subarray(from, from + 1 + random.below(16)).subarray(0, 1), random.below(copy.length));
  return copy;
};

/** Applies `change` to one section and makes the sizes fit again; the code section mostly, where most of a module is. */
function inSection(change: (random: Random, section: Section, other: Section[]) => void): Mutation {
  return (random, bytes, other) => {
    const sections = splitSections(bytes);
    if (sections.length === 0) return bytes;
    const code = sections.find(({ id }) => id === 10);
    change(random, code !== undefined && random.oneIn(2) ? code : random.pick(sections), splitSections(other));
    return joinSections(sections);
  };
}

const editSection: Mutation = inSection((random, section) => {
  const { body } = section;
  const at = random.below(body.length + 1);
  const kind = random.below(3);
  if (kind === 0) section.body = splice(body, at, 1, [random.below(256)]);
  else if (kind === 1) section.body = splice(body, at, 0, [random.below(256)]);
  else section.body = splice(body, at, 1, []);
});

const hugeCount: Mutation = inSection((random, section) => {
  const { next } = readUnsigned(section.body, 0);
  section.body = splice(section.body, 0, next, random.pick(boundaryIntegers));
});

const stretchInteger: Mutation = inSection((random, section) => {
  const at = random.below(section.body.length);
  const byte = section.body[at] ?? 0;
  const padding = Array.from({ length: random.below(10) }, () => 0x80);
  section.body = splice(section.body, at, 1, [byte | 0x80, ...padding, random.oneIn(4) ? 0x01 : 0x00]);
});

/** Splits the code section into bodies with their sizes. */
function bodiesOf(section: Section): (readonly number[])[] {
  const { value: count, next } = readUnsigned(section.body, 0);
  const bodies: number[][] = [];
  let at = next;
  for (let left = count; left > 0 && at < section.body.length; left--) {
    const size = readUnsigned(section.body, at);
    bodies.push(section.body.slice(size.next, size.next + size.value));
    at = size.next + size.value;
  }
  return bodies;
}

function setBodies(section: Section, bodies: readonly (readonly number[])[]): void {
  section.body = unsigned(bodies.length).concat(...bodies.map((body) => unsigned(body.length).concat(body)));
}

/** Applies `change` to one function body and makes all sizes fit again. */
function inBody(change: (random: Random, body: readonly number[], bodies: readonly (readonly number[])[]) => readonly number[]): Mutation {
  return (random, bytes) => {
    const sections = splitSections(bytes);
    const code = sections.find(({ id }) => id === 10);
    if (code === undefined) return bytes;
    const bodies = bodiesOf(code);
    const which = random.below(bodies.length);
    bodies[which] = change(random, bodies[which] ?? [], bodies);
    setBodies(code, bodies);
    return joinSections(sections);
  };
}

const editBody: Mutation = inBody((random, body) => {
  const at = random.below(body.length);
  const kind = random.below(4);
  if (kind === 0) return splice(body, at, 1, [random.pick(boundaryBytes)]);
  if (kind === 1) return splice(body, at, 0, [random.below(256)]);
  if (kind === 2) return splice(body, at, 1 + random.below(3), []);
  return splice(body, at, 1, random.pick(boundaryIntegers));
});

const exchangeOpcode: Mutation = inBody((random, body) => {
  const plain = body.flatMap((byte, at) => (byte >= 0x45 && byte <= 0xc4 ? [at] : []));
  if (plain.length === 0) return body;
  return splice(body, random.pick(plain), 1, [0x45 + random.below(0x80)]);
});

const padBodyInteger: Mutation = inBody((random, body) => {
  const at = random.below(body.length);
  const byte = body[at] ?? 0;
  if (byte >= 0x80) return body;
  return splice(body, at, 1, [byte | 0x80, ...Array.from({ length: random.below(5) }, () => 0x80), 0x00]);
});

const duplicateCode: Mutation = inBody((random, body) => {
  const from = random.below(body.length);
  return splice(body, random.below(body.length), 0, body.slice(from, from + 1 + random.below(20)));
});

const exchangeBodies: Mutation = inBody((random, _body, bodies) => random.pick(bodies));

const swapSections: Mutation = (random, bytes) => {
  const sections = splitSections(bytes);
  if (sections.length < 2) return bytes;
  const at = random.below(sections.length - 1);
  const [first, second] = [sections[at], sections[at + 1]];
  if (first !== undefined && second !== undefined) sections.splice(at, 2, second, first);
  return joinSections(sections);
};

const duplicateSection: Mutation = (random, bytes) => {
  const sections = splitSections(bytes);
  if (sections.length === 0) return bytes;
  sections.splice(random.below(sections.length + 1), 0, random.pick(sections));
  return joinSections(sections);
};

const dropSection: Mutation = (random, bytes) => {
  const sections = splitSections(bytes);
  sections.splice(random.below(sections.length), 1);
  return joinSections(sections);
};

/** Puts a section of another module in place of the own one. */
const spliceModules: Mutation = (random, bytes, other) => {
  const sections = splitSections(bytes);
  const foreign = splitSections(other);
  if (foreign.length === 0) return bytes;
  const section = random.pick(foreign);
  const own = sections.findIndex(({ id }) => id === section.id);
  if (own >= 0) sections[own] = section;
  else sections.splice(random.below(sections.length + 1), 0, section);
  return joinSections(sections);
};

const insertCustomSection: Mutation = (random, bytes) => {
  const sections = splitSections(bytes);
  const length = random.below(6);
  sections.splice(random.below(sections.length + 1), 0, {
    id: random.oneIn(4) ? random.below(16) : 0,
    body: [random.oneIn(4) ? 9 : 1, ...Array.from({ length }, () => random.below(256))],
  });
  return joinSections(sections);
};

const setStart: Mutation = (random, bytes) => {
  const sections = splitSections(bytes).filter(({ id }) => id !== 8);
  const before = sections.findIndex(({ id }) => id === 9 || id === 12 || id === 10 || id === 11);
  sections.splice(before < 0 ? sections.length : before, 0, { id: 8, body: unsigned(random.below(9)) });
  return joinSections(sections);
};

const mutations: readonly Mutation[] = [
  flipBits,
  flipBits,
  setByte,
  insertByte,
  deleteRange,
  truncate,
  copyRange,
  editSection,
  editSection,
  hugeCount,
  stretchInteger,
  editBody,
  editBody,
  editBody,
  exchangeOpcode,
  exchangeOpcode,
  padBodyInteger,
  duplicateCode,
  exchangeBodies,
  swapSections,
  duplicateSection,
  dropSection,
  spliceModules,
  spliceModules,
  insertCustomSection,
  setStart,
];

/** A broken copy of the valid module `bytes`; some copies stay valid. `other` is a valid module to take pieces from. */
export function mutate(random: Random, bytes: Bytes, other: Bytes): Bytes {
  return random.pick(mutations)(random, bytes, other);
}

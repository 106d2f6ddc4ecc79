// Writes guests/c/fold_table.h: what the prompt guard makes of each character, out of the Unicode data of this Node.js.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Planes 0 and 1; beyond them there are ideographs, which stay as they are, and tags. */
const END = 0x2_0000;
const PAGE = 256;
const DROP = 0;
const SPACE = 0x20;
/** Characters that cannot be seen, and accents. */
const UNSEEN = /^[\p{Cc}\p{Cf}\p{Mn}\p{Me}\p{Default_Ignorable_Code_Point}]$/u;
const SEPARATOR = /^[\p{P}\p{S}\p{Z}]$/u;
/** Blank, or there for looks alone, whatever its class: Arabic tatweel, the empty Braille pattern. */
const ALSO_UNSEEN = new Set([0x640, 0x2800]);

/** Letters that look like others, or are these with a stroke or a hook, and have no decomposition; the first column is what they become. */
const LOOKALIKES: readonly (readonly [to: string, from: string])[] = [
  ["a", "ɑΑαАаᴀꭺᎪⱥ"],
  ["b", "ΒβВвʙƀɓƃᏴᏼ"],
  ["c", "СсᴄꮯᏟƈȼɕ"],
  ["d", "ԁᴅꭰᎠđɗɖƌ"],
  ["e", "ΕεЕеЁёᴇꭼᎬɇəɛ"],
  ["f", "ꜰƒ"],
  ["g", "ɡɢցꮐᏀɠǥ"],
  ["h", "ΗηНнʜһҺհꮋᎻħɦ"],
  ["i", "ıΙιɩɪІіЇїӀꭵᎥɨі"],
  ["j", "ȷЈјᴊꭻᎫɉ"],
  ["k", "ΚκКкᴋꮶᏦƙĸ"],
  ["l", "ʟӏꮮᏞłƚɫɭ"],
  ["m", "ΜμМмᴍꮇᎷɱ"],
  ["n", "ΝɴոŋƞɲɳՈ"],
  ["o", "ΟοОоᴏօՕøɵ"],
  ["p", "ΡρРрᴘꮲᏢƥ"],
  ["q", "ԛզʠ"],
  ["r", "ʀꮢᏒɍɽɾ"],
  ["s", "ꜱЅѕꮪᏚʂՏ"],
  ["t", "ΤτТтᴛꭲᎢŧƭʈ"],
  ["u", "υᴜսʉՍ"],
  ["v", "νᴠꮩᏙʋ"],
  ["w", "ᴡԝաꮃᎳ"],
  ["x", "ΧχХх"],
  ["y", "ΥУуʏүҮꮍᎽƴɏ"],
  ["z", "ΖζᴢꮓᏃƶȥʐ"],
  ["σ", "ς"],
  ["ss", "ß"],
  ["ae", "æ"],
  ["oe", "œ"],
];
const KNOWN = new Map(LOOKALIKES.flatMap(([to, from]) => Array.from(from, (each) => [each, to] as const)));

/** Letters in frames and flags, which have no decomposition. */
const LETTERS: readonly number[] = [0x1f150, 0x1f170, 0x1f1e6];

/** What one character of a decomposition becomes. */
function plain(char: string): string {
  if (UNSEEN.test(char)) return "";
  const known = KNOWN.get(char);
  if (known !== undefined) return known;
  if (SEPARATOR.test(char)) return " ";
  const small = char.toLowerCase();
  return KNOWN.get(small) ?? (Array.from(small).length === 1 ? small : char);
}

/** What a character becomes: a text without spaces around it, a space, or nothing. */
export function folded(point: number): string {
  const char = String.fromCodePoint(point);
  if (UNSEEN.test(char) || ALSO_UNSEEN.has(point)) return "";
  const letters = LETTERS.find((first) => point >= first && point < first + 26);
  if (letters !== undefined) return String.fromCodePoint(0x61 + point - letters);
  // Syllables of Hangul would become longer; whoever writes them apart writes something else.
  if (point >= 0xac00 && point <= 0xd7a3) return char;
  const known = KNOWN.get(char);
  if (known !== undefined) return known;
  const text = Array.from(char.normalize("NFKD"), plain).join("");
  if (text === "") return "";
  const trimmed = text.trim();
  if (trimmed === "") return " ";
  const [first = "", ...more] = trimmed;
  if (more.length === 0 && size(first) <= size(char)) return first;
  // Such as the sign of a trade mark, behind a word.
  if (SEPARATOR.test(char) || trimmed.includes(" ")) return " ";
  return /^[a-z0-9]{2,3}$/.test(trimmed) && size(trimmed) <= size(char) ? trimmed : plainOnly(char);
}

/** A character whose decomposition is longer than it is: itself, as a small letter. */
function plainOnly(char: string): string {
  const small = plain(char);
  return size(small) <= size(char) ? small : char;
}

function size(text: string): number {
  return Buffer.byteLength(text);
}

/** As a number of C: a code point, or up to three letters with the highest bit. */
export function foldedNumber(point: number): number {
  const text = folded(point);
  if (text === "") return DROP;
  if (Array.from(text).length === 1) return text.codePointAt(0) ?? SPACE;
  return Array.from(text).reduce((number, char, index) => number + char.charCodeAt(0) * 2 ** (7 * index), 0x8000_0000);
}

type Kind = "SAME" | "SHIFT" | "PAIRS";
interface Run {
  readonly from: number;
  to: number;
  kind: Kind | undefined;
  readonly target: number;
}

/** Whether a run goes on with a character, as a kind. */
function goesOn({ from, kind, target }: Run, point: number, to: number): Kind | undefined {
  const offset = point - from;
  const kinds: readonly (readonly [Kind, number])[] = [
    ["SAME", target],
    ["SHIFT", target + offset],
    ["PAIRS", target + (offset & ~1)],
  ];
  return kinds.find(([each, wanted]) => to === wanted && (kind === undefined || kind === each))?.[0];
}

/** Runs of a page; what becomes itself is in none. */
function runsOf(page: number): Run[] {
  const runs: Run[] = [];
  let open: Run | undefined;
  for (let point = Math.max(page * PAGE, 0x80); point < (page + 1) * PAGE; point++) {
    const to = point >= 0xd800 && point <= 0xdfff ? DROP : foldedNumber(point);
    const kind = open === undefined ? undefined : goesOn(open, point, to);
    if (open !== undefined && kind !== undefined) {
      open.to = point;
      open.kind = kind;
      continue;
    }
    open = to === point ? undefined : { from: point, to: point, kind: undefined, target: to };
    if (open !== undefined) runs.push(open);
  }
  return runs;
}

const KINDS: Readonly<Record<Kind, number>> = { SAME: 0, SHIFT: 1, PAIRS: 2 };

function wrapped(items: readonly string[]): string {
  const lines: string[] = [];
  let line = " ";
  for (const item of items) {
    if (line.length + item.length + 2 > 140) {
      lines.push(line);
      line = " ";
    }
    line += ` ${item},`;
  }
  return [...lines, line].join("\n");
}

/** The header. */
export function foldTable(): string {
  const starts: string[] = [];
  const rows: string[] = [];
  for (let page = 0; page < END / PAGE; page++) {
    starts.push(String(rows.length));
    for (const { from, to, kind = "SAME", target } of runsOf(page)) rows.push(`{${from & 255},${to & 255},${KINDS[kind]},${target}u}`);
  }
  starts.push(String(rows.length));
  return `/* What characters beyond ASCII become, by Unicode ${process.versions["unicode"]}. Written by scripts/fold-tables.ts, not by hand. */
#ifndef GUEST_FOLD_TABLE_H
#define GUEST_FOLD_TABLE_H

#include <stdint.h>

/* Characters of a page of 256 that become the same (0), the same with another beginning (1), or in pairs the same (2). */
typedef struct {
  uint8_t from;
  uint8_t to;
  uint8_t kind;
  uint32_t target;
} fold_run;

#define FOLD_PAGES ${END / PAGE}

/* Where the runs of each page begin. */
static const uint16_t FOLD_STARTS[] = {
${wrapped(starts)}
};

static const fold_run FOLD_RUNS[] = {
${wrapped(rows)}
};

#endif
`;
}

if (import.meta.main) writeFileSync(join(import.meta.dirname, "..", "guests", "c", "fold_table.h"), foldTable());

// Metrics of several workers as one text of Prometheus's format.

interface Family {
  /** Its lines HELP and TYPE. */
  readonly head: string[];
  readonly samples: string[];
}

/** Puts texts together by family; each sample gets the number of its worker as a label. */
export function mergeMetrics(texts: ReadonlyMap<number, string>): string {
  const families = new Map<string, Family>();
  for (const [worker, text] of texts) {
    let current: Family | undefined;
    let name = "";
    for (const line of text.split("\n")) {
      if (line === "") continue;
      const found = /^(?:# (?:HELP|TYPE) )?([A-Za-z_:][\w:]*)/.exec(line)?.[1] ?? "";
      // Samples of a histogram have other names than their family, whose lines precede them.
      if (line.startsWith("# ") || current === undefined || !isOf(found, name)) {
        name = found;
        current = families.get(name);
        if (current === undefined) families.set(name, (current = { head: [], samples: [] }));
      }
      if (!line.startsWith("# ")) current.samples.push(labelled(line, worker));
      else if (!current.head.includes(line)) current.head.push(line);
    }
  }
  const lines = [...families.values()].flatMap(({ head, samples }) => head.concat(samples));
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function isOf(sample: string, family: string): boolean {
  return sample === family || (sample.startsWith(family) && /^_(?:bucket|sum|count)$/.test(sample.slice(family.length)));
}

/** Names of models may hold what ends a line elsewhere, such as U+2028. */
function labelled(line: string, worker: number): string {
  const [, name = "", labels = "", value = ""] = /^([\w:]+)(?:\{(.*)\})?( .*)$/s.exec(line) ?? [];
  return `${name}{worker="${worker}"${labels === "" ? "" : `,${labels}`}}${value}`;
}

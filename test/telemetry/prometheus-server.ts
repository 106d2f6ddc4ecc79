// A Prometheus server of its own for a test, which scrapes one address and keeps its data in a temporary folder.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { openPrometheus } from "../../scripts/toolchain-prometheus.ts";

const found = openPrometheus();
/** Why there is no server on this machine; false if there is one. */
export const skip: string | false = "missing" in found ? `no prometheus: ${found.missing}` : false;

/** One sample that a query gives. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface PrometheusServer extends AsyncDisposable {
  /** What a query gives now. */
  query(query: string): Promise<Sample[]>;
  /** Type and help of a metric, as it was scraped. */
  metadata(metric: string): Promise<readonly { readonly type: string; readonly help: string }[]>;
}

/** Starts a server that scrapes `url` every 200 ms. */
export async function startPrometheus(url: string): Promise<PrometheusServer> {
  const folder = mkdtempSync(join(tmpdir(), "telemetry-prometheus-"));
  const { host, pathname } = new URL(url);
  const job = { job_name: "mortise", metrics_path: pathname, honor_labels: true, static_configs: [{ targets: [host] }] };
  // JSON is YAML.
  writeFileSync(join(folder, "prometheus.yml"), JSON.stringify({ global: { scrape_interval: "200ms" }, scrape_configs: [job] }));
  const port = await freePort();
  const { program } = found as { readonly program: string };
  const child = spawn(
    program,
    [`--config.file=${join(folder, "prometheus.yml")}`, `--storage.tsdb.path=${join(folder, "data")}`, `--web.listen-address=127.0.0.1:${port}`],
    { stdio: "ignore" },
  );
  const ask = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
    const { status, data, error } = (await response.json()) as { status: string; data: unknown; error?: string };
    if (status !== "success") throw new Error(`Prometheus refuses ${path}: ${error}`);
    return data;
  };
  return {
    async query(query) {
      const { result } = (await ask(`query?query=${encodeURIComponent(query)}`)) as {
        result: { metric: Record<string, string>; value: [number, string] }[];
      };
      return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
    },
    async metadata(metric) {
      const data = (await ask(`metadata?metric=${metric}`)) as Record<string, { type: string; help: string }[]>;
      return data[metric] ?? [];
    },
    async [Symbol.asyncDispose]() {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return address.port;
}

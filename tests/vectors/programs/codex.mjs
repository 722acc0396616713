// Run Codex against the stand-in, a prompt a case; nothing of the user's own is read or written.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const standIn = process.env.STAND_IN_URL;
const codex = join(dirname(fileURLToPath(import.meta.url)), "node_modules/@openai/codex/bin/codex.js");
const config = `
model = "gpt-5-codex"
model_provider = "standin"
[model_providers.standin]
name = "standin"
base_url = "${standIn}/openai/v1"
env_key = "STAND_IN_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
[otel]
environment = "test"
exporter = { otlp-http = { endpoint = "${standIn}/v1/logs", protocol = "json" } }
[analytics]
enabled = false
`;

// A request that is refused ends it before it has exported anything.
for (const name of ["plain", "cached", "reasoning"]) {
  const home = mkdtempSync(join(tmpdir(), "codex-"));
  mkdirSync(join(home, ".codex"));
  writeFileSync(join(home, ".codex", "config.toml"), config);
  await fetch(`${standIn}/case/${name}`, { method: "POST" });
  const env = { PATH: process.env.PATH, HOME: home, TERM: "dumb", NO_PROXY: "127.0.0.1", STAND_IN_KEY: "none" };
  const command = [codex, "exec", "--skip-git-repo-check", "Say something short."];
  const done = spawnSync(process.execPath, command, { env, cwd: home, stdio: ["ignore", "ignore", "pipe"], timeout: 60_000 });
  if (done.status !== 0) throw new Error(`${name}: ${done.status} ${done.stderr}`);
  await fetch(`${standIn}/case`, { method: "POST" });
}

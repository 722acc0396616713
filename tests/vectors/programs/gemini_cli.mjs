// Run Gemini CLI against the stand-in, a prompt a case; nothing of the user's own is read or written.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const standIn = process.env.STAND_IN_URL;
const gemini = join(dirname(fileURLToPath(import.meta.url)), "node_modules/@google/gemini-cli/bundle/gemini.js");
const settings = {
  security: { auth: { selectedType: "gemini-api-key" } },
  telemetry: { enabled: true, target: "local", otlpEndpoint: standIn, otlpProtocol: "http", logPrompts: false },
  privacy: { usageStatisticsEnabled: false },
  general: { disableAutoUpdate: true, maxAttempts: 1 },
};

for (const name of ["plain", "cached", "reasoning", "error"]) {
  const home = mkdtempSync(join(tmpdir(), "gemini-"));
  mkdirSync(join(home, ".gemini"));
  writeFileSync(join(home, ".gemini", "settings.json"), JSON.stringify(settings));
  await fetch(`${standIn}/case/${name}`, { method: "POST" });
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    TERM: "dumb",
    NO_PROXY: "127.0.0.1",
    GEMINI_API_KEY: "none",
    GOOGLE_GEMINI_BASE_URL: `${standIn}/gemini`,
  };
  const command = [gemini, "--skip-trust", "-m", "gemini-2.5-flash", "-p", "Say something short."];
  const done = spawnSync(process.execPath, command, { env, cwd: home, stdio: ["ignore", "ignore", "pipe"], timeout: 60_000 });
  if ((done.status === 0) === (name === "error")) throw new Error(`${name}: ${done.status} ${done.stderr}`);
  await fetch(`${standIn}/case`, { method: "POST" });
}

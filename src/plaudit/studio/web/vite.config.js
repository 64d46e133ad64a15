// The client is built into ../static: hashed files, a manifest, and a gzip copy beside every file that gains by it.
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig } from "vite";

const OUT = "../static";
const PACKED = /\.(js|css|html|svg|json)$/;

function packed() {
  return {
    name: "packed",
    apply: "build",
    closeBundle() {
      for (const name of readdirSync(OUT, { recursive: true })) {
        const path = join(OUT, String(name));
        if (!PACKED.test(path) || statSync(path).size < 1000) continue;
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      }
    },
  };
}

export default defineConfig(({ command }) => ({
  base: command === "build" ? "/static/" : "/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [packed()],
  build: {
    outDir: OUT,
    emptyOutDir: true,
    manifest: "manifest.json",
    license: { fileName: "licences.md" }, // of the libraries that the bundle contains
    target: "es2022",
    cssTarget: ["chrome123", "firefox121", "safari17.5"],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the content security policy allows no data: addresses
  },
  // `npm run dev` beside a studio that runs on its usual port
  server: { proxy: { "/api": "http://127.0.0.1:8765", "/media": "http://127.0.0.1:8765", "/enter": "http://127.0.0.1:8765" } },
}));

// Build the page into built/, always to the same bytes: what `tfstyle export --format web` unpacks.

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const litert = "node_modules/@litertjs/core/wasm";
const to = process.argv[2] ?? "built";

async function bundle(entry, options = {}) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    ...options,
  });
  return outputFiles[0].text.trim();
}

await rm(to, { recursive: true, force: true });
await mkdir(`${to}/litert`, { recursive: true });

const page = await readFile("src/index.html", "utf8");
const parts = {
  "page.css": `<style>${await bundle("src/page.css")}</style>`,
  "page.ts": `<script>${(await bundle("src/page.ts")).replaceAll("</script", "<\\/script")}</script>`,
};
const html = page.replace(/<!-- (page\.\w+) -->/g, (_, name) => parts[name]);
await writeFile(`${to}/index.html`, html);
// Painting is on the CPU, whose pixels are the same everywhere: LiteRT need not ask for a GPU.
const onCpu = { define: { "navigator.gpu": "undefined" }, drop: ["console"] };
await writeFile(`${to}/worker.js`, `${await bundle("src/worker.ts", onCpu)}\n`);
await writeFile(`${to}/sw.js`, `${await bundle("src/sw.ts")}\n`);
for (const name of ["icon.svg", "manifest.webmanifest", "LICENSES.txt"]) {
  await writeFile(`${to}/${name}`, await readFile(`src/${name}`));
}
for (const [name, variant] of [
  ["relaxed", ""],
  ["compat", "compat_"],
  ["threaded", "threaded_"],
]) {
  const path = `${litert}/litert_wasm_${variant}internal`;
  // Comments of the glue are half of it.
  const glue = await build({
    entryPoints: [`${path}.js`],
    minifyWhitespace: true,
    minifySyntax: true,
    write: false,
    charset: "utf8",
    legalComments: "none",
  });
  await writeFile(`${to}/litert/${name}.js`, glue.outputFiles[0].text);
  await writeFile(`${to}/litert/${name}.wasm`, await readFile(`${path}.wasm`));
}

// Bundles the viewer from static/js/viewer/ into static/dist/ (or the folder that is named), the same bytes each time.
import { build } from "esbuild";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const out = resolve(process.argv[2] ?? join(here, "dist"));
const nothing = join(here, "js/viewer/nothing.js");

// The one place that writes a style attribute as markup, which our content policy forbids; through the CSSOM it is allowed.
const labelsWithoutMarkup = {
  name: "labels-without-markup",
  setup({ onLoad }) {
    onLoad({ filter: /drawingSvg[\\/]drawTextBox\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      const contents = source.replace("textElement.setAttribute('style', combinedStyle)", "textElement.style.cssText = combinedStyle");
      if (contents === source) throw new Error(`${path} has changed: look how it styles its text now`);
      return { contents, loader: "js" };
    });
  },
};

// Pictures are drawn without WebGPU; vtk.js registers its renderer for nothing but being imported.
const withoutWebGpu = {
  name: "without-webgpu",
  setup({ onLoad }) {
    onLoad({ filter: /vtk\.js[\\/]Rendering[\\/]WebGPU[\\/]Profiles[\\/]/ }, () => ({ contents: "" }));
  },
};

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: [join(here, "js/viewer/scan.js")],
  outfile: join(out, "scan.js"),
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome115", "firefox115", "safari16.4"],
  charset: "utf8",
  legalComments: "none",
  alias: { xmlbuilder2: nothing }, // vtk.js' XML reader, which no picture here goes through, drags in node's modules
  plugins: [labelsWithoutMarkup, withoutWebGpu],
  metafile: true,
  logLevel: "warning",
});

/** The folder of the package that a bundled file belongs to, null for our own files. */
function packageOf(file) {
  const found = file.match(/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//);
  return found && found[1];
}

function notice(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
  const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file && existsSync(join(root, folder, file)) ? `\n\n${readFileSync(join(root, folder, file), "utf8").trim()}` : "";
  return `${name} ${version} (${license ?? "see its text"})${text}`;
}

const bundled = Object.values(metafile.outputs).flatMap((output) => Object.entries(output.inputs));
const packages = new Set(bundled.filter(([, { bytesInOutput }]) => bytesInOutput).map(([file]) => packageOf(file)).filter(Boolean));
mkdirSync(out, { recursive: true });
writeFileSync(join(out, "LICENSES.txt"), `${[...packages].sort().map(notice).join(`\n\n${"-".repeat(78)}\n\n`)}\n`);
const size = readFileSync(join(out, "scan.js")).length;
console.log(`${relative(root, join(out, "scan.js"))}: ${(size / 1e6).toFixed(1)} MB from ${packages.size} packages`);

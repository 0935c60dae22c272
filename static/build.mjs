// Bundles the viewer from static/js/scan/ into static/dist/ (or the folder that is named, emptied first), the same bytes each time.
import { build } from "esbuild";
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const out = resolve(process.argv[2] ?? join(here, "dist"));
const viewer = join(here, "js/scan");

// Patches of packages: file, text, replacement.
const PATCHES = [
  // The one place that writes a style attribute as markup, which our content policy forbids; through the CSSOM it is allowed.
  [/drawingSvg[\\/]drawTextBox\.js$/, [["textElement.setAttribute('style', combinedStyle)", "textElement.style.cssText = combinedStyle"]]],
  // A white canvas that is drawn, and read back from the graphics card, for each image: white can be had at once.
  [/cpuFallback[\\/]rendering[\\/]initializeRenderCanvas\.js$/, [
    ["canvasContext.getImageData(0, 0, image.width, image.height)", "canvasContext.createImageData(image.width, image.height)"],
    ["enabledElement.renderingTools.renderCanvasContext =", "renderCanvasData.data.fill(255);\n    enabledElement.renderingTools.renderCanvasContext ="],
    ["canvasContext.fillRect(0, 0, renderCanvas.width, renderCanvas.height);", ""],
  ]],
];
const patched = {
  name: "patched",
  setup({ onLoad }) {
    for (const [filter, changes] of PATCHES) {
      onLoad({ filter }, ({ path }) => {
        const contents = changes.reduce((source, [from, to]) => {
          if (!source.includes(from)) throw new Error(`${path} has changed: check whether the patch is still needed`);
          return source.replace(from, to);
        }, readFileSync(path, "utf8"));
        return { contents, loader: "js" };
      });
    }
  },
};

// Images are drawn without WebGPU; vtk.js registers its renderer on import alone.
const withoutWebGpu = {
  name: "without-webgpu",
  setup({ onLoad }) {
    onLoad({ filter: /vtk\.js[\\/]Rendering[\\/]WebGPU[\\/]Profiles[\\/]/ }, () => ({ contents: "" }));
  },
};

rmSync(out, { recursive: true, force: true }); // parts are named by what is in them: former ones would stay
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: [join(viewer, "scan.js")],
  outdir: out,
  bundle: true,
  splitting: true, // the image does not wait for the tools
  minify: true,
  format: "esm",
  target: ["chrome115", "firefox115", "safari16.4"],
  charset: "utf8",
  legalComments: "none",
  alias: {
    xmlbuilder2: join(viewer, "stubs/xmlbuilder2.js"), // vtk.js' XML reader, which no image here goes through, drags in node's modules
    dcmjs: join(viewer, "stubs/dcmjs.js"), // a fifth of the bundle, and maps of every DICOM tag made before the image
  },
  plugins: [patched, withoutWebGpu],
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
writeFileSync(join(out, "LICENSES.txt"), `${[...packages].sort().map(notice).join(`\n\n${"-".repeat(78)}\n\n`)}\n`);
for (const [file, { bytes }] of Object.entries(metafile.outputs)) console.log(`${file}: ${(bytes / 1e6).toFixed(2)} MB`);

/** The page: pictures come in, and controls are used. */

import { alone, asset, catalog } from "./assets";
import { beginCamera } from "./camera";
import { $, alarm, button, calm, input, select, tell } from "./dom";
import * as easel from "./easel";
import { Cancelled } from "./engine";
import { beginFiles, type Named, stem } from "./files";
import { isFilm } from "./film";
import { missing } from "./requirements";
import { addPhotograph, type Photograph, photographs, removePhotograph, showShelf } from "./shelf";
import { busy, onCancel, showPhotograph } from "./stage";
import * as studio from "./studio";
import * as styling from "./styles";
import * as tasks from "./tasks";

const MOST_FAULTS = 4; // that are told at once

let sample: Photograph | null = null; // what is shown until there is a photograph of the user's
let count = 0;
let closeCamera = () => {};

/** Do something with each file; tell of those it cannot be done with. */
async function withEach(files: Named[], act: (file: Named) => Promise<void>): Promise<void> {
  const faults: string[] = [];
  for (const file of files) {
    await act(file).catch((error) => {
      if (error instanceof Cancelled) throw error;
      faults.push(`${file.name}: ${error.message}`);
    });
  }
  if (!faults.length) return;
  const more = faults.length - MOST_FAULTS;
  const told = faults.slice(0, MOST_FAULTS);
  alarm([...told, ...(more > 0 ? [`… and ${more} more.`] : [])].join("\n"));
}

/** Open photographs, and show the first of them; paint films. */
async function addFiles(files: Named[]): Promise<void> {
  easel.refuseIfBusy();
  calm();
  closeCamera();
  let first: Photograph | null = null;
  await withEach(files, async ({ name, blob }) => {
    if (isFilm({ name, blob })) return;
    const key = `photo ${++count}`;
    const sides = await studio.open(key, blob);
    const photograph = await addPhotograph({ key, name, blob, sides }, choose, remove);
    first ??= photograph;
  });
  showShelf(easel.shownPhotograph());
  if (first) await easel.show(first);
  for (const film of files.filter(isFilm)) {
    await easel.undisturbed((signal) => tasks.filmed(film, signal));
  }
}

function choose(photograph: Photograph): void {
  calm();
  closeCamera();
  easel.show(photograph).catch(easel.fail);
}

/** Take a photograph away, and show the one beside it; the sample, after the last. */
function remove(photograph: Photograph): void {
  calm();
  const beside = removePhotograph(photograph);
  studio.close(photograph.key).catch(easel.fail);
  const shown = easel.shownPhotograph();
  if (photograph === shown) easel.show(beside ?? (sample as Photograph)).catch(easel.fail);
  else showShelf(shown);
  (beside?.tile.querySelector("button") ?? button("choose")).focus();
}

/** Read paintings, and paint in the style of the first. */
async function addPaintings(files: Named[]): Promise<void> {
  easel.refuseIfBusy();
  calm();
  const model = styling.anyModel();
  if (!model) return;
  let first: styling.Style | null = null;
  await withEach(files, async ({ name, blob }) => {
    busy("Reading the painting");
    const style = await readPainting(model, stem(name) || "Painting", blob, true);
    first ??= style;
  }).finally(busy);
  if (first) styling.choose(first);
}

async function readPainting(model: string, title: string, blob: Blob, removable: boolean) {
  const working = await studio.worker();
  await working.load(model);
  const photo = "painting";
  await working.ask("open", { photo, source: blob });
  const point = await working.ask("encode", { photo, model });
  await working.ask("close", { photo });
  const given = { title, about: `In the style of ${title}.`, model, point };
  return styling.addStyle(given, blob, removable);
}

function whenClicked(id: string, act: () => Promise<unknown>): void {
  button(id).onclick = () => {
    calm();
    act().catch(easel.fail);
  };
}

function beginControls(): void {
  const say = () => {
    calm();
    const { strokeSize } = easel.settings();
    $("strength-out").textContent = `${input("strength").value} %`;
    $("stroke-out").textContent =
      `${strokeSize.toFixed(strokeSize < 1 ? 2 : 1).replace(/\.?0+$/, "")}×`;
    input("stroke").setAttribute("aria-valuetext", $("stroke-out").textContent ?? "");
    easel.repaint();
  };
  for (const id of ["strength", "stroke", "colors"]) input(id).oninput = say;
  select("size").onchange = () => {
    calm();
    easel.chooseSize();
  };
  styling.onStyle(() => {
    calm();
    easel.repaint();
  });
  whenClicked("save", tasks.downloadShown);
  whenClicked("save-all", () => easel.undisturbed(tasks.downloadAll));
  whenClicked("copy", async () => {
    await tasks.copyShown();
    tell("The picture is in the clipboard.");
  });
  whenClicked("share", tasks.shareShown);
  button("best").hidden = !catalog.app;
  whenClicked("best", () => easel.undisturbed(tasks.askForBest));
  onCancel(easel.cancel);
}

async function begin(): Promise<void> {
  const lacks = missing();
  if (lacks) throw new Error(lacks);
  const pick = beginFiles(
    (files) => addFiles(files).catch(easel.fail),
    (files) => addPaintings(files).catch(easel.fail),
  );
  beginControls();
  styling.beginStyles(pick.paintings);
  closeCamera = beginCamera({
    style: styling.current,
    settings: easel.settings,
    take: (picture) => addFiles([picture]),
    live: easel.setLive,
  });
  const blob = new Blob([await asset(catalog.photograph)]);
  await showPhotograph(blob);
  const sides = await studio.open("sample", blob);
  sample = { key: "sample", name: "lake.jpg", blob, sides, tile: document.createElement("span") };
  if (styling.styles[0]) styling.choose(styling.styles[0]);
  if (!photographs.length) await easel.show(sample);
  const model = styling.anyModel();
  if (model && catalog.painting) {
    const painting = new Blob([await asset(catalog.painting)]);
    const style = await readPainting(model, "Brushwork", painting, false);
    if (!styling.hasStyle()) styling.choose(style);
    await easel.work();
  }
}

begin().catch(easel.fail);
if (!alone && !catalog.app && window.isSecureContext && "serviceWorker" in navigator) {
  // Without it the page paints all the same, but not offline.
  navigator.serviceWorker.register(`sw.js?${catalog.version}`).catch(console.warn);
}

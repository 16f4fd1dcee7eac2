/** The page: what is chosen, and when it is painted. */

import { askPython, hangUp } from "./app";
import { alone, asset, catalog } from "./assets";
import { beginCamera } from "./camera";
import { $, alarm, button, draw, input, select, tell } from "./dom";
import { Cancelled, Engine } from "./engine";
import { beginFiles, copy, type Named, save, saveAll, share, stem } from "./files";
import type { Pixels, Settings } from "./messages";
import { missing } from "./requirements";
import { fitted, type Sides } from "./resize";
import { busy, onCancel, painted, progress, showPainted, showPhotograph, toPixels } from "./stage";
import * as styling from "./styles";

const SIZES = [512, 1024, 1600, 2400, 4000];
const FIRST_SIZE = 1024;
const FACE = 256; // long side at which thumbnails are painted

interface Photograph extends Named {
  key: string;
  sides: Sides;
  tile: HTMLButtonElement;
}

let engine: Promise<Engine> | null = null;
const opened = new Map<string, Blob>(); // what a new worker must be given
const photographs: Photograph[] = [];
let shown: Photograph | null = null;
let wanted = false; // a picture is to be painted
let painting = false;
let live = false; // the camera is on, and what it sees is painted instead
let faces = 0; // changes with the photograph: thumbnails begin anew
let count = 0;
let preferred = FIRST_SIZE; // long side of what is painted
const speed = new Map<string, number>(); // pixels per millisecond, by network

/** The worker; a new one after the last was ended. */
function worker(): Promise<Engine> {
  engine ??= Engine.start().then(async (started) => {
    for (const [photo, source] of opened) await started.ask("open", { photo, source });
    return started;
  });
  engine.catch(() => {
    engine = null;
  });
  return engine;
}

async function open(photo: string, source: Blob): Promise<Sides> {
  const working = await worker();
  const { height, width } = await working.ask("open", { photo, source });
  opened.set(photo, source);
  return [height, width];
}

function settings(): Settings {
  return {
    strength: input("strength").valueAsNumber / 100,
    strokeSize: 2 ** (input("stroke").valueAsNumber / 5),
    keepColors: input("colors").checked,
  };
}

function wantedSides({ sides }: Photograph): Sides {
  return preferred < Math.max(...sides) ? fitted(sides, preferred) : sides;
}

/** Paint a photograph as is chosen. */
async function paint(photograph: Photograph, onProgress = progress): Promise<Pixels> {
  const working = await worker();
  const style = styling.current();
  await working.load(style.model);
  const [height, width] = wantedSides(photograph);
  const job = { photo: photograph.key, height, width, style, settings: settings() };
  const pixels = await working.ask("paint", job, onProgress);
  if (pixels.took_ms) {
    speed.set(style.model, (height * width) / pixels.took_ms / job.settings.strokeSize ** 2);
  }
  return pixels;
}

/** Paint what is shown, soon, and again when something changed meanwhile; then the thumbnails. */
function repaint(): Promise<void> {
  wanted = true;
  return work();
}

async function work(): Promise<void> {
  if (painting) return;
  painting = true;
  try {
    do {
      if (ready(shown)) {
        wanted = false;
        await paintShown(shown);
      }
      if (!ready(shown)) await paintFaces();
    } while (ready(shown));
  } catch (error) {
    fail(error);
  } finally {
    painting = false;
    busy();
  }
}

function ready(photograph: Photograph | null): photograph is Photograph {
  return wanted && !live && photograph !== null && styling.hasStyle();
}

async function paintShown(photograph: Photograph): Promise<void> {
  busy("Painting");
  const pixels = await paint(photograph);
  busy();
  if (photograph !== shown || live) return;
  showPainted(pixels);
  showSizes();
  if (wanted) return;
  const seconds = pixels.took_ms ? `, in ${(pixels.took_ms / 1000).toFixed(2)} s` : "";
  tell(`Painted, ${pixels.width} × ${pixels.height} pixels${seconds}.`);
}

function fail(error: unknown): void {
  if (error instanceof Cancelled) {
    wanted = false;
    tell("Cancelled.");
  } else alarm(error);
}

/** Paint the thumbnails that are not there yet, until something else is wanted. */
async function paintFaces(): Promise<void> {
  const round = faces;
  const working = await worker();
  for (const style of styling.styles) {
    if (wanted || live || round !== faces || !shown) return;
    if (style.tile.dataset.round === String(round)) continue;
    await working.load(style.model);
    const [height, width] = fitted(shown.sides, Math.min(FACE, Math.max(...shown.sides)));
    const look = { strength: 1, strokeSize: 1, keepColors: false };
    const job = { photo: "face", height, width, style: { model: style.model, point: style.point } };
    styling.showFace(style, await working.ask("paint", { ...job, settings: look }));
    style.tile.dataset.round = String(round);
  }
}

/** Open photographs, and show the first of them. */
async function addPhotographs(files: Named[]): Promise<void> {
  let first: Photograph | null = null;
  $("alert").hidden = true;
  for (const { name, blob } of files) {
    const key = `photo ${++count}`;
    try {
      const sides = await open(key, blob);
      const photograph = { key, name, blob, sides, tile: tileOf({ name, blob }) };
      photograph.tile.onclick = () => show(photograph).catch(fail);
      first ??= photograph;
      if (photographs[0]?.name === "") forget(photographs[0]); // the sample
      photographs.push(photograph);
    } catch (error) {
      fail(error instanceof Cancelled ? error : `${name}: ${(error as Error).message}`);
    }
  }
  showShelf();
  if (first) await show(first);
}

function forget(photograph: Photograph): void {
  photographs.splice(photographs.indexOf(photograph), 1);
  opened.delete(photograph.key);
  worker()
    .then((working) => working.ask("close", { photo: photograph.key }))
    .catch(fail);
}

async function show(photograph: Photograph): Promise<void> {
  shown = photograph;
  faces++;
  await showPhotograph(photograph.blob, () => shown === photograph);
  const face = await smaller(photograph);
  if (shown !== photograph) return; // another one was chosen meanwhile
  await open("face", face);
  showSizes();
  showShelf();
  await repaint();
}

/** Return a photograph as it is painted for thumbnails. */
async function smaller({ blob, sides }: Photograph): Promise<Blob> {
  const [height, width] = fitted(sides, Math.min(FACE, Math.max(...sides)));
  const bitmap = await createImageBitmap(blob, {
    resizeWidth: Math.max(16, width),
    resizeHeight: Math.max(16, height),
    resizeQuality: "high",
  });
  const small = new OffscreenCanvas(bitmap.width, bitmap.height);
  small.getContext("2d")?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return small.convertToBlob();
}

/** Offer the sizes up to the photograph's own, and how long each takes. */
function showSizes(): void {
  if (!shown) return;
  const { sides } = shown;
  const own = Math.max(...sides);
  const rate = styling.hasStyle() ? speed.get(styling.current().model) : undefined;
  const options = [...SIZES.filter((size) => size < own), own].map((size) => {
    const [height, width] = size < own ? fitted(sides, size) : sides;
    const seconds = rate && (height * width) / rate / settings().strokeSize ** 2 / 1000;
    const text = `${width} × ${height}${size === own ? ", full size" : ""}`;
    return new Option(
      seconds && seconds > 2 ? `${text}, about ${Math.round(seconds)} s` : text,
      `${size}`,
    );
  });
  select("size").replaceChildren(...options);
  const fitting = options.findLast(({ value }) => Number(value) <= preferred) ?? options[0];
  fitting.selected = true;
}

function showShelf(): void {
  $("shelf").hidden = photographs.length < 2;
  $("shelf").replaceChildren(...photographs.map(({ tile }) => tile));
  for (const photograph of photographs) {
    photograph.tile.setAttribute("aria-pressed", String(photograph === shown));
  }
  button("save").textContent = photographs.length > 1 ? "Download all" : "Download";
}

/** Return a button with a photograph on it. */
function tileOf({ name, blob }: Named): HTMLButtonElement {
  const tile = document.createElement("button");
  tile.type = "button";
  tile.setAttribute("aria-label", name);
  const face = document.createElement("canvas");
  tile.append(face);
  createImageBitmap(blob, { resizeHeight: 128, resizeQuality: "medium" })
    .then((bitmap) => draw(face, bitmap))
    .catch(fail);
  return tile;
}

/** Read paintings, and paint in the style of the first. */
async function addPaintings(files: Named[]): Promise<void> {
  const model = styling.anyModel();
  if (!model) return;
  let first: styling.Style | null = null;
  $("alert").hidden = true;
  for (const { name, blob } of files) {
    try {
      busy("Reading the painting");
      const style = await readPainting(model, stem(name), blob);
      first ??= style;
    } catch (error) {
      fail(error instanceof Cancelled ? error : `${name}: ${(error as Error).message}`);
    }
  }
  busy();
  if (first) styling.choose(first);
}

async function readPainting(model: string, title: string, blob: Blob): Promise<styling.Style> {
  const working = await worker();
  await working.load(model);
  const photo = "painting";
  await working.ask("open", { photo, source: blob });
  const point = await working.ask("encode", { photo, model });
  await working.ask("close", { photo });
  const style = styling.addStyle(title, `In the style of ${title}.`, { model, point });
  paintingsOf.set(style, blob);
  return style;
}

/** Paintings behind styles, for Python. */
const paintingsOf = new Map<styling.Style, Blob>();

async function saveResult(): Promise<void> {
  const type = `image/${select("format").value}`;
  if (photographs.length < 2) {
    if (shown) await save(await painted(type), shown.name, styling.currentName());
    return;
  }
  busy(`Painting 1 of ${photographs.length}`);
  const one = async (photograph: Photograph, i: number) => {
    busy(`Painting ${i + 1} of ${photographs.length}`);
    showPainted(await paint(photograph));
    return { name: photograph.name, blob: await painted(type) };
  };
  painting = true; // nothing else is painted meanwhile
  try {
    await saveAll(photographs.length, (i) => one(photographs[i], i), styling.currentName());
  } finally {
    painting = false;
  }
  tell(`${photographs.length} pictures are in the zip.`);
  if (shown) await show(shown);
}

/** Let Python paint what is shown, with the best quality. */
async function optimize(): Promise<void> {
  const style = styling.single();
  const painting = style && paintingsOf.get(style);
  if (!painting || !shown) {
    throw new Error("The best quality is painted after a painting: add one, and choose it.");
  }
  const size = Math.max(...wantedSides(shown));
  busy("Python is painting");
  await askPython(shown.blob, painting, size, async (share, picture) => {
    progress(share);
    showPainted(await toPixels(picture));
  });
  tell("Painted by Python.");
}

function whenClicked(id: string, act: () => Promise<void>): void {
  button(id).onclick = () => act().catch(fail).finally(busy);
}

function beginControls(): void {
  const say = () => {
    const { strokeSize } = settings();
    $("strength-out").textContent = `${input("strength").value} %`;
    $("stroke-out").textContent =
      `${strokeSize.toFixed(strokeSize < 1 ? 2 : 1).replace(/\.?0+$/, "")}×`;
    input("stroke").setAttribute("aria-valuetext", $("stroke-out").textContent ?? "");
    repaint();
  };
  for (const id of ["strength", "stroke", "colors"]) input(id).oninput = say;
  select("size").onchange = () => {
    const full = select("size").selectedIndex === select("size").options.length - 1;
    preferred = full ? Number.POSITIVE_INFINITY : Number(select("size").value);
    repaint();
  };
  styling.onStyle(() => repaint());
  whenClicked("save", saveResult);
  whenClicked("copy", async () => {
    await copy(painted("image/png"));
    tell("The picture is in the clipboard.");
  });
  whenClicked("share", async () => {
    if (shown) await share(await painted("image/jpeg"), shown.name);
  });
  button("best").hidden = !catalog.app;
  whenClicked("best", optimize);
  onCancel(() => {
    hangUp();
    engine?.then((working) => working.end()).catch(fail);
    engine = null;
  });
}

async function begin(): Promise<void> {
  const lacks = missing();
  if (lacks) throw new Error(lacks);
  const pick = beginFiles(
    (files) => addPhotographs(files).catch(fail),
    (files) => addPaintings(files).catch(fail),
  );
  beginControls();
  styling.beginStyles(pick.paintings);
  beginCamera({
    worker,
    style: styling.current,
    settings,
    take: (picture) => addPhotographs([picture]),
    live: (on) => {
      live = on;
      if (!on && shown) show(shown).catch(fail);
    },
  });
  const sample = { name: "", blob: new Blob([await asset(catalog.photograph)]) };
  await showPhotograph(sample.blob);
  await addPhotographs([sample]);
  if (styling.styles[0]) styling.choose(styling.styles[0]);
  const model = styling.anyModel();
  if (model && catalog.painting) {
    await readPainting(model, "Brushwork", new Blob([await asset(catalog.painting)]));
    await work();
  }
}

begin().catch(alarm);
if (!alone && window.isSecureContext && "serviceWorker" in navigator) {
  navigator.serviceWorker.register(`sw.js?${catalog.version}`).catch(alarm);
}

/** What is shown, and when it is painted: soon after anything changed, and the thumbnails after it. */

import { $, alarm, input, select, tell } from "./dom";
import { Cancelled } from "./engine";
import type { Pixels, Settings } from "./messages";
import { fitted, type Sides } from "./resize";
import { type Photograph, showShelf, smallBitmap } from "./shelf";
import { busy, isPainted, progress, showPainted, showPhotograph } from "./stage";
import * as studio from "./studio";
import * as styling from "./styles";

const SIZES = [512, 1024, 1600, 2400, 4000];
const FIRST_SIZE = 1024;
const LEAST_SIDE = 16; // of a picture that is painted
const FACE = 256; // long side at which thumbnails are painted
const RESTING = ["panel", "shelf", "tools"]; // while something long is done

/** What came of something long: words, and whether its picture stays or what was shown comes back. */
export interface Outcome {
  told: string;
  stays?: boolean;
}

let shown: Photograph | null = null;
let wanted = false; // what is shown is to be painted
let showing = false; // it is being painted
let running: Promise<void> | null = null;
let task: AbortController | null = null; // something long that nothing else may disturb
let live = false; // the camera is on, and what it sees is painted instead
let small: Photograph | null = null; // whose thumbnails can be painted
let faces = 0; // changes with the photograph: thumbnails begin anew
let preferred = FIRST_SIZE; // long side of what is painted
let note = ""; // is told in the place of how long it took
const speed = new Map<string, number>(); // pixels per millisecond, by network

export function shownPhotograph(): Photograph | null {
  return shown;
}

export function settings(): Settings {
  return {
    strength: input("strength").valueAsNumber / 100,
    strokeSize: 2 ** (input("stroke").valueAsNumber / 5),
    keepColors: input("colors").checked,
  };
}

/** Return the sides at which a photograph is painted. */
export function wantedSides(photograph: Photograph): Sides {
  return sidesAt(photograph, preferred);
}

function sidesAt({ sides }: Photograph, size: number): Sides {
  if (size >= Math.max(...sides)) return sides;
  const smaller = fitted(sides, size);
  return Math.min(...smaller) < LEAST_SIDE ? sides : smaller;
}

/** Paint a photograph as is chosen. */
export async function paint(photograph: Photograph): Promise<Pixels> {
  const style = styling.current();
  const [height, width] = wantedSides(photograph);
  const job = { photo: photograph.key, height, width, style, settings: settings() };
  const pixels = await studio.paint(job, progress);
  if (pixels.took_ms) {
    speed.set(style.model, (height * width) / pixels.took_ms / job.settings.strokeSize ** 2);
  }
  return pixels;
}

/** Show a photograph and paint it; words, if there are any, are told once it is painted. */
export async function show(photograph: Photograph, words = ""): Promise<void> {
  shown = photograph;
  wanted = false; // until it is there
  showShelf(shown);
  await showPhotograph(photograph.blob, () => shown === photograph);
  const face = await smaller(photograph);
  if (shown !== photograph) return; // another one was chosen meanwhile
  small = null;
  await studio.open("face", face);
  if (shown !== photograph) return;
  small = photograph;
  faces++;
  showSizes();
  note = words;
  await repaint();
}

/** Paint what is shown, soon, and again if something changed meanwhile. */
export function repaint(): Promise<void> {
  wanted = true;
  return work();
}

/** Paint whatever is not painted yet. */
export function work(): Promise<void> {
  running ??= paintAll()
    .catch(fail)
    .finally(() => {
      running = null;
      if (!task) busy();
      if (ready(shown)) work();
    });
  return running;
}

async function paintAll(): Promise<void> {
  do {
    if (ready(shown)) {
      wanted = false;
      showing = true;
      await paintShown(shown).finally(() => {
        showing = false;
      });
    }
    if (!ready(shown)) await paintFaces();
  } while (ready(shown));
}

function ready(photograph: Photograph | null): photograph is Photograph {
  return wanted && !live && !task && photograph !== null && styling.hasStyle();
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
  tell(note || `Painted, ${pixels.width} × ${pixels.height} pixels${seconds}.`);
  note = "";
}

/** Paint the thumbnails that are not there yet, until something else is wanted. */
async function paintFaces(): Promise<void> {
  if (!small || small !== shown) return;
  const round = faces;
  const working = await studio.worker();
  const missing = styling.styles.filter(({ tile }) => tile.dataset.round !== String(round));
  for (const style of missing.filter(({ model }) => working.has(model))) {
    if (wanted || live || task || round !== faces || small !== shown) return;
    const [height, width] = fitted(small.sides, Math.min(FACE, Math.max(...small.sides)));
    const look = { strength: 1, strokeSize: 1, keepColors: false };
    const job = { photo: "face", height, width, style: { model: style.model, point: style.point } };
    styling.showFace(style, await working.ask("paint", { ...job, settings: look }));
    style.tile.dataset.round = String(round);
  }
  // A network may be long in coming: what is chosen meanwhile must not wait for it.
  const next = missing.find(({ model }) => !working.has(model));
  if (next) working.load(next.model).then(work, fail);
}

/** Wait until what is seen is what is chosen. */
export async function settled(): Promise<void> {
  while (ready(shown) || showing) await new Promise((resolve) => setTimeout(resolve, 20));
  if (!isPainted()) throw new Error("Nothing is painted yet: choose a style.");
}

/** Do something long, and let all else rest meanwhile. */
export async function undisturbed(act: (signal: AbortSignal) => Promise<Outcome>): Promise<void> {
  refuseIfBusy();
  task = new AbortController();
  const focused = document.activeElement;
  for (const id of RESTING) $(id).inert = true;
  let outcome: Outcome = { told: "" };
  try {
    await running;
    if (task.signal.aborted) throw new Cancelled();
    outcome = await act(task.signal);
    if (outcome.stays) tell(outcome.told);
  } catch (error) {
    if (error instanceof Cancelled) outcome.told = "Cancelled.";
    else throw error;
  } finally {
    task = null;
    busy();
    for (const id of RESTING) $(id).inert = false;
    if (focused instanceof HTMLElement) focused.focus();
    if (shown && !outcome.stays) show(shown, outcome.told).catch(fail);
  }
}

export function refuseIfBusy(): void {
  if (task) throw new Error("Wait for what is being done, or cancel it.");
}

/** Stop whatever is being done. */
export function cancel(): void {
  task?.abort();
  studio.stop();
}

/** Let what is shown rest while the camera is on. */
export function setLive(on: boolean): void {
  live = on;
  if (!on && shown) show(shown).catch(fail);
}

/** Paint at another size from now on. */
export function chooseSize(): void {
  const full = select("size").selectedIndex === select("size").options.length - 1;
  preferred = full ? Number.POSITIVE_INFINITY : Number(select("size").value);
  repaint();
}

export function fail(error: unknown): void {
  if (error instanceof Cancelled) {
    wanted = false;
    tell("Cancelled.");
  } else alarm(error);
}

/** Return a photograph as it is painted for thumbnails. */
async function smaller(photograph: Photograph): Promise<Blob> {
  const bitmap = await smallBitmap(photograph, FACE, LEAST_SIDE);
  const small = new OffscreenCanvas(bitmap.width, bitmap.height);
  small.getContext("2d")?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return small.convertToBlob();
}

/** Offer the sizes up to the photograph's own, and how long each takes. */
function showSizes(): void {
  if (!shown) return;
  const photograph = shown;
  const own = Math.max(...photograph.sides);
  const rate = styling.hasStyle() ? speed.get(styling.current().model) : undefined;
  const smaller = SIZES.filter((size) => sidesAt(photograph, size) !== photograph.sides);
  const options = [...smaller, own].map((size) => {
    const [height, width] = sidesAt(photograph, size);
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

/** What is done with paintings: kept, copied, given away; and what is painted in another way. */

import { askPython } from "./app";
import { $, select } from "./dom";
import * as easel from "./easel";
import { copy, download, type Named, save, saveAll, share, stem } from "./files";
import { paintFilm } from "./film";
import type { Sides } from "./resize";
import { photographs } from "./shelf";
import { busy, painted, progress, showPainted, toPixels } from "./stage";
import * as studio from "./studio";
import * as styling from "./styles";

const chosenType = () => `image/${select("format").value}`;

export async function downloadShown(): Promise<void> {
  await easel.settled();
  const name = easel.shownPhotograph()?.name ?? "";
  await save(await painted(chosenType()), name, styling.currentName());
}

export async function copyShown(): Promise<void> {
  await copy(easel.settled().then(() => painted("image/png")));
}

export async function shareShown(): Promise<void> {
  await easel.settled();
  await share(await painted("image/jpeg"), easel.shownPhotograph()?.name ?? "");
}

/** Paint all photographs, and put them into a zip. */
export async function downloadAll(): Promise<easel.Outcome> {
  const all = [...photographs];
  const one = async (i: number) => {
    busy(`Painting ${i + 1} of ${all.length}`);
    showPainted(await easel.paint(all[i]));
    return { name: all[i].name, blob: await painted(chosenType()) };
  };
  await saveAll(all.length, one, styling.currentName());
  return { told: `${all.length} pictures are in the zip.` };
}

/** Let Python paint what is shown, with the best quality. */
export async function askForBest(signal: AbortSignal): Promise<easel.Outcome> {
  const painting = styling.single()?.painting;
  const photograph = easel.shownPhotograph();
  if (!painting || !photograph) {
    throw new Error("The best quality is painted after a painting: add one, and choose it.");
  }
  const size = Math.max(...easel.wantedSides(photograph));
  busy("Python is painting");
  await askPython(photograph.blob, painting, size, signal, async (share, picture) => {
    progress(share);
    showPainted(await toPixels(picture));
  });
  return { told: "Painted by Python.", stays: true };
}

/** Paint a short film, and save it. */
export async function filmed(film: Named, signal: AbortSignal): Promise<easel.Outcome> {
  const photo = "film";
  const paint = async (source: ImageBitmap, [height, width]: Sides) => {
    const working = await studio.worker();
    await working.ask("open", { photo, source }, undefined, [source]);
    const style = styling.current();
    const job = { photo, height, width, style, settings: easel.settings() };
    showPainted(await studio.paint(job));
    return painted("image/jpeg");
  };
  const tell = (doing: string, done: number, count: number) => {
    busy(`${doing} ${done + 1} of ${count}`);
    progress(done / count);
  };
  $("frame").classList.add("live-view");
  try {
    const { blob, suffix } = await paintFilm(film, { paint, tell, signal });
    const name = `${stem(film.name) || "film"}-${styling.currentName()}.${suffix}`;
    download(blob, name);
    return { told: `The film is painted: ${name}.` };
  } finally {
    $("frame").classList.remove("live-view");
  }
}

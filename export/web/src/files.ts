/** Pictures in: chosen, dropped, pasted. Pictures out: saved, copied, shared, zipped. */

import { downloadZip } from "client-zip";
import { $, alarm, button, calm, input } from "./dom";

export interface Named {
  name: string;
  blob: Blob;
}

type Take = (files: Named[]) => void;

/** Take pictures wherever they come from; returns what asks for them. */
export function beginFiles(photographs: Take, paintings: Take) {
  const takes: Record<string, Take> = { photographs, paintings };
  for (const [id, take] of Object.entries(takes)) {
    input(id).onchange = () => {
      take(pictures(input(id).files));
      input(id).value = ""; // the same file may be chosen again
    };
  }
  button("choose").onclick = () => input("photographs").click();
  window.addEventListener("paste", (event) => {
    const found = pictures(event.clipboardData?.files);
    if (found.length) photographs(found);
  });
  beginDrops(photographs, paintings);
  return { paintings: () => input("paintings").click() };
}

function beginDrops(photographs: Take, paintings: Take): void {
  const drop = $("drop");
  const zones = [...drop.children] as HTMLElement[];
  const over = (event: DragEvent) =>
    zones.find((zone) => zone.contains(event.target as Node)) ?? zones[0];
  window.addEventListener("dragenter", (event) => {
    if (event.dataTransfer?.types.includes("Files")) drop.hidden = false;
  });
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    for (const zone of zones) zone.classList.toggle("over", zone === over(event));
  });
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.hidden = true;
  });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.hidden = true;
    const found = pictures(event.dataTransfer?.files);
    calm();
    if (!found.length) alarm("Only files can be dropped here: save the picture first.");
    else (over(event).dataset.as === "painting" ? paintings : photographs)(found);
  });
}

function pictures(files: FileList | null | undefined): Named[] {
  return [...(files ?? [])].map((file) => ({ name: file.name, blob: file }));
}

/** Save anything under a name that any system takes. */
export function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = harmless(name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const harmless = (name: string) => name.replace(/[\\/:*?"<>|\x00-\x1f]/g, "_");

/** A file's name without what tells its kind. */
export function stem(name: string): string {
  return name.replace(/\.[^.]*$/, "");
}

/** Save a painted picture. */
export async function save(blob: Blob, photograph: string, style: string): Promise<void> {
  download(blob, outputName(photograph, style, blob.type));
}

/** Save several pictures as a zip, each painted when its turn comes. */
export async function saveAll(
  count: number,
  one: (i: number) => Promise<Named>,
  style: string,
): Promise<void> {
  const names = new Set<string>();
  async function* each() {
    for (let i = 0; i < count; i++) {
      const { name, blob } = await one(i);
      let unique = outputName(name, style, blob.type);
      for (let n = 2; names.has(unique); n++) {
        unique = outputName(`${stem(name)}-${n}`, style, blob.type);
      }
      names.add(unique);
      yield { name: unique, input: blob, lastModified: new Date() };
    }
  }
  download(await downloadZip(each()).blob(), `${style}.zip`);
}

function outputName(photograph: string, style: string, type: string): string {
  return harmless(
    `${stem(photograph) || "picture"}-${style}.${type === "image/jpeg" ? "jpg" : "png"}`,
  );
}

/** Copy a picture to the clipboard. */
export async function copy(picture: Promise<Blob>): Promise<void> {
  await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
}

/** Give a picture to another app. */
export async function share(blob: Blob, photograph: string): Promise<void> {
  const file = new File([blob], `${stem(photograph) || "picture"}.jpg`, { type: blob.type });
  await navigator.share({ files: [file] }).catch((error) => {
    if (error.name !== "AbortError") throw error; // they thought better of it
  });
}

button("copy").hidden = !navigator.clipboard?.write || typeof ClipboardItem === "undefined";
if (navigator.canShare?.({ files: [new File([], "a.jpg", { type: "image/jpeg" })] })) {
  button("share").hidden = false;
}

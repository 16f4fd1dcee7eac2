/** The user's photographs, in a row to choose from. */

import { $, draw } from "./dom";
import type { Named } from "./files";
import { fitted, type Sides } from "./resize";

const TILE = 160; // long side of a small picture in the row

export interface Photograph extends Named {
  key: string;
  sides: Sides;
  tile: HTMLElement;
}

export const photographs: Photograph[] = [];

/** Add a photograph to the row, with a button to show it and one to take it away. */
export async function addPhotograph(
  given: Named & { key: string; sides: Sides },
  show: (photograph: Photograph) => void,
  remove: (photograph: Photograph) => void,
): Promise<Photograph> {
  const tile = document.createElement("span");
  tile.className = "tile";
  const choose = document.createElement("button");
  choose.type = "button";
  choose.title = given.name;
  choose.setAttribute("aria-label", given.name);
  const face = document.createElement("canvas");
  choose.append(face);
  const photograph = { ...given, tile };
  choose.onclick = () => show(photograph);
  tile.append(
    choose,
    removeButton(given.name, () => remove(photograph)),
  );
  photographs.push(photograph);
  const bitmap = await smallBitmap(photograph, TILE);
  draw(face, bitmap);
  bitmap.close();
  return photograph;
}

/** Take a photograph out of the row; the button beside it gets the focus. */
export function removePhotograph(photograph: Photograph): Photograph | undefined {
  const place = photographs.indexOf(photograph);
  photographs.splice(place, 1);
  return photographs[Math.min(place, photographs.length - 1)];
}

export function showShelf(shown: Photograph | null): void {
  $("shelf").hidden = photographs.length === 0;
  document.body.classList.toggle("own", photographs.length > 0);
  $("tiles").replaceChildren(...photographs.map(({ tile }) => tile));
  for (const photograph of photographs) {
    photograph.tile
      .querySelector("button")
      ?.setAttribute("aria-pressed", String(photograph === shown));
  }
  $("save-all").hidden = photographs.length < 2;
}

/** Return a button that takes something away. */
export function removeButton(name: string, remove: () => void): HTMLButtonElement {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "remove";
  button.title = "Remove";
  button.setAttribute("aria-label", `Remove ${name}`);
  button.onclick = remove;
  return button;
}

/** Return a photograph, small. */
export async function smallBitmap(
  { blob, sides }: { blob: Blob; sides: Sides },
  size: number,
  least = 1,
): Promise<ImageBitmap> {
  const [height, width] = fitted(sides, Math.min(size, Math.max(...sides)));
  return createImageBitmap(blob, {
    resizeWidth: Math.max(least, width),
    resizeHeight: Math.max(least, height),
    resizeQuality: "high",
  });
}
